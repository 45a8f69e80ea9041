"""The audit trail: what it is narrowed by, and one event as it is shown."""

from __future__ import annotations

from typing import Any

from core.domain.access import ActorType
from core.domain.audit import AuditEvent
from schemas.fields import microseconds
from schemas.filters import FilteredQuery, ids, instant, words
from schemas.jobs import PageQuery


class AuditEventsQuery(FilteredQuery, PageQuery):
    """`since` is the first instant wanted, `until` the first that is not."""

    action = words("action")
    actor_type = words("actor_type", *ActorType)
    actor_id = ids("actor_id")
    subject_type = words("subject_type")
    subject_id = ids("subject_id")
    since = instant("from")
    until = instant("to")


def render_event(event: AuditEvent) -> dict[str, Any]:
    """One event; digests in hexadecimal."""
    return {
        "id": event.id,
        "at": microseconds(event.at),
        "actor_type": event.actor_type,
        "actor_id": event.actor_id,
        "remote": event.remote,
        "action": event.action,
        "subject_type": event.subject_type,
        "subject_id": event.subject_id,
        "before_digest": event.before_digest and event.before_digest.hex(),
        "after_digest": event.after_digest and event.after_digest.hex(),
        "details": event.details,
    }
