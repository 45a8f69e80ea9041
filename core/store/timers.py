"""Timer triggers of deployed versions, beside the content they were read from."""

from __future__ import annotations

from core.domain.timers import Timer, read_timer
from core.store.database import Connection
from core.store.queries import query

_TAKE_TRIGGERS = query("timers.take_triggers")
_INSERT = query("timers.insert_timers")

MOST_TIMERS = 100
"""Timers of one version that fire: as many as it can have schedules."""


async def replace(connection: Connection, company_id: int, flow_id: int) -> list[str]:
    """Gives a locked flow the timers of what is deployed now; returns the keys of those that are not understood."""
    rows = await connection.fetch(_TAKE_TRIGGERS, company_id, flow_id, MOST_TIMERS)
    read = [(row["key"], read_timer(row["key"], row["seconds"], row["cron"], row["zone"])) for row in rows]
    timers: list[Timer] = [timer for _, timer in read if timer is not None]
    if timers:
        await connection.execute(
            _INSERT,
            company_id,
            flow_id,
            rows[0]["flow_version_id"],
            [timer.key for timer in timers],
            [timer.cron_string for timer in timers],
            [timer.timezone for timer in timers],
            [timer.every_seconds for timer in timers],
        )
    return [key for key, timer in read if timer is None]
