"""The whole of it: what should have been due, what the ledger has, and what a runner received, under every fault."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from tests.faults.checker import Evidence, collect, judge
from tests.faults.conftest import Promise
from tests.faults.field import Field
from tests.faults.history import History
from tests.faults.storm import Storm, ended
from tests.faults.theatre import Theatre, open_theatre
from tests.support.smtp import SmtpCatcher
from tests.support.waiting import now

LONG_SEED = 20261122
SHORT_SEED = 7

KINDS = ("scheduler killed", "worker killed", "scheduler killed at a place", "worker killed at a place")
FAULTS = [
    *KINDS * 3, *["Valkey flushed"] * 3, *["Valkey killed"] * 2, *["PostgreSQL killed"] * 2, *["clock set forward"] * 2,
]  # fmt: skip
END_SECONDS = 90.0
"""What is left when the last fault is over: leases that run out, waits between tries, and the runs themselves."""


@dataclass(frozen=True)
class Weather:
    """How much of everything. A fault each time the ledger has `every` more runs.

    The seed gives the same faults and the same changes in the same order; what meets what is up to the machine.
    """

    seed: int
    timers: tuple[int, ...]
    schedules: tuple[int, ...]
    faults: list[str]
    every: int
    roles: dict[str, int]


async def storm(theatre: Theatre, weather: Weather) -> tuple[History, Evidence, Storm]:
    field = Field(theatre.ground, theatre.runner_url, random.Random(weather.seed))
    for number in weather.timers:
        await field.add_timers(number)
    for number in weather.schedules:
        await field.add_schedules(number)
    storm = Storm(theatre.ground, field, random.Random(weather.seed), theatre.postgres, theatre.valkey, theatre.clock)
    await storm.start(**weather.roles)
    await storm.rage(weather.faults, weather.every)
    await field.end()
    await ended(theatre.ground, END_SECONDS)
    await theatre.ground.roles.end()
    return field.history, await collect(theatre.ground.database, field.timers, theatre.notes), storm


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_everything_at_once(smtp: SmtpCatcher, promise: Promise) -> None:
    """flows fired and changed while everything is killed, flushed and restarted, and the clock is set forward"""
    faults = ["clock set forward", *random.Random(LONG_SEED).sample(FAULTS, len(FAULTS))]
    weather = Weather(LONG_SEED, (20,) * 2, (95,) * 6, faults, 150, {"scheduler": 2, "worker": 2})
    began = now()
    async with open_theatre(smtp) as theatre:
        history, evidence, done = await storm(theatre, weather)
    verdict = judge(history, evidence)
    assert not verdict.faults, (verdict, evidence.unended)
    assert verdict.received >= 20_000
    assert missed_by_schedules(evidence) == 0, "no outage was as long as the window of a schedule"
    told = ", ".join(f"{number} {what}" for what, number in sorted(done.done.items()))
    promise.kept(
        f"{verdict}; {told}; {done.flows.changes} changes, {now() - began:.0f} s, seed {weather.seed}",
        control=f"the checker, told lies: {lies(history, evidence)}",
    )


async def test_a_little_of_everything(smtp: SmtpCatcher, promise: Promise) -> None:
    """the same for a few seconds: a scheduler and a worker killed, Valkey flushed, the clock set forward"""
    faults = ["scheduler killed at a place", "worker killed", "Valkey flushed", "clock set forward"]
    weather = Weather(SHORT_SEED, (5, 5), (10, 10), faults, 20, {"scheduler": 1, "worker": 1})
    began = now()
    async with open_theatre(smtp) as theatre:
        history, evidence, done = await storm(theatre, weather)
    verdict = judge(history, evidence)
    assert not verdict.faults, (verdict, evidence.unended)
    assert verdict.received > 0
    assert missed_by_schedules(evidence) == 0
    promise.kept(
        f"{verdict}; {done.flows.changes} changes, {now() - began:.0f} s, seed {weather.seed}",
        control=f"the checker, told lies: {lies(history, evidence)}",
    )


def missed_by_schedules(evidence: Evidence) -> int:
    return sum(one.status == "missed" and isinstance(one.line, int) for one in evidence.accounts)


def lies(history: History, evidence: Evidence) -> str:
    """What the checker says to evidence that was tampered with: each lie is found, and found to be one of its kind."""
    run = next(one for one in evidence.accounts if one.status == "success")
    history, evidence = history.only(run.line), evidence.only(run.line)
    assert not judge(history, evidence).faults
    others = [one for one in evidence.accounts if one is not run]
    more = Counter({**evidence.received, "due_0_0": 1})
    told: dict[str, Evidence] = {
        "unaccounted": replace(evidence, accounts=others),
        "doubled": replace(evidence, accounts=[*evidence.accounts, run]),
        "extra": replace(evidence, accounts=[*others, replace(run, at=run.at + timedelta(microseconds=1))]),
        "misjudged": replace(evidence, accounts=[*others, replace(run, reason="firing_paused")]),
        "unended": replace(evidence, accounts=[*others, replace(run, status="started")]),
        "unheard": replace(evidence, received=Counter({n: t for n, t in more.items() if n != run.message_id})),
        "unknown": replace(evidence, received=more),
        "unsigned": replace(evidence, unsigned=1),
    }
    for name, lie in told.items():
        assert name in judge(history, lie).faults, name
    return ", ".join(told)
