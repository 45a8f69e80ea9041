"""Workflows as Losant exports them are kept as versions and come back equal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.api import Api
from tests.support.paths import version_path, versions_path
from tests.support.tenants import Tenant

CONTENT = ("triggers", "nodes", "globals", "customNodeConfig")

SAMPLES = {file.stem: orjson.loads(file.read_bytes()) for file in Path(os.environ["PENSTOCK_SAMPLES"]).glob("*.json")}
assert SAMPLES, "the folder named in PENSTOCK_SAMPLES holds no *.json"


@pytest.mark.parametrize("name", sorted(SAMPLES))
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


def _content(version: dict[str, Any]) -> dict[str, Any]:
    return {key: version[key] for key in CONTENT if key in version}
