"""Losant's `flowVersions` and `flowVersion`."""

from __future__ import annotations

from core.domain.addresses import check_callback_url, check_recipient
from core.domain.errors import Invalid
from core.domain.identifiers import hex_id
from core.domain.query import parse_query
from core.domain.versions import NewVersion
from core.operations import deletions, versions
from schemas.losant import content_of, render_list, render_version
from service.calls import Answer, Call, computed
from service.dialects.losant.flows import application_of, flow_of
from service.keys import idempotency_key

MOST_QUERY_BYTES = 262_144
"""The largest query taken. The bounds on its conditions would allow no more than this anyway."""


def version_of(call: Call) -> str:
    """The id or name in the path. No name has a NUL, and PostgreSQL could not even be asked about one."""
    segment = call.path["flowVersionId"]
    return "" if "\0" in segment else segment


async def list_versions(call: Call) -> Answer:
    application_id, flow_id = application_of(call), flow_of(call)
    page, per_page = call.query["page"], call.query["per_page"]
    direction = call.query["sort_direction"] or "asc"
    found, total, flow_class = await versions.list_versions(
        call.principal,
        call.database,
        application_id,
        flow_id,
        sort=call.query["sort_field"],
        descending=direction.lower() == "desc",
        page=page,
        per_page=per_page,
    )
    body = render_list(
        [render_version(version, application_id, flow_class) for version in found],
        totalCount=total,
        perPage=per_page,
        page=page,
        sortField=call.query["sort_field"],
        sortDirection=direction,
        applicationId=hex_id(application_id),
        flowId=hex_id(flow_id),
    )
    return Answer(200, body)


async def create_version(call: Call) -> Answer:
    application_id = application_of(call)
    new = NewVersion(
        name=call.body["version"],
        enabled=call.body.get("enabled", True),
        notes=call.body.get("notes"),
        content=await computed(len(call.raw_body), lambda: content_of(call.document)),
    )
    version, flow = await versions.create_version(
        call.principal,
        call.database,
        application_id,
        flow_of(call),
        new,
        replace=call.query["allow_replacement"],
        keep=call.service.keep,
    )
    return Answer(201, render_version(version, application_id, flow.flow_class))


async def read_version(call: Call) -> Answer:
    application_id = application_of(call)
    version, flow_class = await versions.read_version(
        call.principal, call.database, application_id, flow_of(call), version_of(call)
    )
    return Answer(200, render_version(version, application_id, flow_class))


async def delete_version(call: Call) -> Answer:
    await versions.delete_version(
        call.principal,
        call.database,
        application_of(call),
        flow_of(call),
        version_of(call),
        keep=call.service.keep,
    )
    return Answer(200, {"success": True})


async def delete_versions(call: Call) -> Answer:
    """Accepts a bulk delete: the set is fixed when this answers, and nothing of it is deleted yet."""
    public_id = await deletions.accept_deletion(
        call.principal,
        call.database,
        application_of(call),
        flow_of(call),
        _request(call),
        public_id=call.service.terms.new_id(),
        key=idempotency_key(call),
    )
    call.service.hints.staged()
    location = f"/api/v1/jobs/{public_id}"
    answer = {"success": True, "jobQueued": True, "jobId": public_id}
    return Answer(202, answer, {"Location": location, "Retry-After": "1"})


def _request(call: Call) -> deletions.DeletionRequest:
    text = call.document.texts["query"]
    if len(text.encode()) > MOST_QUERY_BYTES:
        raise Invalid(f"must have at most {MOST_QUERY_BYTES} bytes", "query")
    email, url = call.body.get("email"), call.body.get("callback_url")
    return deletions.DeletionRequest(
        query=parse_query(call.body["query"]),
        query_text=text,
        email=None if email is None else check_recipient(email, call.service.settings.mail_domains),
        callback_url=None if url is None else check_callback_url(url),
    )
