"""The door in front of the connections: nobody overtakes, nobody waits for ever, no place is lost."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.errors import Unavailable
from core.store.door import Door

PATIENCE = 30.0
"""Longer than any of these tests."""


class Visitor:
    """Somebody who comes to a door, and notes there when it is their turn."""

    def __init__(self, door: Door, number: int, turns: list[int]) -> None:
        self.task = asyncio.create_task(self._come(door, number, turns))

    async def _come(self, door: Door, number: int, turns: list[int]) -> None:
        await door.enter()
        turns.append(number)


class Scene:
    def __init__(self, size: int, seconds: float) -> None:
        self.door = Door(size, seconds)
        self.turns: list[int] = []

    async def come(self, count: int) -> list[Visitor]:
        """So many, one after the other; each has come in, or waits, when this returns."""
        visitors = [Visitor(self.door, number, self.turns) for number in range(count)]
        await _settle()
        return visitors


async def _settle() -> None:
    """Lets everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_as_many_come_in_as_there_is_room_for() -> None:
    scene = Scene(2, PATIENCE)
    visitors = await scene.come(3)
    assert scene.turns == [0, 1]
    visitors[2].task.cancel()


async def test_nobody_overtakes() -> None:
    scene = Scene(1, PATIENCE)
    await scene.come(4)
    for _ in range(3):
        scene.door.leave()
        await _settle()
    assert scene.turns == [0, 1, 2, 3]


async def test_not_even_who_comes_while_a_turn_is_given() -> None:
    scene = Scene(1, PATIENCE)
    await scene.come(2)
    scene.door.leave()
    late = Visitor(scene.door, 9, scene.turns)
    await _settle()
    assert scene.turns == [0, 1]
    late.task.cancel()


async def test_who_has_gone_is_passed_over() -> None:
    scene = Scene(1, PATIENCE)
    visitors = await scene.come(3)
    visitors[1].task.cancel()
    await _settle()
    scene.door.leave()
    await _settle()
    assert scene.turns == [0, 2]


async def test_a_turn_that_nobody_took_is_the_next_ones() -> None:
    """Cancelled between being called and coming in."""
    scene = Scene(1, PATIENCE)
    visitors = await scene.come(3)
    scene.door.leave()
    visitors[1].task.cancel()
    await _settle()
    assert scene.turns == [0, 2]


async def test_every_place_is_free_again_in_the_end() -> None:
    scene = Scene(2, PATIENCE)
    visitors = await scene.come(4)
    visitors[3].task.cancel()
    await _settle()
    for _ in range(3):
        scene.door.leave()
    await _settle()
    again = await scene.come(3)
    assert scene.turns == [0, 1, 2, 0, 1]
    again[2].task.cancel()


async def test_who_waits_too_long_is_turned_away_and_takes_no_place() -> None:
    scene = Scene(1, 0.02)
    visitors = await scene.come(4)
    told = await asyncio.gather(*(visitor.task for visitor in visitors), return_exceptions=True)
    assert [type(one) for one in told] == [type(None), Unavailable, Unavailable, Unavailable]
    scene.door.leave()
    await scene.come(1)
    assert scene.turns == [0, 0]


async def test_one_who_comes_later_is_turned_away_as_well() -> None:
    scene = Scene(1, 0.02)
    await scene.come(1)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await scene.door.enter()


async def test_who_is_cancelled_while_being_turned_away_gives_nothing_back() -> None:
    scene = Scene(1, 0.0)
    await scene.come(1)
    waiting = Visitor(scene.door, 1, scene.turns)
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0, waiting.task.cancel)  # due after the door's own, in the same round
    with pytest.raises(asyncio.CancelledError):
        await waiting.task
    scene.door.leave()
    await scene.come(2)
    assert scene.turns == [0, 0], "there is one place, and one is in"
