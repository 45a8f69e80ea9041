"""A home to start in, and proof that nothing is left running afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.supervisor.program import Program, cleared
from tests.support.servers import open_folder


@pytest.fixture
async def program() -> AsyncIterator[Program]:
    with open_folder() as folder:
        async with cleared(Program(folder)) as program:
            yield program
