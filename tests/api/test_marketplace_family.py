"""Who sees what in the marketplace: the whole table of a family of companies, and of a stranger."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.api.conftest import Ground
from tests.support.contents import unchanged
from tests.support.market import MARKET, Shop, make_item, open_shop
from tests.support.tenants import Tenant, make_tenant


@dataclass(frozen=True)
class Family:
    """A parent with two children, each with a child of its own, and a stranger."""

    companies: dict[str, Tenant]
    shops: dict[str, Shop]


@pytest.fixture(scope="module")
async def family(ground: Ground) -> Family:
    database = ground.database
    grandparent = await make_tenant(database, "Grandparent")
    parent = await make_tenant(database, "Parent", parent=grandparent)
    child = await make_tenant(database, "Child", parent=parent)
    companies = {
        "grandparent": grandparent,
        "parent": parent,
        "child": child,
        "sibling": await make_tenant(database, "Sibling", parent=parent),
        "grandchild": await make_tenant(database, "Grandchild", parent=child),
        "stranger": await make_tenant(database, "Stranger"),
    }
    return Family(companies, {name: await open_shop(ground.anonymous, tenant) for name, tenant in companies.items()})


SEEN_BY = {
    "grandparent": {"grandparent", "parent"},
    "parent": {"grandparent", "parent", "child", "sibling"},
    "child": {"parent", "child", "sibling", "grandchild"},
    "sibling": {"parent", "child", "sibling"},
    "grandchild": {"child", "grandchild"},
    "stranger": {"stranger"},
}
"""Who uploads, and who sees it: a parent's item its children, a child's item its parent and its siblings."""


@pytest.mark.parametrize("uploader", SEEN_BY)
async def test_who_sees_a_private_item(family: Family, uploader: str) -> None:
    item_id = await make_item(family.companies[uploader])
    unknown = (await family.shops[uploader].item(999_999)).raw
    for name, shop in family.shops.items():
        seen = name in SEEN_BY[uploader]
        asked = {
            "item": await shop.item(item_id),
            "artifact": await shop.artifact(item_id),
            "versions": await shop.api.get(f"{MARKET}/{item_id}/versions"),
            "install": await shop.install(item_id),
        }
        assert [item["id"] for item in await shop.items(f"?filter[id]={item_id}")] == ([item_id] if seen else [])
        log = (await shop.api.get("/api/v1/marketplace/log?per_page=100")).json["data"]
        assert (item_id in [entry["item_id"] for entry in log]) == seen
        if seen:
            assert {answer.status for answer in asked.values()} == {200, 202}
            continue
        assert {(answer.status, answer.raw) for answer in asked.values()} == {(404, unknown)}, name


async def test_everybody_sees_what_is_not_private(family: Family) -> None:
    item_id = await make_item(family.companies["child"], private=False)
    for shop in family.shops.values():
        assert [item["id"] for item in await shop.items(f"?filter[id]={item_id}")] == [item_id]
        assert (await shop.artifact(item_id)).status == 200
        assert (await shop.install(item_id)).status == 202


async def test_only_the_uploader_yanks(family: Family) -> None:
    item_id = await make_item(family.companies["child"])
    for name, shop in family.shops.items():
        if name == "child":
            continue
        async with unchanged(family.companies["child"].database):
            answer = await shop.yank(item_id)
        assert answer.status == (403 if name in SEEN_BY["child"] else 404), name
    assert (await family.shops["child"].yank(item_id)).status == 200


async def test_the_same_bytes_of_two_companies_are_two_items(family: Family) -> None:
    first = await make_item(family.companies["child"])
    second = await make_item(family.companies["parent"])
    digests = {item["id"]: item["digest"] for item in await family.shops["child"].items()}
    assert digests[first] == digests[second]


async def test_a_file_of_the_marketplace_can_be_imported(
    family: Family,
) -> None:
    item_id = await make_item(family.companies["parent"])
    shop = family.shops["child"]
    imported = await shop.api.post("/api/v1/flows/import", (await shop.artifact(item_id)).raw)
    assert imported.json["data"]["name"] == "Orders"
