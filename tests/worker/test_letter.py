"""What the letter about an ended job says, and that no name in it can make it say more."""

from __future__ import annotations

import email
import os
import subprocess
import sys
from datetime import timedelta
from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.jobs import FailedItem, JobKind, JobStatus, JobStory, PermanentFailure, Reason
from tests.worker.stories import ENDED, TWO_LEFT, make_job, make_story
from worker.mail.mailer import Letter, compose
from worker.mail.render import duration, one_line, render_letter

HEAD = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
"""Every header a letter has, once each and in this order."""


def write(story: JobStory, sender: str = "penstock@example.com") -> Letter:
    return render_letter(
        "job_finished", story, recipient="ops@example.com", sender=sender, public_url="https://penstock.example"
    )


def read(letter: Letter) -> EmailMessage:
    message = email.message_from_bytes(compose(letter), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert isinstance(found, EmailMessage)
    content = found.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


def test_the_letter_tells_the_whole_story() -> None:
    letter = write(make_story())
    assert letter.subject == 'Deleted 2,998 of 3,000 versions of "Pump control"'
    assert letter.message_id == "<V1StGXR8_Z5jdHi6B-myT@example.com>"
    assert letter.date == ENDED
    assert (
        letter.text
        == """\
Deleted 2,998 of 3,000 versions of "Pump control".

  Matched      3,000
  Removed      2,998
  Not removed  2

Not removed, and why
  1 changed since: changed after the request was accepted
  1 protected: deployed, or about to be

Not removed, by name
  - "v12" (protected)
  - "v77" (changed since)

What was asked
  Company   Acme
  Flow      Pump control
  By        application token 12
  Query     {"version":{"$startsWith":"v"}}

When
  Accepted  21 Nov 2026, 17:48:02 UTC
  Started   21 Nov 2026, 17:48:03 UTC
  Ended     21 Nov 2026, 17:48:07 UTC
  Took      4.2 seconds

What was removed stays in the trash until 28 Nov 2026, 17:48:07 UTC; undo with
POST https://penstock.example/api/v1/jobs/V1StGXR8_Z5jdHi6B-myT/undo

The whole record (it asks for your access token):
https://penstock.example/api/v1/jobs/V1StGXR8_Z5jdHi6B-myT

-- \n\
Penstock wrote to you because the request named this address.
Job V1StGXR8_Z5jdHi6B-myT
"""
    )


ALL_GONE = {"removed": 3_000, "reasons": {}}
NONE_GONE = {"removed": 0, "reasons": {"not_attempted": 3_000}}


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        (ALL_GONE, 'Deleted 3,000 versions of "Pump control"'),
        ({"total": 1, "removed": 1, "reasons": {}}, 'Deleted 1 version of "Pump control"'),
        ({"total": 0, "removed": 0, "reasons": {}}, 'Nothing to delete: no versions of "Pump control" matched'),
        ({"removed": 0, "reasons": {"gone": 3_000}}, 'Deleted none of 3,000 versions of "Pump control"'),
        ({"status": JobStatus.FAILED, **NONE_GONE}, 'Could not delete versions of "Pump control"'),
        (
            {"status": JobStatus.ERRORED, "removed": 1_200, "reasons": {"not_attempted": 1_800}},
            'Stopped by an error: deleted 1,200 of 3,000 versions of "Pump control"',
        ),
        (
            {"status": JobStatus.CANCELLED, "removed": 1_200, "reasons": {"not_attempted": 1_800}},
            'Cancelled: deleted 1,200 of 3,000 versions of "Pump control"',
        ),
        (
            {"status": JobStatus.CANCELLED, **NONE_GONE, "started_at": None},
            'Cancelled: deleted none of 3,000 versions of "Pump control"',
        ),
        ({"kind": JobKind.DELETE_FLOW, **ALL_GONE}, 'Deleted flow "Pump control" and 3,000 versions'),
        ({"kind": JobKind.DELETE_FLOW}, 'Deleted flow "Pump control" and 2,998 of 3,000 versions'),
        ({"kind": JobKind.DELETE_FLOW, "total": 0, "removed": 0, "reasons": {}}, 'Deleted flow "Pump control"'),
        (
            {"kind": JobKind.DELETE_FLOW, "status": JobStatus.FAILED, **NONE_GONE},
            'Could not delete the versions of "Pump control"',
        ),
    ],
)
def test_the_subject_says_how_it_ended(changes: dict[str, object], subject: str) -> None:
    letter = write(make_story(make_job(**changes), failures=()))  # type: ignore[arg-type]
    assert letter.subject == subject
    assert letter.text.startswith(f"{subject}.\n")
    assert read(letter)["Subject"] == subject


def test_a_failure_names_its_reason_and_that_nothing_changed() -> None:
    job = make_job(status=JobStatus.FAILED, removed=0, reasons={"not_attempted": 3_000}, error=("lost", "No\ndatabase"))
    letter = write(make_story(job, failures=()))
    for body in (letter.text, letter.html):
        assert "Nothing was changed." in body
        assert "Reason: " in body
        assert "No database" in body
        assert "the trash" not in body


def test_what_is_missing_is_left_out() -> None:
    job = make_job(total=0, removed=0, reasons={}, started_at=None)
    letter = write(make_story(job, flow_name=None, query=None, failures=()))
    assert letter.subject == "Nothing to delete: no versions of a flow matched"
    for word in ("Query", "Started", "Took", "and why", "by name", "None", "the trash"):
        assert word not in letter.text
        assert word not in letter.html


def test_a_version_without_a_name_is_told_by_its_id_and_the_rest_are_counted() -> None:
    job = make_job(removed=0, reasons={"gone": 2_999, "some_new_reason": 1})
    letter = write(make_story(job, failures=(FailedItem(101, None, Reason.GONE),)))
    assert "  - version 101 (gone)\n  and 2,999 more\n" in letter.text
    assert "  2,999 gone: already removed by somebody else\n  1 some new reason: some new reason\n" in letter.text
    assert "version 101" in letter.html


def test_every_reason_has_an_explanation() -> None:
    letter = write(make_story(make_job(reasons=dict.fromkeys(Reason, 1))))
    for reason in Reason:
        label = reason.replace("_", " ")
        assert f"  1 {label}: " in letter.text
        assert f"  1 {label}: {label}\n" not in letter.text


def test_a_letter_about_a_job_that_goes_on_is_a_mistake() -> None:
    job = make_job()
    running = type(job)(**{name: getattr(job, name) for name in job.__slots__} | {"finished_at": None})
    with pytest.raises(ValueError, match="ended"):
        write(make_story(running))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "less than a second"),
        (0.4, "less than a second"),
        (0.97, "1 second"),
        (1.04, "1 second"),
        (4.24, "4.2 seconds"),
        (9.96, "10 seconds"),
        (59.4, "59 seconds"),
        (59.6, "1 minute"),
        (65, "1 minute 5 seconds"),
        (3_599.7, "1 hour"),
        (3_720, "1 hour 2 minutes"),
        (86_400, "1 day"),
        (180_000, "2 days 2 hours"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


HOSTILE_NAMES = [
    "two\nlines",
    "crlf\r\nBcc: victim@example.com",
    "next\x85line\u2028and\u2029paragraph",
    "nul\0byte",
    "\x1b[31mred",
    "\u202etxt.exe reversed",
    "zero\u200bwidth\ufeff",
    "lone \ud800 surrogate",
    "=?utf-8?q?=0D=0ABcc:_victim=40example.com?=",
    "=?utf-8?b?DQpCY2M6IHZpY3RpbUBleGFtcGxlLmNvbQ==?=",
    "=?utf-8?q?" + "x" * 300 + "?=",
    "ü =?utf-8?q?=0ABcc:?=",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "x" * 5_000,
    "\U0001f600" * 500,
    "日本語のフロー" * 40,
    "-- ",
    ".",
    "",
]


class Tags(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.links += [value for name, value in attrs if name in ("href", "src", "background")]


def tags(html: str) -> Tags:
    parser = Tags()
    parser.feed(html)
    return parser


def everywhere(name: str) -> JobStory:
    failures = (FailedItem(101, name, Reason.PROTECTED), FailedItem(177, "plain", Reason.GONE))
    job = make_job(error=("odd", name))
    return make_story(job, company_name=name, flow_name=name, query=name, failures=failures)


def assert_harmless(name: str) -> None:
    letter = write(everywhere(name))
    wire = compose(letter)
    head, _, _ = wire.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert names == HEAD
    assert wire.replace(b"\r\n", b"").translate(None, b"\r\n\0").isascii()
    assert b"\r" not in wire.replace(b"\r\n", b"")
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert max(map(len, wire.split(b"\r\n"))) <= 998
    message = read(letter)
    assert message["Subject"] == letter.subject
    assert message["To"] == "ops@example.com"
    assert part(message, "plain") == letter.text
    assert part(message, "html") == letter.html
    assert len(wire) < 60_000


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_name_adds_a_header_a_line_or_a_tag(name: str) -> None:
    assert_harmless(name)
    harmless, hostile = write(everywhere("x")), write(everywhere(name or "x"))
    assert len(hostile.text.splitlines()) == len(harmless.text.splitlines())
    assert tags(hostile.html).seen == tags(harmless.html).seen


def test_the_library_left_to_itself_would_add_a_header() -> None:
    """The control of the test above: why the head is written by us. Patched Pythons raise here instead."""
    message = EmailMessage(policy=policy.SMTP)
    message["Subject"] = "=?utf-8?q?=0D=0ABcc:_victim=40example.com?="
    try:
        wire = message.as_bytes()
    except MessageError:
        return
    assert b"\nBcc: victim@example.com" in wire


@given(st.text(st.characters(), max_size=300))
def test_no_name_whatever_breaks_a_letter(name: str) -> None:
    assert_harmless(name)


def test_the_html_loads_nothing_and_links_only_to_the_record() -> None:
    page = tags(write(make_story()).html)
    assert page.links == ["https://penstock.example/api/v1/jobs/V1StGXR8_Z5jdHi6B-myT"]
    assert {tag for tag, _ in page.seen}.isdisjoint({"img", "script", "link", "style", "iframe", "form"})


def test_one_line_keeps_what_people_read() -> None:
    assert one_line("  a\t\tb\r\n c ", 80) == "a b c"
    assert one_line("שלום 👨\u200d👩\u200d👧 é", 80) == "שלום 👨\u200d👩\u200d👧 é"
    assert one_line("abcdef", 4) == "abc…"


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": "a@b\r\nBcc: c@d"},
        {"recipient": "ops@example.com\nBcc: c@d"},
        {"recipient": "ops@example.com, c@d"},
        {"recipient": "ops@example.com\0"},
        {"message_id": "<a@b>\r\nBcc: c@d"},
        {"message_id": "<a@b>\n"},
        {"subject": "one\r\nBcc: c@d"},
        {"subject": "one\n"},
        {"subject": "one\0"},
        {"subject": "one\u2028two"},
        {"subject": "one\ud800"},
    ],
)
def test_a_letter_whose_head_could_be_split_is_not_composed(changes: dict[str, str]) -> None:
    letter = write(make_story())
    fields = {name: getattr(letter, name) for name in letter.__slots__} | changes
    with pytest.raises(PermanentFailure) as failure:
        compose(Letter(**fields))
    assert failure.value.code == "letter_malformed"


def test_the_date_is_the_jobs_end_so_a_second_letter_repeats_the_first() -> None:
    first, second = read(write(make_story())), read(write(make_story()))
    assert first["Date"].datetime == ENDED.replace(microsecond=0)
    for name in HEAD[:6]:
        assert str(first[name]) == str(second[name])
    assert first["Auto-Submitted"] == "auto-generated"
    assert str(first["From"]) == "Penstock <penstock@example.com>"


def test_a_long_sender_domain_does_not_break_the_message_id() -> None:
    domain = ".".join(["a" * 60] * 4)
    wire = compose(write(make_story(), sender=f"penstock@{domain}"))
    assert f"Message-ID: <V1StGXR8_Z5jdHi6B-myT@{domain}>\r\n".encode() in wire


def test_templates_are_found_from_any_directory(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", "from tests.worker.test_letter import write, make_story; write(make_story())"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        check=True,
        timeout=60,
    )


def test_the_default_story_names_each_left_version() -> None:
    assert [item.name for item in TWO_LEFT if f'"{item.name}"' in write(make_story()).text] == ["v12", "v77"]
