"""The Losant dialect's wire shapes: what its requests may hold, and our values as its JSON.

Source of the shapes: Losant's published JSON Schemas (contracts/losant/*.json). Fields that are unset are left out,
because no response field there is nullable.
"""

from __future__ import annotations

from typing import Any

import orjson

from core.domain import job_log
from core.domain.documents import Document, canonical_digest
from core.domain.flows import FLOW_CLASSES, MOST_DESCRIPTION, Flow
from core.domain.flows import MOST_NAME as MOST_FLOW_NAME
from core.domain.identifiers import hex_id
from core.domain.jobs import Job, JobStatus
from core.domain.versions import MOST_NAME, MOST_NOTES, Content, Version
from schemas.fields import Body, Flag, HexId, Mapped, Objects, Query, QueryFlag, Text, Word, milliseconds


class FlowPost(Body):
    name = Text(least=1, most=MOST_FLOW_NAME, required=True)
    description = Text(most=MOST_DESCRIPTION)
    enabled = Flag()
    flow_class = Word(*FLOW_CLASSES, data_key="flowClass")


class FlowPatch(Body):
    name = Text(least=1, most=MOST_FLOW_NAME)
    description = Text(most=MOST_DESCRIPTION)
    enabled = Flag()
    default_version_id = HexId(data_key="defaultVersionId", allow_none=True)


class FlowVersionPost(Body):
    version = Text(least=1, most=MOST_NAME, required=True)
    notes = Text(most=MOST_NOTES)
    enabled = Flag()
    triggers = Objects()
    nodes = Objects()
    globals = Objects(most=100)
    minimum_agent_version = Text(most=64, data_key="minimumAgentVersion")
    custom_node_config = Mapped(data_key="customNodeConfig")


class FlowVersionsDeletePost(Body):
    query = Mapped(required=True)
    email = Text(least=1, most=1024)
    callback_url = Text(least=1, most=1024, data_key="callbackUrl")


class FlowVersionPatch(Body):
    notes = Text(most=MOST_NOTES)
    enabled = Flag()


class DeletionQuery(Query):
    dry_run = QueryFlag(load_default=False, data_key="dryRun")


CONTENT_KEYS = ("triggers", "nodes", "globals", "minimumAgentVersion", "customNodeConfig")
"""What of a request becomes a version's body, in this order. Omitted triggers and nodes become empty lists."""


def content_of(document: Document) -> Content:
    """The content of a version, its text exactly as it was sent."""
    texts = {"triggers": "[]", "nodes": "[]"} | {
        key: document.texts[key] for key in CONTENT_KEYS if key in document.texts
    }
    value = {"triggers": [], "nodes": []} | {key: document.value[key] for key in CONTENT_KEYS if key in document.value}
    body = ",".join(f'"{key}":{texts[key]}' for key in CONTENT_KEYS if key in texts)
    return Content("{" + body + "}", canonical_digest(value))


def render_flow(flow: Flow) -> bytes:
    """A flow as JSON text."""
    shown = {
        "id": hex_id(flow.id),
        "flowId": hex_id(flow.id),
        "applicationId": hex_id(flow.application_id),
        "creationDate": milliseconds(flow.created_at),
        "lastUpdated": milliseconds(flow.updated_at),
        **_authors(flow),
        "name": flow.name,
        "enabled": flow.enabled,
        "flowClass": flow.flow_class,
    }
    if flow.description is not None:
        shown["description"] = flow.description
    if flow.deployed_version_id is not None:
        shown["defaultVersionId"] = hex_id(flow.deployed_version_id)
    return orjson.dumps(shown)


def render_version(version: Version, application_id: int, flow_class: str) -> bytes:
    """A version as JSON text: its body is joined on as it was sent, never parsed and written again."""
    shown = {
        "id": hex_id(version.id),
        "flowVersionId": hex_id(version.id),
        "flowId": hex_id(version.flow_id),
        "applicationId": hex_id(application_id),
        "creationDate": milliseconds(version.created_at),
        "lastUpdated": milliseconds(version.updated_at),
        **_authors(version),
        "version": version.name,
        "flowClass": flow_class,
        "enabled": version.enabled,
    }
    if version.notes is not None:
        shown["notes"] = version.notes
    return orjson.dumps(shown)[:-1] + b"," + version.body[1:].encode()


def joined(text: bytes, *members: bytes) -> bytes:
    """A rendered object with more members, each rendered as members are, without braces; b"" is none."""
    return text[:-1] + b"".join(b"," + one for one in members if one) + b"}"


def render_list(items: list[bytes], **envelope: Any) -> bytes:
    """A page of rendered items in Losant's envelope."""
    head = orjson.dumps({"count": len(items), **envelope})
    return b'{"items":[' + b",".join(items) + b"]," + head[1:]


def render_job_log(job: Job) -> dict[str, Any]:
    """A job as an entry of the application's job log. Its schema has no flow, so the resource is the application."""
    assert job.application_id is not None, "every deletion belongs to an application"
    application = hex_id(job.application_id)
    status = job_log.STATUSES[job.status]
    shown: dict[str, Any] = {
        "id": hex_id(job.id),
        "jobId": hex_id(job.id),
        "name": job_log.NAMES[job.kind],
        "applicationId": application,
        "runQueuedAt": milliseconds(job.created_at),
        "status": status,
        "requestedByType": "apiToken" if job.requested_by_type == "apiToken" else "system",
        "ownerType": "application",
        "ownerId": application,
        "resourceType": job_log.RESOURCE_TYPE,
        "resourceId": application,
        "progress": {"completed": job.done, "total": job.total, "status": status},
        "input": _job_input(job),
    }
    if job.requested_by_id is not None:
        shown["requestedById"] = hex_id(job.requested_by_id)
    if job.started_at is not None:
        shown["runStartedAt"] = milliseconds(job.started_at)
    if job.finished_at is not None:
        shown["runCompletedAt"] = milliseconds(job.finished_at)
        shown["output"] = {"removed": job.removed, "failed": job.failed}
    if error := _job_error(job):
        shown["error"] = error
    return shown


def _job_input(job: Job) -> dict[str, Any]:
    shown: dict[str, Any] = {"jobId": job.public_id}
    if "query" in job.arguments:
        shown["query"] = job.arguments["query"]
    if email := job.arguments.get("email"):
        shown["emails"] = [email]
    if url := job.arguments.get("callbackUrl"):
        shown["callbackUrl"] = url
    return shown


def _job_error(job: Job) -> dict[str, str] | None:
    if job.status is JobStatus.CANCELLED:
        return {"name": "Cancelled", "message": "The job was cancelled before its end."}
    if job.error_code is None:
        return None
    return {"name": job.error_code, "message": job.error_message or ""}


def _authors(thing: Flow | Version) -> dict[str, str]:
    """Who made and last changed it, as far as Losant has a word for them."""
    shown: dict[str, str] = {}
    if thing.created_by_type == "apiToken" and thing.created_by_id is not None:
        shown |= {"createdById": hex_id(thing.created_by_id), "createdByType": "apiToken"}
    if thing.updated_by_type == "apiToken" and thing.updated_by_id is not None:
        shown |= {"lastUpdatedById": hex_id(thing.updated_by_id), "lastUpdatedByType": "apiToken"}
    return shown
