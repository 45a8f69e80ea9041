"""Workflows of about 2 kB that compress as real ones do: to a good half, because ids, numbers and code differ."""

from __future__ import annotations

import itertools
import json
import random
import string
from collections.abc import Callable

_LETTERS = string.ascii_letters + string.digits
_PARTS = (
    "inlet",
    "outlet",
    "pressure",
    "valve",
    "pump",
    "tank",
    "level",
    "flow",
    "motor",
    "bearing",
    "filter",
    "alarm",
)
_UNITS = ("bar", "kPa", "rpm", "litres", "celsius", "percent", "seconds")

Node = dict[str, object]


def write_workflow(random_source: random.Random) -> str:
    """One body as a client sends it: compact JSON with triggers, nodes and globals."""
    makers: list[Callable[[random.Random], Node]] = [_conditional, _function, _request, _store]
    nodes = [maker(random_source) for maker in makers + random_source.choices(makers, k=3)]
    chain = [_timer(random_source), *nodes]
    for element, following in itertools.pairwise(chain):
        element["outputIds"] = [[following["id"]]]
    body = {
        "triggers": chain[:1],
        "nodes": nodes,
        "globals": [
            {"key": f"{random_source.choice(_PARTS)}Limit", "json": f"{random_source.uniform(1, 999):.3f}"},
            {"key": "endpoint", "json": f'"https://{_id(random_source).lower()}.example.com/v2"'},
        ],
    }
    return json.dumps(body, separators=(",", ":"))


def _timer(source: random.Random) -> Node:
    config = {"seconds": source.randrange(5, 3600), "tz": source.choice(["Europe/Berlin", "America/Chicago", "UTC"])}
    return {"type": "timer", "key": _id(source), "config": config, **_drawn(source, "timer", "trigger")}


def _conditional(source: random.Random) -> Node:
    expression = f"{{{{data.{_name(source)}}}}} > {source.uniform(0, 500):.2f} && {{{{globals.{_name(source)}}}}}"
    return {"id": _id(source), "type": "ConditionalNode", "config": {"expression": expression}, **_drawn(source, "if")}


def _function(source: random.Random) -> Node:
    value, factor, offset = _name(source), source.uniform(0, 10), source.uniform(-50, 50)
    script = f"payload.data.{value} = payload.data.{_name(source)} * {factor:.6f} + {offset:.4f};\nreturn payload;"
    return {"id": _id(source), "type": "FunctionNode", "config": {"script": script}, **_drawn(source, "function")}


def _request(source: random.Random) -> Node:
    headers = [{"key": "X-Trace", "valueTemplate": _id(source) + _id(source)}]
    config = {"method": source.choice(["GET", "POST", "PUT"]), "uri": f"/{_name(source)}/{_id(source)}"}
    return {"id": _id(source), "type": "HTTPNode", "config": {**config, "headers": headers}, **_drawn(source, "http")}


def _store(source: random.Random) -> Node:
    config = {"attribute": _name(source), "unit": source.choice(_UNITS), "deviceId": f"{source.getrandbits(96):024x}"}
    return {"id": _id(source), "type": "DeviceChangeStateNode", "config": config, **_drawn(source, "state")}


def _drawn(source: random.Random, name: str, category: str = "logic") -> Node:
    label = f"{source.choice(_PARTS)} {source.choice(_PARTS)} {source.randrange(100)}"
    place = {"x": source.randrange(0, 1600, 20), "y": source.randrange(0, 1200, 20)}
    return {"meta": {"category": category, "name": name, "label": label, **place}}


def _name(source: random.Random) -> str:
    return f"{source.choice(_PARTS)}{source.choice(_PARTS).title()}{source.randrange(1000)}"


def _id(source: random.Random) -> str:
    return "".join(source.choices(_LETTERS, k=10))
