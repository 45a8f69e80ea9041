"""Workflows as Losant exports them are kept as versions and as flows, and come back equal, key for key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.losant import FlowPost
from tests.support.api import Api
from tests.support.paths import flows_path, version_path, versions_path
from tests.support.tenants import Tenant

CONTENT = ("triggers", "nodes", "globals", "customNodeConfig")

KNOWN = {str(field.data_key or name) for name, field in FlowPost().fields.items()}

SAMPLES = {file.stem: orjson.loads(file.read_bytes()) for file in Path(os.environ["PENSTOCK_SAMPLES"]).glob("*.json")}
assert SAMPLES, "the folder named in PENSTOCK_SAMPLES holds no *.json"

every_sample = pytest.mark.parametrize("name", sorted(SAMPLES))


@every_sample
async def test_comes_back_as_it_was_sent(api: Api, tenant: Tenant, name: str) -> None:
    exported = SAMPLES[name]
    flow = await tenant.make_flow(exported["name"], flow_class=exported["flowClass"])
    sent = {"version": name} | {key: exported[key] for key in CONTENT if key in exported}

    created = await api.post(versions_path(tenant, flow), sent)

    assert created.status == 201, created.raw
    read = await api.get(version_path(tenant, flow, name))
    listed = await api.get(versions_path(tenant, flow))
    for answer in (created.json, read.json, *listed.json["items"]):
        assert _content(answer) == _content(sent)
        assert answer["version"] == name


@every_sample
@pytest.mark.parametrize("strict", ["false", "true"])
async def test_comes_back_from_develop_as_it_was_sent(api: Api, tenant: Tenant, name: str, strict: str) -> None:
    """The export of a flow is what a flow is made from, but for what the server says of it."""
    exported = SAMPLES[name]
    sent = {key: value for key, value in exported.items() if key in KNOWN}
    assert set(CONTENT) <= set(sent)

    created = await api.post(f"{flows_path(tenant)}?strictValidation={strict}", sent)

    assert created.status == 201, created.raw
    path = f"{flows_path(tenant)}/{created.json['id']}"
    changed = await api.patch(path, {key: exported[key] for key in CONTENT})
    for answer in (
        created.json,
        (await api.get(path)).json,
        changed.json,
        *(await api.get(flows_path(tenant))).json["items"],
    ):
        assert {key: answer[key] for key in sent} == sent


def _content(version: dict[str, Any]) -> dict[str, Any]:
    return {key: version[key] for key in CONTENT if key in version}
