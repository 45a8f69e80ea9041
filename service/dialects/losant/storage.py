"""Losant's storage of a `flow`."""

from __future__ import annotations

from core.domain.etags import render_etag
from core.domain.storage import Entry
from core.operations import storage
from schemas.losant import render_storage_use
from service.calls import Answer, Call
from service.dialects.losant.flows import application_of, flow_of


async def read_storage(call: Call) -> Answer:
    found = await storage.read_storage(call.principal, call.database, application_of(call), flow_of(call))
    return Answer(200, found.entries.encode(), {"ETag": render_etag(found.revision)})


async def read_metadata(call: Call) -> Answer:
    use = await storage.read_storage_use(call.principal, call.database, application_of(call), flow_of(call))
    return Answer(200, render_storage_use(use), {"ETag": render_etag(use.revision)})


async def set_entry(call: Call) -> Answer:
    """Sets one value; a key without one is deleted, as Losant's editor deletes single values."""
    revision = await (_set if "value" in call.document.texts else _delete)(call)
    return Answer(200, {"success": True}, {"ETag": render_etag(revision)})


async def clear_storage(call: Call) -> Answer:
    """Answers with what the storage holds then: nothing."""
    revision = await storage.clear_storage(
        call.principal,
        call.database,
        application_of(call),
        flow_of(call),
        keep=call.service.keep,
        etag=call.if_match,
    )
    return Answer(200, {}, {"ETag": render_etag(revision)})


async def _set(call: Call) -> int:
    entry = Entry(call.body["key"], call.document.texts["value"])
    return await storage.set_entry(
        call.principal, call.database, application_of(call), flow_of(call), entry, etag=call.if_match
    )


async def _delete(call: Call) -> int:
    return await storage.delete_entry(
        call.principal,
        call.database,
        application_of(call),
        flow_of(call),
        call.body["key"],
        keep=call.service.keep,
        etag=call.if_match,
    )
