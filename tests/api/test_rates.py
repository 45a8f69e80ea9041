"""How often a company may ask: counted for all of its credentials and all processes together, and not at all while
nobody can count."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from core.domain.access import ActorType, Principal
from core.operations import access
from core.settings import Settings
from core.store.database import Database
from service.rates import WINDOW_SECONDS, Rates, Standing, open_rates
from tests.support.api import Api, Reply, open_api
from tests.support.logs import Logs
from tests.support.people import make_person
from tests.support.servers import RunningServer
from tests.support.tenants import Tenant
from tests.support.waiting import until
from tests.support.wire import Wire

JOBS = "/api/v1/jobs"
LIMIT = 5
PATIENCE_SECONDS = 10.0
"""For those tests that are not about an answer that is late: a busy machine takes longer than is usually waited for."""

AWAY = "Requests are admitted without being counted: Redis gives no answer."


@pytest.fixture
async def redis(valkey: RunningServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(valkey.url) as redis:
        await redis.flushall()
        yield redis


@pytest.fixture
def limited(settings: Settings) -> Settings:
    return replace(settings, rate_limit=LIMIT)


@pytest.fixture
async def counted(limited: Settings, database: Database, tenant: Tenant, redis: Redis) -> AsyncIterator[Api]:
    async with open_api(limited) as api:
        yield api.as_(f"Bearer {tenant.token}")


def standing(answer: Reply) -> tuple[str | None, str | None]:
    return answer.headers.get("X-RateLimit-Limit"), answer.headers.get("X-RateLimit-Remaining")


async def test_the_answers_count_down_and_then_refuse(counted: Api, tenant: Tenant, stranger: Tenant) -> None:
    for remaining in range(LIMIT - 1, -1, -1):
        answer = await counted.get(JOBS)
        assert (answer.status, standing(answer)) == (200, (str(LIMIT), str(remaining)))
    for _ in range(2):
        refused = await counted.get(JOBS)
        assert (refused.status, standing(refused)) == (429, (str(LIMIT), "0"))
        assert refused.json == {"message": f"Too many requests: this company may make {LIMIT} a minute."}
        assert 1 <= int(refused.headers["Retry-After"]) <= WINDOW_SECONDS
    other = await counted.as_(f"Bearer {stranger.token}").get(JOBS)
    assert (other.status, standing(other)) == (200, (str(LIMIT), str(LIMIT - 1)))


async def test_every_credential_of_a_company_counts_against_the_same(counted: Api, tenant: Tenant) -> None:
    person = await make_person(tenant)
    callers = [counted, counted.as_(tenant.key), counted.as_(person.credential)]
    assert [standing(await caller.get(JOBS))[1] for caller in callers] == ["4", "3", "2"]


async def test_refusals_count_unless_nobody_knows_whose_they_are(counted: Api, tenant: Tenant) -> None:
    reader = await tenant.make_token("flow.get")
    answers = [
        await counted.as_("Bearer nonsense").get(JOBS),
        await counted.get("/api/v1/nothing"),
        await counted.get(f"{JOBS}/{'A' * 21}"),
        await counted.get(f"{JOBS}?page=x"),
        await counted.as_(f"Bearer {reader.secret}").get(JOBS),
    ]
    assert [(answer.status, standing(answer)[1]) for answer in answers] == [
        (401, None),
        (404, None),
        (404, "4"),
        (422, "3"),
        (403, "2"),
    ]


async def test_a_stream_shows_where_its_company_stands(counted: Api, tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    job = await tenant.ask_deletion(flow)
    await counted.post(f"{JOBS}/{job}/cancel")
    answer = await counted.get(f"{JOBS}/{job}/events")
    assert (answer.headers["Content-Type"], standing(answer)[1]) == ("text/event-stream", "3")


async def test_a_slash_too_many_changes_nothing(counted: Api) -> None:
    answers = [await counted.get(f"/{JOBS}"), await counted.get(f"/{JOBS}?page=x")]
    assert [(answer.status, standing(answer)[1]) for answer in answers] == [(200, "4"), (422, "3")]


async def test_losants_routes_are_not_counted(counted: Api, tenant: Tenant, redis: Redis) -> None:
    for _ in range(LIMIT + 1):
        answer = await counted.get(f"/applications/{tenant.application}/flows")
        assert (answer.status, standing(answer)) == (200, (None, None))
    assert await redis.keys("penstock:rate:*") == []


async def test_logging_in_is_not_counted(counted: Api, redis: Redis) -> None:
    for path in ("/fabric/api/login", "/oauth/token"):
        assert standing(await counted.post(path, {})) == (None, None)
    assert await redis.keys("penstock:rate:*") == []


async def test_a_company_may_have_a_limit_of_its_own(counted: Api, tenant: Tenant, database: Database) -> None:
    maker = Principal(tenant.company_id, ActorType.CLI, None)
    callers = [counted, counted.as_(tenant.key), counted.as_((await make_person(tenant)).credential)]
    await access.set_rate_limit(maker, database, 3)
    assert [standing(await caller.get(JOBS)) for caller in callers] == [("3", "2"), ("3", "1"), ("3", "0")]
    assert (await counted.get(JOBS)).status == 429
    await access.set_rate_limit(maker, database, 0)
    for caller in callers:
        answer = await caller.get(JOBS)
        assert (answer.status, standing(answer)) == (200, (None, None))
    await access.set_rate_limit(maker, database, None)
    assert standing(await counted.get(JOBS)) == (str(LIMIT), "1")


async def test_without_a_limit_nothing_is_counted_or_told(
    settings: Settings, database: Database, tenant: Tenant, redis: Redis
) -> None:
    async with open_api(replace(settings, rate_limit=0)) as api:
        answer = await api.as_(f"Bearer {tenant.token}").get(JOBS)
    assert (answer.status, standing(answer)) == (200, (None, None))
    assert await redis.keys("penstock:rate:*") == []


async def test_any_number_of_processes_count_together_and_exactly(
    limited: Settings, database: Database, tenant: Tenant, redis: Redis
) -> None:
    async with open_api(limited) as first, open_api(limited) as second:
        callers = [api.as_(f"Bearer {tenant.token}") for api in (first, second)]
        answers = await asyncio.gather(*(callers[number % 2].get(JOBS) for number in range(30)))
    assert Counter(answer.status for answer in answers) == {200: LIMIT, 429: 30 - LIMIT}
    assert sorted(str(standing(answer)[1]) for answer in answers if answer.status == 200) == list("01234")


async def test_a_window_ends_a_minute_after_its_first_request(counted: Api, tenant: Tenant, redis: Redis) -> None:
    key = f"penstock:rate:{tenant.company_id}"
    for _ in range(LIMIT + 1):
        answer = await counted.get(JOBS)
    assert answer.status == 429
    assert 0 < await redis.pttl(key) <= WINDOW_SECONDS * 1_000
    assert await redis.get(key) == str(LIMIT).encode(), "whoever is refused is not kept out for longer"
    await redis.pexpire(key, 1)
    assert await until(lambda: _admitted(counted), "the window is over") == str(LIMIT - 1)


async def _admitted(api: Api) -> str | None:
    answer = await api.get(JOBS)
    return standing(answer)[1] if answer.status == 200 else None


async def test_a_server_that_forgot_the_script_is_told_it_again(counted: Api, redis: Redis) -> None:
    assert standing(await counted.get(JOBS))[1] == "4"
    await redis.script_flush()
    assert standing(await counted.get(JOBS))[1] == "3"


async def test_while_valkey_is_away_everybody_is_admitted(
    limited: Settings, database: Database, tenant: Tenant, redis: Redis, logs: Logs
) -> None:
    """One line when it goes and one when it is back, however many requests there are in between."""
    async with Wire(str(limited.redis_url)) as wire, open_api(replace(limited, redis_url=wire.url)) as anonymous:
        api = anonymous.as_(f"Bearer {tenant.token}")
        assert standing(await api.get(JOBS))[1] == "4"
        await wire.shut()
        for _ in range(LIMIT * 2):
            answer = await api.get(JOBS)
            assert (answer.status, standing(answer)) == (200, (None, None))
        assert len(logs.of(AWAY)) == 1
        await wire.open()
        assert await until(lambda: _admitted(api), "requests are counted again") == "3"
        (back,) = logs.of("Requests are counted again.")
        assert back["uncounted"] >= LIMIT * 2


async def test_a_valkey_that_hangs_holds_up_a_request_a_second(
    limited: Settings, tenant: Tenant, redis: Redis, logs: Logs
) -> None:
    """The first waits for its quarter of a second, those after it do not ask."""
    async with Wire(str(limited.redis_url)) as wire, open_rates(wire.url, PATIENCE_SECONDS) as rates:
        stop = wire.stop_before("EVALSHA")
        assert await rates.count(1, LIMIT) is None
        await stop.reached()
        assert [await rates.count(1, LIMIT) for _ in range(1_000)] == [None] * 1_000
        assert (rates.uncounted, len(logs.of(AWAY))) == (1_001, 1)
        stop.release()
        assert await until(lambda: rates.count(1, LIMIT), "requests are counted again")


async def test_counting_takes_one_call(limited: Settings, redis: Redis) -> None:
    async with open_rates(str(limited.redis_url), PATIENCE_SECONDS) as rates:
        await _count_some(rates)
        await redis.config_resetstat()
        await _count_some(rates)
    told = await redis.info("commandstats")
    assert told["cmdstat_evalsha"]["calls"] == LIMIT + 3
    assert not [name for name in told if name in ("cmdstat_eval", "cmdstat_script", "cmdstat_multi")]


async def test_what_comes_at_the_same_time_is_counted_together(limited: Settings, redis: Redis) -> None:
    """The first goes alone, those that come meanwhile with one call for each company; each stands where it would have
    stood alone."""
    async with open_rates(str(limited.redis_url), PATIENCE_SECONDS) as rates:
        await rates.count(1, LIMIT)
        await redis.config_resetstat()
        standings = await asyncio.gather(*(rates.count(1 + number % 2, LIMIT) for number in range(16)))
    own, other = ([one for one in standings[first::2] if one is not None] for first in (0, 1))
    assert [one.remaining for one in own] == [3, 2, 1, 0, 0, 0, 0, 0]
    assert [one.remaining for one in other] == [4, 3, 2, 1, 0, 0, 0, 0]
    assert [one.retry_after is None for one in own] == [True] * 4 + [False] * 4
    told = await redis.info("commandstats")
    assert told["cmdstat_evalsha"]["calls"] <= 3


async def test_whoever_does_not_wait_for_the_count_leaves_the_others_be(limited: Settings, redis: Redis) -> None:
    async with open_rates(str(limited.redis_url), PATIENCE_SECONDS) as rates:
        gone = asyncio.create_task(rates.count(1, LIMIT))
        await asyncio.sleep(0)
        gone.cancel()
        assert [await rates.count(1, LIMIT) for _ in range(2)] == [Standing(LIMIT, left, None) for left in (3, 2)]


async def _count_some(rates: Rates) -> None:
    for _ in range(LIMIT + 3):
        assert await rates.count(7, LIMIT) is not None
