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
from core.domain.flows import MOST_DESCRIPTION
from core.domain.flows import MOST_NAME as MOST_FLOW_NAME
from core.domain.jobs import JobStatus
from core.domain.storage import MOST_KEY, StorageUse
from core.domain.templates import Given, Hole, Part, Template
from core.domain.versions import MOST_NAME, MOST_NOTES, Content
from schemas.contents import CUSTOM_NODE_CONFIG, GLOBAL, MOST_TEXT, NODE, TRIGGER, VERSION
from schemas.fields import Anything, Body, Flag, Form, HexId, Mapped, Query, QueryFlag, Text, Word
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


def joined(text: bytes, *members: bytes) -> bytes:
    """A rendered object with more members, each rendered as members are, without braces; b"" is none."""
    more = [b"," + one for one in members if one]
    return b"".join([text[:-1], *more, b"}"]) if more else text


def render_page(items: bytes, **envelope: Any) -> bytes:
    """A page of items that are JSON already, in Losant's envelope."""
    return b'{"items":[' + items + b"]," + orjson.dumps(envelope)[1:]


def render_storage_use(use: StorageUse) -> dict[str, Any]:
    return {"memoryUsed": use.memory_used, "keysCount": use.keys_count}


def _hex(column: str) -> Hole:
    return Hole(column, templates.Form.HEX_ID)


def _instant(column: str) -> Hole:
    return Hole(column, templates.Form.INSTANT)


def _json(column: str, absent: str | None = None) -> Hole:
    return Hole(column, templates.Form.JSON, absent)


def _member(name: str, column: str, unlike: str | None = None) -> Given:
    """A member that is left out where the column has no value, or this one."""
    return Given(column, (f',"{name}":', _json(column)), unlike=unlike)


def _author(prefix: str, column: str) -> Given:
    """Who made or last changed a thing, as far as Losant has a word for them."""
    shown = (f',"{prefix}ById":"', _hex(f"{column}_id"), f'","{prefix}ByType":"apiToken"')
    return Given(f"{column}_type", shown, being="apiToken")


_BORN: tuple[Part, ...] = (
    '","applicationId":"', _hex("application_id"),
    '","creationDate":"', _instant("created_at"),
    '","lastUpdated":"', _instant("updated_at"),
    '"', _author("created", "created_by"),
    _author("lastUpdated", "updated_by"),
)  # fmt: skip
"""What flows and versions have in common."""

_FLOW: tuple[Part, ...] = (
    '{"id":"', _hex("id"),
    '","flowId":"', _hex("id"),
    *_BORN,
    ',"name":', _json("name"),
    ',"enabled":', _json("enabled"),
    ',"flowClass":', _json("flow_class"),
    _member("description", "description"),
    Given("deployed_version_id", (',"defaultVersionId":"', _hex("deployed_version_id"), '"')),
    _member("shortDescription", "short_description"),
    _member("iconData", "icon_data", unlike=""),
    _member("docsUrl", "docs_url"),
    _member("category", "category", unlike=""),
    _member("customNodeSupports", "custom_node_supports"),
    ",",
)  # fmt: skip
_DEVELOP = Hole("develop", templates.Form.MEMBERS, absent=EMPTY_DEVELOP)

SHOWN_FLOW = Template((*_FLOW, _DEVELOP))
"""A flow: its develop content is joined on as it was sent, never parsed and written again. An empty icon or category is
none."""

LINKED_FLOW = Template((*_FLOW, *place_links("flow", flow="id"), ",", _DEVELOP))
"""The same with its type and its links, for whom the official clients always ask."""

_VERSION: tuple[Part, ...] = (
    '{"id":"', _hex("id"),
    '","flowVersionId":"', _hex("id"),
    '","flowId":"', _hex("flow_id"),
    *_BORN,
    ',"version":', _json("name"),
    Given("flow_class", (',"versions":[', _json("name"), "]"), being=EXPERIENCE),
    ',"flowClass":', _json("flow_class"),
    ',"enabled":', _json("enabled"),
    _member("notes", "notes"),
    ",",
)  # fmt: skip
_BODY = Hole("body", templates.Form.MEMBERS)

SHOWN_VERSION = Template((*_VERSION, _BODY))
"""A version, its body like a flow's develop content."""

LINKED_VERSION = Template((*_VERSION, *place_links("flowVersion", flow="flow_id", thing="id"), ",", _BODY))

_CANCELLED = ',"error":{"name":"Cancelled","message":"The job was cancelled before its end."}'
_ERROR: tuple[Part, ...] = (
    ',"error":{"name":', _json("error_code"), ',"message":', _json("error_message", absent=""), "}"
)  # fmt: skip
_ENTRY: tuple[Part, ...] = (
    '{"id":"', _hex("id"),
    '","jobId":"', _hex("id"),
    '","name":', _json("name"),
    ',"applicationId":"', _hex("application_id"),
    '","runQueuedAt":"', _instant("created_at"),
    '","status":', _json("status"),
    Given("requested_by_type", (',"requestedByType":"apiToken"',), being="apiToken"),
    Given("requested_by_type", (',"requestedByType":"system"',), unlike="apiToken"),
    Given("requested_by_id", (',"requestedById":"', _hex("requested_by_id"), '"')),
    ',"ownerType":"application","ownerId":"', _hex("application_id"),
    f'","resourceType":"{job_log.RESOURCE_TYPE}","resourceId":"', _hex("application_id"),
    '","progress":{"completed":', _json("done"), _member("total", "total"), ',"status":', _json("status"),
    '},"input":{"jobId":', _json("public_id"), _member("query", "query"),
    Given("email", (',"emails":[', _json("email"), "]")), _member("callbackUrl", "callback_url"), "}",
    Given("started_at", (',"runStartedAt":"', _instant("started_at"), '"')),
    Given("finished_at", (',"runCompletedAt":"', _instant("finished_at"), '"')),
    Given("finished_at", (',"output":{"removed":', _json("removed"), ',"failed":', _json("failed"), "}")),
    Given("state", (_CANCELLED,), being=JobStatus.CANCELLED),
    Given("state", (Given("error_code", _ERROR),), unlike=JobStatus.CANCELLED),
)  # fmt: skip

SHOWN_JOB_LOG = Template((*_ENTRY, "}"))
"""A job as an entry of the application's job log. Its schema has no flow, so the resource is the application."""

LINKED_JOB_LOG = Template((*_ENTRY, ",", *place_links("applicationJobLog", thing="id"), "}"))
