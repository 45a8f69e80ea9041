"""Version metrics: added to, made anew, listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Any

from asyncpg import Record

from core.domain.distributions import PRECISION, Distribution, Stat
from core.domain.listings import Listing
from core.domain.metrics import OTHER, RUN_KEYS, Interval, Metric, MetricType, Names, Place, Tally, Window
from core.store.database import Connection
from core.store.listings import Filter, Shelf, Sort, listed_by
from core.store.queries import query

_HOLD_BACK_REBUILDS = query("version_metrics.hold_back_rebuilds")
_HOLD_BACK_OTHERS = query("version_metrics.hold_back_others")
_LOCK_NAMES = query("version_metrics.lock_names")
_READ_NAMES = query("version_metrics.read_names")
_ADD = query("version_metrics.add_metrics")
_DROP = query("version_metrics.drop_metrics")
_PRUNE = query("version_metrics.prune_metrics")
_LIST_INTERVAL = query("version_metrics.list_interval")
_LIST_INTERVALS = query("version_metrics.list_intervals")
_COUNT = query("version_metrics.count_metrics")
_COUNT_OWN = query("version_metrics.count_own")
_READ_VERSION = query("version_metrics.read_version")
_FIND_COMPANY = query("version_metrics.find_company")

MOST_COUNTED = 100_000
"""Rows that are counted for a page, each with up to eight numbers: some 20 ms. Whoever wants more asks for a shorter
range, or for one type."""

MOST_ADDED = 5_000
"""Rows that one statement adds to: some 100 ms."""

_KEY = itemgetter(1, 5, 3, 6, 2, 4)
"""What rows are sorted by: the order of the table's key, in which every statement adds to them. Texts by code point, as
the table has them."""

STRIPES = 64
"""Locks that the names of all versions share: as many as one fold holds at most."""

METRICS = Shelf(
    {
        "version": Filter("m.flow_version_id = ANY ({}::bigint[])"),
        "type": Filter("m.type = ANY ({}::text[])"),
        "key": Filter("m.shown = ANY ({}::text[])"),
        "run_key": Filter("(m.type <> 'runs' OR m.key = ANY ({}::text[]))"),
    },
    {
        "period_start": Sort("m.period_start"),
        "flow_version_id": Sort("m.flow_version_id"),
        "type": Sort("m.type"),
        "key": Sort("m.shown"),
        "interval": Sort("m.span"),
    },
    order=(Sort("m.type, m.period_start, m.flow_version_id, m.key, m.span, m.shown"), False),  # the key's own order
)


async def hold_back_rebuilds(connection: Connection) -> None:
    await connection.execute(_HOLD_BACK_REBUILDS)


async def hold_back_others(connection: Connection) -> None:
    """First of all in a transaction, which from then on sees the database as it is once this has been waited for."""
    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    await connection.execute(_HOLD_BACK_OTHERS)


async def lock_names(connection: Connection, days: set[tuple[int, int, datetime]]) -> None:
    """Keeps others from adding names to these versions; `days` are flow, version and day."""
    await connection.execute(_LOCK_NAMES, sorted({version_id % STRIPES for _, version_id, _ in days}))


async def read_names(connection: Connection, days: set[tuple[int, int, datetime]]) -> Names:
    """The names of runners' own metrics that are kept of each of these versions and days."""
    rows = await connection.fetch(_READ_NAMES, *zip(*sorted(days), strict=True))
    names: defaultdict[tuple[int, datetime], set[str]] = defaultdict(set)
    for row in rows:
        names[row["flow_version_id"], row["period_start"]].add(row["key"])
    return dict(names)


async def add(connection: Connection, tallies: Mapping[Place, Tally]) -> int:
    """Adds these numbers to those that are there; returns how many rows that were."""
    rows = [row for place, tally in tallies.items() for row in _rows_of(place, tally)]
    rows.sort(key=_KEY)
    for first in range(0, len(rows), MOST_ADDED):
        await connection.execute(_ADD, *zip(*rows[first : first + MOST_ADDED], strict=True))
    return len(rows)


async def drop(connection: Connection, company_id: int, flow_id: int, start: datetime, end: datetime) -> None:
    await connection.execute(_DROP, company_id, flow_id, start, end)


async def prune(connection: Connection, interval: Interval, keep: timedelta, limit: int) -> int:
    """Ends what is past the keep time of its interval; returns how many rows."""
    return int((await connection.execute(_PRUNE, interval, keep, limit)).rpartition(" ")[2])


async def list_page(
    connection: Connection, company_id: int, flow_id: int, windows: Sequence[Window], listing: Listing
) -> tuple[list[Metric], int]:
    """A page of a flow's numbers, and how many there are, those of up to MOST_COUNTED rows."""
    told = _told_of(listing)
    if not told:
        return [], 0
    narrowed = _narrowed(listing, told)
    columns = tuple(zip(*windows, strict=True))
    if len(windows) == 1:
        statement, at = _LIST_INTERVAL, (company_id, flow_id, *windows[0], *zip(*told, strict=True))
    else:
        statement, at = _LIST_INTERVALS, (company_id, flow_id, *columns, *zip(*told, strict=True))
    sql, values = listed_by(statement, METRICS, narrowed, first=10)
    rows = await connection.fetch(sql, *at, listing.limit, listing.offset, *values)
    found = [_metric_of(row) for row in rows]
    if len(rows) < listing.limit and (rows or not listing.offset):
        return found, listing.offset + len(rows)
    counted, by = (_COUNT_OWN, narrowed) if _asks_for_own(listing, told) else (_COUNT, _of_rows(narrowed))
    sql, values = listed_by(counted, METRICS, by, first=9)
    total: int = await connection.fetchval(
        sql, company_id, flow_id, *columns, *zip(*told, strict=True), MOST_COUNTED, *values
    )
    return found, total


async def read_version(connection: Connection, company_id: int, flow_id: int, version_id: int, window: Window) -> Tally:
    """The numbers of one version, added up."""
    rows = await connection.fetch(_READ_VERSION, company_id, flow_id, version_id, *window)
    whole = Tally()
    for row in rows:
        kind, key = MetricType(row["type"]), row["key"]
        if kind is MetricType.RUNS:
            whole.counts[key] += row["count"]
        elif row["total"] is None:
            whole.left_out += row["count"]
        else:
            whole.of(kind, key).merge(_distribution_of(row))
    return whole


async def find_company(connection: Connection, flow_id: int) -> int | None:
    """Whose flow it is, or was; None if it never was one."""
    company_id: int | None = await connection.fetchval(_FIND_COMPANY, flow_id)
    return company_id


def _rows_of(place: Place, tally: Tally) -> Iterator[tuple[Any, ...]]:
    company_id, flow_id, version_id, interval, start = place

    def row(kind: MetricType, key: str, count: int, *rest: object) -> tuple[Any, ...]:
        return (company_id, flow_id, version_id, kind, key, interval, start, count, *(rest or (None,) * 6))

    for key, count in tally.counts.items():
        yield row(MetricType.RUNS, key, count)
    if tally.left_out:
        yield row(MetricType.CUSTOM, "", tally.left_out)
    for (kind, name), one in tally.distributions.items():
        buckets = sorted(one.buckets.items())
        yield row(
            kind, name, one.count, _decimal(one.total, PRECISION), _decimal(one.squares, 2 * PRECISION), one.least,
            one.greatest, _array(bucket for bucket, _ in buckets), _array(count for _, count in buckets),
        )  # fmt: skip


def _array(numbers: Iterator[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def _decimal(number: int, places: int) -> Decimal:
    """Exactly, whatever the length: arithmetic of decimals would round to 28 digits."""
    return Decimal(f"{number}E-{places}")


def _whole(number: Decimal, places: int) -> int:
    above, below = number.as_integer_ratio()
    whole: int = above * 10**places // below
    return whole


def _distribution_of(row: Record) -> Distribution:
    return Distribution(
        count=row["count"],
        total=_whole(row["total"], PRECISION),
        squares=_whole(row["squares"], 2 * PRECISION),
        least=row["least"],
        greatest=row["greatest"],
        buckets=dict(zip(row["buckets"], row["counts"], strict=True)),
    )


def _told_of(listing: Listing) -> list[tuple[str, str]]:
    """What is told of each type, as far as it was asked for: (type, stat). Of counts one thing, which has no name."""
    kinds = listing.filters.get("type") or [*MetricType]
    keys = [str(key) for key in listing.filters.get("key") or ()]
    plain = {stat.value for stat in Stat if not keys or stat in keys}
    own = {stat.value for stat in Stat if not keys or any(key.endswith(f":{stat}") for key in keys)}
    told = {
        (str(kind), stat)
        for kind in kinds
        if kind != MetricType.RUNS
        for stat in (own if kind == MetricType.CUSTOM else plain)
    }
    if MetricType.RUNS in kinds and (not keys or set(keys) & set(RUN_KEYS)):
        told.add((MetricType.RUNS.value, ""))
    if MetricType.CUSTOM in kinds and (not keys or OTHER in keys):
        told.add((OTHER, ""))
    return sorted(told)


def _narrowed(listing: Listing, told: Sequence[tuple[str, str]]) -> Listing:
    """The listing for those types alone of which anything is told."""
    kinds = sorted({MetricType.CUSTOM.value if kind == OTHER else kind for kind, _ in told})
    return replace(listing, filters={**listing.filters, "type": kinds})


def _asks_for_own(listing: Listing, told: Sequence[tuple[str, str]]) -> bool:
    """Whether names of runners' own are asked for: each goes with its own stat then."""
    return bool(listing.filters.get("key")) and any(kind == MetricType.CUSTOM for kind, _ in told)


def _of_rows(listing: Listing) -> Listing:
    """The same of rows that nothing is told of yet: keys are those of runs, and of all others what is told says it."""
    return replace(
        listing,
        filters={"run_key" if name == "key" else name: asked for name, asked in listing.filters.items()},
    )


def _metric_of(row: Record) -> Metric:
    value = row["count"] if row["total"] is None else _distribution_of(row).tell(Stat(row["stat"]))
    return Metric(
        row["flow_version_id"],
        MetricType(row["type"]),
        row["shown"],
        Interval(row["span"]),
        row["period_start"],
        0.0 if value is None else value,
    )
