"""The marketplace: one typed function per query. Nothing here is ever changed; it is only added to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from core.domain.access import Principal, Visitor
from core.domain.artifacts import Made
from core.domain.listings import Listing
from core.domain.marketplace import Entry, Happening, Head, Item
from core.domain.templates import Template
from core.domain.versions import VersionStatus, fold
from core.store.database import Connection
from core.store.listings import ITEMS, listed_by, total_of
from core.store.queries import query
from core.store.rows import build
from core.store.templates import showing

_PIN = query("marketplace.pin_version")
_FIND_PINNED = query("marketplace.find_pinned_body")
_INSERT = query("marketplace.insert_item")
_FIND_BY_DIGEST = query("marketplace.find_item_by_digest")
_LIST = query("marketplace.list_marketplace_items")
_COUNT = query("marketplace.count_marketplace_items")
_SHOW_PAGE = query("marketplace.show_marketplace_items")
_FIND_FILE = query("marketplace.find_visible_file")
_YANK = query("marketplace.insert_yank")
_INSTALL = query("marketplace.insert_install")
_LOCK_LOG = query("marketplace.lock_log")
_READ_HEAD = query("marketplace.read_log_head")
_APPEND = query("marketplace.append_log")
_LIST_LOG = query("marketplace.list_log")
_COUNT_LOG = query("marketplace.count_log")

COLUMNS = {
    "id": "i.id",
    "company_id": "i.company_id",
    "company_name": "c.name",
    "flow_id": "i.flow_id",
    "flow_version_id": "i.version_id",
    "name": "i.name",
    "version": "i.version",
    "description": "i.description",
    "private": "i.private",
    "digest": "encode(i.digest, 'hex')",
    "size": "i.size",
    "key_id": "i.key_id",
    "installed_count": "(SELECT count(*) FROM marketplace_installs n WHERE n.item_id = i.id)",
    "is_yanked": "(y.item_id IS NOT NULL)",
    "yanked_at": "y.created_at",
    "yank_reason": "y.reason",
    "uploaded_by_type": "i.uploaded_by_type",
    "uploaded_by_id": "i.uploaded_by_id",
    "created_at": "i.created_at",
}
"""What a template of an item can show: its word and our column."""

_showing = showing(COLUMNS)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A version as it was at one moment, with what of its flow and what schedules go along."""

    flow_id: int
    application_id: int
    status: VersionStatus
    version: str | None
    notes: str | None
    revision: int
    iteration: int
    digest: bytes
    body: str
    enabled: bool
    name: str
    description: str | None
    flow_class: str
    flow_priority: int
    run_timeout_seconds: int
    company_name: str
    now: datetime
    schedules: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class NewItem:
    """What becomes an item, beside its file."""

    flow_id: int
    version_id: int
    name: str
    version: str
    description: str | None
    private: bool
    job_id: int


async def pin(
    connection: Connection, company_id: int, version_id: int, *, flow_id: int | None, application_id: int | None
) -> Pinned | None:
    """The version now; in any flow and application where these are None."""
    row = await connection.fetchrow(_PIN, company_id, version_id, flow_id, application_id)
    if row is None:
        return None
    schedules = orjson.loads(row["schedules"]) if row["schedules"] else []
    return build(Pinned, row, status=VersionStatus(row["status"]), schedules=schedules)


async def find_pinned_body(
    connection: Connection, company_id: int, flow_id: int, version_id: int, digest: bytes
) -> str | None:
    """The content with this digest that the version has or had; None if even the trash no longer has it."""
    body: str | None = await connection.fetchval(_FIND_PINNED, company_id, flow_id, version_id, digest)
    return body


async def insert(connection: Connection, uploader: Principal, item: NewItem, made: Made) -> tuple[int, bool]:
    """The id of the item with this artifact, and whether it is new. Waits for a rival that adds the same."""
    found: int | None = await connection.fetchval(
        _INSERT,
        uploader.company_id,
        item.flow_id,
        item.version_id,
        item.name,
        fold(item.name),
        item.version,
        item.description,
        item.private,
        made.digest,
        made.size,
        made.key_id,
        item.job_id,
        uploader.actor_type,
        uploader.actor_id,
        made.file,
    )
    if found is not None:
        return found, True
    first: int = await connection.fetchval(_FIND_BY_DIGEST, uploader.company_id, made.digest, item.private)
    return first, False


async def list_page(connection: Connection, company_id: int, listing: Listing) -> tuple[list[Item], int]:
    """A page of the items a company can see, and how many there are in all."""
    statement, values = listed_by(_LIST, ITEMS, listing, first=4)
    rows = await connection.fetch(statement, company_id, listing.limit, listing.offset, *values)
    total = await total_of(connection, _COUNT, ITEMS, listing, (company_id,), len(rows))
    return [build(Item, row) for row in rows], total


async def read(connection: Connection, company_id: int, item_id: int) -> Item | None:
    """One item that the company can see."""
    found, _ = await list_page(connection, company_id, Listing(1, 0, {"id": [item_id]}))
    return found[0] if found else None


async def show_page(
    connection: Connection, visitor: Visitor, listing: Listing, template: Template
) -> asyncpg.Record | None:
    """A page of the items the caller's company can see: who asks, to settle; then items (JSON in UTF-8, joined by
    commas), ids (in this order; null for none) and total. None for a caller who is nobody.
    """
    statement, values = listed_by(_showing(_SHOW_PAGE, template), ITEMS, listing, first=7)
    return await connection.fetchrow(statement, *visitor.shown, listing.limit, listing.offset, *values)


async def find_file(connection: Connection, company_id: int, item_id: int) -> bytes | None:
    file: bytes | None = await connection.fetchval(_FIND_FILE, company_id, item_id)
    return file


async def yank(connection: Connection, principal: Principal, item_id: int, reason: str) -> bool:
    """False if it was yanked before."""
    values = (item_id, principal.company_id, reason, principal.actor_type, principal.actor_id)
    return await connection.fetchval(_YANK, *values) is not None


async def record_install(connection: Connection, company_id: int, job_id: int, item_id: int, flow_id: int) -> None:
    await connection.execute(_INSTALL, job_id, item_id, company_id, flow_id)


async def lock_head(connection: Connection, company_id: int) -> Head:
    """Holds a company's log until the transaction ends, and reads where it stands."""
    await connection.execute(_LOCK_LOG, company_id)
    return build(Head, await connection.fetchrow(_READ_HEAD, company_id))


async def append(connection: Connection, entry: Entry) -> None:
    await connection.execute(
        _APPEND,
        entry.company_id,
        entry.sequence,
        entry.kind,
        entry.item_id,
        entry.text,
        entry.previous,
        entry.hash,
        entry.key_id,
        entry.signature,
    )


async def list_log(
    connection: Connection, company_id: int, of_companies: Sequence[int] | None, *, limit: int, offset: int
) -> tuple[list[Entry], int]:
    """A page of what a company can see of the log, and how many entries there are in all."""
    rows = await connection.fetch(_LIST_LOG, company_id, of_companies, limit, offset)
    total: int = await connection.fetchval(_COUNT_LOG, company_id, of_companies)
    return [_entry(row) for row in rows], total


def _entry(row: asyncpg.Record) -> Entry:
    return build(Entry, row, kind=Happening(row["kind"]))
