"""What the Losant dialect answers, under the names Losant's own schemas have."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from core.domain.flow_classes import FLOW_CLASSES
from core.domain.versions import MOST_NAME
from schemas.answers import Fields, answer, dated, keyed, listed, number, one_of, true
from schemas.fields import HexId, Mapped, Text


def _authors() -> Fields:
    """Only what a token did has an author that Losant has a word for."""
    return {
        "createdById": HexId(),
        "createdByType": one_of("apiToken"),
        "lastUpdatedById": HexId(),
        "lastUpdatedByType": one_of("apiToken"),
    }


def _page() -> Fields:
    return {
        "count": number(),
        "totalCount": number(),
        "page": number(),
        "perPage": number(least=1),
        "sortField": fields.String(),
        "sortDirection": one_of("asc", "desc", "ASC", "DESC"),
        "applicationId": HexId(),
    }


def _filtered() -> Fields:
    """What a list repeats of what it was narrowed by."""
    return {"filter": fields.String(), "filterField": fields.String()}


def _objects() -> fields.Field[Any]:
    """What was sent, as it was sent."""
    return fields.List(Mapped())


def _settings() -> Fields:
    """The parts of a content that some classes of flow have."""
    return {"minimumAgentVersion": fields.String(), "customNodeConfig": Mapped()}


def _looks() -> Fields:
    """What a custom node shows of itself."""
    return {name: fields.String() for name in ("shortDescription", "iconData", "docsUrl", "category")}


_Href = answer("href", {"href": fields.String()})


def _links() -> Fields:
    """What everything carries that is asked for with `_links`."""
    return {"_type": fields.String(), "_links": fields.Dict(keys=fields.String(), values=fields.Nested(_Href))}


_CustomNode = answer(
    "customNode",
    {
        "id": HexId(),
        "name": fields.String(),
        "version": fields.String(),
        "compatibleFlowClasses": fields.Dict(keys=one_of(*FLOW_CLASSES), values=true()),
    },
    {**_looks(), "flowVersionId": HexId(), "description": fields.String(), "customNodeConfig": Mapped()},
)


def _custom_nodes() -> Fields:
    """What everything with content carries that is asked for with `includeCustomNodes`."""
    return {"customNodes": listed(_CustomNode)}


Success = answer("success", {"success": true()})

Refusal = answer("error", {"type": fields.String(), "message": fields.String()})

Flow = answer(
    "flow",
    {
        "id": HexId(),
        "flowId": HexId(),
        "applicationId": HexId(),
        "creationDate": dated(),
        "lastUpdated": dated(),
        "name": Text(least=1, most=MOST_NAME),
        "enabled": fields.Boolean(),
        "flowClass": one_of(*FLOW_CLASSES),
        "triggers": _objects(),
        "nodes": _objects(),
    },
    {
        **_authors(),
        **_settings(),
        **_looks(),
        **_custom_nodes(),
        **_links(),
        "globals": _objects(),
        "description": fields.String(),
        "defaultVersionId": HexId(),
        "customNodeSupports": fields.List(fields.String()),
    },
)

Flows = answer(
    "flows",
    {"items": listed(Flow), **_page()},
    {**_filtered(), **_links(), **_custom_nodes(), "flowClass": one_of(*FLOW_CLASSES)},
)

FlowVersion = answer(
    "flowVersion",
    {
        "id": HexId(),
        "flowVersionId": HexId(),
        "flowId": HexId(),
        "applicationId": HexId(),
        "creationDate": dated(),
        "lastUpdated": dated(),
        "version": Text(least=1, most=MOST_NAME),
        "flowClass": one_of(*FLOW_CLASSES),
        "enabled": fields.Boolean(),
        "triggers": _objects(),
        "nodes": _objects(),
    },
    {
        **_authors(),
        **_settings(),
        "globals": _objects(),
        **_custom_nodes(),
        **_links(),
        "notes": fields.String(),
        "versions": fields.List(fields.String()),
    },
)

FlowVersions = answer(
    "flowVersions",
    {"items": listed(FlowVersion), **_page()},
    {**_filtered(), **_links(), **_custom_nodes(), "flowId": HexId()},
)

Palette = answer("paletteResponse", {"customNodes": listed(_CustomNode), "applicationId": HexId()}, _links())

StorageEntries = keyed("flowStorageEntries")

StorageUse = answer("flowStorageMetadata", {"memoryUsed": number(), "keysCount": number()})

_TALLY: Fields = {
    "time": dated(), "runCount": number(), "pathsCompleted": number(), "pathsFailed": number(), "wallTime": number()
}  # fmt: skip

_RunError = answer(
    "flowError",
    {
        "time": dated(),
        "flowVersion": fields.String(),
        "error": fields.Nested(answer("flowErrorCause", {"name": fields.String(), "message": fields.String()})),
    },
    {"flowVersionId": HexId(), "nodeId": fields.String(), "nodeLabel": fields.String()},
)


def _narrowed() -> Fields:
    """What is repeated of what was asked."""
    return {"flowVersion": fields.String(), "flowVersionId": HexId(), "deviceId": HexId()}


FlowStats = answer(
    "flowStats",
    {"start": dated(), "end": dated(), "resolution": number(least=1), "metrics": listed(answer("flowMetric", _TALLY))},
    _narrowed(),
)

FlowErrors = answer(
    "flowErrors",
    {
        "start": dated(),
        "end": dated(),
        "limit": number(least=1),
        "sortDirection": one_of("asc", "desc", "ASC", "DESC"),
        "errors": listed(_RunError),
    },
    _narrowed(),
)

FlowLogEntry = answer("flowLogEntry", {**_TALLY, "flowVersionId": fields.String(), "errors": listed(_RunError)})

JobEnqueued = answer("jobEnqueuedResult", {"success": true(), "jobQueued": true(), "jobId": Text(least=21, most=21)})

BulkDeleted = answer("bulkDeleteResponse", {"removed": number(), "failed": number()})

DeletionPreview = answer(
    "deletionPreview",
    {
        "matched": number(),
        "protected": number(),
        "sample": listed(answer("matchedVersion", {"id": HexId(), "version": fields.String()})),
    },
)

_STATUSES = ("queued", "inProgress", "completed", "failed", "errored")

JobLog = answer(
    "applicationJobLog",
    {
        "id": HexId(),
        "jobId": HexId(),
        "name": fields.String(),
        "applicationId": HexId(),
        "runQueuedAt": dated(),
        "status": one_of(*_STATUSES),
        "requestedByType": one_of("apiToken", "system"),
        "ownerType": one_of("application"),
        "ownerId": HexId(),
        "resourceType": one_of("application"),
        "resourceId": HexId(),
        "progress": fields.Nested(
            answer("jobLogProgress", {"completed": number(), "total": number(), "status": one_of(*_STATUSES)})
        ),
        "input": fields.Nested(
            answer(
                "jobLogInput",
                {"jobId": fields.String()},
                {"query": fields.String(), "emails": fields.List(fields.String()), "callbackUrl": fields.String()},
            )
        ),
    },
    {
        **_links(),
        "requestedById": HexId(),
        "runStartedAt": dated(),
        "runCompletedAt": dated(),
        "output": fields.Nested(BulkDeleted),
        "error": fields.Nested(answer("jobLogError", {"name": fields.String(), "message": fields.String()})),
    },
)

JobLogs = answer("applicationJobLogs", {"items": listed(JobLog), **_page()}, {**_links(), "query": Mapped()})
