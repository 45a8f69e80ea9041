"""One try of one run: a signed POST to its runner, and what the answer comes to. Nothing here knows of the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
import structlog

from core.domain.dispatch import (
    ANSWER_SECONDS,
    LARGEST_RUNNER_ANSWER,
    Accepted,
    Cause,
    Ended,
    Failed,
    Outgoing,
    Report,
    Tried,
)
from core.domain.errors import Invalid
from core.domain.jobs import PermanentFailure, TransientFailure
from core.domain.runs import JSON_TYPE, RunStatus
from core.threads import computed
from schemas.fields import microseconds
from schemas.reports import read_answer
from worker.outbound import Answer, Outbound
from worker.webhooks import sign

ACCEPTED = 202

_log = structlog.get_logger()

_CAUSES = {
    "target_refused": Cause.TARGET_REFUSED,
    "target_unreachable": Cause.UNREACHABLE,
    "target_timeout": Cause.TIMEOUT,
    "signing_secret_missing": Cause.UNSIGNED,
    "signing_secret_unusable": Cause.UNSIGNED,
}
"""What the client and the signer call it, in the words of runs."""


async def post_run(outbound: Outbound, run: Outgoing, secrets: Sequence[str]) -> Tried:
    """Sends the run and judges the answer; raises nothing but cancellation.

    The runner may have acted on it whatever this returns: on the next try it sees the same `webhook-id`.
    """
    try:
        body = await computed(len(run.body), lambda: message(run))
        headers = sign(run.message_id, datetime.now(UTC), body, secrets)
        answer = await outbound.post(
            run.runner_url,
            body,
            {**headers, "Content-Type": "application/json"},
            timeout_seconds=min(ANSWER_SECONDS, run.run_timeout_seconds),
            largest=LARGEST_RUNNER_ANSWER,
        )
    except PermanentFailure as failure:
        return Ended(run, RunStatus.FAILURE, _CAUSES[failure.code], failure.message)
    except TransientFailure as failure:
        return Failed(run, _CAUSES[failure.code], failure.message)
    except Exception:  # noqa: BLE001 - whatever is wrong with one run must not take the others of its batch along
        _log.exception("A run could not be sent.", run=run.id)
        return Failed(run, Cause.INTERNAL, "Something went wrong on our side.")
    return await judge(run, answer, datetime.now(UTC))


def message(run: Outgoing) -> bytes:
    """The body of the request. The content of the version goes along as it was written."""
    data = {
        "run_id": run.id,
        "flow_id": run.flow_id,
        "flow_version_id": run.flow_version_id,
        "version": run.version,
        "iteration": run.iteration,
        "revision": run.revision,
        "digest": run.digest.hex(),
        "schedule_id": run.schedule_id,
        "scheduled_for": microseconds(run.scheduled_for),
        "trigger": run.trigger,
        "trigger_key": run.trigger_key,
        "attempt": run.attempt,
        "payload": _payload(run),
        "body": orjson.Fragment(run.body),
    }
    return orjson.dumps({"type": "flow.run", "timestamp": microseconds(run.began_at), "data": data})


def _payload(run: Outgoing) -> orjson.Fragment | str | None:
    """JSON as JSON, and any other text as a text."""
    if run.payload is None:
        return None
    return orjson.Fragment(run.payload) if run.payload_type == JSON_TYPE else run.payload.decode()


async def judge(run: Outgoing, answer: Answer, now: datetime) -> Tried:
    """2xx ends the run as it says, 202 leaves it to a report; a refusal is final, and all else is tried again.

    A 2xx with something else than a report ends the run as a failure: the runner has acted, so that another try would
    repeat it, and nobody can say that it succeeded.
    """
    if answer.status == ACCEPTED:
        return Accepted(run)
    if 200 <= answer.status <= 299:
        return await _conclude(run, answer)
    if answer.is_final:
        said = "; redirects are not followed" if answer.status <= 399 else ""
        return Ended(run, RunStatus.FAILURE, Cause.REFUSED, f"The runner answered {answer.status}{said}.")
    text = f"The runner answered {answer.status}."
    return Failed(run, Cause.BUSY, text, retry_after=answer.retry_after(now))


async def _conclude(run: Outgoing, answer: Answer) -> Ended:
    if not answer.whole:
        return _unreadable(run, f"has more than {LARGEST_RUNNER_ANSWER // 1024} kB")
    try:
        report = await computed(len(answer.body), lambda: read_answer(answer.body))
    except Invalid as refusal:
        # A name in the answer may have what PostgreSQL has no text with.
        return _unreadable(run, f"is no report: {refusal}".replace("\0", "\\0"))
    return ended_as(run, report)


def ended_as(run: Outgoing, report: Report) -> Ended:
    reason = Cause.REPORTED if report.status is RunStatus.FAILURE else None
    return Ended(run, report.status, reason, report.message, report)


def _unreadable(run: Outgoing, why: str) -> Ended:
    return Ended(run, RunStatus.FAILURE, Cause.BAD_ANSWER, f"The runner's answer {why}.")
