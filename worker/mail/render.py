"""Writes the letter about an ended job: facts from its story, words from `templates/<message>/`.

Every name and query in a letter was typed by somebody, perhaps by somebody with a plan. Before a template sees one it
is one line, of bounded length, without control characters and without the marks that reorder text; the HTML is
escaped besides. So no name can add a line, a header, a tag or a sentence of its own to what we say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from core.domain.jobs import Job, JobStory, Reason
from worker.mail.mailer import Letter

_NAME_LENGTH = 80
"""Characters of a name: about two lines on a phone. Longer ones are cut; the record has them whole."""

_QUERY_LENGTH = 400
"""Characters of the query: enough to recognise one's own, in a letter that still fits a screen."""

_SUBJECT_LENGTH = 200
"""More than any mail program shows, so a subject is never the reason a letter is refused."""

_LINE_BREAKS = re.compile(r"[\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_INVISIBLE = re.compile(r"[\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")

_EXPLANATIONS: Mapping[str, str] = {
    Reason.PROTECTED: "deployed, or about to be",
    Reason.CHANGED_SINCE: "changed after the request was accepted",
    Reason.GONE: "already removed by somebody else",
    Reason.NAME_TAKEN: "its name is in use again",
    Reason.FLOW_GONE: "there is no flow to bring it back to",
    Reason.NOT_ATTEMPTED: "the job ended before reaching it",
}


def render_letter(message: str, story: JobStory, *, recipient: str, sender: str, public_url: str) -> Letter:
    """The letter `message` (a folder under `templates`) about an ended job.

    Everything in it comes from the job's final record, so a letter sent twice says the same thing twice, under the
    same Message-ID and date.
    """
    if story.job.finished_at is None:
        raise ValueError("a letter is written only about a job that has ended")
    facts = _facts(story, public_url)
    subject = one_line(_render(message, "subject.txt", facts), _SUBJECT_LENGTH)
    facts = {**facts, "headline": subject}
    return Letter(
        sender=sender,
        recipient=recipient,
        message_id=f"<{story.job.public_id}@{sender.rpartition('@')[2]}>",
        date=story.job.finished_at,
        subject=subject,
        text=_render(message, "body.txt", facts),
        html=_render(message, "body.html", facts),
    )


def _facts(story: JobStory, public_url: str) -> dict[str, object]:
    """What the templates may use. Names are already harmless; times, counts and durations are formatted by filters."""
    job = story.job
    return {
        "job": job,
        "matched": job.total or 0,
        "company": one_line(story.company_name, _NAME_LENGTH),
        "flow": _shown(story.flow_name, _NAME_LENGTH),
        "requester": _requester(job),
        "query": _shown(story.query, _QUERY_LENGTH),
        "error": _shown(job.error_message, _QUERY_LENGTH),
        "reasons": _reasons(job),
        "failures": [
            (_shown(item.name, _NAME_LENGTH), item.version_id, _label(item.reason)) for item in story.failures
        ],
        "unnamed": job.failed - len(story.failures),
        "took": (job.finished_at - job.started_at) if job.finished_at and job.started_at else None,
        "link": f"{public_url}/api/v1/jobs/{job.public_id}",
    }


def _shown(text: str | None, length: int) -> str | None:
    """One line of it, or None when there is nothing to see; the templates have other words for that."""
    return one_line(text or "", length) or None


def _requester(job: Job) -> str:
    words = one_line(job.requested_by_type.replace("_", " "), _NAME_LENGTH)
    return words if job.requested_by_id is None else f"{words} {job.requested_by_id}"


def _reasons(job: Job) -> list[tuple[int, str, str]]:
    """Count, label, explanation: the most frequent first. A reason newer than this table explains itself."""
    counted = sorted(job.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(count, _label(reason), _EXPLANATIONS.get(reason, _label(reason))) for reason, count in counted if count]


def _label(reason: str) -> str:
    return reason.replace("_", " ")


def one_line(text: str, length: int) -> str:
    """The text on one line: blanks of every kind become one, marks that hide or reorder text go, the rest is cut."""
    visible = _INVISIBLE.sub("", _SURROGATES.sub("\ufffd", text))
    line = _LINE_BREAKS.sub(" ", visible).strip()
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def duration(span: timedelta) -> str:
    """A span as people say it, in its two largest units: `4.2 seconds`, `3 minutes 5 seconds`, `2 days 1 hour`."""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 0.95:
        return "less than a second"
    if seconds < 9.95:
        return f"{seconds:.1f} seconds".replace("1.0 seconds", "1 second")
    whole = round(seconds)
    units = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
    largest = next(index for index, (_, size) in enumerate(units) if whole >= size)
    parts = []
    for noun, size in units[largest : largest + 2]:
        if whole // size:
            parts.append(counted(whole // size, noun))
        whole %= size
    return " ".join(parts)


def counted(number: int, noun: str) -> str:
    """`1 version`, `2,998 versions`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %b %Y, %H:%M:%S} UTC".removeprefix("0")


def _number(number: int) -> str:
    return f"{number:,}"


def _render(message: str, part: str, facts: Mapping[str, object]) -> str:
    return _TEMPLATES.get_template(f"{message}/{part}").render(facts)


def _load_templates() -> Environment:
    """Found through the package, so it works from any directory and from an installed wheel; a misspelt name raises."""
    templates = Environment(
        loader=PackageLoader("worker.mail", "templates"),
        autoescape=select_autoescape(("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    templates.filters.update(counted=counted, duration=duration, instant=_instant, number=_number)
    return templates


_TEMPLATES = _load_templates()
