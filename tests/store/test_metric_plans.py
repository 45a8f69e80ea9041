"""A page of metrics reads the numbers of its flow and range, however many others there are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from core.domain.listings import Listing
from core.domain.metrics import Interval, Window
from core.store import version_metrics
from core.store.database import Database
from core.store.listings import listed_by
from core.store.queries import query

FLOWS, VERSIONS, PERIODS = 20, 5, 144
DAY = datetime(2026, 1, 7, tzinfo=UTC)
PAGE = 100


@pytest.fixture(params=["analysed", "fresh"])
async def counted(request: pytest.FixtureRequest, database: Database) -> None:
    """Twelve hours of five minutes of many flows; the statistics may know of them or not."""
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO version_metrics (company_id, flow_id, flow_version_id, type, key, span, period_start, count)"
            " SELECT 1, f, v, 'runs', key, '5m', $4::timestamptz + n * interval '5 minutes', 7"
            " FROM generate_series(1, $1::integer) AS f, generate_series(1, $2::integer) AS v,"
            " generate_series(0, $3::integer - 1) AS n, unnest('{failure,success}'::text[]) AS key",
            FLOWS,
            VERSIONS,
            PERIODS,
            DAY,
        )
        if request.param == "analysed":
            await connection.execute("ANALYZE version_metrics")


async def touched(database: Database, name: str, listing: Listing, *arguments: object, first: int) -> tuple[int, str]:
    """The most rows that a step of the plan produced or threw away, and the plan."""
    window = Window(Interval.FIVE_MINUTES, DAY, DAY + timedelta(days=1))
    windows = window if name.endswith("list_interval") else tuple(zip(window, strict=True))
    statement, values = listed_by(query(name), version_metrics.METRICS, listing, first=first)
    sql = re.sub(r"^--.*\n", "", statement, flags=re.MULTILINE).rstrip("; \n")
    at = (1, 7, *windows, *zip(*version_metrics._told_of(listing), strict=True))
    async with database.connection() as connection:
        rows = await connection.fetch(
            f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {sql}", *at, *arguments, *values
        )
    text = "\n".join(row[0] for row in rows)
    steps = re.findall(r"rows=([0-9.]+) loops=(\d+)", text)
    thrown = re.findall(r"Removed by (?:Filter|Join Filter|Index Recheck): (\d+)", text)
    return max([int(float(number) * int(loops)) for number, loops in steps] + [int(number) for number in thrown]), text


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("name", ["list_interval", "list_intervals"])
async def test_a_page_reads_its_flows_own(database: Database, name: str) -> None:
    listing = Listing(PAGE, 0, {"type": ["runs"]})
    number, text = await touched(database, f"version_metrics.{name}", listing, PAGE, 0, first=10)
    assert number <= VERSIONS * PERIODS * 2, text


@pytest.mark.usefixtures("counted")
async def test_a_total_counts_its_flows_own(database: Database) -> None:
    listing = Listing(PAGE, 0, {"type": ["runs"], "run_key": ["success"]})
    number, text = await touched(database, "version_metrics.count_metrics", listing, 100_000, first=9)
    assert number <= VERSIONS * PERIODS * 2, text
