"""How an artifact becomes a flow, whether it comes out of the marketplace or out of a file: disabled, with a Draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.domain.access import Principal
from core.domain.artifacts import Artifact, Verified, read_artifact, verify
from core.domain.contents import new_content
from core.domain.errors import Invalid
from core.domain.flow_classes import FLOW_CLASSES, check_class
from core.domain.flows import (
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    MOST_DESCRIPTION,
    MOST_NAME,
    MOST_RUN_SECONDS,
    UNSAID,
    Running,
)
from core.domain.schedules import check_schedule
from core.domain.signing import Keys
from core.domain.stored_schedules import (
    MOST_CATCHUP_SECONDS,
    MOST_PAUSE_REASON,
    MOST_SCHEDULES,
    OverlapPolicy,
    Rules,
)
from core.domain.versions import Content
from core.operations import transitions
from core.store import audit_events, flows, schedules
from core.store.database import Connection
from core.store.schedules import Place


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule that arrives; one that was `live` counts from its arrival on, any other stays silent."""

    rules: Rules
    live: bool


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a verified artifact brings, judged as a request would be."""

    verified: Verified
    name: str
    description: str | None
    flow_class: str
    running: Running
    content: Content
    schedules: Sequence[Scheduled]


@dataclass(frozen=True, slots=True)
class Arrived:
    """Where it is now."""

    flow_id: int
    version_id: int


def unpack(file: bytes, keys: Keys, now: datetime) -> Arrival:
    """Verifies a file, then reads it. Raises Invalid, with a path below `artifact`, `signature` or `statement`.

    Some 50 ms a megabyte.
    """
    verified = verify(file, keys)
    artifact = read_artifact(verified.artifact)
    name, description = (_text(artifact.flow, part, most) for part, most in _TEXTS)
    flow_class = artifact.flow.get("flow_class")
    if name is None or not len(name) >= 1:
        raise Invalid("is missing", "artifact.flow.name")
    if flow_class not in FLOW_CLASSES:
        raise Invalid(f"must be one of {', '.join(FLOW_CLASSES)}", "artifact.flow.flow_class")
    running = Running(
        flow_priority=_number(artifact.flow, "flow_priority", HIGHEST_PRIORITY, LOWEST_PRIORITY),
        run_timeout_seconds=_number(artifact.flow, "run_timeout_seconds", 1, MOST_RUN_SECONDS),
    )
    content = _content(artifact, flow_class)
    return Arrival(verified, name, description, flow_class, running, content, _schedules(artifact, now))


_TEXTS = (("name", MOST_NAME), ("description", MOST_DESCRIPTION))


async def arrive(
    connection: Connection,
    principal: Principal,
    application_id: int,
    arrival: Arrival,
    *,
    name: str | None,
    installed_from: int | None,
) -> Arrived:
    """The new flow, disabled, with its Draft and its schedules; called `name`, or what it was called where it was."""
    flow_id = await flows.create(
        connection,
        principal,
        application_id,
        name=name or arrival.name,
        description=arrival.description,
        flow_class=arrival.flow_class,
        enabled=False,
        palette=UNSAID,
        custom_node_supports=None,
        running=arrival.running,
        installed_from=installed_from,
    )
    details = {"name": name or arrival.name, "artifact": arrival.verified.statement.digest.hex()}
    await audit_events.record(connection, principal, "flow.create", ("flow", flow_id), details=details)
    draft = await transitions.start_draft(connection, principal, flow_id, arrival.content)
    place = Place(principal.company_id, flow_id, draft.id)
    for scheduled in arrival.schedules:
        made = await schedules.insert(connection, principal, place, scheduled.rules, from_now=scheduled.live)
        told = {"version": draft.id, "rules": made.rules.told()}
        await audit_events.record(connection, principal, "schedule.create", ("schedule", made.id), details=told)
    return Arrived(flow_id, draft.id)


def _content(artifact: Artifact, flow_class: str) -> Content:
    try:
        content = new_content(artifact.content, strict=False)
        assert content.outline is not None, "a new content has one"
        check_class(content.outline, flow_class)
    except Invalid as refusal:
        raise Invalid(refusal.problem, f"artifact.content.{refusal.path}".rstrip(".")) from None
    return content


def _schedules(artifact: Artifact, now: datetime) -> list[Scheduled]:
    if len(artifact.schedules) > MOST_SCHEDULES:
        raise Invalid(f"must have at most {MOST_SCHEDULES} entries", "artifact.schedules")
    return [_scheduled(given, f"artifact.schedules[{place}]", now) for place, given in enumerate(artifact.schedules)]


def _scheduled(given: Any, path: str, now: datetime) -> Scheduled:
    if not isinstance(given, dict):
        raise Invalid("must be an object", path)
    cron_string, zone, policy = (given.get(name) for name in ("cron_string", "timezone", "overlap_policy"))
    paused, live, reason = given.get("paused"), given.get("live"), given.get("pause_reason")
    if not isinstance(cron_string, str) or not isinstance(zone, str):
        raise Invalid("must have a cron_string and a timezone", path)
    if policy not in list(OverlapPolicy) or not isinstance(paused, bool) or not isinstance(live, bool):
        raise Invalid("must have an overlap_policy, paused and live", path)
    if reason is not None and not (paused and isinstance(reason, str) and len(reason) <= MOST_PAUSE_REASON):
        raise Invalid("is there only while the schedule is paused, and is short", f"{path}.pause_reason")
    try:
        check_schedule(cron_string, zone, now)
    except Invalid as refusal:
        raise Invalid(refusal.problem, f"{path}.{refusal.path}") from None
    window = _number(given, "catchup_window_seconds", 0, MOST_CATCHUP_SECONDS, path)
    return Scheduled(Rules(cron_string, zone, OverlapPolicy(policy), window, paused, reason), live)


def _number(given: Mapping[str, Any], name: str, least: int, most: int, path: str = "artifact.flow") -> int:
    number = given.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise Invalid(f"must be a whole number from {least} to {most}", f"{path}.{name}")
    return number


def _text(given: Mapping[str, Any], name: str, most: int) -> str | None:
    text = given.get(name)
    if text is not None and (not isinstance(text, str) or len(text) > most or "\0" in text):
        raise Invalid(f"must be a string of at most {most} characters", f"artifact.flow.{name}")
    return text
