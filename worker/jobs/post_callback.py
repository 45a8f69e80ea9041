"""Tells a URL that a job has ended: one signed Standard-Webhooks POST, repeated under the same id until accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson

from core.domain.jobs import ClaimedJob, Job, PermanentFailure, TransientFailure
from core.operations import stories
from schemas.jobs import render_job
from worker.outbound import Answer, Outbound
from worker.story import recall
from worker.tools import Outcome, Tools
from worker.webhooks import sign


async def run(job: ClaimedJob, tools: Tools) -> Outcome:
    """Done once the receiver answered 2xx. At least once: an answer lost on its way leads to a second POST.

    Failures are those of `recall`, `sign`, `Outbound.post` and `judge`.
    """
    url = job.arguments["url"]
    assert isinstance(url, str)
    story = await recall(job, tools)
    secrets = await stories.read_webhook_secrets(tools.database, job.company_id)
    document = render_job(story.job, tools.settings.public_url)
    await deliver(tools.outbound, url, story.job, document, secrets)
    return Outcome.DONE


async def deliver(
    outbound: Outbound, url: str, ended: Job, document: Mapping[str, object], secrets: Sequence[str]
) -> None:
    """Posts `document`, the ended job as `GET /api/v1/jobs/{job}` shows it under `data`, and judges the answer."""
    assert ended.finished_at is not None
    body = orjson.dumps(
        {"type": "job.finished", "timestamp": ended.finished_at.astimezone(UTC).isoformat(), "data": document}
    )
    headers = sign(f"msg_{ended.public_id}", datetime.now(UTC), body, secrets)
    answer = await outbound.post(url, body, {**headers, "Content-Type": "application/json"})
    judge(answer, datetime.now(UTC))


def judge(answer: Answer, now: datetime) -> None:
    """Returns for a 2xx. Raises PermanentFailure `callback_refused` where trying again cannot help: a redirect, which
    is never followed, 410 Gone and any 4xx about the request itself. Else TransientFailure `callback_deferred`.
    """
    if 200 <= answer.status <= 299:
        return
    if answer.is_final:
        said = "; redirects are not followed" if answer.status <= 399 else ""
        raise PermanentFailure("callback_refused", f"The receiver answered {answer.status}{said}.")
    message = f"The receiver answered {answer.status}."
    raise TransientFailure("callback_deferred", message, retry_after=answer.retry_after(now))
