"""What the clients put on the wire that another would not, and that has to make no difference."""

from __future__ import annotations

import pytest

from core.domain.flows import Flow
from core.domain.identifiers import hex_id
from tests.api.conftest import Ground
from tests.clients.conftest import Client

NODES = [{"id": "a", "type": "DebugNode", "config": {}}]

ACCEPT_VERSION = {"python": "^1.31.0", "node": "^1.20.1"}


@pytest.fixture
async def flow(ground: Ground) -> Flow:
    return await ground.owner.make_flow()


@pytest.fixture
def at(ground: Ground, flow: Flow) -> dict[str, str]:
    return {"applicationId": ground.owner.application, "flowId": hex_id(flow.id)}


async def test_a_boolean_is_read_in_either_spelling(client: Client, at: dict[str, str]) -> None:
    made = await client.call("flowVersions.post", **at, flowVersion={"version": "v1", "notes": "old"})
    new = {"version": "v1", "notes": "new"}
    replaced = await client.call("flowVersions.post", **at, flowVersion=new, allowReplacement=True)
    spelling = "True" if client.speaker.name == "python" else "true"
    assert f"allowReplacement={spelling}" in client.last.path
    assert client.last.status == 201, "also when it replaces"
    assert (replaced["id"], replaced["notes"]) == (made["id"], "new")


async def test_a_query_is_read_however_it_is_encoded(client: Client, at: dict[str, str]) -> None:
    """As JSON with blanks, which become plus signs, or without."""
    for name in ("a b", "a+b", "a%20b", "\u00e4&=#"):
        await client.call("flowVersions.post", **at, flowVersion={"version": name, "nodes": NODES})
    for name in ("a b", "a+b", "a%20b", "\u00e4&=#"):
        query = {"$or": [{"version": name}, {"version": {"$in": [name]}}]}
        found = await client.call("flowVersions.get", **at, query=query)
        assert ("%3A+%5B%7B" in client.last.path) == (client.speaker.name == "python")
        assert [item["version"] for item in found["items"]] == [name]


async def test_a_delete_may_have_a_body(client: Client, at: dict[str, str]) -> None:
    await client.call("flowVersions.post", **at, flowVersion={"version": "v1"})
    assert await client.call("flowVersion.delete", **at, flowVersionId="v1") == {"success": True}
    assert client.last.body == (b"" if client.speaker.name == "python" else b"{}")


async def test_a_name_is_whole_whatever_is_in_it(client: Client, at: dict[str, str]) -> None:
    """One client encodes what stands in a path; users of the other go by the id."""
    name = "v 1/a?b#c%2F"
    made = await client.call("flowVersions.post", **at, flowVersion={"version": name})
    known = made["id"] if client.speaker.name == "python" else name
    assert await client.call("flowVersion.get", **at, flowVersionId=known) == made
    assert ("%2Fa%3Fb%23c%252F" in client.last.path) == (client.speaker.name == "node")
    patched = await client.call("flowVersion.patch", **at, flowVersionId=known, flowVersion={"notes": "seen"})
    assert (patched["version"], patched["notes"]) == (name, "seen")


async def test_any_version_of_the_interface_and_any_domain_are_accepted(client: Client, at: dict[str, str]) -> None:
    read = await client.call("flow.get", **at, losantdomain="elsewhere")
    assert client.last.sent["Accept-Version"] == ACCEPT_VERSION[client.speaker.name]
    assert client.last.sent["losantdomain"] == "elsewhere"
    assert "_actions=false&_links=true&_embedded=true" in client.last.path
    assert read["id"] == at["flowId"]


async def test_a_base_url_may_end_in_a_slash(client: Client, ground: Ground) -> None:
    """The clients put it and the path together as they are."""
    slashed = Client(client.speaker, client.tap, f"{client.url}/", client.token)
    made = await slashed.call("flows.post", applicationId=ground.owner.application, flow={"name": "Pump control"})
    assert client.last.path.startswith("//applications/")
    listed = await slashed.call("flows.get", applicationId=ground.owner.application, perPage="1000")
    assert made["id"] in [flow["id"] for flow in listed["items"]]


async def test_a_body_that_is_left_out_is_told_about(client: Client, at: dict[str, str]) -> None:
    """One client sends nothing then, the other an empty object."""
    error = await client.refused("flowVersions.post", **at)
    assert client.last.body == (b"" if client.speaker.name == "python" else b"{}")
    assert (error.status, error.body["type"]) == (400, "Validation")


async def test_an_address_that_is_none_is_an_error_like_any_other(client: Client, ground: Ground) -> None:
    """Never null, which one of the clients could not read, and never a page in HTML."""
    elsewhere = Client(client.speaker, client.tap, f"{client.url}/v2", client.token)
    error = await elsewhere.refused("flows.get", applicationId=ground.owner.application)
    assert (error.status, error.body["type"]) == (404, "NotFound")
