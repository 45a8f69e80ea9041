"""Whatever is sent, the answer is never ours to be blamed for: no 5xx, always JSON, and a 4xx writes nothing."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.dialects.patchworks import schedules as patchworks_schedules
from service.dialects.patchworks import versions as patchworks_versions
from service.native import ledger
from service.routes import ROUTES, Dialect, Route
from tests.api.cases import (
    arrange,
    every,
    every_closed_route,
    every_route_with_a_body,
    every_route_with_ids,
    kind_of,
    names_of,
)
from tests.api.conftest import Ground
from tests.support.api import Reply

FEW = settings(max_examples=10, deadline=None)
"""Examples a route: with a hundred routes more than two thousand in all, and others each time."""

SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["develop", "default", "0" * 24, "f" * 24, "\u0661" * 24, "a@b.c\n", "http://[", "x" * 300])
)

NAMES = st.sampled_from(
    sorted(
        {str(field.data_key or field.name) for route in ROUTES if route.body for field in route.body().fields.values()}
        | {"$and", "$or", "$nor", "$eq", "$in", "$ci", "$startsWith", "id", "__proto__", ""}
    )
)
"""Keys that mean something somewhere, so that what is generated gets past the first check."""

VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def assert_ours(route: Route, answer: Reply) -> None:
    """An answer as the contract has it, in the dialect of the address."""
    assert answer.status < 500, answer.raw
    assert answer.headers["Content-Type"] == kind_of(route, answer)
    if answer.status >= 400:
        losants = route.dialect is Dialect.LOSANT
        assert isinstance(answer.json["message"], str)
        assert ("type" in answer.json) == losants


async def count_events(ground: Ground) -> int:
    """How many changes there were: each leaves an event behind. Comparing all rows a thousand times takes too long."""
    async with ground.database.connection() as connection:
        count: int = await connection.fetchval("SELECT coalesce(max(id), 0) FROM audit_events")
    return count


IDEMPOTENT = {
    ledger.repair_schedule, patchworks_schedules.change_schedule, patchworks_schedules.preview_schedule,
    patchworks_versions.change_version,
}  # fmt: skip
"""What changes nothing where all is as it is asked to be, or never does."""


async def assert_answered(ground: Ground, route: Route, path: str, raw: bytes | None) -> None:
    """Sends one request, which must change something exactly if it is not refused."""
    before = await count_events(ground)
    answer = await ground.opening(route).send(route.method, path, raw=raw)
    assert_ours(route, answer)
    changes = await count_events(ground) > before
    succeeded = answer.status < 400 and route.method != "GET"
    assert changes <= succeeded if route.handler in IDEMPOTENT else changes == succeeded


@every_route_with_a_body
@FEW
@given(VALUES)
async def test_any_value_as_a_body(ground: Ground, route: Route, value: Any) -> None:
    arranged = await arrange(route, ground.owner)
    await assert_answered(ground, route, arranged.path(route), json.dumps(value).encode())


@every_route_with_a_body
@FEW
@given(st.data())
async def test_any_value_in_a_body_that_is_right_but_for_it(ground: Ground, route: Route, data: st.DataObject) -> None:
    arranged = await arrange(route, ground.owner)
    assert route.body is not None
    fields = [str(field.data_key or field.name) for field in route.body().fields.values()]
    body = {**(arranged.body or {}), data.draw(st.sampled_from(fields)): data.draw(VALUES)}
    await assert_answered(ground, route, arranged.path(route), json.dumps(body).encode())


@every_route_with_a_body
@FEW
@given(st.binary(max_size=100))
async def test_any_bytes_as_a_body(ground: Ground, route: Route, raw: bytes) -> None:
    arranged = await arrange(route, ground.owner)
    await assert_answered(ground, route, arranged.path(route), raw)


HEADER_TEXTS = st.text(st.characters(codec="utf-8", min_codepoint=32).filter(str.isprintable), max_size=60)
"""What a client can put into a header at all."""

SEGMENTS = st.text(max_size=30).map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")) | st.binary(
    min_size=1, max_size=12
).map(lambda raw: "".join(f"%{byte:02X}" for byte in raw))


@every_route_with_ids
@FEW
@given(st.data())
async def test_any_text_as_part_of_the_path(ground: Ground, route: Route, data: st.DataObject) -> None:
    arranged = await arrange(route, ground.owner)
    name = data.draw(st.sampled_from(names_of(route)))
    path = arranged.path(route, **{name: "~"}).replace("~", data.draw(SEGMENTS))
    await assert_answered(ground, route, path, None if arranged.body is None else json.dumps(arranged.body).encode())


@every(lambda route: route.method == "GET")
@FEW
@given(st.data())
async def test_any_text_as_a_parameter(ground: Ground, route: Route, data: st.DataObject) -> None:
    """Known names, unknown ones, none at all, and one name several times."""
    known = [str(field.data_key or field.name) for field in route.query().fields.values()]
    names = (st.sampled_from(known).map(quote) | SEGMENTS) if known else SEGMENTS
    numbers = st.integers(-5, 10**12).map(str)
    pairs = data.draw(st.lists(st.tuples(names, SEGMENTS | numbers), max_size=3))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    arranged = await arrange(route, ground.owner)
    answer = await ground.opening(route).get(f"{arranged.path(route)}{'&' if arranged.parameters else '?'}{query}")
    assert_ours(route, answer)


@every_closed_route
@FEW
@given(HEADER_TEXTS)
async def test_any_text_as_a_credential(ground: Ground, route: Route, text: str) -> None:
    arranged = await arrange(route, ground.owner)
    for credential in (text, f"Bearer {text}"):
        answer = await ground.anonymous.as_(credential).send(route.method, arranged.path(route), arranged.body)
        assert_ours(route, answer)
        assert answer.status == 401


HEADERS = [
    "If-None-Match", "If-Match", "Last-Event-ID", "Idempotency-Key", "Accept", "Accept-Version", "Content-Type",
    "Content-Encoding", "Prefer",
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
@FEW
@given(st.sampled_from([route for route in ROUTES if not route.is_form]), HEADER_TEXTS)
async def test_any_text_in_a_header(ground: Ground, header: str, route: Route, text: str) -> None:
    arranged = await arrange(route, ground.owner)
    answer = await ground.opening(route).send(route.method, arranged.path(route), arranged.body, headers={header: text})
    assert_ours(route, answer)
