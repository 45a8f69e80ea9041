"""What a flow may be made of: each refusal names its place, and a body that is right is left as it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import Schema, missing

from core.domain.errors import Invalid
from schemas.contents import INPUTS, KINDS, TRIGGER
from schemas.fields import Judged, load
from schemas.losant import FlowPatch, FlowPost, FlowVersionPost
from service.routes import ROUTES
from tests.support.bodies import bodies_of, bodies_or_not


def problem(body: dict[str, Any]) -> str | None:
    try:
        load(FlowPatch(), body)
    except Invalid as refusal:
        return refusal.message
    return None


def triggers(*given: object) -> dict[str, Any]:
    return {"triggers": list(given)}


def nodes(**members: object) -> dict[str, Any]:
    return {"nodes": [{"type": "x"}, {"type": "x", **members}]}


def custom(**members: object) -> dict[str, Any]:
    return {"customNodeConfig": {"outputCount": 1, "resultMode": "none", "fields": [], **members}}


def asks(**members: object) -> dict[str, Any]:
    return custom(fields=[{"type": "section", "label": "s"}, {"label": "l", **members}])


def setting(kind: str, **config: object) -> dict[str, Any]:
    return triggers({"type": kind, "config": config})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"triggers": {}}, "triggers: must be a list"),
    ({"triggers": None}, "triggers: must not be null"),
    (triggers({"type": "timer"}, 1), "triggers[1]: must be an object"),
    (triggers({}), "triggers[0].type: is required"),
    (triggers({"type": "TIMER"}), "triggers[0].type: is none of the types there are"),
    (triggers({"type": ["timer"]}), "triggers[0].type: is none of the types there are"),
    (triggers({"type": "timer", "id": "a"}), "triggers[0].id: is not known here"),
    (triggers({"type": "timer", "key": 1}), "triggers[0].key: must be a string"),
    (triggers({"type": "timer", "key": "x" * 1025}), "triggers[0].key: Length must be between 0 and 1024."),
    (triggers({"type": "timer", "config": []}), "triggers[0].config: must be an object"),
    (setting("timer", cron=1), "triggers[0].config.cron: must be a string"),
    (setting("timer", cron="x" * 256), "triggers[0].config.cron: Length must be between 0 and 255."),
    (setting("timer", seconds="1"), "triggers[0].config.seconds: must be a number"),
    (setting("timer", seconds=True), "triggers[0].config.seconds: must be a number"),
    (setting("timer", path="x"), "triggers[0].config.path: is not known here"),
    (setting("webhook", anything=1), "triggers[0].config.anything: is not known here"),
    (setting("beckhoff", cycleTimeMs=9), "triggers[0].config.cycleTimeMs: must be at least 10"),
    (setting("beckhoff", cycleTimeMs=3_600_001), "triggers[0].config.cycleTimeMs: must be at most 3600000"),
    (setting("beckhoff", cycleTimeMs=10.5), "triggers[0].config.cycleTimeMs: must be a whole number"),
    (setting("beckhoff", subscriptions=[{"name": 1}]), "triggers[0].config.subscriptions[0].name: must be a string"),
    (setting("onSync", syncTypes=[]), "triggers[0].config.syncTypes: must have at least 1 entry"),
    (setting("onSync", syncTypes=["device"] * 4), "triggers[0].config.syncTypes: must have at most 3 entries"),
    (
        setting("onSync", syncTypes=["x"]),
        "triggers[0].config.syncTypes[0]: must be one of application, device, peripheral",
    ),
    (setting("opcua", uri="opc.tcp://{{host}}"), "triggers[0].config.uri: must be a URI"),
    (setting("opcua", uri="//host"), "triggers[0].config.uri: must be a URI"),
    (setting("opcua", uri="a://[fe80::1%25eth0]"), "triggers[0].config.uri: must be a URI"),
    (setting("snmpTrap", udpPort="162"), "triggers[0].config.snmpTrapConfig: is required"),
    (
        setting("snmpTrap", udpPort="162", snmpTrapConfig={"user": {"name": "u", "securityLevel": "all"}}),
        "triggers[0].config.snmpTrapConfig.user.securityLevel: must be one of none, auth, authAndEncrypt",
    ),
    (
        setting("deviceId", attributeWhitelist=["a.b"]),
        "triggers[0].config.attributeWhitelist[0]: must be 1 to 255 letters, digits, underscores or hyphens",
    ),
    (
        triggers({"type": "timer", "meta": {"category": "node"}}),
        "triggers[0].meta.category: must be one of trigger",
    ),
    (triggers({"type": "timer", "meta": {"groupId": "a"}}), "triggers[0].meta.groupId: is not known here"),
    (triggers({"type": "timer", "meta": {"label": ""}}), "triggers[0].meta.label: Length must be between 1 and 255."),
    (triggers({"type": "onSync", "meta": {"icon": "a"}}), "triggers[0].meta.icon: is not known here"),
    (
        triggers({"type": "virtualButton", "meta": {"deviceId": "1"}}),
        "triggers[0].meta.deviceId: must be 24 hexadecimal digits, or empty",
    ),
    ({"nodes": [{"id": "a"}]}, "nodes[0].type: is required"),
    (nodes(type=""), "nodes[1].type: Length must be between 1 and 1024."),
    (nodes(config=[]), "nodes[1].config: must be an object"),
    (nodes(meta="x"), "nodes[1].meta: must be an object"),
    (nodes(key="x"), "nodes[1].key: is not known here"),
    (nodes(id=1), "nodes[1].id: must be a string"),
    (nodes(outputIds={}), "nodes[1].outputIds: must be a list"),
    (nodes(outputIds=[["a"], "b"]), "nodes[1].outputIds[1]: must be a list"),
    (nodes(outputIds=[[], ["a", None]]), "nodes[1].outputIds[1][1]: must not be null"),
    (nodes(outputIds=[[""]]), "nodes[1].outputIds[0][0]: Length must be between 1 and 48."),
    (nodes(outputIds=[["x" * 49]]), "nodes[1].outputIds[0][0]: Length must be between 1 and 48."),
    (nodes(outputIds=[[]] * 101), "nodes[1].outputIds: must have at most 100 entries"),
    (nodes(outputIds=[["a"] * 101]), "nodes[1].outputIds[0]: must have at most 100 entries"),
    ({"globals": [{"key": "a", "json": "1"}] * 101}, "globals: must have at most 100 entries"),
    ({"globals": [{"key": "a"}]}, "globals[0].json: is required"),
    ({"globals": [{"json": "1"}]}, "globals[0].key: is required"),
    *(
        (
            {"globals": [{"key": key, "json": "1"}]},
            "globals[0].key: must be 1 to 255 letters, digits, underscores or hyphens",
        )
        for key in ("", "a.b", "a b", "\u00e4", "a\n", "\u0661", "x" * 256)
    ),
    *(
        ({"globals": [{"key": "a", "json": text}]}, "globals[0].json: must be JSON text")
        for text in (" ", "a", "{", "'a'", "NaN", "-Infinity", "1 2", "{a:1}", '{"a":1,}', "[" * 32_000, "\ufeff1")
    ),
    *(
        ({"globals": [{"key": "a", "json": text}]}, "globals[0].json: Length must be between 1 and 32767.")
        for text in ("", '"' + "x" * 32_766 + '"')
    ),
    *(
        ({"minimumAgentVersion": text}, "minimumAgentVersion: must be a version such as 1.40.0")
        for text in ("", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-rc1", "v1.0.0", "1.0.0\n", "\u0661.0.0")
    ),
    ({"customNodeConfig": {}}, "customNodeConfig.outputCount: is required"),
    (custom(outputCount=3), "customNodeConfig.outputCount: must be one of 1, 2"),
    (custom(outputCount=True), "customNodeConfig.outputCount: must be a number"),
    (asks(type="text"), "customNodeConfig.fields[1].type: is none of the types there are"),
    (asks(type="select"), "customNodeConfig.fields[1].defaultValue: is required"),
    (
        asks(type="select", defaultValue="a", options=[]),
        "customNodeConfig.fields[1].options: must have at least 1 entry",
    ),
    (asks(type="section", required=True), "customNodeConfig.fields[1].required: is not known here"),
    ({"iconData": "data:image/gif;base64,"}, "iconData: must be a JPEG, PNG or SVG as base64 data URI"),
    ({"category": "storage"}, "category: must be one of data, experience, logic, output, debug"),
    ({"shortDescription": "x" * 1025}, "shortDescription: Length must be between 0 and 1024."),
    ({"customNodeSupports": ["cloud"]}, "customNodeSupports: is not known here"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_wrong_place_is_named(body: dict[str, Any], message: str) -> None:
    assert problem(body) == message


def test_every_type_of_trigger_is_taken() -> None:
    assert len(KINDS) == 22
    assert len(TRIGGER.kinds) == 40
    for kind in TRIGGER.kinds:
        assert problem(triggers({"type": kind})) is None
        assert problem(triggers({"type": kind, "config": {"surprise": 1}})) is not None


def test_every_input_of_a_custom_node_is_taken() -> None:
    for kind in INPUTS:
        given = {"defaultValue": "a", "options": [{"value": "a"}]} if kind == "select" else {}
        assert problem(asks(type=kind, **given)) is None


@pytest.mark.parametrize("schema", [FlowPost, FlowPatch, FlowVersionPost])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_body_that_is_right_is_left_as_it_came(schema: type[FlowPost], data: st.DataObject) -> None:
    body = data.draw(bodies_of(schema))
    loaded = load(schema(), body)
    assert {
        str(field.data_key or name): loaded[name] for name, field in schema().fields.items() if name in loaded
    } == body


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bodies_or_not(FlowPost))
def test_a_body_is_taken_or_refused_and_nothing_else(body: dict[str, Any]) -> None:
    with suppress(Invalid):
        load(FlowPost(), body)


class Wired(list[Any]):
    """A list of which nobody may look at more than the first entry."""

    def __iter__(self) -> Iterator[Any]:
        yield self[0]
        raise AssertionError("the second entry was looked at, after a first that is wrong")


class WiredKeys(dict[str, Any]):
    """The same for an object."""

    def __iter__(self) -> Iterator[str]:
        yield next(super().__iter__())
        raise AssertionError("the second key was looked at, after a first that is wrong")

    def items(self) -> Any:
        return ((key, self[key]) for key in self)


WRONG_FIRST = WiredKeys({"surprise": 1, "another": 2})


@pytest.mark.parametrize(
    "body",
    [
        {"nodes": Wired([1, 2])},
        {"nodes": Wired([{"type": "x", "surprise": 1}, {}])},
        {"triggers": Wired([{}, {}])},
        {"globals": Wired([{}, {}])},
        nodes(outputIds=Wired([1, 2])),
        nodes(outputIds=[Wired([1, 2])]),
        {"nodes": [WiredKeys({"surprise": 1, "type": "x"})]},
        triggers({"type": "timer", "config": WRONG_FIRST}),
        custom(fields=Wired([1, 2])),
        WRONG_FIRST,
    ],
    ids=str,
)
def test_checking_stops_at_the_first_problem(body: dict[str, Any]) -> None:
    """A message for each problem would be a million messages for a hostile body, and minutes."""
    assert problem(body) is not None


@pytest.mark.parametrize("body", [route.body for route in ROUTES if route.body], ids=lambda body: body.__name__)
def test_a_body_has_only_fields_that_judge(body: type[Schema]) -> None:
    """Bodies are not read by marshmallow's own load, which alone knows validators and values for what is left out."""
    for name, field in body().fields.items():
        assert isinstance(field, Judged), name
        assert not field.validators, name
        assert field.load_default is missing, name
