"""Flow versions as files: out of a company, and into one."""

from __future__ import annotations

import os

import orjson

from core.domain.access import Principal
from core.domain.artifacts import MOST_FILE, Made, seal, write_artifact
from core.domain.canonical import require_expressible
from core.domain.errors import Invalid, NotFound
from core.domain.signing import SecretKey
from core.domain.templates import Template
from core.operations.arrivals import arrive, unpack
from core.operations.artifact_keys import RandomBytes, signing_key
from core.operations.shown import Shown
from core.operations.uploads import flow_of, provenance_of
from core.operations.versions import VERSION_UNKNOWN
from core.store import applications, artifact_keys, audit_events, flows, marketplace, schedules
from core.store.database import Connection, Database
from core.store.marketplace import Pinned
from core.threads import computed


async def export_version(
    principal: Principal,
    database: Database,
    flow_id: int,
    version_id: int,
    *,
    instance: str,
    random_bytes: RandomBytes = os.urandom,
) -> Made:
    """The signed file of a version as it is now, the Draft included. Writes nothing but the first key.

    Raises NotFound for the version, and Invalid for content that canonical JSON cannot express.
    """

    async def work(connection: Connection) -> tuple[Pinned, SecretKey]:
        pinned = await marketplace.pin(
            connection,
            principal.company_id,
            version_id,
            flow_id=flow_id,
            application_id=principal.application_id,
        )
        if pinned is None:
            raise NotFound(VERSION_UNKNOWN)
        return pinned, await signing_key(connection, principal, random_bytes)

    found, key = await database.transaction(work)

    def make() -> Made:
        require_expressible(found.body, "content")
        artifact = write_artifact(
            orjson.loads(found.body),
            flow=flow_of(found),
            schedules=found.schedules,
            version=found.version,
            notes=found.notes,
        )
        provenance = provenance_of(principal, found, version_id)
        return seal(artifact, {**provenance, "instance": instance, "job": None}, key)

    made = await computed(len(found.body), make)
    if len(made.file) > MOST_FILE:
        raise Invalid(f"would have {len(made.file)} bytes as a file; {MOST_FILE} is the most", "content")
    return made


async def import_flow(principal: Principal, database: Database, file: bytes, template: Template) -> Shown:
    """Makes a disabled flow with a Draft out of a file, in the caller's application or else the company's default one.

    Raises Invalid, whose path says what of the file is wrong, for one that was changed, is signed by no key that counts
    here, or holds what a request could not bring in either. Digest and signature come first.
    """
    async with database.connection() as connection:
        keys = await artifact_keys.known(connection)
        now = await schedules.read_clock(connection)
        application_id = principal.application_id or await applications.find_default(connection, principal.company_id)
    assert application_id is not None, "every company is born with an application"
    arrival = await computed(len(file), lambda: unpack(file, keys, now))

    async def work(connection: Connection) -> Shown:
        arrived = await arrive(connection, principal, application_id, arrival, name=None, installed_from=None)
        statement = arrival.verified.statement
        details = {"key": statement.key_id, "version": arrived.version_id}
        await audit_events.record(
            connection, principal, "flow.import", ("flow", arrived.flow_id), after=statement.digest, details=details
        )
        return Shown.of(await flows.show_changed(connection, principal.company_id, arrived.flow_id, template))

    return await database.transaction(work)
