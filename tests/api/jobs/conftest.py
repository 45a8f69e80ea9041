"""A company of its own for each test, in a database that a whole module shares.

Making a database takes longer than most of these tests; companies keep them apart as they keep customers apart. Jobs
are taken away after each test, because the relay works for all companies.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.settings import Settings
from core.store.database import Database
from tests.api.conftest import Ground
from tests.support.api import Api
from tests.support.smtp import SmtpCatcher


@pytest.fixture
async def settings(ground: Ground, smtp: SmtpCatcher) -> Settings:
    return replace(
        ground.settings,
        smtp_url=smtp.url,
        mail_from="penstock@penstock.example",
        allow_private_targets=True,
    )


@pytest.fixture
async def database(ground: Ground, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    yield ground.database
    async with ground.database.connection() as connection:
        left = await connection.fetch("SELECT public_id, kind, status FROM jobs WHERE finished_at IS NULL")
        await connection.execute("DELETE FROM jobs")
        await connection.execute("DELETE FROM job_tombstones")
    if request.node.get_closest_marker("leaves_jobs") is None:
        assert not left, f"unfinished jobs: {left}"


@pytest.fixture
async def anonymous(ground: Ground, database: Database) -> Api:
    return ground.anonymous
