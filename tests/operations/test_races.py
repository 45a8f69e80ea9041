"""Every pair of what changes a version's standing, at once, on one flow: whoever wins, nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from itertools import combinations_with_replacement

import pytest

from core.store.database import Connection
from tests.support.races import ACTS, Act, Arena, attempt, check, make_arena, new_terms
from tests.support.tenants import Tenant

ROUNDS = 8
"""Of four rivals each, two of a kind."""

PAIRS = list(combinations_with_replacement(ACTS, 2))


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda name: name)
async def test_whoever_wins(tenant: Tenant, one: str, other: str) -> None:
    arena = await make_arena(tenant, new_terms())
    for number in range(ROUNDS):
        rivals = [(ACTS[one], number), (ACTS[other], number), (ACTS[one], number + 1), (ACTS[other], number + 1)]
        await asyncio.gather(*(attempt(act, arena, target) for act, target in rivals))
        await check(arena)
    assert arena.won, "somebody wins"


async def test_everybody_at_once(tenant: Tenant) -> None:
    arena = await make_arena(tenant, new_terms())
    for number in range(ROUNDS):
        await asyncio.gather(*(attempt(act, arena, number) for act in ACTS.values()))
        await check(arena)
    assert arena.won


# The controls: without what guards them, the check fails.


async def deploy_without_a_lock(arena: Arena, number: int) -> None:
    """The two statements of a deploy, in a transaction that did not lock its flow."""
    version_id = arena.target(number)

    async def work(connection: Connection) -> None:
        await connection.execute(
            "UPDATE flow_versions SET status = 'Inactive', deployed_at = NULL"
            " WHERE flow_id = $1 AND status = 'Deployed'",
            arena.flow.id,
        )
        await _meet(arena)
        await connection.execute(
            "UPDATE flow_versions SET status = 'Deployed', deployed_at = now() WHERE id = $1", version_id
        )

    await arena.tenant.database.transaction(work)


async def delete_without_the_trash(arena: Arena, number: int) -> None:
    async with arena.tenant.database.connection() as connection:
        await connection.execute(
            "DELETE FROM flow_versions WHERE id = $1 AND status = 'Inactive'", arena.target(number)
        )


async def copy_without_a_look(arena: Arena, number: int) -> None:
    """A second Draft beside the first."""
    async with arena.tenant.database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO flow_versions (company_id, flow_id, iteration, status, body, digest, created_by_type,
                                       updated_by_type)
            SELECT company_id, flow_id, iteration + 1000, 'Draft', body, digest, 'cli', 'cli'
            FROM flow_versions WHERE id = $1
            """,
            arena.target(number),
        )


_meetings: dict[int, asyncio.Barrier] = {}


async def _meet(arena: Arena) -> None:
    """Two transactions that have read go on together."""
    await _meetings.setdefault(arena.flow.id, asyncio.Barrier(2)).wait()


@pytest.mark.parametrize(
    ("act", "index", "fault"),
    [
        (deploy_without_a_lock, "flow_versions_one_deployed", "two are deployed"),
        (copy_without_a_look, "flow_versions_one_draft", "there are two drafts"),
        (delete_without_the_trash, None, "a version is lost"),
    ],
)
async def test_without_a_guard_the_check_fails(tenant: Tenant, act: Act, index: str | None, fault: str) -> None:
    arena = await make_arena(tenant, new_terms())
    async with tenant.database.connection() as connection:
        if index is not None:
            await connection.execute(f"DROP INDEX {index}")
        await connection.execute(
            "UPDATE flow_versions SET status = 'Inactive', deployed_at = NULL WHERE status = 'Deployed'"
        )
    await check(arena)
    await asyncio.gather(act(arena, 0), act(arena, 1))
    with pytest.raises(AssertionError, match=fault):
        await check(arena)
