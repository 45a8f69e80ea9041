"""What dispatch reads and writes of runs, and what is known against runners."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.domain.dispatch import Candidate, Circuit, KeptLine, LogLine, Outgoing, PutOff
from core.domain.runs import message_id
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build
from core.store.runs import ActiveRun, span

_FIND_SENDABLE = query("dispatch.find_sendable")
_BEGIN_TRIES = query("dispatch.begin_tries")
_READ_BODIES = query("dispatch.read_bodies")
_PUT_OFF = query("dispatch.put_off_runs")
_MARK_STARTED = query("dispatch.mark_started")
_KEEP_LATE = query("dispatch.keep_late_results")
_KEEP_LOGS = query("dispatch.keep_logs")
_LIST_LOGS = query("dispatch.list_logs")
_COUNT_LOGS = query("dispatch.count_logs")
_LOCK_CIRCUITS = query("dispatch.lock_circuits")
_OPEN_CIRCUIT = query("dispatch.open_circuit")
_CLOSE_CIRCUIT = query("dispatch.close_circuit")
_FIND_WAITING = query("dispatch.find_waiting")
_FIND_UNREPORTED = query("dispatch.find_unreported")
_TAKE_BACK = query("dispatch.take_back")
_NEXT_DUE_IN = query("dispatch.next_due_in")


@dataclass(frozen=True, slots=True)
class Batch:
    """The runs of one dispatch job. The two instants are the first and last of theirs: they name the partitions."""

    company_id: int
    job_id: int
    run_ids: Sequence[int]
    first_at: datetime
    last_at: datetime

    @classmethod
    def of(cls, company_id: int, job_id: int, arguments: Mapping[str, object]) -> Batch:
        run_ids = arguments["run_ids"]
        assert isinstance(run_ids, list)
        first_at, last_at = (datetime.fromisoformat(str(arguments[name])) for name in ("first_at", "last_at"))
        return cls(company_id, job_id, run_ids, first_at, last_at)


async def find_sendable(connection: Connection, batch: Batch, flying: Collection[int]) -> list[Candidate]:
    """What is left of a batch beyond the runs that are under way."""
    if set(batch.run_ids) <= set(flying):
        return []
    rows = await connection.fetch(
        _FIND_SENDABLE,
        batch.company_id,
        batch.run_ids,
        batch.first_at,
        batch.last_at,
        batch.job_id,
        list(flying),
    )
    return [build(Candidate, row) for row in rows]


async def begin_tries(
    connection: Connection,
    batch: Batch,
    chosen: Sequence[Candidate],
    bodies: Mapping[tuple[int, bytes], str],
    probes: Collection[int],
) -> list[Outgoing]:
    """Counts a try of each, and returns what is to be sent, without those that somebody has ended meanwhile.

    `bodies` are those of their versions; `probes` are the runs that look whether a runner is back.
    """
    if not chosen:
        return []
    ids = [candidate.id for candidate in chosen]
    rows = await connection.fetch(_BEGIN_TRIES, batch.company_id, ids, batch.first_at, batch.last_at, batch.job_id)
    begun = {row["id"]: row for row in rows}
    return [
        Outgoing(
            id=candidate.id,
            scheduled_for=candidate.scheduled_for,
            schedule_id=candidate.schedule_id,
            message_id=message_id(candidate.schedule_id, candidate.scheduled_for, candidate.message_key),
            flow_id=candidate.flow_id,
            flow_version_id=candidate.flow_version_id,
            version=candidate.version_name,
            iteration=candidate.version_iteration,
            revision=candidate.version_revision,
            digest=candidate.digest,
            trigger=candidate.trigger,
            trigger_key=candidate.trigger_key,
            attempt=begun[candidate.id]["attempts"],
            created_at=candidate.created_at,
            began_at=begun[candidate.id]["began_at"],
            payload=begun[candidate.id]["payload"],
            payload_type=begun[candidate.id]["payload_type"],
            runner_url=candidate.runner_url or "",
            run_timeout_seconds=candidate.run_timeout_seconds,
            body=bodies[candidate.flow_version_id, candidate.digest],
            probes=candidate.id in probes,
        )
        for candidate in chosen
        if candidate.id in begun
    ]


async def read_bodies(
    connection: Connection, company_id: int, chosen: Sequence[Candidate]
) -> dict[tuple[int, bytes], str]:
    """The contents of their versions as JSON text, by version and digest, each once; purged ones are missing."""
    wanted = {(one.flow_version_id, one.digest): one.flow_id for one in chosen}
    if not wanted:
        return {}
    versions, digests = zip(*wanted, strict=True)
    rows = await connection.fetch(_READ_BODIES, company_id, list(wanted.values()), versions, digests)
    return {(row["version_id"], row["digest"]): row["body"] for row in rows}


async def put_off(connection: Connection, batch: Batch, waits: Sequence[PutOff]) -> None:
    if waits:
        await connection.execute(
            _PUT_OFF,
            batch.company_id,
            [wait.id for wait in waits],
            [wait.seconds for wait in waits],
            [wait.reason for wait in waits],
            [wait.message for wait in waits],
            batch.job_id,
            batch.first_at,
            batch.last_at,
        )


async def mark_started(connection: Connection, batch: Batch, accepted: Sequence[Outgoing]) -> None:
    """Runs that their runners took, and that are waited for from now on."""
    if accepted:
        await connection.execute(
            _MARK_STARTED,
            batch.company_id,
            [run.id for run in accepted],
            [run.began_at for run in accepted],
            [float(run.run_timeout_seconds) for run in accepted],
            batch.job_id,
            batch.first_at,
            batch.last_at,
        )


async def keep_late_results(connection: Connection, company_id: int, late: Sequence[tuple[int, datetime, str]]) -> None:
    """(run, its instant, the JSON text of what was told of it) for runs that had ended before."""
    if late:
        ids, instants, told = zip(*late, strict=True)
        await connection.execute(_KEEP_LATE, company_id, ids, told, *span(instants))


async def keep_logs(connection: Connection, company_id: int, told: Mapping[int, Sequence[LogLine]]) -> None:
    """The lines by run."""
    lines = [(run_id, line) for run_id, lines in told.items() for line in lines]
    if lines:
        await connection.execute(
            _KEEP_LOGS,
            company_id,
            [run_id for run_id, _ in lines],
            [line.at for _, line in lines],
            [line.level for _, line in lines],
            [line.message for _, line in lines],
            [None if line.details is None else json.dumps(line.details, ensure_ascii=False) for _, line in lines],
        )


async def list_logs(
    connection: Connection, company_id: int, run_id: int, *, limit: int, offset: int
) -> tuple[list[KeptLine], int]:
    """A page of a run's log, oldest first, and how many lines there are."""
    rows = await connection.fetch(_LIST_LOGS, company_id, run_id, limit, offset)
    total: int = await connection.fetchval(_COUNT_LOGS, company_id, run_id)
    return [build(KeptLine, row) for row in rows], total


async def lock_circuits(connection: Connection, company_id: int, runners: Collection[str]) -> dict[str, Circuit]:
    """What is known against these runners; nothing against those that are missing."""
    rows = await connection.fetch(_LOCK_CIRCUITS, company_id, list(runners)) if runners else []
    return {row["runner"]: Circuit(row["failures"], row["open_seconds"]) for row in rows}


async def open_circuit(
    connection: Connection, company_id: int, runner: str, failures: int, seconds: float | None
) -> None:
    """`seconds`: how long the runner is left alone; None while it is not."""
    await connection.execute(_OPEN_CIRCUIT, company_id, runner, failures, seconds)


async def close_circuit(connection: Connection, company_id: int, runner: str) -> None:
    await connection.execute(_CLOSE_CIRCUIT, company_id, runner)


async def find_waiting(connection: Connection, limit: int) -> list[ActiveRun]:
    """Runs whose next try is due, locked by this transaction."""
    return [build(ActiveRun, row) for row in await connection.fetch(_FIND_WAITING, limit)]


async def find_unreported(connection: Connection, limit: int) -> list[ActiveRun]:
    """Runs whose report is overdue; by the time they are locked it may have come."""
    return [build(ActiveRun, row) for row in await connection.fetch(_FIND_UNREPORTED, limit)]


async def take_back(connection: Connection, batch: Batch) -> None:
    """What the batch's job still holds, for whoever comes next."""
    await connection.execute(_TAKE_BACK, batch.company_id, batch.run_ids, batch.first_at, batch.last_at, batch.job_id)


async def next_due_in(connection: Connection) -> float | None:
    """Seconds until the next run's time comes; None if none waits."""
    seconds: float | None = await connection.fetchval(_NEXT_DUE_IN)
    return seconds
