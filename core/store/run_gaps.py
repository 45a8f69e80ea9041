"""Gaps of the ledger: instants in a row that were not run, as one account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from core.domain.accounting import Gap
from core.store.database import Connection
from core.store.queries import query

_INSERT = query("run_gaps.insert_gaps")
_PRUNE = query("run_gaps.prune_gaps")


async def insert(connection: Connection, gaps: Sequence[tuple[int, Gap]]) -> None:
    """`gaps`: of which locked schedule, and what."""
    await connection.execute(
        _INSERT,
        [schedule_id for schedule_id, _ in gaps],
        [gap.first for _, gap in gaps],
        [gap.until for _, gap in gaps],
        [gap.instants for _, gap in gaps],
        [gap.reason.value for _, gap in gaps],
    )


async def prune(connection: Connection, keep: timedelta, limit: int) -> int:
    """Ends gaps past their keep time; returns how many."""
    return int((await connection.execute(_PRUNE, keep, limit)).rpartition(" ")[2])
