"""From an item of the marketplace to a flow of a company that can see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.domain.access import ActorType, Principal
from core.domain.errors import Conflict, Invalid, NotFound
from core.domain.jobs import ClaimedJob, JobKind, JobStatus, PermanentFailure
from core.domain.marketplace import Item
from core.domain.signing import Keys
from core.operations.arrivals import Arrival, arrive, unpack
from core.operations.marketplace import ITEM_UNKNOWN
from core.operations.repeats import accept_once
from core.operations.settling import Terms, actor_of, conclude, go_on
from core.store import applications, artifact_keys, audit_events, jobs, marketplace, schedules
from core.store.database import Connection, Database
from core.store.idempotency_keys import Key
from core.store.jobs import HeldJob, NewJob
from core.threads import computed


@dataclass(frozen=True, slots=True)
class InstallRequest:
    """What was asked for: under which name (None: the item's own), and whether a yanked item will do."""

    item_id: int
    name: str | None
    force: bool


async def accept_install(
    principal: Principal, database: Database, request: InstallRequest, *, public_id: str, key: Key | None
) -> str:
    """Stages the install and returns the job's public id: the older job's, if the key was used before.

    Raises NotFound for an item the caller's company cannot see, and Conflict for a yanked one that is not forced.
    """

    async def work(connection: Connection) -> str:
        async def accept() -> tuple[int, str]:
            item = await marketplace.read(connection, principal.company_id, request.item_id)
            if item is None:
                raise NotFound(ITEM_UNKNOWN)
            if refusal := _refusal(item, force=request.force):
                raise Conflict(refusal)
            application_id = await applications.find_default(connection, principal.company_id)
            arguments = {"item_id": item.id, "name": request.name, "force": request.force}
            new = NewJob(public_id, JobKind.INSTALL_ITEM, arguments, application_id)
            number = await jobs.stage(connection, principal, new)
            details = {"job": public_id, "force": request.force}
            await audit_events.record(
                connection, principal, "item.install", ("item", item.id), after=item.digest, details=details
            )
            return number, public_id

        return await accept_once(connection, principal, key, accept)

    return await database.transaction(work)


async def fetch_artifact(database: Database, job: ClaimedJob) -> Arrival:
    """What an install brings, verified and read. Raises PermanentFailure `item_gone` for an item that the company can
    no longer see, and `artifact_refused` for one whose file is not right, or not by a key that counts."""
    item_id = job.arguments["item_id"]
    assert isinstance(item_id, int), "accepted so"
    async with database.connection() as connection:
        file = await marketplace.find_file(connection, job.company_id, item_id)
        keys: Keys = await artifact_keys.known(connection)
        now = await schedules.read_clock(connection)
    if file is None:
        raise PermanentFailure("item_gone", "The company can no longer see this item.")
    found = file
    try:
        return await computed(len(found), lambda: unpack(found, keys, now))
    except Invalid as refusal:
        raise PermanentFailure("artifact_refused", str(refusal)) from None


async def install_item(database: Database, job: ClaimedJob, arrival: Arrival, terms: Terms) -> None:
    """Makes the flow with its Draft and ends the job: all of it or nothing.

    Raises JobLost, having changed nothing, when the job is no longer this worker's, and PermanentFailure `yanked` when
    the item was yanked meanwhile and is not forced; a job that was told to stop ends as cancelled.
    """

    async def work(connection: Connection) -> None:
        held = await go_on(connection, job, terms)
        if held is not None:
            await _install(connection, held, arrival)
            await conclude(connection, held, JobStatus.COMPLETED, None, terms)

    await database.transaction(work)


async def _install(connection: Connection, held: HeldJob, arrival: Arrival) -> None:
    arguments: Mapping[str, Any] = held.arguments
    item = await marketplace.read(connection, held.company_id, arguments["item_id"])
    if item is None:
        raise PermanentFailure("item_gone", "The company can no longer see this item.")
    if refusal := _refusal(item, force=arguments["force"]):
        raise PermanentFailure("yanked", refusal)
    assert held.application_id is not None, "every company is born with an application"
    asker = Principal(held.company_id, ActorType(held.requested_by_type), held.requested_by_id)
    arrived = await arrive(
        connection, asker, held.application_id, arrival, name=arguments["name"], installed_from=item.id
    )
    await marketplace.record_install(connection, held.company_id, held.id, item.id, arrived.flow_id)
    outcome = {
        "item_id": item.id,
        "digest": item.digest.hex(),
        "flow_id": arrived.flow_id,
        "flow_version_id": arrived.version_id,
    }
    await jobs.record_outcome(connection, held.id, outcome)
    details = {"job": held.public_id, "item": item.id}
    await audit_events.record(
        connection, actor_of(held), "flow.install", ("flow", arrived.flow_id), after=item.digest, details=details
    )


def _refusal(item: Item, *, force: bool) -> str | None:
    if item.yanked_at is None or force:
        return None
    return f"This item was yanked: {item.yank_reason} Install it with force if it has to be this one."
