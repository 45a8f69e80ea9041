"""What a company can see of the marketplace, and how it takes back what is its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.domain.access import Principal
from core.domain.errors import Conflict, Forbidden, NotFound
from core.domain.listings import Listing
from core.domain.marketplace import Deed, Entry, Happening, Item
from core.operations.artifact_keys import RandomBytes, signing_key
from core.operations.uploads import append_to_log
from core.store import audit_events
from core.store import marketplace as store
from core.store.database import Connection, Database

ITEM_UNKNOWN = "Marketplace item was not found"
"""The one answer for an item that never existed, and one of a company that this one sees nothing of."""

NOT_YOURS = "Only the company that uploaded an item can yank it."


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


async def list_item_versions(
    principal: Principal, database: Database, item_id: int, *, limit: int, offset: int
) -> tuple[list[Item], int]:
    """A page of the items that were uploaded from the same flow, the newest first. Raises NotFound."""
    async with database.connection() as connection:
        item = await _read(connection, principal, item_id)
        same = {"company_id": [item.company_id], "flow_id": [item.flow_id]}
        return await store.list_page(connection, principal.company_id, Listing(limit, offset, same))


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


async def _read(connection: Connection, principal: Principal, item_id: int) -> Item:
    item = await store.read(connection, principal.company_id, item_id)
    if item is None:
        raise NotFound(ITEM_UNKNOWN)
    return item
