"""How the runs of a dispatch job are sent, turn by turn, and brought back when their time comes.

A turn is one transaction: it fences, writes down what became of the tries that are over, and begins the next ones. The
requests themselves are made between two turns, while no transaction is open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from core.domain.circuits import Choice, Fraction, choose, hold_all, judge, probed
from core.domain.dispatch import (
    Accepted,
    Candidate,
    Cause,
    Circuit,
    Ended,
    Failed,
    Outgoing,
    PutOff,
    Tried,
    runner_of,
    wait_seconds,
)
from core.domain.jobs import ClaimedJob
from core.domain.runs import RunStatus
from core.operations.endings import Ending, end_runs, stage_runs
from core.operations.settling import Terms, hold
from core.store import dispatch as store
from core.store import firing_pauses, jobs
from core.store.database import Connection, Database
from core.store.dispatch import Batch

_VERSION_GONE = "The content of the version has been purged since the run was due."
_SILENT = "The runner took the run and did not report in time."


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn leaves to do: requests to make now. `finished`: nothing is left, and the job is gone."""

    sending: list[Outgoing]
    finished: bool


async def take_turn(
    database: Database,
    job: ClaimedJob,
    tried: Sequence[Tried],
    flying: Collection[Outgoing],
    *,
    room: int,
    terms: Terms,
    fraction: Fraction,
) -> Turn:
    """Settles the tries that are over and begins up to `room` others. `flying` are those still under way.

    Raises JobLost, with nothing written, when the job is no longer this worker's; what it tried is then tried again
    under the same ids. A run that has to wait is nobody's from then on: the timekeeper brings it back.
    """
    batch = Batch.of(job.company_id, job.id, job.arguments)
    busy = [run.id for run in flying] + [each.run.id for each in tried]

    async def work(connection: Connection) -> Turn:
        held = await hold(connection, job)
        candidates = await store.find_sendable(connection, batch, busy) if room else []
        held_back = candidates if candidates and await firing_pauses.is_paused(connection) else []
        candidates = [] if held_back else candidates
        choice = await _choose(connection, batch, tried, candidates, flying, room, fraction)
        bodies = await store.read_bodies(connection, batch.company_id, choice.sending)
        there = [one for one in choice.sending if (one.flow_version_id, one.digest) in bodies]
        gone = [(one, Cause.VERSION_GONE, _VERSION_GONE) for one in choice.sending if one not in there]
        await _settle(connection, batch, tried, choice.hopeless + gone, fraction)
        await store.put_off(connection, batch, choice.waiting + hold_all(held_back, fraction))
        sending = await store.begin_tries(connection, batch, there, bodies, choice.probes.values())
        finished = bool(room) and not flying and not choice.sending
        if finished:
            await jobs.forget(connection, job.id)
        else:
            await jobs.advance(connection, held, terms.lease)
        return Turn(sending, finished)

    return await database.transaction(work)


async def _choose(
    connection: Connection,
    batch: Batch,
    tried: Sequence[Tried],
    candidates: Sequence[Candidate],
    flying: Collection[Outgoing],
    room: int,
    fraction: Fraction,
) -> Choice:
    """What is known of the runners is locked before any run, and by turns only."""
    urls = {each.run.runner_url for each in tried} | {one.runner_url for one in candidates if one.runner_url}
    known = await store.lock_circuits(connection, batch.company_id, {runner_of(url) for url in urls})
    changed = judge(known, tried, fraction)
    circuits = {**known, **changed}
    choice = choose(candidates, circuits, flying, room, fraction)
    changed |= {runner: probed(circuits[runner]) for runner in choice.probes}
    await _keep_circuits(connection, batch.company_id, changed)
    return choice


async def _keep_circuits(connection: Connection, company_id: int, changed: Mapping[str, Circuit]) -> None:
    for runner, circuit in sorted(changed.items(), key=lambda item: item[0]):
        if circuit.failures:
            await store.open_circuit(connection, company_id, runner, circuit.failures, circuit.open_seconds)
        else:
            await store.close_circuit(connection, company_id, runner)


async def _settle(
    connection: Connection,
    batch: Batch,
    tried: Sequence[Tried],
    hopeless: Sequence[tuple[Candidate, Cause, str]],
    fraction: Fraction,
) -> None:
    ends = [Ending(one.id, one.scheduled_for, RunStatus.FAILURE, why, message) for one, why, message in hopeless]
    waits: list[PutOff] = []
    for each in tried:
        if isinstance(each, Ended):
            ends.append(_end(each))
        elif isinstance(each, Failed):
            seconds = wait_seconds(each, fraction())
            if seconds is None:
                ends.append(Ending(each.run.id, each.run.scheduled_for, RunStatus.FAILURE, each.reason, each.message))
            else:
                waits.append(PutOff(each.run.id, seconds, each.reason, each.message))
    ended = await end_runs(connection, ends)
    await _keep_told(connection, batch.company_id, [each for each in tried if isinstance(each, Ended)], ended)
    await store.mark_started(connection, batch, [each.run for each in tried if isinstance(each, Accepted)])
    await store.put_off(connection, batch, waits)


def _end(tried: Ended) -> Ending:
    """`started_at` is there only if the runner is known to have taken the run."""
    taken = tried.report is not None or tried.reason is Cause.BAD_ANSWER
    return Ending(
        tried.run.id,
        tried.run.scheduled_for,
        tried.status,
        tried.reason,
        tried.message,
        started_at=tried.run.began_at if taken else None,
        result=tried.report.told() if tried.report else None,
    )


async def _keep_told(connection: Connection, company_id: int, answers: Sequence[Ended], ended: Collection[int]) -> None:
    """Keeps the logs of what ended now, and what was said of the others too late."""
    logs = {each.run.id: each.report.logs for each in answers if each.report and each.run.id in ended}
    await store.keep_logs(connection, company_id, logs)
    late = [
        (each.run.id, each.run.scheduled_for, each.report.told())
        for each in answers
        if each.report and each.run.id not in ended
    ]
    await store.keep_late_results(connection, company_id, late)


async def stage_waiting(database: Database, limit: int) -> int:
    """Gives up to `limit` runs whose next try is due to new jobs; returns how many. None while firing is paused."""

    async def work(connection: Connection) -> int:
        if await firing_pauses.is_paused(connection):
            return 0
        found = await store.find_waiting(connection, limit)
        await stage_runs(connection, found)
        return len(found)

    return await database.transaction(work)


async def end_unreported(database: Database, limit: int) -> int:
    """Ends up to `limit` runs whose runners took them and never reported; returns how many it found."""

    async def work(connection: Connection) -> int:
        found = await store.find_unreported(connection, limit)
        silent = (RunStatus.FAILURE, Cause.NOT_REPORTED, _SILENT)
        await end_runs(connection, [Ending(run.id, run.scheduled_for, *silent) for run in found])
        return len(found)

    return await database.transaction(work)


async def next_due_in(database: Database) -> float | None:
    """Seconds until the next run's time comes; None if none waits."""
    async with database.connection() as connection:
        return await store.next_due_in(connection)
