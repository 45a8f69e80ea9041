"""Losant's `flowVersions` and `flowVersion`."""

from __future__ import annotations

from core.domain import languages
from core.domain.addresses import check_callback_url, check_recipient
from core.domain.errors import Invalid
from core.domain.etags import render_etag
from core.domain.identifiers import hex_id
from core.domain.query import EVERYTHING, Glob, Selection, parse_query
from core.domain.versions import NewVersion, VersionChange
from core.operations import deletions, versions
from core.operations.shown import Shown
from core.threads import computed
from schemas.lists import MOST_QUERY
from schemas.losant import content_of, joined, render_page
from service.calls import Answer, Call
from service.dialects.losant.extras import custom_nodes_of, links_of, version_template
from service.dialects.losant.flows import application_of, flow_of
from service.dialects.losant.lists import envelope_of, order_of, query_of
from service.keys import idempotency_key
from service.waiting import ended_within, preferred_wait


def version_of(call: Call) -> str:
    """The id or name in the path. No name has a NUL, and PostgreSQL could not even be asked about one."""
    segment = call.path["flowVersionId"]
    return "" if "\0" in segment else segment


async def list_versions(call: Call) -> Answer:
    application_id, flow_id = application_of(call), flow_of(call)
    found = await versions.show_versions(
        call.claim, call.database, flow_id, await _selection(call), order_of(call), version_template(call)
    )
    custom_nodes = await custom_nodes_of(call, version_ids=found.ids)
    envelope = envelope_of(
        call, len(found.ids), found.total, applicationId=hex_id(application_id), flowId=hex_id(flow_id)
    )
    return Answer(
        200, joined(render_page(found.items, **envelope), links_of(call, "flowVersions", flow_id), custom_nodes)
    )


async def _selection(call: Call) -> Selection:
    """`query` overrides the filter; a blank filter is none."""
    query = await query_of(call, languages.VERSIONS)
    if query is not None:
        return query
    return Glob(call.query["filter"]) if call.query.get("filter") else EVERYTHING


async def create_version(call: Call) -> Answer:
    new = NewVersion(
        name=call.body["version"],
        enabled=call.body.get("enabled", True),
        notes=call.body.get("notes"),
        content=await computed(len(call.raw_body), lambda: content_of(call.document, strict=call.query["strict"])),
    )
    asked = (call.claim, call.database, flow_of(call), new, version_template(call))
    if call.query["allow_replacement"]:
        shown = await versions.create_or_replace_version(*asked, keep=call.service.keep, etag=call.if_match)
    else:
        shown = await versions.create_version(*asked, etag=call.if_match)
    return await _answer(call, 201, shown)


async def read_version(call: Call) -> Answer:
    shown = await versions.show_version(
        call.claim, call.database, flow_of(call), version_of(call), version_template(call)
    )
    return await _answer(call, 200, shown)


async def change_version(call: Call) -> Answer:
    change = VersionChange(notes=call.body.get("notes"), enabled=call.body.get("enabled"))
    shown = await versions.change_version(
        call.principal,
        call.database,
        application_of(call),
        flow_of(call),
        version_of(call),
        change,
        version_template(call),
        etag=call.if_match,
    )
    return await _answer(call, 200, shown)


async def delete_version(call: Call) -> Answer:
    await versions.delete_version(
        call.principal,
        call.database,
        application_of(call),
        flow_of(call),
        version_of(call),
        keep=call.service.keep,
        etag=call.if_match,
    )
    return Answer(200, {"success": True})


async def delete_versions(call: Call) -> Answer:
    """Accepts a bulk delete: the set is fixed when this answers, and nothing of it is deleted yet.

    With `dryRun` nothing is written; with `Prefer: wait=N` the answer is the outcome if there is one in time.
    """
    request = _request(call)
    if call.query["dry_run"]:
        return await _preview(call, request)
    public_id = await deletions.accept_deletion(
        call.principal,
        call.database,
        application_of(call),
        flow_of(call),
        request,
        public_id=call.service.terms.new_id(),
        key=idempotency_key(call),
    )
    call.service.hints.staged()
    location = {"Location": f"/api/v1/jobs/{public_id}"}
    if seconds := preferred_wait(call):
        job = await ended_within(call, public_id, seconds)
        if job is not None:
            return Answer(200, {"removed": job.removed, "failed": job.failed}, location)
    answer = {"success": True, "jobQueued": True, "jobId": public_id}
    return Answer(202, answer, {**location, "Retry-After": "1"})


async def _preview(call: Call, request: deletions.DeletionRequest) -> Answer:
    preview = await deletions.preview_deletion(
        call.principal, call.database, application_of(call), flow_of(call), request.query
    )
    sample = [{"id": hex_id(number), "version": name} for number, name in preview.sample]
    return Answer(200, {"matched": preview.matched, "protected": preview.protected, "sample": sample})


async def _answer(call: Call, status: int, shown: Shown) -> Answer:
    """One version with all it was asked for."""
    custom_nodes = await custom_nodes_of(call, version_ids=[shown.id])
    return Answer(status, joined(shown.text, custom_nodes), {"ETag": render_etag(shown.revision)})


def _request(call: Call) -> deletions.DeletionRequest:
    text = call.document.texts["query"]
    if len(text) > MOST_QUERY:
        raise Invalid(f"must have at most {MOST_QUERY} characters", "query")
    email, url = call.body.get("email"), call.body.get("callback_url")
    return deletions.DeletionRequest(
        query=parse_query(call.body["query"]),
        query_text=text,
        email=None if email is None else check_recipient(email, call.service.settings.mail_domains),
        callback_url=None if url is None else check_callback_url(url),
    )
