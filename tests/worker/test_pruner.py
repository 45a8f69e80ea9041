"""The pruner: what is past its time ends, what is not stays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.domain.bearer import LIFETIME
from core.domain.errors import Gone, LoginFailed
from core.operations import logins
from core.operations.logins import KEY_KEEP, PATIENCE, Login
from core.operations.repeats import IDEMPOTENCY_WINDOW
from core.operations.undo import MOST_STORAGES
from tests.support.machinery import Machinery
from tests.support.people import ISSUING, PASSWORD, Inline, make_user, operator
from tests.support.storages import clear_values, keep_values
from tests.support.tenants import Tenant
from tests.worker.steps import READER, age, read, stage
from worker.pruner import TOMBSTONE_KEEP, Pruner

JOB_KEEP = timedelta(days=30)


@pytest.fixture
def pruner(tenant: Tenant) -> Pruner:
    return Pruner(tenant.database, JOB_KEEP)


async def count(tenant: Tenant, table: str) -> int:
    async with tenant.database.connection() as connection:
        rows: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return rows


async def test_versions_leave_the_trash_when_their_time_is_over(
    tenant: Tenant, machinery: Machinery, pruner: Pruner
) -> None:
    await stage(tenant, 2)
    later = await stage(tenant, 3)
    await machinery.drain()
    assert (await pruner.run_once(), await count(tenant, "deleted_versions")) == (0, 5)
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE jobs SET undo_until = clock_timestamp() WHERE public_id <> $1", later)
    assert (await pruner.run_once(), await count(tenant, "deleted_versions")) == (2, 3)


async def test_one_round_sees_to_many_jobs(tenant: Tenant, machinery: Machinery, pruner: Pruner) -> None:
    for _ in range(5):
        await stage(tenant, 2)
    await machinery.drain()
    await age(tenant, "undo_until", timedelta(days=8).total_seconds())
    assert (await pruner.run_once(), await count(tenant, "deleted_versions")) == (10, 0)


async def test_jobs_become_tombstones_and_those_are_forgotten(
    tenant: Tenant, machinery: Machinery, pruner: Pruner
) -> None:
    job_id = await stage(tenant, email=READER)
    await machinery.drain()
    assert await pruner.run_once() == 0
    await age(tenant, "finished_at", JOB_KEEP.total_seconds())
    await age(tenant, "undo_until", JOB_KEEP.total_seconds())
    assert await pruner.run_once() > 0
    assert [await count(tenant, table) for table in ("jobs", "job_chunks", "job_tombstones")] == [0, 0, 2]
    with pytest.raises(Gone):
        await read(tenant, job_id)
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE job_tombstones SET expired_at = expired_at - $1::interval", TOMBSTONE_KEEP)
    await pruner.run_once()
    assert await count(tenant, "job_tombstones") == 0


async def test_keys_and_letter_counts_are_forgotten(tenant: Tenant, machinery: Machinery, pruner: Pruner) -> None:
    await stage(tenant, email=READER)
    await machinery.drain()
    async with tenant.database.connection() as connection:
        await connection.execute(
            "INSERT INTO idempotency_keys (company_id, owner, key, digest) VALUES ($1, 'a', 'k', '')", tenant.company_id
        )
    await pruner.run_once()
    assert (await count(tenant, "idempotency_keys"), await count(tenant, "mail_days")) == (1, 1)
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE idempotency_keys SET created_at = created_at - $1::interval", IDEMPOTENCY_WINDOW
        )
        await connection.execute("UPDATE mail_days SET day = day - 3")
    await pruner.run_once()
    assert (await count(tenant, "idempotency_keys"), await count(tenant, "mail_days")) == (0, 0)


async def test_wrong_logins_are_forgotten_when_their_window_is_over(tenant: Tenant, pruner: Pruner) -> None:
    user = await make_user(tenant)
    for name, password in ((user.email, "wrong password"), ("nobody@example.com", PASSWORD)):
        with pytest.raises(LoginFailed):
            await logins.log_in(tenant.database, Login(name, password, "203.0.113.7"), Inline(), ISSUING)
    await pruner.run_once()
    assert await count(tenant, "login_failures") == 3, "two accounts, one address"
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE login_failures SET since = since - $1::interval WHERE kind = 'account'", PATIENCE.window
        )
    await pruner.run_once()
    assert await count(tenant, "login_failures") == 1


async def test_a_signing_key_goes_when_the_last_token_it_signed_has_expired(tenant: Tenant, pruner: Pruner) -> None:
    keys = [await logins.rotate_signing_key(operator(tenant), tenant.database, ISSUING) for _ in range(3)]

    async def after_ageing(seconds: float) -> list[int]:
        """What is left once that time has gone by for all of them."""
        async with tenant.database.connection() as connection:
            await connection.execute(
                "UPDATE signing_keys SET created_at = created_at - $1::interval", timedelta(seconds=seconds)
            )
        await pruner.run_once()
        return [row["id"] for row in await logins.list_signing_keys(tenant.database)]

    assert await after_ageing(LIFETIME.total_seconds()) == keys[::-1], (
        "the last token may have been signed a moment later"
    )
    assert await after_ageing((KEY_KEEP - LIFETIME).total_seconds()) == keys[2:]
    assert await after_ageing(KEY_KEEP.total_seconds() * 100) == keys[2:], "the newest one signs, however old"


async def test_what_was_deleted_from_storages_goes_a_few_at_a_time(tenant: Tenant, pruner: Pruner) -> None:
    flow = await tenant.make_flow()
    for _ in range(MOST_STORAGES + 1):
        await keep_values(tenant, flow, a="1")
        await clear_values(tenant, flow)
    assert (await pruner.run_once(), await count(tenant, "deleted_storages")) == (0, MOST_STORAGES + 1)
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE deleted_storages SET purge_after = clock_timestamp()")
    rounds = [await pruner.run_once() for _ in range(3)]
    assert (rounds, await count(tenant, "deleted_storages")) == ([MOST_STORAGES, 1, 0], 0)


async def test_numbers_go_when_the_time_of_their_interval_is_over(tenant: Tenant, pruner: Pruner) -> None:
    async with tenant.database.connection() as connection:
        await connection.execute(
            "INSERT INTO version_metrics (company_id, flow_id, flow_version_id, type, key, span, period_start, count)"
            " SELECT 1, 1, 1, 'runs', 'success', span, date_bin('1 day', clock_timestamp(), 'epoch') - age, 1"
            " FROM unnest('{5m,hour,day}'::text[]) AS span,"
            " unnest('{0 d,13 d,15 d,179 d,181 d,1094 d,1096 d}'::interval[]) AS age"
        )
    assert (await pruner.run_once(), await count(tenant, "version_metrics")) == (5 + 3 + 1, 2 + 4 + 6)
    assert await pruner.run_once() == 0
