"""Our OpenAPI document beside the contract: it names nothing that the contract does not, but for what is ours."""

from __future__ import annotations

from typing import Any

import pytest

from service.routes import Dialect
from tests.contracts.contract import FOLDER, read
from tests.support.conformance import document_of

OURS = {"deletionPreview", "matchedVersion"}
PARTS = {
    "href", "customNode", "jobLogProgress", "jobLogInput", "jobLogError", "flowMetric", "flowError", "flowErrorCause",
    "flowLogEntry",
}  # fmt: skip
"""Components without a schema of the contract's: what is our own, and what is only part of something there."""

ALONG = {"_type", "_links", "customNodes"}
"""What an answer carries when asked, and what the contract says beside its schemas."""

COMPONENTS: dict[str, Any] = document_of(Dialect.LOSANT)["components"]["schemas"]


def members_of(schema: dict[str, Any]) -> set[str]:
    """The members a schema names, in any of the alternatives it has."""
    return {name for part in (schema, *schema.get("oneOf", [])) for name in part.get("properties", {})}


def test_every_component_is_of_the_contract_or_known_as_ours() -> None:
    assert {name for name in COMPONENTS if not (FOLDER / f"{name}.json").exists()} == OURS | PARTS


@pytest.mark.parametrize("name", sorted(set(COMPONENTS) - OURS - PARTS))
def test_a_component_names_no_member_that_the_contract_does_not(name: str) -> None:
    assert members_of(COMPONENTS[name]) - members_of(read(name)) - ALONG == set()
