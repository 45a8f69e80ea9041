"""Random queries of the version language, and the rows they are tried on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from core.domain.identifiers import LARGEST_ID, hex_id
from core.store.database import Connection
from tests.support.evaluator import COMPARE, TEXT, Row

NAMES = [
    "a",
    "A",
    "b",
    "ab",
    "a%",
    "a_",
    "a\\",
    "100%",
    "Ärger",
    "ärger",
    "STRASSE",
    "straße",
    "'; --",
    "$1",
    "é",
    "😀",
]
"""Names that a careless compiler would get wrong: LIKE and SQL metacharacters, case that folds to other lengths."""

FLOW_NAME = "Pump control"
FIRST_DAY = datetime(2026, 11, 21, 10, 0, 0, 123_900, tzinfo=UTC)

DEEPEST = 3
"""Groups within groups in a random query; the parser's own bound is tested by itself."""

TYPES = ["timer", "webhook", 'a"b', "é"]
CONFIGS: list[dict[str, Any]] = [
    {},
    {"x": 1},
    {"x": 1.0, "y": None},
    {"x": True, "s": "text"},
    {"x": "1", "deep": {"x": 1}},
    {"x": [1]},
]


def bodies() -> list[dict[str, list[dict[str, Any]]]]:
    """Contents whose triggers and nodes differ in one thing at a time."""
    elements: list[dict[str, Any]] = [
        {"type": kind, "key": f"k{place}", "config": config} for place, config in enumerate(CONFIGS) for kind in TYPES
    ]
    elements += [{"type": "timer"}, {"type": "timer", "config": None}, {"type": "timer", "key": 1}, {"type": 1}, {}]
    return [{"triggers": [one], "nodes": [one, {"type": "other"}]} for one in elements] + [
        {"triggers": [], "nodes": []}
    ]


async def insert_rows(connection: Connection, company_id: int, flow_id: int) -> list[Row]:
    """One version for each body, named, dated and enabled in turn; returns them as the evaluator sees them."""
    rows = []
    for place, body in enumerate(bodies()):
        name = NAMES[place % len(NAMES)] + ("" if place < len(NAMES) else str(place))
        created = FIRST_DAY + timedelta(milliseconds=place // 2, microseconds=place)
        enabled = place % 3 > 0
        number = await connection.fetchval(
            """
            INSERT INTO flow_versions (company_id, flow_id, iteration, name, name_folded, status, enabled, body, digest,
                                       created_at, updated_at, created_by_type, updated_by_type)
            VALUES ($1, $2, $3, $4, $5, 'Inactive', $6, $7, '', $8, $9, 'cli', 'cli') RETURNING id
            """,
            company_id, flow_id, 1000 + place, name, name.casefold(), enabled, json.dumps(body),
            created, created + timedelta(days=1),
        )  # fmt: skip
        fields: dict[str, str | bool | None] = {
            "version": name, "name": FLOW_NAME, "flowClass": "cloud", "enabled": enabled, "customNodeSupports": None
        }  # fmt: skip
        dates = {"creationDate": created, "lastUpdated": created + timedelta(days=1)}
        rows.append(Row(number, fields, dates, body))
    return rows


scalars = st.sampled_from(NAMES) | st.sampled_from(
    ["", "c", "cloud", FLOW_NAME, "\U0010ffff", 5, 1.5, True, False, None]
)
members = st.sampled_from(NAMES) | st.sampled_from(["cloud", FLOW_NAME]) | st.integers(0, 3) | st.booleans()


def _rules(
    plain: st.SearchStrategy[Any], entries: st.SearchStrategy[Any], **more: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    """An object of one operator or two: all of them must hold, so of many hardly a row would be found."""
    operands = {
        **dict.fromkeys(("$eq", "$ne", *COMPARE), plain),
        "$in": st.lists(entries, max_size=3),
        "$nin": st.lists(entries, max_size=3),
        **more,
    }
    chosen = st.lists(st.sampled_from(sorted(operands)), min_size=1, max_size=2, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: operands[name] for name in names}))


_parts = dict.fromkeys(TEXT, st.sampled_from([*NAMES, "r", "S", "LOUD"]))
text_rules = _rules(scalars, members, **_parts)
texts = scalars | text_rules | st.builds(lambda rules, ci: {**rules, "$ci": ci}, text_rules, st.booleans())
ids = st.integers(1, 40).map(hex_id) | st.sampled_from([hex_id(LARGEST_ID), "f" * 24])
id_rules = st.one_of(
    ids | st.none(),
    *(st.fixed_dictionaries({name: ids | st.none()}) for name in ("$eq", "$ne", *COMPARE)),
    *(st.fixed_dictionaries({name: st.lists(ids, max_size=4)}) for name in ("$in", "$nin")),
)
_moments = st.integers(-3, 20).map(lambda ms: FIRST_DAY + timedelta(milliseconds=ms))
dates = (
    _moments.map(lambda moment: moment.isoformat().replace("+00:00", "Z"))
    | _moments.map(lambda moment: moment.replace(tzinfo=None).isoformat(timespec="milliseconds"))
    | _moments.map(lambda moment: int(moment.timestamp() * 1000))
    | st.sampled_from([0, -1.5, 10**30, "0001-01-01", "9999-12-31T23:59:59+14:00"])
)
date_rules = (dates | st.none()) | _rules(dates | st.none(), dates)
_config = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from([1, 1.0, "1", True, None]), max_size=2)
_node = st.fixed_dictionaries({"type": st.sampled_from([*TYPES, "other", "1"])}, optional={"config": _config})
_trigger = st.fixed_dictionaries(
    {"type": st.sampled_from([*TYPES, "1"])}, optional={"config": _config, "key": st.sampled_from(["k0", "k5", "1"])}
)


def _matches(wanted: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return wanted | st.fixed_dictionaries({"$eq": wanted}) | st.fixed_dictionaries({"$ne": wanted})


_fields: dict[str, st.SearchStrategy[Any]] = {
    "version": texts,
    "name": texts,
    "flowClass": texts,
    "enabled": texts,
    "customNodeSupports": texts,
    "id": id_rules,
    "creationDate": date_rules,
    "lastUpdated": date_rules,
    "triggers": _matches(_trigger),
    "nodes": _matches(_node),
}
_names = st.sampled_from([*_fields, "version", "version", "version"])
"""The version's own name is what most of the compiler is about; three of the others never reach the database."""


@st.composite
def queries(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    """A query of a field or two and, one time in four, a group of queries within."""
    names = draw(st.lists(_names, min_size=1 - depth % 2, max_size=2, unique=True))
    query = {name: draw(_fields[name]) for name in names}
    if depth < DEEPEST and draw(st.integers(0, 3)) == 0:
        query[draw(st.sampled_from(["$and", "$or", "$nor"]))] = draw(st.lists(queries(depth + 1), max_size=3))
    return query
