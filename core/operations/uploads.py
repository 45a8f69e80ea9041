"""From a deployed version to an item of the marketplace.

Accepting pins what is uploaded: the version's id and the digest of its content, and by value everything else that goes
into the artifact. The content is looked up by that digest when the job runs, in the version or in the trash, so the
artifact is of what was accepted or there is none. The item, its file, the log's entry and the job's end are one
transaction.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from core.domain.access import ActorType, Principal
from core.domain.artifacts import MOST_FILE, Made, seal, write_artifact
from core.domain.canonical import require_expressible
from core.domain.errors import Conflict, Invalid, NotFound, PenstockError
from core.domain.jobs import ClaimedJob, JobKind, JobStatus, PermanentFailure
from core.domain.marketplace import Deed, Happening, next_entry
from core.domain.signing import SecretKey
from core.domain.versions import VersionStatus
from core.operations.artifact_keys import RandomBytes, signing_key
from core.operations.repeats import accept_once
from core.operations.settling import Terms, actor_of, conclude, go_on
from core.operations.versions import VERSION_UNKNOWN
from core.store import audit_events, jobs, marketplace
from core.store.database import Connection, Database
from core.store.idempotency_keys import Key
from core.store.jobs import HeldJob, NewJob
from core.store.marketplace import NewItem, Pinned
from core.threads import computed


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What was asked for: for whom it shall be seen, and whether this installation has a public shelf."""

    version_id: int
    private: bool
    public_shelf: bool


async def accept_upload(
    principal: Principal, database: Database, request: UploadRequest, *, public_id: str, key: Key | None
) -> str:
    """Stages the upload of a version as it is now, and returns the job's public id: the older job's, if the key was
    used before.

    Raises NotFound for the version; Conflict for one that is not deployed, or whose flow is disabled; Invalid for
    content that canonical JSON cannot express, and for a public shelf that there is not.
    """
    if not request.private and not request.public_shelf:
        raise Invalid("must be true: this installation has no public shelf", "private")

    pinned = await _pin(principal, database, request.version_id)

    async def work(connection: Connection) -> str:
        async def accept() -> tuple[int, str]:
            if isinstance(pinned, PenstockError):
                raise pinned
            return await _stage(connection, principal, request, pinned, public_id), public_id

        return await accept_once(connection, principal, key, accept)

    return await database.transaction(work)


async def make_artifact(
    database: Database, job: ClaimedJob, *, instance: str, random_bytes: RandomBytes = os.urandom
) -> tuple[Made, SecretKey]:
    """The signed file of what an upload was accepted for, and what signed it. Nothing is written but the first key.

    Raises PermanentFailure `content_gone` when neither the version nor the trash has that content any more, and
    `artifact_refused` when there can be no artifact of it.
    """
    arguments: Mapping[str, Any] = job.arguments
    uploader = Principal(job.company_id, ActorType.JOB, job.id)

    async def work(connection: Connection) -> tuple[str | None, SecretKey]:
        body = await marketplace.find_pinned_body(
            connection,
            job.company_id,
            arguments["flow_id"],
            arguments["version_id"],
            bytes.fromhex(arguments["content_digest"]),
        )
        return body, await signing_key(connection, uploader, random_bytes)

    body, key = await database.transaction(work)
    if body is None:
        message = "The version was replaced or deleted meanwhile, and the trash no longer has what was accepted."
        raise PermanentFailure("content_gone", message)
    text = body
    try:
        return await computed(len(text), lambda: _make(text, job, instance, key)), key
    except Invalid as refusal:
        raise PermanentFailure("artifact_refused", str(refusal)) from None


async def keep_artifact(database: Database, job: ClaimedJob, made: Made, key: SecretKey, terms: Terms) -> None:
    """Puts the artifact into the marketplace, adds to the log and ends the job: all of it or nothing.

    The same artifact again is the same item, and adds nothing to the log. Raises JobLost, having changed nothing, when
    the job is no longer this worker's; a job that was told to stop ends as cancelled.
    """

    async def work(connection: Connection) -> None:
        held = await go_on(connection, job, terms)
        if held is not None:
            await _keep(connection, held, made, key)
            await conclude(connection, held, JobStatus.COMPLETED, None, terms)

    await database.transaction(work)


async def _keep(connection: Connection, held: HeldJob, made: Made, key: SecretKey) -> None:
    arguments: Mapping[str, Any] = held.arguments
    uploader = Principal(held.company_id, ActorType(held.requested_by_type), held.requested_by_id)
    new = NewItem(
        flow_id=arguments["flow_id"],
        version_id=arguments["version_id"],
        name=arguments["flow"]["name"],
        version=arguments["version"],
        description=arguments["flow"]["description"],
        private=arguments["private"],
        job_id=held.id,
    )
    item_id, is_new = await marketplace.insert(connection, uploader, new, made)
    outcome = {"item_id": item_id, "digest": made.digest.hex(), "size": made.size}
    await jobs.record_outcome(connection, held.id, outcome)
    if not is_new:
        return
    await audit_events.record(
        connection, actor_of(held), "item.create", ("item", item_id), after=made.digest, details={"job": held.public_id}
    )
    await append_to_log(connection, Deed(Happening.UPLOAD, held.company_id, item_id, made.digest), key)


async def append_to_log(connection: Connection, deed: Deed, key: SecretKey) -> None:
    """Adds an entry to the company's log, late in its transaction: until the commit nobody else of it can."""
    head = await marketplace.lock_head(connection, deed.company_id)
    await marketplace.append(connection, next_entry(head, deed, key))


def provenance_of(principal: Principal, pinned: Pinned, version_id: int) -> dict[str, Any]:
    """What a statement says of where a version comes from, and who asked for it when."""
    return {
        "at": pinned.now.isoformat(),
        "company": {"id": principal.company_id, "name": pinned.company_name},
        "content_digest": pinned.digest.hex(),
        "flow_id": pinned.flow_id,
        "iteration": pinned.iteration,
        "requested_by": {"type": str(principal.actor_type), "id": principal.actor_id},
        "revision": pinned.revision,
        "version_id": version_id,
    }


def flow_of(pinned: Pinned) -> dict[str, Any]:
    """What of its flow goes along with a version. Where it runs does not: that is the installing company's own."""
    return {
        "description": pinned.description,
        "flow_class": pinned.flow_class,
        "flow_priority": pinned.flow_priority,
        "name": pinned.name,
        "run_timeout_seconds": pinned.run_timeout_seconds,
    }


async def _pin(principal: Principal, database: Database, version_id: int) -> Pinned | PenstockError:
    """The version as it is now, judged while nothing is locked and no transaction is open; or why it will not do, which
    whoever repeats a request under its key must not be told."""
    async with database.connection() as connection:
        pinned = await marketplace.pin(connection, principal.company_id, version_id, flow_id=None, application_id=None)
    if pinned is None:
        return NotFound(VERSION_UNKNOWN)
    try:
        _require_uploadable(pinned)
        await computed(len(pinned.body), lambda: require_expressible(pinned.body, "content"))
    except (Conflict, Invalid) as refusal:
        return refusal
    return pinned


async def _stage(
    connection: Connection, principal: Principal, request: UploadRequest, pinned: Pinned, public_id: str
) -> int:
    arguments = _arguments(principal, request, pinned)
    new = NewJob(public_id, JobKind.UPLOAD_VERSION, arguments, pinned.application_id, pinned.flow_id)
    number = await jobs.stage(connection, principal, new)
    details = {"job": public_id, "revision": pinned.revision, "private": request.private}
    subject = ("version", request.version_id)
    await audit_events.record(connection, principal, "version.upload", subject, after=pinned.digest, details=details)
    return number


def _require_uploadable(pinned: Pinned) -> None:
    if pinned.status is not VersionStatus.DEPLOYED:
        raise Conflict(f"Only a deployed version can be uploaded; this one is {pinned.status}.")
    if not pinned.enabled:
        raise Conflict("This flow is disabled; enable it before uploading its version.")


def _arguments(principal: Principal, request: UploadRequest, pinned: Pinned) -> dict[str, Any]:
    return {
        "version_id": request.version_id,
        "flow_id": pinned.flow_id,
        "private": request.private,
        "version": pinned.version,
        "notes": pinned.notes,
        "content_digest": pinned.digest.hex(),
        "flow": flow_of(pinned),
        "schedules": list(pinned.schedules),
        "provenance": provenance_of(principal, pinned, request.version_id),
    }


def _make(body: str, job: ClaimedJob, instance: str, key: SecretKey) -> Made:
    arguments: Mapping[str, Any] = job.arguments
    artifact = write_artifact(
        orjson.loads(body),
        flow=arguments["flow"],
        schedules=arguments["schedules"],
        version=arguments["version"],
        notes=arguments["notes"],
    )
    made = seal(artifact, {**arguments["provenance"], "instance": instance, "job": job.public_id}, key)
    if len(made.file) > MOST_FILE:
        raise Invalid(f"would have {len(made.file)} bytes; {MOST_FILE} is the most", "artifact")
    return made
