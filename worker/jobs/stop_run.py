"""Tells a runner that a run of its was stopped: a signed POST of its own, tried a few times and then let be."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from core.domain.jobs import ClaimedJob, PermanentFailure, TransientFailure
from core.domain.runs import message_id
from core.operations.starts import find_stopped
from core.operations.stories import read_webhook_secrets
from core.store.starts import Stopped
from schemas.fields import microseconds
from worker.outbound import Answer
from worker.tools import Outcome, Tools
from worker.webhooks import sign

MOST_STOPS = 3
"""Tries. The run has ended for us already: a runner that does not hear of it wastes some work of its own."""


async def run(job: ClaimedJob, tools: Tools) -> Outcome:
    """Done once the runner answered 2xx. At least once, under an id that follows from the run's.

    PermanentFailure `stop_refused` when the runner will not hear of it, or did not in MOST_STOPS tries; `run_expired`
    and `no_runner` when there is nobody to tell. Otherwise the failures of `sign` and `Outbound.post`.
    """
    stopped = await _recall(job, tools)
    assert stopped.runner_url is not None
    run_message_id = message_id(stopped.schedule_id, stopped.scheduled_for, stopped.message_key)
    secrets = await read_webhook_secrets(tools.database, job.company_id)
    body = message(stopped, run_message_id)
    headers = sign(f"stop_{run_message_id}", datetime.now(UTC), body, secrets)
    try:
        answer = await tools.runners.post(stopped.runner_url, body, {**headers, "Content-Type": "application/json"})
        judge(answer, datetime.now(UTC))
    except TransientFailure as failure:
        if job.failures + 1 >= MOST_STOPS:
            raise PermanentFailure("stop_refused", failure.message) from None
        raise
    return Outcome.DONE


def message(stopped: Stopped, run_message_id: str) -> bytes:
    data = {
        "run_id": stopped.id,
        "flow_id": stopped.flow_id,
        "flow_version_id": stopped.flow_version_id,
        "schedule_id": stopped.schedule_id,
        "scheduled_for": microseconds(stopped.scheduled_for),
        "webhook_id": run_message_id,
    }
    return orjson.dumps({"type": "flow.stop", "timestamp": microseconds(stopped.stop_requested_at), "data": data})


def judge(answer: Answer, now: datetime) -> None:
    """Returns for a 2xx."""
    text = f"The runner answered {answer.status}."
    if answer.is_final:
        raise PermanentFailure("stop_refused", text)
    if not 200 <= answer.status <= 299:
        raise TransientFailure("stop_deferred", text, retry_after=answer.retry_after(now))


async def _recall(job: ClaimedJob, tools: Tools) -> Stopped:
    run_id, instant = job.arguments["run_id"], job.arguments["scheduled_for"]
    assert isinstance(run_id, int)
    stopped = await find_stopped(tools.database, job.company_id, run_id, datetime.fromisoformat(str(instant)))
    if stopped is None:
        raise PermanentFailure("run_expired", "The record of the run has expired.")
    if stopped.runner_url is None:
        raise PermanentFailure("no_runner", "Neither the flow nor its company has a runner_url any more.")
    return stopped
