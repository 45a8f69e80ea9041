"""GET /api/v1/audit-events: what a company's administrators can read of what was done in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from yarl import URL

from core.domain.access import Role
from core.domain.audit import AuditSelection
from core.domain.documents import parse_document
from core.domain.flows import FlowChange
from core.domain.versions import NewVersion
from core.operations import audit, flows, people
from core.store.database import Database
from schemas.losant import SHOWN_FLOW, content_of
from service.native.jobs import LINES, NDJSON
from tests.support.api import Api, Reply
from tests.support.contents import unchanged
from tests.support.people import make_person, make_robot, make_user, operator
from tests.support.tenants import Tenant

PATH = "/api/v1/audit-events"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def reader(anonymous: Api, tenant: Tenant) -> Api:
    """The API as an administrator of the tenant."""
    return anonymous.as_(await make_robot(tenant))


async def read(reader: Api, **parameters: object) -> Reply:
    filters = {"page", "per_page"}
    named = {name if name in filters else f"filter[{name}]": str(value) for name, value in parameters.items()}
    return await reader.get(str(URL(PATH).with_query(named)))


async def actions(reader: Api, **parameters: object) -> list[str]:
    answer = await read(reader, **parameters)
    assert answer.status == 200, answer.raw
    return [event["action"] for event in answer.json["data"]]


async def lines(reader: Api, **parameters: object) -> list[dict[str, Any]]:
    named = {f"filter[{name}]": str(value) for name, value in parameters.items()}
    answer = await reader.get(str(URL(PATH).with_query(named)), headers={"Accept": NDJSON})
    assert (answer.status, answer.headers["Content-Type"]) == (200, NDJSON), answer.raw
    return [orjson.loads(line) for line in answer.raw.splitlines()]


async def add_events(database: Database, company_id: int, count: int, step: timedelta = timedelta(seconds=1)) -> None:
    """Events `act.0`, `act.1`… from START on, in a statement that a test can afford thousands of."""
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO audit_events (company_id, at, actor_type, action, subject_type, subject_id)
            SELECT $1, $2::timestamptz + n * $3::interval, 'cli', 'act.' || n, 'thing', n + 1
            FROM generate_series(0, $4 - 1) AS n
            """,
            company_id,
            START,
            step,
            count,
        )


# What an event says


async def test_an_event_says_who_from_where_what_and_when(reader: Api, tenant: Tenant) -> None:
    begun = datetime.now(UTC)
    flow = await tenant.make_flow("Pump control")
    newest = (await read(reader, per_page=1)).json["data"][0]
    assert begun - timedelta(minutes=1) < datetime.fromisoformat(newest.pop("at")) < datetime.now(UTC)
    assert newest.pop("id") > 0
    assert newest == {
        "actor_type": "apiToken",
        "actor_id": tenant.token_id,
        "remote": "127.0.0.1",
        "action": "flow.create",
        "subject_type": "flow",
        "subject_id": flow.id,
        "before_digest": None,
        "after_digest": None,
        "details": {"name": "Pump control"},
    }


async def test_an_event_says_what_was_there_before_and_after(reader: Api, tenant: Tenant) -> None:
    """In the digests that versions and the trash have."""
    flow = await tenant.make_flow()
    first, second = (
        NewVersion("v1", True, None, content_of(parse_document(raw))) for raw in (b"{}", b'{"globals":[]}')
    )
    before = await tenant.keep_version(flow, first)
    after = await tenant.keep_version(flow, second, replace=True)
    (made,) = (await read(reader, action="version.create")).json["data"]
    (replaced,) = (await read(reader, action="version.replace")).json["data"]
    assert (made["before_digest"], made["after_digest"]) == (None, before.digest.hex())
    assert (replaced["before_digest"], replaced["after_digest"]) == (before.digest.hex(), after.digest.hex())


async def test_what_became_of_a_schedule_is_found_under_its_number(reader: Api, tenant: Tenant, anonymous: Api) -> None:
    """Also when it is gone, and with what it was."""
    version = await tenant.make_version(await tenant.make_flow(), "v1")
    path, manager = f"/api/v1/flow-versions/{version.id}/schedules", anonymous.as_(tenant.key)
    made = (await manager.post(path, {"cron_string": "0 * * * *"})).json["data"]["id"]
    await manager.send("PUT", f"{path}/{made}", {"cron_string": "5 * * * *"})
    await manager.delete(f"{path}/{made}")
    deleted, changed, created = (await read(reader, subject_type="schedule", subject_id=made)).json["data"]
    assert [event["action"] for event in (created, changed, deleted)] == [
        "schedule.create", "schedule.change", "schedule.delete",
    ]  # fmt: skip
    assert {event["actor_type"] for event in (created, changed, deleted)} == {"apiKey"}
    assert changed["details"] == {
        "version": version.id,
        "changes": {"cron_string": {"before": "0 * * * *", "after": "5 * * * *"}},
    }
    assert deleted["details"]["rules"]["cron_string"] == "5 * * * *"


async def test_what_became_of_a_person_is_found_under_theirs(reader: Api, tenant: Tenant, database: Database) -> None:
    user = await make_user(tenant, Role.READ_ONLY)
    await people.set_role(operator(tenant), database, user.id, Role.MANAGER)
    await people.close_user(operator(tenant), database, user.id)
    found = (await read(reader, subject_type="user", subject_id=user.id)).json["data"]
    assert [event["action"] for event in found] == ["user.close", "user.role", "user.create"]
    assert found[1]["details"] == {"role": "manager"}


async def test_the_command_line_has_neither_a_number_nor_an_address(reader: Api) -> None:
    (made,) = (await read(reader, action="company.create")).json["data"]
    assert (made["actor_type"], made["actor_id"], made["remote"]) == ("cli", None, None)


async def test_a_login_is_seen_with_its_address(anonymous: Api, tenant: Tenant) -> None:
    person = await make_person(tenant, Role.ADMINISTRATOR)
    found = await read(anonymous.as_(person.credential), actor_type="user", actor_id=person.user.id)
    assert [(event["action"], event["remote"]) for event in found.json["data"]] == [("user.login", "127.0.0.1")]


async def test_reading_leaves_no_event(reader: Api, database: Database) -> None:
    async with unchanged(database):
        await read(reader)
        await lines(reader)


async def test_another_companys_events_are_not_there(reader: Api, stranger: Tenant) -> None:
    flow = await stranger.make_flow()
    assert await actions(reader, subject_type="flow", subject_id=flow.id) == []
    assert "flow.create" not in {event["action"] for event in await lines(reader)}


# Pages


async def test_pages_are_newest_first_and_keep_their_filters(reader: Api, tenant: Tenant, database: Database) -> None:
    await add_events(database, tenant.company_id, 25)
    first = (await read(reader, subject_type="thing", to=START + timedelta(seconds=20), per_page=15)).json
    assert [event["action"] for event in first["data"]] == [f"act.{number}" for number in range(19, 4, -1)]
    assert (first["meta"]["total"], first["meta"]["last_page"], first["links"]["prev"]) == (20, 2, None)
    second = (await reader.get(first["links"]["next"].removeprefix("http://penstock.example"))).json
    assert [event["action"] for event in second["data"]] == [f"act.{number}" for number in range(4, -1, -1)]
    assert (second["meta"]["total"], second["meta"]["from"], second["links"]["next"]) == (20, 16, None)


async def test_a_page_beyond_the_end_is_empty(reader: Api, tenant: Tenant, database: Database) -> None:
    await add_events(database, tenant.company_id, 3)
    beyond = (await read(reader, subject_type="thing", page=3)).json
    assert (beyond["data"], beyond["meta"]["total"], beyond["meta"]["from"]) == ([], 3, None)


# Filters


@dataclass(frozen=True)
class Deeds:
    """Some changes of several kinds: a flow of each of two names, the first one renamed by another token."""

    first: int
    second: int
    other_token: int


@pytest.fixture
async def deeds(tenant: Tenant) -> Deeds:
    first, second = await tenant.make_flow("a"), await tenant.make_flow("b")
    token = await tenant.make_token("flow.patch")
    other = replace(tenant.principal, actor_id=token.id)
    change = FlowChange(name="c")
    await flows.change_flow(other, tenant.database, tenant.application_id, first.id, change, SHOWN_FLOW)
    return Deeds(first.id, second.id, token.id)


async def test_each_filter_narrows(reader: Api, tenant: Tenant, deeds: Deeds) -> None:
    told: Mapping[str, tuple[dict[str, object], list[str]]] = {
        "action": ({"action": "flow.create"}, ["flow.create", "flow.create"]),
        "either action": ({"action": "flow.change,flow.create"}, ["flow.change", "flow.create", "flow.create"]),
        "actor": ({"actor_type": "apiToken", "actor_id": deeds.other_token}, ["flow.change"]),
        "either actor": (
            {"actor_type": "apiToken,user", "actor_id": f"{deeds.other_token},{tenant.token_id}"},
            ["flow.change", "flow.create", "flow.create"],
        ),
        "subject": ({"subject_type": "flow", "subject_id": deeds.first}, ["flow.change", "flow.create"]),
        "either subject": (
            {"subject_type": "flow", "subject_id": f"{deeds.first},{deeds.second}"},
            ["flow.change", "flow.create", "flow.create"],
        ),
        "all must hold": ({"action": "flow.change", "subject_id": deeds.second}, []),
        "unknown word": ({"action": "flow.paint"}, []),
        "largest id": ({"actor_id": 2**63 - 1}, []),
    }
    for title, (parameters, expected) in told.items():
        assert await actions(reader, **parameters) == expected, title
        assert [event["action"] for event in await lines(reader, **parameters)] == expected, title


async def test_a_span_holds_its_beginning_and_not_its_end(reader: Api, tenant: Tenant, database: Database) -> None:
    """So that one day's export ends where the next one's begins."""
    await add_events(database, tenant.company_id, 5)
    begin, end = START + timedelta(seconds=1), START + timedelta(seconds=3)
    milliseconds = [round(moment.timestamp() * 1000) for moment in (begin, end)]
    abroad = [(moment + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00") for moment in (begin, end)]
    for since, until in ((begin.isoformat(), end.isoformat()), milliseconds, abroad):
        assert await actions(reader, **{"from": since, "to": until}) == ["act.2", "act.1"]
    assert await actions(reader, **{"from": end.isoformat(), "to": begin.isoformat()}) == []


async def test_a_plus_that_was_not_encoded_is_one(reader: Api, tenant: Tenant, database: Database) -> None:
    await add_events(database, tenant.company_id, 2)
    answer = await reader.get(f"{PATH}?filter[to]=2026-01-01T01:00:01+01:00")
    assert [event["action"] for event in answer.json["data"]] == ["act.0"]


async def test_an_unknown_filter_is_refused_with_those_there_are(reader: Api) -> None:
    allowed = "action, actor_type, actor_id, subject_type, subject_id, from, to"
    for query, named in (
        ("filter[colour]=red", "colour"),
        ("filter[action]=x&filter[b]=1&filter[a]=1", "b, a"),
        ("filter[]=x", ""),
        ("filter[action][]=x", "action]["),
        ("filter[%ED%A0%80]=x", "\ufffd" * 3),
    ):
        answer = await reader.get(f"{PATH}?{query}")
        assert answer.status == 400, answer.raw
        assert answer.json == {
            "message": f"Requested filter(s) `{named}` are not allowed. Allowed filter(s) are `{allowed}`."
        }


async def test_thousands_of_unknown_filters_do_not_come_back(reader: Api) -> None:
    answer = await reader.get(f"{PATH}?" + "&".join(f"filter[{'x' * 100}{number}]=1" for number in range(1_000)))
    assert answer.status == 400
    assert len(answer.raw) < 2_000


# Everything, as lines


async def test_all_events_come_out_once_over_many_reads(reader: Api, tenant: Tenant, database: Database) -> None:
    """Of which the last is full, and all of one read at the same instant: the id then says which is next."""
    count = 2 * LINES
    await add_events(database, tenant.company_id, count, timedelta(0))
    found = await lines(reader, subject_type="thing")
    assert [event["action"] for event in found] == [f"act.{number}" for number in range(count - 1, -1, -1)]
    page = (await read(reader, subject_type="thing", per_page=1)).json
    assert found[0] == page["data"][0]


async def test_what_happens_during_an_export_moves_nothing_in_it(tenant: Tenant, database: Database) -> None:
    """New events come before those that are being read: none is seen twice. Pages, the control, overlap."""
    await add_events(database, tenant.company_id, 6)
    asked = (tenant.principal, database, AuditSelection())
    first = await audit.read_events(*asked, after=None, limit=3)
    page, _ = await audit.list_events(*asked, limit=3, offset=0)
    assert page == first
    await tenant.make_flow("meanwhile")
    second = await audit.read_events(*asked, after=first[-1], limit=3)
    overlapping, _ = await audit.list_events(*asked, limit=3, offset=3)
    assert not {event.id for event in first} & {event.id for event in second}
    assert overlapping[0] == first[-1]
    assert overlapping[1:] == second[:2]


async def test_nothing_selected_is_an_empty_answer(reader: Api) -> None:
    assert await lines(reader, action="flow.paint") == []
