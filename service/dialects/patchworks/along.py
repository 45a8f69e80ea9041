"""What comes along with flows and versions, beside themselves: each kind in one statement, however many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import orjson

from core.operations import catalogue, schedules
from core.operations.catalogue import Along, Related
from schemas.patchworks import SHOWN_FLOW_VERSION, chosen
from schemas.schedules import render_schedule
from service.calls import Call

Thing = dict[str, Any]

RELATIONS = {"versions": "versions", "latestVersion": "latest", "deployedVersion": "deployed"}
"""Includes that are versions, and where `Related` has them."""

SCHEDULES = ".schedules"
"""After one of these names: with the schedules of these versions."""


async def versions_along(call: Call, versions: Sequence[Thing]) -> list[Thing]:
    """The versions, with the fields and what else was asked for."""
    asked = call.query["include"]
    found = await _schedules(call, versions) if asked else {}
    return [_version(call, version, asked, found) for version in versions]


async def flows_along(call: Call, flows: Sequence[Thing]) -> list[Thing]:
    """The flows, with the fields and what else was asked for."""
    asked = call.query["include"]
    if not asked:
        return [chosen(flow, call.query["flow_fields"]) for flow in flows]
    related = await catalogue.show_related(
        call.visitor.known, call.database, [flow["id"] for flow in flows], _along(asked), SHOWN_FLOW_VERSION
    )
    versions = {flow_id: _versions(of_flow) for flow_id, of_flow in related.items()}
    found = await _schedules(call, [*_scheduled(asked, versions)])
    return [
        chosen(flow, call.query["flow_fields"])
        | _counts(asked, related[flow["id"]])
        | _related(call, asked, versions[flow["id"]], found)
        for flow in flows
    ]


def _along(asked: Collection[str]) -> Along:
    return Along(
        versions=_wants(asked, "versions"),
        latest=_wants(asked, "latestVersion"),
        deployed=_wants(asked, "deployedVersion"),
        counted="versions_count" in asked,
        existing=not {"versionsExists", "latestVersionExists", "deployedVersionExists"}.isdisjoint(asked),
    )


def _wants(asked: Collection[str], name: str) -> bool:
    return name in asked or name + SCHEDULES in asked


def _versions(related: Related) -> Mapping[str, list[Thing]]:
    """By the name of their include."""
    return {name: [orjson.loads(text) for text in getattr(related, kept)] for name, kept in RELATIONS.items()}


def _scheduled(asked: Collection[str], versions: Mapping[int, Mapping[str, list[Thing]]]) -> Iterator[Thing]:
    """The versions that are to have their schedules with them."""
    for name in RELATIONS:
        if name + SCHEDULES in asked:
            for of_flow in versions.values():
                yield from of_flow[name]


async def _schedules(call: Call, versions: Sequence[Thing]) -> Mapping[int, list[Thing]]:
    """By version."""
    if not versions:
        return {}
    version_ids = [*{version["id"] for version in versions}]
    found = await schedules.list_schedules_along(call.visitor.known, call.database, version_ids)
    return {number: [render_schedule(schedule) for schedule in own] for number, own in found.items()}


def _version(call: Call, version: Thing, asked: Collection[str], found: Mapping[int, list[Thing]]) -> Thing:
    own = found.get(version["id"], [])
    along = {
        "schedules": ("schedules", own),
        "schedules_count": ("schedules_count", len(own)),
        "schedulesExists": ("schedules_exists", bool(own)),
    }
    return chosen(version, call.query["version_fields"]) | dict(along[name] for name in asked)


def _counts(asked: Collection[str], related: Related) -> Thing:
    along = {
        "versions_count": ("versions_count", related.count),
        "versionsExists": ("versions_exists", related.exists),
        "latestVersionExists": ("latest_version_exists", related.exists),
        "deployedVersionExists": ("deployed_version_exists", related.is_deployed),
    }
    return dict(along[name] for name in asked if name in along)


def _related(
    call: Call, asked: Collection[str], versions: Mapping[str, list[Thing]], found: Mapping[int, list[Thing]]
) -> Thing:
    shown = {
        name: [_version(call, one, ["schedules"] if name + SCHEDULES in asked else [], found) for one in versions[name]]
        for name in RELATIONS
        if _wants(asked, name)
    }
    keys = {"versions": "versions", "latestVersion": "latest_version", "deployedVersion": "deployed_version"}
    return {keys[name]: many if name == "versions" else next(iter(many), None) for name, many in shown.items()}
