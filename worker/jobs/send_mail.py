"""Sends the letter about an ended job, repeated under the same Message-ID until the mail server takes it."""

from __future__ import annotations

from core.domain.addresses import check_recipient
from core.domain.errors import Invalid
from core.domain.jobs import ClaimedJob, PermanentFailure
from worker.mail.render import render_letter
from worker.story import recall
from worker.tools import Outcome, Tools


async def run(job: ClaimedJob, tools: Tools) -> Outcome:
    """Done once the mail server has taken the letter. At least once, as `Mailer` explains.

    PermanentFailure `mail_not_configured` without SMTP_URL, `recipient_refused` when the address is no longer one
    this server may write to; otherwise the failures of `recall` and `Mailer.send`.
    """
    to = job.arguments["to"]
    assert isinstance(to, str)
    if tools.mailer is None:
        raise PermanentFailure("mail_not_configured", "No mail server is configured; set SMTP_URL.")
    recipient = _recipient(to, tools.settings.mail_domains)
    story = await recall(job, tools)
    letter = render_letter(
        "job_finished",
        story,
        recipient=recipient,
        sender=tools.settings.mail_from,
        public_url=tools.settings.public_url,
    )
    await tools.mailer.send(letter)
    return Outcome.DONE


def _recipient(address: str, domains: tuple[str, ...]) -> str:
    """Judged again here: the operator may have narrowed the allowed domains since the request was accepted."""
    try:
        return check_recipient(address, domains)
    except Invalid as refusal:
        raise PermanentFailure("recipient_refused", f"The address {refusal.problem}.") from None
