"""The contract's own JSON Schemas, and what an answer must be beside valid.

The schemas require next to nothing: an empty object is a valid error and a valid success. So every answer is also held
against our OpenAPI document, which knows what is always there, and against the rules below, which no schema can say.
They are not in this repository; PENSTOCK_CONTRACTS names a folder with them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft7Validator

FOLDER = Path(os.environ["PENSTOCK_CONTRACTS"])

Json = dict[str, Any]

FREE = {"triggers", "nodes", "globals", "customNodeConfig", "query"}
"""Members that hold what callers sent, null included."""

KEPT = {"flowStorageEntries"}
"""Answers that hold nothing else."""

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_DATES = {"time", "start", "end", "creationDate", "lastUpdated", "runQueuedAt", "runStartedAt", "runCompletedAt"}


def read(name: str) -> Any:
    return orjson.loads((FOLDER / f"{name}.json").read_bytes())


def fault_of(operation: str | None, status: int, raw: bytes) -> tuple[str, str | None]:
    """The name of the schema that an answer is held against, and the first thing that is wrong with it, or None."""
    name = schema_name(operation, status)
    body = orjson.loads(raw)
    fault = next(_validator(name).iter_errors(body), None)
    if fault is not None:
        return name, f"{fault.json_path}: {fault.message}"
    return name, next(_faults(name, body), None)


def schema_name(operation: str | None, status: int) -> str:
    """Where the contract declares nothing for a status, what is refused is an error like any other."""
    if operation is not None:
        responses = _operations()[operation]["responses"]
        if str(status) in responses:
            reference: str = responses[str(status)]["schema"]["$ref"]
            return reference.rpartition("/")[2]
    assert status >= 400, f"{operation} has no success with {status}"
    return "error"


@cache
def _operations() -> dict[str, Json]:
    """Losant's endpoint table by the scope that each operation is named for."""
    table = read("apiInfo")
    return {
        f"{scope}": action
        for resource in table.values()
        for action in resource["actions"].values()
        for scope in action["auth"]
    }


@cache
def _validator(name: str) -> Draft7Validator:
    """References read `#/definitions/NAME`, which the files themselves do not hold."""
    definitions = {file.stem: orjson.loads(file.read_bytes()) for file in FOLDER.glob("*.json")}
    return Draft7Validator(
        {**definitions[name], "definitions": definitions}, format_checker=Draft7Validator.FORMAT_CHECKER
    )


def _faults(name: str, body: Json) -> Iterator[str]:
    if name not in KEPT:
        yield from _nulls(body, "$")
    yield from (f"{path} is no date as Losant writes it" for path in _bad_dates(body, "$"))
    if name in _RULES:
        yield from _RULES[name](body)


def _nulls(value: Any, path: str) -> Iterator[str]:
    """No field of an answer is nullable: what is unset is left out."""
    if value is None:
        yield f"{path} is null"
    for key, entry in _members(value):
        yield from _nulls(entry, f"{path}.{key}")


def _bad_dates(value: Any, path: str) -> Iterator[str]:
    for key, entry in _members(value):
        if key in _DATES and not _DATE.fullmatch(str(entry)):
            yield f"{path}.{key}"
        yield from _bad_dates(entry, f"{path}.{key}")


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((key, entry) for key, entry in value.items() if key not in FREE)
    if isinstance(value, list):
        yield from ((str(index), entry) for index, entry in enumerate(value))


def _error(body: Json) -> Iterator[str]:
    if set(body) != {"type", "message"}:
        yield f"an error has {sorted(body)}"
    if not body.get("message") or not re.fullmatch("[A-Z][A-Za-z]+", body.get("type", "")):
        yield "an error says too little"


def _exactly(**members: Any) -> Callable[[Json], Iterator[str]]:
    def rule(body: Json) -> Iterator[str]:
        if body != members:
            yield f"is {body}, not {members}"

    return rule


def _named(*names: str) -> Callable[[Json], Iterator[str]]:
    def rule(body: Json) -> Iterator[str]:
        if set(body) != set(names):
            yield f"has {sorted(body)}, not {sorted(names)}"

    return rule


def _same_id(other: str) -> Callable[[Json], Iterator[str]]:
    def rule(body: Json) -> Iterator[str]:
        if body.get("id") is None or body["id"] != body.get(other):
            yield f"id and {other} differ"

    return rule


def _page(of: str) -> Callable[[Json], Iterator[str]]:
    def rule(body: Json) -> Iterator[str]:
        items = body["items"]
        if not body["count"] == len(items) <= body["perPage"]:
            yield f"count {body['count']} of {len(items)} items"
        if body["page"] * body["perPage"] + len(items) > body["totalCount"] and items:
            yield f"totalCount {body['totalCount']} is too small"
        for item in items:
            yield from _RULES[of](item)

    return rule


def _queued(body: Json) -> Iterator[str]:
    if body != {"success": True, "jobQueued": True, "jobId": body.get("jobId")} or len(str(body["jobId"])) != 21:
        yield f"is {body}"


def _tallies(body: Json) -> Iterator[str]:
    """As many points as fit between the two ends, in order, the first at the start."""
    times = [point["time"] for point in body["metrics"]]
    if times != sorted(times) or times[:1] != [body["start"]] or times[-1] >= body["end"]:
        yield f"points from {times[:1]} to {times[-1:]}, between {body['start']} and {body['end']}"
    for point in body["metrics"]:
        yield from _tally(point)


def _tally(point: Json) -> Iterator[str]:
    if set(point) - {"flowVersionId", "errors"} != {"time", "runCount", "pathsCompleted", "pathsFailed", "wallTime"}:
        yield f"a tally has {sorted(point)}"


def _log(body: list[Json]) -> Iterator[str]:
    for entry in body:
        yield from _tally(entry)
        yield from (f"an error has {error}" for error in entry["errors"] if not error["error"]["name"])
    if [entry["time"] for entry in body] != sorted((entry["time"] for entry in body), reverse=True):
        yield "a log is not in order"


def _errors(body: Json) -> Iterator[str]:
    times = [error["time"] for error in body["errors"]]
    if times != sorted(times, reverse=body["sortDirection"].lower() == "desc") or len(times) > body["limit"]:
        yield f"errors of {times}"


_RULES: dict[str, Callable[[Any], Iterator[str]]] = {
    "error": _error,
    "success": _exactly(success=True),
    "bulkDeleteResponse": _named("removed", "failed"),
    "jobEnqueuedResult": _queued,
    "flowStats": _tallies,
    "flowErrors": _errors,
    "flowLog": _log,
    "flow": _same_id("flowId"),
    "flows": _page("flow"),
    "flowVersion": _same_id("flowVersionId"),
    "flowVersions": _page("flowVersion"),
    "applicationJobLog": _same_id("jobId"),
    "applicationJobLogs": _page("applicationJobLog"),
}
"""What each kind of answer must be beyond its schema."""
