"""Flow versions and their trash: one typed function per query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from core.domain.access import Principal
from core.domain.flows import Flow
from core.domain.jobs import FailedItem, Reason
from core.domain.query import Combination, Selection
from core.domain.versions import NewVersion, Version, VersionChange, VersionStatus, fold
from core.store.database import Connection
from core.store.flows import LockedFlow
from core.store.lists import Order, count_of, known_total, page_of
from core.store.predicates import compile_query
from core.store.queries import query
from core.store.rows import build
from core.store.subjects import NAMESAKES, VERSIONS

_INSERT = query("flow_versions.insert_version")
_READ_BY_ID = query("flow_versions.read_version_by_id")
_READ_BY_NAME = query("flow_versions.read_version_by_name")
_LOCK_BY_ID = query("flow_versions.lock_version_by_id")
_LOCK_BY_NAME = query("flow_versions.lock_version_by_name")
_READ_LOCKED = query("flow_versions.read_locked_version")
_REPLACE = query("flow_versions.replace_version")
_DEMOTE = query("flow_versions.demote_deployed")
_PROMOTE = query("flow_versions.promote_version")
_DELETE = query("flow_versions.delete_version")
_KEEP_REPLACED = query("flow_versions.keep_replaced")
_DELETE_BATCH = query("flow_versions.delete_batch")
_EXPLAIN_LEFT = query("flow_versions.explain_left")
_LIST = query("flow_versions.list_versions")
_FIX_SET = query("flow_versions.fix_set")
_COUNT = query("flow_versions.count_versions")
_PATCH = query("flow_versions.patch_version")
_PREVIEW = query("flow_versions.preview_set")
_LIST_NAMESAKES = query("flow_versions.list_namesakes")
_COUNT_NAMESAKES = query("flow_versions.count_namesakes")

SORTS = {name: VERSIONS.places[name].sql for name in ("version", "id", "creationDate", "lastUpdated")}
"""What a list can be sorted by: the caller's word and our column."""

_HERE = "/* query */ TRUE"
"""Stands in a query where a compiled predicate goes."""

BATCH_MEMORY = "32MB"
"""Sorting space for one batch: 5,000 rows of a few kB pass through it between the trash and the count."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What deploying changes in a version, for the audit trail."""

    id: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Preview:
    """What a bulk delete would do: counts, and the first matches as (id, name)."""

    matched: int
    protected: int
    sample: tuple[tuple[int, str], ...]


async def insert(
    connection: Connection, principal: Principal, flow_id: int, iteration: int, version: NewVersion
) -> Version:
    """A new Inactive version. Raises AlreadyExists, through the constraint, when the name is taken."""
    row = await connection.fetchrow(
        _INSERT,
        principal.company_id,
        flow_id,
        iteration,
        version.name,
        fold(version.name),
        VersionStatus.INACTIVE,
        version.enabled,
        version.notes,
        version.content.body,
        version.content.digest,
        principal.actor_type,
        principal.actor_id,
    )
    return _version(row)


async def read(
    connection: Connection, company_id: int, application_id: int, flow_id: int, *, version_id: int | None, name: str
) -> tuple[Version, str] | None:
    """By id where the flow has such an id, else by name; with the flow's class."""
    row = None
    if version_id is not None:
        row = await connection.fetchrow(_READ_BY_ID, company_id, application_id, flow_id, version_id)
    if row is None:
        row = await connection.fetchrow(_READ_BY_NAME, company_id, application_id, flow_id, name)
    return (_version(row), row["flow_class"]) if row else None


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
    row = await connection.fetchrow(_READ_LOCKED, company_id, found)
    return _version(row) if row else None


async def replace(connection: Connection, principal: Principal, version_id: int, new: NewVersion) -> Version:
    """Gives a locked version new content; the old one must have been put into the trash before."""
    row = await connection.fetchrow(
        _REPLACE,
        principal.company_id,
        version_id,
        new.enabled,
        new.notes,
        new.content.body,
        new.content.digest,
        principal.actor_type,
        principal.actor_id,
    )
    return _version(row)


async def keep_replaced(connection: Connection, company_id: int, version_id: int, keep: timedelta) -> None:
    await connection.execute(_KEEP_REPLACED, company_id, version_id, keep)


async def demote(connection: Connection, principal: Principal, flow_id: int) -> Standing | None:
    """Makes the flow's deployed version inactive; None if it has none."""
    row = await connection.fetchrow(_DEMOTE, principal.company_id, flow_id, principal.actor_type, principal.actor_id)
    return build(Standing, row) if row else None


async def promote(connection: Connection, principal: Principal, version_id: int) -> Standing:
    row = await connection.fetchrow(
        _PROMOTE, principal.company_id, version_id, principal.actor_type, principal.actor_id
    )
    return build(Standing, row)


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


async def fix_set(
    connection: Connection, job_id: int, company_id: int, flow: LockedFlow, matching: Combination, chunk: int
) -> int:
    """Stores the (id, revision) pairs a query matches as the job's chunks; returns how many there are."""
    predicate = compile_query(matching, first=5, constants=flow.constants)
    statement = _FIX_SET.replace(_HERE, predicate.sql)
    sizes = await connection.fetch(statement, job_id, company_id, flow.id, chunk, *predicate.parameters)
    return sum(row["size"] for row in sizes)


async def preview(connection: Connection, company_id: int, flow: Flow, matching: Combination, sample: int) -> Preview:
    """What a bulk delete with this query would match now."""
    predicate = compile_query(matching, first=4, constants=flow.constants)
    statement = _PREVIEW.replace(_HERE, predicate.sql)
    row = await connection.fetchrow(statement, company_id, flow.id, sample, *predicate.parameters)
    pairs = zip(row["ids"] or [], row["names"] or [], strict=True)
    return Preview(row["matched"], row["protected"], tuple(pairs))


async def patch(connection: Connection, principal: Principal, version_id: int, change: VersionChange) -> Version:
    row = await connection.fetchrow(
        _PATCH,
        principal.company_id,
        version_id,
        change.notes,
        change.enabled,
        principal.actor_type,
        principal.actor_id,
    )
    return _version(row)


async def list_page(
    connection: Connection, company_id: int, flow: Flow, selection: Selection, order: Order
) -> tuple[list[Version], int]:
    """A page of the selected versions, and how many are selected in all."""
    direction = "DESC" if order.descending else "ASC"
    found = compile_query(selection, first=5, constants=flow.constants)
    statement = _LIST.replace(_HERE, found.sql)
    statement = statement.replace("/* order */ v.id", f"{SORTS[order.sort]} {direction}, v.id {direction}")
    rows = await connection.fetch(statement, company_id, flow.id, order.limit, order.offset, *found.parameters)
    if order.offset == 0 and len(rows) < order.limit:
        return [_version(row) for row in rows], len(rows)
    counted = compile_query(selection, first=3, constants=flow.constants)
    statement = _COUNT.replace(_HERE, counted.sql)
    total: int = await connection.fetchval(statement, company_id, flow.id, *counted.parameters)
    return [_version(row) for row in rows], total


async def list_namesakes(
    connection: Connection, company_id: int, application_id: int, name: str, selection: Selection, order: Order
) -> tuple[list[tuple[Version, str]], int]:
    """A page of the selected versions of this name, each with its flow's class, and how many there are in all."""
    found = compile_query(selection, first=6, subject=NAMESAKES)
    statement = page_of(_LIST_NAMESAKES, found, order)
    rows = await connection.fetch(
        statement, company_id, application_id, name, order.limit, order.offset, *found.parameters
    )
    total = known_total(order, len(rows))
    if total is None:
        counted = compile_query(selection, first=4, subject=NAMESAKES)
        statement = count_of(_COUNT_NAMESAKES, counted)
        total = await connection.fetchval(statement, company_id, application_id, name, *counted.parameters)
    return [(_version(row), row["flow_class"]) for row in rows], total


def _version(row: asyncpg.Record) -> Version:
    return build(Version, row, status=VersionStatus(row["status"]))
