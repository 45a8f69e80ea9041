"""What a caller can ask of runs: to start one, to run one again, to stop one; and what a runner reports of one.

Each function is one transaction. Ending a run goes through the one function that ends any.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from core.domain.access import Principal
from core.domain.dispatch import Cause, KeptLine, Report
from core.domain.errors import Conflict, IdempotencyMismatch, Invalid, NotFound
from core.domain.identifiers import parse_hex_id
from core.domain.jobs import JobKind
from core.domain.runs import Run, RunStatus, Trigger
from core.domain.versions import DEFAULT, DEVELOP, VersionStatus
from core.operations.endings import Ending, end_runs
from core.operations.flows import FLOW_UNKNOWN
from core.operations.repeats import IDEMPOTENCY_WINDOW
from core.operations.versions import VERSION_UNKNOWN
from core.store import audit_events, dispatch, flows, idempotency_keys, jobs, starts
from core.store.database import Connection, Database
from core.store.idempotency_keys import Key
from core.store.jobs import NewJob
from core.store.starts import Payload, Startable, Stopped

RUN_UNKNOWN = "Run was not found"

NOT_DEPLOYED = "This flow has no deployed version; name the version to start."


@dataclass(frozen=True, slots=True)
class Start:
    """How a start is asked for. `version_id` None is the deployed version."""

    flow_id: int
    version_id: int | None = None
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class Press:
    """Which button of a flow is pressed. `version` is a name, 24 digits of an id, `develop`, or None for the deployed
    one."""

    flow_id: int
    button: str
    version: str | None = None
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A start of a flow, whichever version it is to be."""

    flow_id: int
    trigger: Trigger
    trigger_key: str | None
    payload: Payload | None
    retry_of: int | None = None


async def start_run(
    principal: Principal, database: Database, start: Start, *, new_id: Callable[[], str], key: Key | None = None
) -> Run:
    """A run of a version, to be sent at once; the older one if the key was used before.

    Raises NotFound for the flow and the version, Conflict where none is named and none deployed, IdempotencyMismatch.
    """

    async def find(connection: Connection) -> Startable:
        version = await starts.find_startable(connection, principal.company_id, start.flow_id, start.version_id)
        if version is None:
            raise Conflict(NOT_DEPLOYED) if start.version_id is None else NotFound(VERSION_UNKNOWN)
        return version

    asked = _Asked(start.flow_id, Trigger.MANUAL, None, start.payload)
    return await _start(principal, database, asked, find, new_id, key)


async def press_button(
    principal: Principal, database: Database, press: Press, *, new_id: Callable[[], str], key: Key | None = None
) -> Run:
    """A start by hand that names a virtual button of the content, and may name the version as Losant does.

    Raises what `start_run` does, and Invalid where the version has no such button.
    """

    async def find(connection: Connection) -> Startable:
        named = None if press.version == DEFAULT else press.version
        status = VersionStatus.DEPLOYED if named is None else VersionStatus.DRAFT if named == DEVELOP else None
        found = await starts.find_button(
            connection,
            principal.company_id,
            press.flow_id,
            version_id=None if named is None else parse_hex_id(named),
            name=named,
            status=status,
            key=press.button,
        )
        if found is None and named != DEVELOP:
            raise Conflict(NOT_DEPLOYED) if named is None else NotFound(VERSION_UNKNOWN)
        if found is None or not found[1]:
            raise Invalid("is no virtual button of this version", "key")
        return found[0]

    asked = _Asked(press.flow_id, Trigger.VIRTUAL_BUTTON, press.button, press.payload)
    return await _start(principal, database, asked, find, new_id, key)


async def retry_run(
    principal: Principal, database: Database, run_id: int, *, new_id: Callable[[], str], key: Key | None = None
) -> Run:
    """Another run of what an ended one has run, with the same payload; the older one if the key was used before.

    It runs the version as it stands now. Raises NotFound for the run, Conflict for one that goes on and where its
    version is gone, IdempotencyMismatch.
    """

    async def work(connection: Connection) -> Run:
        if key is not None and (taken := await idempotency_keys.take(connection, key, IDEMPOTENCY_WINDOW)):
            return await _repeat(connection, principal, key, taken[0])
        old, payload = await _read(connection, principal, run_id)
        if old.status.active:
            raise Conflict(f"This run is {old.status}; it can be run again when it has ended.")
        if not await flows.is_visible(connection, principal.company_id, old.flow_id, principal.application_id):
            raise Conflict("The flow of this run has been deleted.")
        version = await starts.find_startable(connection, principal.company_id, old.flow_id, old.flow_version_id)
        if version is None:
            raise Conflict("The version of this run has been deleted.")
        asked = _Asked(old.flow_id, Trigger.RETRY, old.trigger_key, payload, old.id)
        made = await _insert(connection, principal, asked, version, new_id)
        if key is not None:
            await starts.bind(connection, key, made.id)
        return made

    return await database.transaction(work)


async def stop_run(principal: Principal, database: Database, run_id: int, *, new_id: Callable[[], str]) -> Run:
    """Ends our waiting for a run, and tells its runner, once, as well as that can be done.

    What the runner does or answers afterwards changes nothing. Raises NotFound, and Conflict for a run that has ended.
    """

    async def work(connection: Connection) -> Run:
        run, _ = await _read(connection, principal, run_id)
        end = Ending(run.id, run.scheduled_for, RunStatus.STOPPED, Cause.STOPPED)
        if run.id not in await end_runs(connection, [end]):
            ended, _ = await _read(connection, principal, run_id)
            raise Conflict(f"This run has already ended as {ended.status}.")
        await starts.note_stop(connection, run)
        stopped, _ = await _read(connection, principal, run_id)
        if stopped.attempts:
            arguments = {"run_id": run.id, "scheduled_for": run.scheduled_for.isoformat()}
            await jobs.stage(connection, principal, NewJob(new_id(), JobKind.STOP_RUN, arguments, flow_id=run.flow_id))
        await audit_events.record(connection, principal, "run.stop", ("run", run.id), details={"flow": run.flow_id})
        return stopped

    return await database.transaction(work)


async def report_run(principal: Principal, database: Database, run_id: int, report: Report) -> Run:
    """What became of a run that its runner took. A run that has ended stays as it is, and the first thing said after
    its end is kept beside it.

    Raises NotFound, and Conflict for a run that was never sent to anybody.
    """

    async def work(connection: Connection) -> Run:
        run, _ = await _read(connection, principal, run_id)
        if not run.attempts:
            raise Conflict("This run was not sent to a runner.")
        reason = Cause.REPORTED if report.status is RunStatus.FAILURE else None
        end = Ending(
            run.id,
            run.scheduled_for,
            report.status,
            reason,
            report.message,
            started_at=run.dispatched_at,
            result=report.told(),
        )
        if run.id in await end_runs(connection, [end]):
            await dispatch.keep_logs(connection, run.company_id, {run.id: report.logs})
            details = {"flow": run.flow_id, "status": report.status}
            await audit_events.record(connection, principal, "run.report", ("run", run.id), details=details)
        else:
            await dispatch.keep_late_results(connection, run.company_id, [(run.id, run.scheduled_for, report.told())])
        return (await _read(connection, principal, run_id))[0]

    return await database.transaction(work)


async def list_run_logs(
    principal: Principal, database: Database, run_id: int, *, limit: int, offset: int
) -> tuple[list[KeptLine], int]:
    """A page of what runners told of a run, oldest first, and how many lines there are. Raises NotFound."""
    async with database.connection() as connection:
        await _read(connection, principal, run_id)
        return await dispatch.list_logs(connection, principal.company_id, run_id, limit=limit, offset=offset)


async def find_stopped(database: Database, company_id: int, run_id: int, scheduled_for: datetime) -> Stopped | None:
    """For the job that tells a runner: what to tell and where; None once the run has been pruned."""
    async with database.connection() as connection:
        return await starts.find_stopped(connection, company_id, run_id, scheduled_for)


async def _start(
    principal: Principal,
    database: Database,
    asked: _Asked,
    find: Callable[[Connection], Awaitable[Startable]],
    new_id: Callable[[], str],
    key: Key | None,
) -> Run:
    async def work(connection: Connection) -> Run:
        if key is not None and (taken := await idempotency_keys.take(connection, key, IDEMPOTENCY_WINDOW)):
            return await _repeat(connection, principal, key, taken[0])
        if not await flows.is_visible(connection, principal.company_id, asked.flow_id, principal.application_id):
            raise NotFound(FLOW_UNKNOWN)
        made = await _insert(connection, principal, asked, await find(connection), new_id)
        if key is not None:
            await starts.bind(connection, key, made.id)
        return made

    return await database.transaction(work)


async def _insert(
    connection: Connection, principal: Principal, asked: _Asked, version: Startable, new_id: Callable[[], str]
) -> Run:
    run_id = await starts.insert(
        connection,
        principal,
        asked.flow_id,
        version,
        asked.trigger,
        asked.trigger_key,
        asked.payload,
        retry_of=asked.retry_of,
        message_key=new_id(),
        public_id=new_id(),
    )
    details = {"flow": asked.flow_id, "version": version.id, "retry_of": asked.retry_of}
    await audit_events.record(connection, principal, f"run.{asked.trigger}", ("run", run_id), details=details)
    return (await _read(connection, principal, run_id))[0]


async def _read(connection: Connection, principal: Principal, run_id: int) -> tuple[Run, Payload | None]:
    found = await starts.read(connection, principal.company_id, run_id, principal.application_id)
    if found is None:
        raise NotFound(RUN_UNKNOWN)
    return found


async def _repeat(connection: Connection, principal: Principal, key: Key, digest: bytes) -> Run:
    run_id = await starts.read_started(connection, key)
    if digest != key.digest or run_id is None:
        raise IdempotencyMismatch
    return (await _read(connection, principal, run_id))[0]
