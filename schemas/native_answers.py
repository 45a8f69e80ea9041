"""What the routes under /api/v1 answer: `{data}`, `{data, meta, links}`, and `{message}` for errors.

What has not happened, or does not apply, is null here; only `links` of a job and `errors` leave things out.
"""

from __future__ import annotations

from marshmallow import Schema, fields

from core.domain.access import ActorType
from core.domain.jobs import JobKind, JobStatus, Outcome, Reason
from core.domain.runs import GAP_REASONS, RunStatus, Trigger
from schemas.answers import Fields, answer, dated, keyed, listed, number, one_of
from schemas.fields import HexId
from schemas.jobs import MOST_PAGE
from schemas.reports import LEVELS


def data_of(name: str, shape: type[Schema]) -> type[Schema]:
    """A single thing."""
    return answer(name, {"data": fields.Nested(shape)})


def page_of(name: str, row: type[Schema]) -> type[Schema]:
    """A page of a list."""
    return answer(name, {"data": listed(row), "meta": fields.Nested(_Meta), "links": fields.Nested(_Neighbours)})


def _digest() -> fields.Field[str]:
    return fields.String(allow_none=True, metadata={"pattern": "^[0-9a-f]{64}$"})


def _link() -> fields.Field[str]:
    return fields.String(metadata={"format": "uri"})


def _error() -> fields.Field[object]:
    return fields.Nested(_Error, allow_none=True)


_Meta = answer(
    "pageMeta",
    {
        "current_page": number(least=1),
        "from": fields.Integer(allow_none=True),
        "last_page": number(least=1),
        "path": _link(),
        "per_page": fields.Integer(metadata={"minimum": 1, "maximum": MOST_PAGE}),
        "to": fields.Integer(allow_none=True),
        "total": number(),
    },
)

_Neighbours = answer(
    "pageLinks",
    {
        "first": _link(),
        "last": _link(),
        "prev": fields.String(allow_none=True),
        "next": fields.String(allow_none=True),
    },
)

_Error = answer("jobError", {"code": fields.String(), "message": fields.String(allow_none=True)})

_Notification = answer(
    "notification",
    {
        "kind": one_of(*JobKind),
        "job": fields.String(),
        "to": fields.String(),
        "status": one_of(*JobStatus),
        "attempts": number(),
        "error": _error(),
    },
)


def _times(*names: str) -> Fields:
    return {name: fields.AwareDateTime(allow_none=True) for name in names}


_Job = answer(
    "job",
    {
        "id": fields.String(),
        "kind": one_of(*JobKind),
        "status": one_of(*JobStatus),
        "progress": fields.Nested(answer("progress", {"done": number(), "total": number()}), allow_none=True),
        "attempts": number(),
        "result": fields.Nested(
            answer(
                "result",
                {},
                {
                    "matched": number(),
                    "removed": number(),
                    "failed": number(),
                    "reasons": fields.Dict(keys=one_of(*Reason), values=number(least=1)),
                    "item_id": number(least=1),
                    "digest": fields.String(),
                    "size": number(least=1),
                    "flow_id": number(least=1),
                    "flow_version_id": number(least=1),
                },
            ),
            allow_none=True,
        ),
        "error": _error(),
        "requested_by": fields.Nested(
            answer("requester", {"type": fields.String(), "id": fields.Integer(allow_none=True)})
        ),
        "created_at": dated(),
        **_times("started_at", "finished_at", "undo_until"),
        "notifications": listed(_Notification),
        "links": fields.Nested(
            answer(
                "jobLinks",
                {"self": _link()},
                {name: _link() for name in ("cancel", "results", "events", "undo")},
            )
        ),
    },
)

_Item = answer(
    "item",
    {
        "version_id": fields.Integer(),
        "name": fields.String(allow_none=True),
        "outcome": one_of(*Outcome),
        "reason": fields.String(allow_none=True, metadata={"enum": [*Reason, None]}),
    },
)

_TrashEntry = answer(
    "trashEntry",
    {
        "id": fields.Integer(),
        "version_id": fields.Integer(),
        "name": fields.String(allow_none=True),
        "reason": one_of("deleted", "replaced", "bulk_deleted", "flow_deleted"),
        "revision": number(),
        "digest": fields.String(metadata={"pattern": "^[0-9a-f]{64}$"}),
        "deleted_at": dated(),
        "purge_after": dated(),
        "job": fields.String(allow_none=True),
    },
)

_DeletedStorage = answer(
    "deletedStorage",
    {
        "id": fields.Integer(),
        "reason": one_of("deleted", "cleared", "replaced"),
        "first_keys": fields.List(fields.String()),
        "keys_count": number(),
        "memory_used": number(),
        "deleted_at": dated(),
        "purge_after": dated(),
    },
)

_AuditEvent = answer(
    "auditEvent",
    {
        "id": fields.Integer(),
        "at": dated(),
        "actor_type": one_of(*ActorType),
        "actor_id": fields.Integer(allow_none=True),
        "remote": fields.String(allow_none=True),
        "action": fields.String(),
        "subject_type": fields.String(),
        "subject_id": fields.Integer(),
        "before_digest": _digest(),
        "after_digest": _digest(),
        "details": fields.Nested(keyed("auditDetails")),
    },
)

_Company = answer(
    "company",
    {
        "id": fields.Integer(),
        "name": fields.String(),
        "runner_url": fields.String(allow_none=True),
        "limits": fields.Nested(
            answer(
                "limits",
                {
                    "requests_per_minute": fields.Integer(allow_none=True, metadata={"minimum": 1}),
                    "letters_per_day": number(),
                },
            )
        ),
        "created_at": dated(),
    },
)

_WebhookSecret = answer("webhookSecret", {"id": fields.Integer(), "secret": fields.String(), "created_at": dated()})

Job = data_of("jobDocument", _Job)
Jobs = page_of("jobs", _Job)
Items = page_of("items", _Item)
TrashEntries = page_of("trash", _TrashEntry)
AuditEvents = page_of("auditEvents", _AuditEvent)
Company = data_of("companyDocument", _Company)
WebhookSecrets = page_of("webhookSecrets", _WebhookSecret)
Restored = data_of("restored", answer("restoredVersion", {"version_id": fields.Integer(), "hex_id": HexId()}))
DeletedStorages = page_of("storageTrash", _DeletedStorage)
StorageRestored = data_of("storageRestored", answer("restoredStorage", {"keys_count": number(), "replaced": number()}))
Refusal = answer(
    "error",
    {"message": fields.String()},
    {"errors": fields.Dict(keys=fields.String(), values=fields.List(fields.String()))},
)
_RunnerSaid = answer(
    "runnerSaid",
    {
        "status": one_of(*RunStatus),
        "message": fields.String(allow_none=True),
        "metrics": fields.Dict(keys=fields.String(), values=fields.Float()),
    },
)

_LISTED_RUN = {
    "id": number(least=1),
    "flow_id": number(least=1),
    "flow_version_id": number(least=1),
    "schedule_id": fields.Integer(allow_none=True),
    "scheduled_for": dated(),
    "trigger": one_of(*Trigger),
    "trigger_key": fields.String(allow_none=True),
    "status": one_of(*RunStatus),
    "reason": fields.String(allow_none=True),
    "message": fields.String(allow_none=True),
    "attempts": number(),
    **_times("started_at", "finished_at"),
    "duration_ms": fields.Integer(allow_none=True),
    "lateness_ms": fields.Integer(allow_none=True),
    "digest": fields.String(),
    "retry_of": fields.Integer(allow_none=True),
    "dst_merged": fields.Boolean(),
}

_ListedRun = answer("listedRun", _LISTED_RUN)

_Run = answer(
    "run",
    {
        **_LISTED_RUN,
        "result": fields.Nested(_RunnerSaid, allow_none=True),
        "late_result": fields.Nested(_RunnerSaid, allow_none=True),
    },
)

_LogLine = answer(
    "runLogLine",
    {
        "id": number(least=1),
        "received_at": dated(),
        "logged_at": fields.AwareDateTime(allow_none=True),
        "level": one_of(*LEVELS),
        "message": fields.String(),
        "details": fields.Nested(keyed("runLogDetails"), allow_none=True),
    },
)

Run = data_of("runDocument", _Run)
RunLogs = page_of("runLogs", _LogLine)

Runs = page_of("runs", _ListedRun)

_Gap = answer(
    "gap",
    {
        "id": number(least=1),
        "schedule_id": number(least=1),
        "flow_version_id": number(least=1),
        "from": dated(),
        "until": dated(),
        "count": number(least=1),
        "reason": one_of(*GAP_REASONS),
        "cron_string": fields.String(allow_none=True),
        "timezone": fields.String(),
        "instants": fields.List(dated()),
        "created_at": dated(),
    },
)

Gaps = page_of("gaps", _Gap)

_Repair = answer("repair", {"schedule_id": number(least=1), "repaired": number(), "left": number()})

Repaired = data_of("repairDocument", _Repair)
