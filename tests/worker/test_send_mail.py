"""What stops a letter before a mail server or the database is asked."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from core.domain.jobs import ClaimedJob, JobKind, PermanentFailure
from core.settings import Settings, read_settings
from worker.jobs import send_mail
from worker.mail.mailer import Mailer, SmtpSecurity, SmtpTarget
from worker.tools import Tools

JOB = ClaimedJob(8, "b" * 21, 1, JobKind.SEND_MAIL, 1, 0, {"job_id": 7, "to": "ops@example.com"})
MAILER = Mailer(SmtpTarget("127.0.0.1", 1, SmtpSecurity.PLAIN))


def tools(mailer: Mailer | None, settings: Settings) -> Tools:
    """Only what may be touched here: reaching for anything else is an error."""
    return cast(Tools, SimpleNamespace(mailer=mailer, settings=settings))


async def test_without_a_mail_server_the_letter_fails_visibly() -> None:
    with pytest.raises(PermanentFailure) as failure:
        await send_mail.run(JOB, tools(None, read_settings({})))
    assert failure.value.code == "mail_not_configured"
    assert "SMTP_URL" in failure.value.message


async def test_a_domain_forbidden_since_acceptance_gets_no_letter() -> None:
    settings = replace(read_settings({}), mail_domains=("example.org",))
    with pytest.raises(PermanentFailure) as failure:
        await send_mail.run(JOB, tools(MAILER, settings))
    assert failure.value.code == "recipient_refused"
    assert "ops@" not in failure.value.message
