"""Runs that somebody asked for: begun, read, stopped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.domain.access import Principal
from core.domain.runs import Run, RunStatus, Trigger
from core.domain.versions import VersionStatus
from core.store.database import Connection
from core.store.idempotency_keys import Key
from core.store.queries import query
from core.store.rows import build

_FIND_STARTABLE = query("starts.find_startable")
_FIND_BUTTON = query("starts.find_button")
_INSERT_RUN = query("starts.insert_run")
_READ_RUN = query("starts.read_run")
_NOTE_STOP = query("starts.note_stop")
_FIND_STOPPED = query("starts.find_stopped")
_READ_STARTED = query("starts.read_started")
_BIND_RUN = query("starts.bind_run")


@dataclass(frozen=True, slots=True)
class Startable:
    """A version as a run of it remembers it."""

    id: int
    name: str | None
    iteration: int
    revision: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """What a start hands to the runner: the bytes as they came, and their content type."""

    content: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """A run that was ended early. `runner_url` is None where nobody says any more where it went."""

    id: int
    flow_id: int
    flow_version_id: int
    schedule_id: int | None
    scheduled_for: datetime
    message_key: str | None
    stop_requested_at: datetime
    runner_url: str | None


async def find_startable(
    connection: Connection, company_id: int, flow_id: int, version_id: int | None
) -> Startable | None:
    row = await connection.fetchrow(_FIND_STARTABLE, company_id, flow_id, version_id)
    return build(Startable, row) if row else None


async def find_button(
    connection: Connection,
    company_id: int,
    flow_id: int,
    *,
    version_id: int | None,
    name: str | None,
    status: VersionStatus | None,
    key: str,
) -> tuple[Startable, bool] | None:
    """The version that goes by the id or the name, else the one that stands so; and whether it has the button."""
    row = await connection.fetchrow(_FIND_BUTTON, company_id, flow_id, version_id, name, status, key)
    return (build(Startable, row), row["has_button"]) if row else None


async def insert(
    connection: Connection,
    principal: Principal,
    flow_id: int,
    version: Startable,
    trigger: Trigger,
    trigger_key: str | None,
    payload: Payload | None,
    *,
    retry_of: int | None,
    message_key: str,
    public_id: str,
) -> int:
    """Writes the run, due now, and its dispatch job, whose public id is given; returns the run's id."""
    run_id: int = await connection.fetchval(
        _INSERT_RUN,
        principal.company_id,
        flow_id,
        version.id,
        trigger,
        version.name,
        version.iteration,
        version.revision,
        version.digest,
        payload.content if payload else None,
        payload.kind if payload else None,
        message_key,
        retry_of,
        principal.actor_type,
        principal.actor_id,
        public_id,
        trigger_key,
    )
    return run_id


async def read(
    connection: Connection, company_id: int, run_id: int, application_id: int | None
) -> tuple[Run, Payload | None] | None:
    """A run and what it was started with; of any application where that is None."""
    row = await connection.fetchrow(_READ_RUN, company_id, run_id, application_id)
    if row is None:
        return None
    payload = None if row["payload"] is None else Payload(row["payload"], row["payload_type"])
    return build(Run, row, status=RunStatus(row["status"]), trigger=Trigger(row["trigger"])), payload


async def note_stop(connection: Connection, run: Run) -> None:
    await connection.execute(_NOTE_STOP, run.company_id, run.id, run.scheduled_for)


async def find_stopped(connection: Connection, company_id: int, run_id: int, scheduled_for: datetime) -> Stopped | None:
    row = await connection.fetchrow(_FIND_STOPPED, company_id, run_id, scheduled_for)
    return build(Stopped, row) if row else None


async def read_started(connection: Connection, key: Key) -> int | None:
    """The run that a taken key led to; None for the key of another kind of request."""
    run_id: int | None = await connection.fetchval(_READ_STARTED, key.company_id, key.owner, key.text)
    return run_id


async def bind(connection: Connection, key: Key, run_id: int) -> None:
    await connection.execute(_BIND_RUN, key.company_id, key.owner, key.text, run_id)
