"""Flow versions and their trash: one typed function per query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from core.domain.access import ActorType, Claim, Principal, admitting
from core.domain.flows import Flow
from core.domain.jobs import FailedItem, Reason
from core.domain.query import Combination, Selection, TriggerFilter, parts_of
from core.domain.templates import Template
from core.domain.versions import Content, NewVersion, Version, VersionChange, VersionStatus, fold
from core.store.database import Connection
from core.store.lists import QUERY, Order, page_of
from core.store.predicates import compile_query
from core.store.queries import query
from core.store.rows import build
from core.store.subjects import NAMESAKES, VERSIONS
from core.store.templates import showing

_INSERT = query("flow_versions.insert_version")
_INSERT_DRAFT = query("flow_versions.insert_draft")
_SHOW_BY_ID = query("flow_versions.show_version_by_id")
_SHOW_BY_NAME = query("flow_versions.show_version_by_name")
_SHOW_CHANGED = query("flow_versions.show_changed_version")
_SHOW_TOUCHED = query("flow_versions.show_touched_version")
_SHOW_PAGE = query("flow_versions.show_versions")
_LOCK_BY_ID = query("flow_versions.lock_version_by_id")
_LOCK_BY_NAME = query("flow_versions.lock_version_by_name")
_LOCK_ANY = query("flow_versions.lock_any_version")
_LOCK_DRAFT = query("flow_versions.lock_draft")
_READ_LOCKED = query("flow_versions.read_locked_version")
_REPLACE = query("flow_versions.replace_version")
_DISCARD_DRAFT = query("flow_versions.discard_draft")
_DELETE = query("flow_versions.delete_version")
_KEEP_REPLACED = query("flow_versions.keep_replaced")
_DELETE_BATCH = query("flow_versions.delete_batch")
_EXPLAIN_LEFT = query("flow_versions.explain_left")
_PATCH = query("flow_versions.patch_version")
_PREVIEW = query("flow_versions.preview_set")
_FIND_FLOW = query("flow_versions.find_flow_of_version")
_SHOW_NAMESAKES = query("flow_versions.show_namesakes")

COLUMNS = {
    "id": "v.id",
    "flow_id": "v.flow_id",
    "iteration": "v.iteration",
    "status": "v.status",
    "is_deployed": "(v.status = 'Deployed')",
    "is_editable": "(v.status = 'Draft')",
    "revision": "v.revision",
    "digest": "encode(v.digest, 'hex')",
    "deployed_or_planned_at": "coalesce(v.deployed_at, v.deploy_at)",
    "last_deployed_at": "v.last_deployed_at",
    "name": "v.name",
    "enabled": "v.enabled",
    "notes": "v.notes",
    "body": "v.body",
    "created_at": "v.created_at",
    "created_by_type": "v.created_by_type",
    "created_by_id": "v.created_by_id",
    "updated_at": "v.updated_at",
    "updated_by_type": "v.updated_by_type",
    "updated_by_id": "v.updated_by_id",
    "application_id": "f.application_id",
    "flow_class": "f.flow_class",
    "flow_name": "f.name",
    "flow_priority": "f.flow_priority",
}
"""What a dialect's template of a version can show: its word and our column."""

showing_version = showing(COLUMNS)
"""What puts a dialect's template of a version into a statement."""

BATCH_MEMORY = "32MB"
"""Sorting space for one batch: 5,000 rows of a few kB pass through it between the trash and the count."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a bulk delete would do: counts, and the first matches as (id, name)."""

    matched: int
    protected: int
    sample: tuple[tuple[int, str], ...]


async def insert(
    connection: Connection,
    claim: Claim,
    flow_id: int,
    version: NewVersion,
    classes: Sequence[str],
    template: Template,
) -> asyncpg.Record | None:
    """A new Inactive version with its audit event, in a flow of one of these classes: its id and revision, and shown,
    without the body, which the caller has at hand.

    None if the token opens nothing, does not admit this, or sees no such flow.

    Raises AlreadyExists, through the constraint, when the name is taken.
    """
    return await connection.fetchrow(
        showing_version(_INSERT, template.head),
        claim.digest,
        claim.application_id,
        list(admitting(claim.need)),
        flow_id,
        version.name,
        fold(version.name),
        version.enabled,
        version.notes,
        version.content.body,
        version.content.digest,
        ActorType.API_TOKEN,
        claim.remote,
        classes,
    )


async def insert_draft(connection: Connection, principal: Principal, flow_id: int, content: Content) -> Version:
    """The flow's Draft, with its audit event; the flow is locked and has none."""
    row = await connection.fetchrow(
        _INSERT_DRAFT,
        principal.company_id,
        flow_id,
        content.body,
        content.digest,
        principal.actor_type,
        principal.actor_id,
        principal.remote,
    )
    return version_of(row)


async def show(
    connection: Connection, claim: Claim, flow_id: int, template: Template, *, version_id: int | None, name: str
) -> asyncpg.Record | None:
    """By id where the flow has such an id, else by name: application_id and scopes, for admission; then id and
    revision, which are null if there is no such version, and shown. None if the token opens nothing.
    """
    row = None
    if version_id is not None:
        row = await connection.fetchrow(showing_version(_SHOW_BY_ID, template), claim.digest, flow_id, version_id)
    if row is None or row["revision"] is None:
        row = await connection.fetchrow(showing_version(_SHOW_BY_NAME, template), claim.digest, flow_id, name)
    return row


async def show_changed(connection: Connection, company_id: int, version_id: int, template: Template) -> asyncpg.Record:
    """id, revision and shown of a version, after a change by this transaction."""
    return await connection.fetchrow(showing_version(_SHOW_CHANGED, template), company_id, version_id)


async def show_touched(
    connection: Connection, principal: Principal, flow_id: int, version_id: int, template: Template
) -> asyncpg.Record:
    """The same where the change is one of what is read with the flow, whose revision rises."""
    return await connection.fetchrow(
        showing_version(_SHOW_TOUCHED, template),
        principal.company_id,
        version_id,
        flow_id,
        principal.actor_type,
        principal.actor_id,
    )


def asks_flow(selection: Selection) -> bool:
    """Whether it asks what is the same for all versions of a flow, whose constants have to be known first."""
    fields = {part.field for part in parts_of(selection) if not isinstance(part, TriggerFilter)}
    return not fields <= VERSIONS.places.keys()


async def show_page(
    connection: Connection,
    claim: Claim,
    flow_id: int,
    selection: Selection,
    order: Order,
    template: Template,
    constants: Mapping[str, str | None],
) -> asyncpg.Record | None:
    """A page of the selected versions: application_id and scopes, for admission; then found (the flow), items (JSON
    in UTF-8, joined by commas), ids (in this order; null for none) and total. None if the token opens nothing.
    """
    predicate = compile_query(selection, first=5, constants=constants)
    return await connection.fetchrow(
        page_of(showing_version(_SHOW_PAGE, template), predicate, order),
        claim.digest,
        flow_id,
        order.limit,
        order.offset,
        *predicate.parameters,
    )


async def lock(
    connection: Connection, company_id: int, flow_id: int, *, version_id: int | None, name: str | None
) -> Version | None:
    """Holds the version, then reads it in a later statement; None if the locked flow has none such."""
    found = None
    if version_id is not None:
        found = await connection.fetchval(_LOCK_BY_ID, company_id, flow_id, version_id)
    if found is None and name is not None:
        found = await connection.fetchval(_LOCK_BY_NAME, company_id, flow_id, name)
    if found is None:
        return None
    return await _read_locked(connection, company_id, found)


async def lock_any(
    connection: Connection, company_id: int, flow_id: int, version_id: int, at: datetime | None = None
) -> tuple[Version, float] | None:
    """The same by id alone, and for a Draft as well; with how many seconds ahead `at` is by the database's clock,
    negative once it has come."""
    row = await connection.fetchrow(_LOCK_ANY, company_id, flow_id, version_id, at)
    return None if row is None else (version_of(row), row["ahead"] or 0.0)


async def lock_draft(connection: Connection, company_id: int, flow_id: int) -> Version | None:
    """The same for the Draft of a locked flow, if it has one."""
    found = await connection.fetchval(_LOCK_DRAFT, company_id, flow_id)
    return None if found is None else await _read_locked(connection, company_id, found)


async def find_flow(connection: Connection, company_id: int, version_id: int, application_id: int | None) -> int | None:
    """The flow that a version is of; None if the caller has no such version. A version never changes its flow."""
    found: int | None = await connection.fetchval(_FIND_FLOW, company_id, version_id, application_id)
    return found


async def _read_locked(connection: Connection, company_id: int, version_id: int) -> Version | None:
    row = await connection.fetchrow(_READ_LOCKED, company_id, version_id)
    return version_of(row) if row else None


async def replace(connection: Connection, principal: Principal, version_id: int, new: NewVersion) -> Version:
    """Gives a locked version new content; the old one must have been put into the trash before."""
    return await _replace(connection, principal, version_id, new.enabled, new.notes, new.content)


async def replace_draft(connection: Connection, principal: Principal, draft: Version, content: Content) -> Version:
    """The same for a locked Draft, of which nothing else changes."""
    return await _replace(connection, principal, draft.id, draft.enabled, draft.notes, content)


async def _replace(
    connection: Connection, principal: Principal, version_id: int, enabled: bool, notes: str | None, content: Content
) -> Version:
    row = await connection.fetchrow(
        _REPLACE,
        principal.company_id,
        version_id,
        enabled,
        notes,
        content.body,
        content.digest,
        principal.actor_type,
        principal.actor_id,
    )
    return version_of(row)


async def keep_replaced(
    connection: Connection, company_id: int, version_id: int, keep: timedelta, *, with_schedules: bool = False
) -> None:
    """`with_schedules` takes the version's schedules away with its old content; without, they stay as they are."""
    await connection.execute(_KEEP_REPLACED, company_id, version_id, keep, with_schedules)


async def discard_draft(connection: Connection, company_id: int, version_id: int, keep: timedelta) -> bool:
    """Moves a locked Draft to the trash for `keep`; False if it is about to be deployed."""
    return await connection.fetchval(_DISCARD_DRAFT, company_id, version_id, keep) is not None


async def delete(connection: Connection, company_id: int, version_id: int, keep: timedelta) -> bool:
    """Moves one version to the trash for `keep`; False if it is protected or was gone."""
    return await connection.fetchval(_DELETE, company_id, version_id, keep) is not None


async def delete_batch(
    connection: Connection,
    *,
    company_id: int,
    flow_id: int,
    pairs: tuple[Sequence[int], Sequence[int]],
    job_id: int,
    reason: str,
) -> list[FailedItem]:
    """Moves (id, revision) pairs to the trash and returns those it left, each with its reason."""
    ids, revisions = pairs
    await connection.execute(f"SET LOCAL work_mem = '{BATCH_MEMORY}'")
    left = await connection.fetchval(_DELETE_BATCH, company_id, flow_id, ids, revisions, job_id, reason)
    if not left:
        return []
    rows = await connection.fetch(_EXPLAIN_LEFT, company_id, left)
    return [FailedItem(row["version_id"], row["name"], Reason(row["reason"])) for row in rows]


async def preview(connection: Connection, company_id: int, flow: Flow, matching: Combination, sample: int) -> Preview:
    """What a bulk delete with this query would match now."""
    predicate = compile_query(matching, first=4, constants=flow.constants)
    statement = _PREVIEW.replace(QUERY, predicate.sql)
    row = await connection.fetchrow(statement, company_id, flow.id, sample, *predicate.parameters)
    pairs = zip(row["ids"] or [], row["names"] or [], strict=True)
    return Preview(row["matched"], row["protected"], tuple(pairs))


async def patch(connection: Connection, principal: Principal, version_id: int, change: VersionChange) -> int:
    """Returns the new revision."""
    revision: int = await connection.fetchval(
        _PATCH,
        principal.company_id,
        version_id,
        change.notes,
        change.enabled,
        principal.actor_type,
        principal.actor_id,
    )
    return revision


async def show_namesakes(
    connection: Connection, claim: Claim, name: str, selection: Selection, order: Order, template: Template
) -> asyncpg.Record | None:
    """The same of the selected versions of this name in all flows of the application, but for the flow."""
    predicate = compile_query(selection, first=6, subject=NAMESAKES)
    return await connection.fetchrow(
        page_of(showing_version(_SHOW_NAMESAKES, template), predicate, order),
        claim.digest,
        claim.application_id,
        name,
        order.limit,
        order.offset,
        *predicate.parameters,
    )


def version_of(row: asyncpg.Record) -> Version:
    """A row with all columns of a version."""
    return build(Version, row, status=VersionStatus(row["status"]))
