"""Random queries of each language, and the rows they are tried on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from hypothesis import strategies as st

from core.domain.flow_classes import FLOW_CLASSES
from core.domain.identifiers import LARGEST_ID, hex_id
from core.domain.languages import VERSIONS, Kind, Language
from core.store.database import Connection
from tests.support.evaluator import COMPARE, TEXT, Row
from tests.support.tenants import Tenant

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

SUPPORTS: list[list[str] | None] = [None, [], ["cloud"], ["edge"]]
"""What flows say that they support as custom nodes."""

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


Content = dict[str, list[dict[str, Any]]]
NO_CONTENT: Content = {"triggers": [], "nodes": []}


def bodies() -> list[Content]:
    """Contents whose triggers and nodes differ in one thing at a time."""
    elements: list[dict[str, Any]] = [
        {"type": kind, "key": f"k{place}", "config": config} for place, config in enumerate(CONFIGS) for kind in TYPES
    ]
    elements += [{"type": "timer"}, {"type": "timer", "config": None}, {"type": "timer", "key": 1}, {"type": 1}, {}]
    return [{"triggers": [one], "nodes": [one, {"type": "other"}]} for one in elements] + [NO_CONTENT]


async def insert_version(
    connection: Connection, company_id: int, flow_id: int, body: Content, *, name: str | None, status: str, place: int
) -> tuple[int, datetime]:
    """Made and changed at moments that differ by less than is shown; returns its id and the first of them."""
    created = FIRST_DAY + timedelta(milliseconds=place // 2, microseconds=place)
    number: int = await connection.fetchval(
        """
        INSERT INTO flow_versions (company_id, flow_id, iteration, name, name_folded, status, enabled, body, digest,
                                   created_at, updated_at, deployed_at, created_by_type, updated_by_type)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', $9, $10, CASE $6 WHEN 'Deployed' THEN now() END, 'cli', 'cli')
        RETURNING id
        """,
        company_id, flow_id, 1000 + place, name, name.casefold() if name else None, status, place % 3 > 0,
        json.dumps(body), created, created + timedelta(days=1),
    )  # fmt: skip
    return number, created


async def insert_rows(connection: Connection, company_id: int, flow_id: int) -> list[Row]:
    """One version of a flow for each body, named, dated and enabled in turn, as the evaluator sees them."""
    rows = []
    for place, body in enumerate(bodies()):
        name = NAMES[place % len(NAMES)] + ("" if place < len(NAMES) else str(place))
        number, created = await insert_version(
            connection, company_id, flow_id, body, name=name, status="Inactive", place=place
        )
        fields: dict[str, str | bool | None] = {
            "version": name, "name": FLOW_NAME, "flowClass": "cloud", "enabled": place % 3 > 0,
            "customNodeSupports": None,
        }  # fmt: skip
        dates = {"creationDate": created, "lastUpdated": created + timedelta(days=1)}
        rows.append(Row({"id": number}, fields, dates, body))
    return rows


async def insert_flows(connection: Connection, tenant: Tenant) -> list[Row]:
    """A flow for each body, of every class; some without develop content, some with versions, some with a default."""
    rows, contents = [], bodies()
    for place, body in enumerate(contents):
        name, flow_class = NAMES[place % len(NAMES)], FLOW_CLASSES[place % len(FLOW_CLASSES)]
        supports = SUPPORTS[place // 2 % len(SUPPORTS)]
        flow_id, created = await _insert_flow(connection, tenant, name, flow_class, place, supports)
        develop = place % 4 != 3
        if develop:
            await insert_version(connection, tenant.company_id, flow_id, body, name=None, status="Draft", place=place)
        others = [contents[(place + step) % len(contents)] for step in range(1, 1 + place % 3)]
        default = None
        for step, other in enumerate(others, 1):
            status = "Deployed" if step == 1 and place % 2 else "Inactive"
            number, _ = await insert_version(
                connection, tenant.company_id, flow_id, other, name=f"v{step}", status=status, place=place + step
            )
            default = number if status == "Deployed" else default
        rows.append(
            Row(
                {"id": flow_id, "defaultVersion": default},
                {
                    "name": name,
                    "flowClass": flow_class,
                    "enabled": place % 3 > 0,
                    "customNodeSupports": next(iter(supports or ()), None),
                },
                {"creationDate": created, "lastUpdated": created + timedelta(days=1)},
                body if develop else NO_CONTENT,
                tuple(others),
            )
        )
    return rows


async def insert_namesakes(connection: Connection, tenant: Tenant, name: str) -> list[Row]:
    """A version of this name, and another one, in a flow of each name there is and of every class."""
    rows = []
    for place, flow_name in enumerate(NAMES):
        flow_class = FLOW_CLASSES[place % len(FLOW_CLASSES)]
        flow_id, _ = await _insert_flow(connection, tenant, flow_name, flow_class, place)
        await insert_version(
            connection, tenant.company_id, flow_id, NO_CONTENT, name="other", status="Inactive", place=40
        )
        number, created = await insert_version(
            connection, tenant.company_id, flow_id, NO_CONTENT, name=name, status="Inactive", place=place
        )
        rows.append(
            Row(
                {"id": number, "flowId": flow_id},
                {"name": flow_name, "flowClass": flow_class, "enabled": place % 3 > 0},
                {"creationDate": created, "lastUpdated": created + timedelta(days=1)},
            )
        )
    return rows


async def _insert_flow(
    connection: Connection, tenant: Tenant, name: str, flow_class: str, place: int, supports: list[str] | None = None
) -> tuple[int, datetime]:
    created = FIRST_DAY + timedelta(milliseconds=place // 2, microseconds=place)
    number: int = await connection.fetchval(
        """
        INSERT INTO flows (company_id, application_id, name, name_folded, flow_class, enabled, created_at, updated_at,
                           custom_node_supports, created_by_type, updated_by_type)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'cli', 'cli') RETURNING id
        """,
        tenant.company_id, tenant.application_id, name, name.casefold(), flow_class, place % 3 > 0, created,
        created + timedelta(days=1), supports,
    )  # fmt: skip
    return number, created


JOB_WORDS = {
    "queued": "queued", "in_progress": "inProgress", "completed": "completed", "failed": "failed", "errored": "errored",
    "cancelled": "failed",
}  # fmt: skip
JOB_NAMES = {"delete_versions": "Bulk delete of flow versions", "delete_flow": "Removal of a flow"}


async def insert_job_log(connection: Connection, tenant: Tenant) -> list[Row]:
    """A job of each kind in each state, with the moments it has reached; beside them a letter, which is no entry."""
    rows = []
    for place, (status, kind) in enumerate(product(JOB_WORDS, JOB_NAMES)):
        queued = FIRST_DAY + timedelta(milliseconds=place // 2, microseconds=place)
        started = None if status == "queued" else queued + timedelta(milliseconds=3)
        finished = None if status in ("queued", "in_progress") else queued + timedelta(milliseconds=5)
        number: int = await connection.fetchval(
            """
            WITH job AS (
                INSERT INTO jobs (public_id, company_id, application_id, kind, queue, status, arguments,
                                  requested_by_type, created_at, started_at, finished_at, leased_until)
                VALUES (lpad($1, 21, '0'), $2, $3, $4, 'bulk', $5, '{}', 'cli', $6, $7, $8,
                        CASE $5 WHEN 'in_progress' THEN now() END)
                RETURNING *
            ), letter AS (
                INSERT INTO jobs (public_id, company_id, application_id, parent_id, kind, queue, status, arguments,
                                  requested_by_type, finished_at)
                SELECT lpad($1, 21, '1'), company_id, application_id, id, 'send_mail', 'outbound', 'completed', '{}',
                       'job', now() FROM job
            )
            SELECT id FROM job
            """,
            f"{tenant.company_id}{place:02}", tenant.company_id, tenant.application_id, kind, status, queued, started,
            finished,
        )  # fmt: skip
        rows.append(
            Row(
                {"id": number, "resourceId": tenant.application_id},
                {"status": JOB_WORDS[status], "name": JOB_NAMES[kind], "resourceType": "application"},
                {"runQueuedAt": queued, "runStartedAt": started, "runCompletedAt": finished},
            )
        )
    return rows


scalars = st.sampled_from(NAMES) | st.sampled_from(
    ["", "c", "cloud", FLOW_NAME, "\U0010ffff", 5, 1.5, True, False, None]
)
words = st.sampled_from([*FLOW_CLASSES, *JOB_WORDS.values(), *JOB_NAMES.values(), "application", "CLOUD", "inprogress"])
members = st.sampled_from(NAMES) | words | st.sampled_from([FLOW_NAME]) | st.integers(0, 3) | st.booleans()


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


_parts = dict.fromkeys(TEXT, st.sampled_from([*NAMES, "r", "S", "LOUD", "ed", "Node"]))
text_rules = _rules(scalars | words, members, **_parts)
texts = scalars | words | text_rules | st.builds(lambda rules, ci: {**rules, "$ci": ci}, text_rules, st.booleans())
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


_strategies: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: texts,
    Kind.FLAG: texts,
    Kind.ID: id_rules,
    Kind.DATE: date_rules,
    Kind.TRIGGERS: _matches(_trigger),
    Kind.NODES: _matches(_node),
}


def _names(language: Language) -> st.SearchStrategy[str]:
    """A version's own name is what most of the compiler is about; three of its others never reach the database."""
    return st.sampled_from([*sorted(language), *["version" for _ in range(3) if "version" in language]])


@st.composite
def queries(draw: st.DrawFn, depth: int = 0, language: Language = VERSIONS) -> dict[str, Any]:
    """A query of a field or two and, one time in four, a group of queries within."""
    names = draw(st.lists(_names(language), min_size=1 - depth % 2, max_size=2, unique=True))
    query = {name: draw(_strategies[language[name]]) for name in names}
    if depth < DEEPEST and draw(st.integers(0, 3)) == 0:
        group = draw(st.sampled_from(["$and", "$or", "$nor"]))
        query[group] = draw(st.lists(queries(depth + 1, language), max_size=3))
    return query
