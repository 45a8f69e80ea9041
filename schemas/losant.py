"""The Losant dialect's wire shapes: what its requests may hold, and our values as its JSON.

Source of the shapes: Losant's published JSON Schemas (contracts/losant/*.json). Fields that are unset are left out,
because no response field there is nullable.
"""

from __future__ import annotations

from typing import Any

import orjson

from core.domain import job_log, templates
from core.domain.contents import DEVELOP_LISTS, new_content
from core.domain.documents import Document
from core.domain.flow_classes import EXPERIENCE, FLOW_CLASSES
from core.domain.flows import MOST_DESCRIPTION, Flow
from core.domain.flows import MOST_NAME as MOST_FLOW_NAME
from core.domain.identifiers import hex_id
from core.domain.jobs import Job, JobStatus
from core.domain.storage import MOST_KEY, StorageUse
from core.domain.templates import Given, Hole, Part, Template
from core.domain.versions import MOST_NAME, MOST_NOTES, Content
from schemas.contents import CUSTOM_NODE_CONFIG, GLOBAL, MOST_TEXT, NODE, TRIGGER, VERSION
from schemas.custom_nodes import render_looks
from schemas.fields import Anything, Body, Flag, Form, HexId, Mapped, Query, QueryFlag, Text, Word, milliseconds
from schemas.links import place_links
from schemas.shapes import ListOf, Record

MOST_AGENT_VERSION = 64
"""Characters of three numbers; the contract sets no bound."""

ICON = Form(r"data:image/(?:jpg|jpeg|png|svg\+xml);base64,[0-9a-zA-Z+/=]*", "a JPEG, PNG or SVG as base64 data URI")


class ContentBody(Body):
    """What becomes the content of a version or of develop."""

    triggers = ListOf(TRIGGER)
    nodes = ListOf(NODE)
    globals = ListOf(GLOBAL, most=100)
    minimum_agent_version = Text(most=MOST_AGENT_VERSION, form=VERSION, data_key="minimumAgentVersion")
    custom_node_config = Record(CUSTOM_NODE_CONFIG, data_key="customNodeConfig")


class FlowBody(ContentBody):
    """What can be said of a flow when it is made and later. An icon of null and an empty category are none."""

    description = Text(most=MOST_DESCRIPTION)
    short_description = Text(most=1024, data_key="shortDescription")
    icon_data = Text(most=MOST_TEXT, form=ICON, data_key="iconData", allow_none=True)
    docs_url = Text(most=1024, data_key="docsUrl")
    category = Word("data", "experience", "logic", "output", "debug", "")
    enabled = Flag()


class FlowPost(FlowBody):
    name = Text(least=1, most=MOST_FLOW_NAME, required=True)
    flow_class = Word(*FLOW_CLASSES, data_key="flowClass")
    custom_node_supports = ListOf(Word("cloud", "edge"), most=1, data_key="customNodeSupports")


class FlowPatch(FlowBody):
    name = Text(least=1, most=MOST_FLOW_NAME)
    default_version_id = HexId(data_key="defaultVersionId", allow_none=True)


class FlowStorageEntry(Body):
    """Without a `value` the key is deleted; null is a value like any other."""

    key = Text(least=1, most=MOST_KEY, required=True)
    value = Anything(allow_none=True)


class FlowVersionPost(ContentBody):
    version = Text(least=1, most=MOST_NAME, required=True)
    notes = Text(most=MOST_NOTES)
    enabled = Flag()


class FlowVersionsDeletePost(Body):
    query = Mapped(required=True)
    email = Text(least=1, most=1024)
    callback_url = Text(least=1, most=1024, data_key="callbackUrl")


class FlowVersionPatch(Body):
    notes = Text(most=MOST_NOTES)
    enabled = Flag()


class DeletionQuery(Query):
    dry_run = QueryFlag(load_default=False, data_key="dryRun")


EMPTY_DEVELOP = "{" + ",".join(f'"{name}":[]' for name in DEVELOP_LISTS) + "}"
"""How a flow reads that was never given any content."""


def content_of(document: Document, *, strict: bool = False) -> Content:
    """The content of a new version, its text exactly as it was sent. Raises Invalid for links that lead nowhere."""
    return new_content(document, strict=strict)


def render_flow(flow: Flow) -> bytes:
    """A flow as JSON text, its develop content joined on as it was sent."""
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
    shown |= render_looks(flow)
    if flow.custom_node_supports is not None:
        shown["customNodeSupports"] = flow.custom_node_supports
    return orjson.dumps(shown)[:-1] + b"," + (flow.develop or EMPTY_DEVELOP)[1:].encode()


def joined(text: bytes, *members: bytes) -> bytes:
    """A rendered object with more members, each rendered as members are, without braces; b"" is none."""
    more = [b"," + one for one in members if one]
    return b"".join([text[:-1], *more, b"}"]) if more else text


def _hex(column: str) -> Hole:
    return Hole(column, templates.Form.HEX_ID)


def render_storage_use(use: StorageUse) -> dict[str, Any]:
    return {"memoryUsed": use.memory_used, "keysCount": use.keys_count}


def _author(prefix: str, column: str) -> Given:
    """Who made or last changed a version, as far as Losant has a word for them."""
    shown = (f',"{prefix}ById":"', _hex(f"{column}_id"), f'","{prefix}ByType":"apiToken"')
    return Given(f"{column}_type", shown, being="apiToken")


_VERSION: tuple[Part, ...] = (
    '{"id":"', _hex("id"),
    '","flowVersionId":"', _hex("id"),
    '","flowId":"', _hex("flow_id"),
    '","applicationId":"', _hex("application_id"),
    '","creationDate":"', Hole("created_at", templates.Form.INSTANT),
    '","lastUpdated":"', Hole("updated_at", templates.Form.INSTANT),
    '"', _author("created", "created_by"),
    _author("lastUpdated", "updated_by"),
    ',"version":', Hole("name", templates.Form.JSON),
    Given("flow_class", (',"versions":[', Hole("name", templates.Form.JSON), "]"), being=EXPERIENCE),
    ',"flowClass":', Hole("flow_class", templates.Form.JSON),
    ',"enabled":', Hole("enabled", templates.Form.JSON),
    Given("notes", (',"notes":', Hole("notes", templates.Form.JSON))),
    ",",
)  # fmt: skip
_BODY = Hole("body", templates.Form.MEMBERS)

SHOWN_VERSION = Template((*_VERSION, _BODY))
"""A version: its body is joined on as it was sent, never parsed and written again."""

LINKED_VERSION = Template((*_VERSION, *place_links("flowVersion", thing="id"), ",", _BODY))
"""The same with its type and its links, for whom the official clients always ask."""


def render_page(items: bytes, **envelope: Any) -> bytes:
    """A page of items that are JSON already, in Losant's envelope."""
    return b'{"items":[' + items + b"]," + orjson.dumps(envelope)[1:]


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


def _authors(thing: Flow) -> dict[str, str]:
    """Who made and last changed it, as far as Losant has a word for them."""
    shown: dict[str, str] = {}
    if thing.created_by_type == "apiToken" and thing.created_by_id is not None:
        shown |= {"createdById": hex_id(thing.created_by_id), "createdByType": "apiToken"}
    if thing.updated_by_type == "apiToken" and thing.updated_by_id is not None:
        shown |= {"lastUpdatedById": hex_id(thing.updated_by_id), "lastUpdatedByType": "apiToken"}
    return shown
