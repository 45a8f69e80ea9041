"""Time zones: their names, and the stretches of time in which their clocks are not changed.

The rules come from the pinned `tzdata` package and never from the machine, so that every process of an installation,
whatever it runs on, gives one answer. New rules of the world arrive with a new version of that package.

Instants are whole seconds since 1970-01-01 00:00 UTC, offsets are seconds to add to one for the local time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tzdata import IANA_VERSION

from core.domain.errors import Invalid

ZONE_DATA_VERSION: str = IANA_VERSION
"""The version of the rules in use, as IANA names them: `2026f`."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MOST_ZONE_CHARACTERS = 64
"""The longest name there is has 32."""

_PROBE_SECONDS = 86_400
"""How far apart a zone is asked for its offset. No zone has changed it twice in a day since 1970."""

_CHUNK_SECONDS = 400 * _PROBE_SECONDS
"""The time that is looked through at once: about 0.6 ms, then kept."""

_MARGIN_SECONDS = 3 * _PROBE_SECONDS
"""How far a chunk looks beyond its ends. What a change of the clocks does is over within a day of it."""

_MOST_CHUNKS = 4_096
"""All zones there are, for six years; about 1 kB each."""

_FOREVER = 1 << 40


class Stretch(NamedTuple):
    """Instants in [start, end) with one offset, and the offsets `before` and `after` it.

    It may also begin or end where two chunks meet. The offset beyond is then the same, and no change is within two days
    of that end on either side.
    """

    start: int
    end: int
    before: int
    offset: int
    after: int


_ALWAYS = Stretch(-_FOREVER, _FOREVER, 0, 0, 0)


class Zone:
    """One zone. There is one object for each name, so that it can be compared and hashed as it is."""

    __slots__ = ("_info", "name")

    def __init__(self, name: str, info: ZoneInfo) -> None:
        self.name = name
        self._info = info

    def stretch(self, instant: int) -> Stretch:
        """The stretch that this instant is in."""
        if self.name == "UTC":
            return _ALWAYS
        stretches, starts = _chunk(self, instant // _CHUNK_SECONDS)
        return stretches[bisect_right(starts, instant) - 1]

    def offset(self, instant: int) -> int:
        """Seconds from UTC at this instant, as the zone's rules say."""
        away = (EPOCH + timedelta(seconds=instant)).astimezone(self._info).utcoffset()
        assert away is not None
        return away // timedelta(seconds=1)


def load_zone(name: str, path: str = "timezone") -> Zone:
    """The zone of this IANA name, spelled exactly so, or Invalid naming `path`."""
    meant = _names().get(name.casefold()) if len(name) <= MOST_ZONE_CHARACTERS else None
    if meant is None:
        raise Invalid("is not a time zone; write a name of the IANA database such as UTC or Europe/Berlin", path)
    if meant != name:
        raise Invalid(f"is not a time zone; write {meant}", path)
    return _load(name)


@cache  # bounded by the names there are, about 600
def _load(name: str) -> Zone:
    file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with file.open("rb") as rules:
        return Zone(name, ZoneInfo.from_file(rules, key=name))


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str]:
    """All names by their lower case. `Factory` stands for a clock that nobody has set yet, and is no zone."""
    names = resources.files("tzdata").joinpath("zones").read_text("ascii").split()
    return {name.casefold(): name for name in names if name != "Factory"}


@lru_cache(_MOST_CHUNKS)
def _chunk(zone: Zone, number: int) -> tuple[tuple[Stretch, ...], tuple[int, ...]]:
    """The stretches that cover one chunk of time, and where each begins."""
    first, last = number * _CHUNK_SECONDS, (number + 1) * _CHUNK_SECONDS
    earliest, latest = first - _MARGIN_SECONDS, last + _MARGIN_SECONDS
    edges, offsets = [earliest], [zone.offset(earliest)]
    for instant, offset in _changes(zone, earliest, latest, offsets[0]):
        edges.append(instant)
        offsets.append(offset)
    # An edge that is no change's would be one of this reading only, so it is moved to where the next chunk takes over.
    around = zip(
        edges, [*edges[1:], latest], [offsets[0], *offsets], offsets, [*offsets[1:], offsets[-1]], strict=False
    )
    stretches = tuple(
        Stretch(first if start == earliest else start, last if end == latest else end, before, offset, after)
        for start, end, before, offset, after in around
        if start < last and end > first
    )
    return stretches, tuple(stretch.start for stretch in stretches)


def _changes(zone: Zone, start: int, end: int, offset: int) -> Iterator[tuple[int, int]]:
    """Each instant between these, but for the last day, at which the offset becomes another one, and that one. `offset`
    is that of the start."""
    for last, probe in pairwise(range(start, end, _PROBE_SECONDS)):
        if (found := zone.offset(probe)) != offset:
            yield _first_with(zone, found, last, probe), found
            offset = found


def _first_with(zone: Zone, offset: int, without: int, having: int) -> int:
    """The first instant in (without, having] with this offset; there is one change between them."""
    while having - without > 1:
        middle = (without + having) // 2
        if zone.offset(middle) == offset:
            having = middle
        else:
            without = middle
    return having
