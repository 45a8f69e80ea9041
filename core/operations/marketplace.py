"""What a company can see of the marketplace, and how it takes back what is its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.domain.access import Need, Principal, Role, Visitor, require_somebody
from core.domain.errors import Conflict, Forbidden, NotFound
from core.domain.listings import Listing
from core.domain.marketplace import Deed, Entry, Happening, Item
from core.domain.templates import Template
from core.operations.access import settle
from core.operations.artifact_keys import RandomBytes, signing_key
from core.operations.shown import Page
from core.operations.uploads import append_to_log
from core.store import audit_events
from core.store import marketplace as store
from core.store.database import Connection, Database

ITEM_UNKNOWN = "Marketplace item was not found"
"""The one answer for an item that never existed, and one of a company that this one sees nothing of."""

NOT_YOURS = "Only the company that uploaded an item can yank it."


READING = Need("marketplace.get", reads=True)
"""What reading takes, beside a role. No token of an application has it for itself, and `all` does not suffice."""


@dataclass(frozen=True, slots=True)
class File:
    """An item's signed file; `content` is None if whoever asks has it already."""

    digest: bytes
    content: bytes | None


async def list_items(principal: Principal, database: Database, listing: Listing) -> tuple[list[Item], int]:
    """A page of the items the caller's company can see, and how many there are in all."""
    async with database.connection() as connection:
        return await store.list_page(connection, principal.company_id, listing)


async def read_item(principal: Principal, database: Database, item_id: int) -> Item:
    """Raises NotFound."""
    async with database.connection() as connection:
        return await _read(connection, principal, item_id)


async def show_items(visitor: Visitor, database: Database, listing: Listing, template: Template) -> Page:
    """A page of the items the caller's company can see. Raises what `settle` raises, and Forbidden for a token of an
    application, whatever its scopes."""
    async with database.connection() as connection:
        row = await store.show_page(connection, visitor, listing, template)
    require_somebody(settle(visitor, row))
    assert row is not None, "whoever asks is known"
    return Page.of(row)


async def show_item(principal: Principal, database: Database, item_id: int, template: Template) -> bytes:
    """One of them. Raises NotFound."""
    page = await show_items(_known(principal), database, Listing(1, 0, {"id": [item_id]}), template)
    if not page.ids:
        raise NotFound(ITEM_UNKNOWN)
    return page.items


async def show_item_versions(
    principal: Principal, database: Database, item_id: int, template: Template, *, limit: int, offset: int
) -> Page:
    """A page of the items that were uploaded from the same flow, the newest first. Raises NotFound."""
    item = await read_item(principal, database, item_id)
    same = {"company_id": [item.company_id], "flow_id": [item.flow_id]}
    return await show_items(_known(principal), database, Listing(limit, offset, same), template)


async def read_file(
    principal: Principal, database: Database, item_id: int, *, is_known: Callable[[bytes], bool]
) -> File:
    """The file of an item, yanked or not, unless its digest says that the caller has it. Raises NotFound."""
    async with database.connection() as connection:
        item = await _read(connection, principal, item_id)
        if is_known(item.digest):
            return File(item.digest, None)
        file = await store.find_file(connection, principal.company_id, item_id)
        assert file is not None, "an item has its file, and both stay"
        return File(item.digest, file)


async def list_log(
    principal: Principal, database: Database, of_companies: Sequence[int] | None, *, limit: int, offset: int
) -> tuple[list[Entry], int]:
    """A page of the log entries about items the caller's company can see, the newest first, company by company."""
    async with database.connection() as connection:
        return await store.list_log(connection, principal.company_id, of_companies, limit=limit, offset=offset)


async def yank_item(
    principal: Principal, database: Database, item_id: int, reason: str, random_bytes: RandomBytes = os.urandom
) -> Item:
    """Takes an item back: it can still be read and downloaded, and is installed only by force.

    Raises NotFound for an item the caller's company cannot see, Forbidden for one of another company, and Conflict for
    one that was yanked before.
    """

    async def work(connection: Connection) -> Item:
        item = await _read(connection, principal, item_id)
        if item.company_id != principal.company_id:
            raise Forbidden(NOT_YOURS)
        if not await store.yank(connection, principal, item_id, reason):
            raise Conflict("This item was yanked before.")
        key = await signing_key(connection, principal, random_bytes)
        await audit_events.record(
            connection, principal, "item.yank", ("item", item_id), before=item.digest, details={"reason": reason}
        )
        await append_to_log(connection, Deed(Happening.YANK, item.company_id, item_id, item.digest, reason), key)
        return await _read(connection, principal, item_id)

    return await database.transaction(work)


def _known(principal: Principal) -> Visitor:
    """Somebody who was recognised before."""
    return Visitor(READING, Role.READ_ONLY, principal.remote, principal=principal)


async def _read(connection: Connection, principal: Principal, item_id: int) -> Item:
    item = await store.read(connection, principal.company_id, item_id)
    if item is None:
        raise NotFound(ITEM_UNKNOWN)
    return item
