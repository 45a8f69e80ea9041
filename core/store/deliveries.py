"""The way of a job to a worker: claimed by a relay, handed to Redis, and staged again where Redis has forgotten it.

A delivery is a hand-over and no fact: losing one, or making it twice, changes nothing of the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from core.domain.dispatch import IN_FLIGHT
from core.store.database import Connection
from core.store.queries import query
from core.store.rows import build

_CLAIM_STAGED = query("deliveries.claim_staged")
_MARK_DELIVERED = query("deliveries.mark_delivered")
_RELEASE_STAGED = query("deliveries.release_staged")
_NEXT_DELIVERY_IN = query("deliveries.next_delivery_in")
_FIND_UNDELIVERED = query("deliveries.find_undelivered")
_STAGE_AGAIN = query("deliveries.stage_again")
_HINT = query("deliveries.hint_staged")

NOTIFY_CHANNEL = "penstock_staged"
"""What hint() notifies; the loops LISTEN to it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One hand-over to Redis: `{id}:{attempt}` is all that travels."""

    id: int
    attempt: int
    queue: str

    @property
    def name(self) -> str:
        return f"{self.id}:{self.attempt}"


async def claim_staged(
    connection: Connection, *, limit: int, lease: timedelta, bulk_cap: int, dispatch_cap: int
) -> list[Delivery]:
    """Leases what is due for delivery to this relay. Losing this commit only repeats a delivery, so it may be lost.

    Of one company, so many bulk jobs may be delivered or running, and dispatch jobs that make so many requests at once.
    """
    rows = await connection.fetch(_CLAIM_STAGED, limit, lease, bulk_cap, dispatch_cap, IN_FLIGHT)
    return [build(Delivery, row) for row in rows]


async def mark_delivered(connection: Connection, sent: Sequence[Delivery]) -> None:
    await connection.execute(
        _MARK_DELIVERED, [delivery.id for delivery in sent], [delivery.attempt for delivery in sent]
    )


async def release_staged(connection: Connection, unsent: Sequence[Delivery]) -> None:
    await connection.execute(_RELEASE_STAGED, [delivery.id for delivery in unsent])


async def next_delivery_in(connection: Connection) -> float | None:
    """Seconds until the next staged job becomes due; None if none is waiting for its time."""
    seconds: float | None = await connection.fetchval(_NEXT_DELIVERY_IN)
    return seconds


async def find_undelivered(connection: Connection, *, older_than: timedelta, limit: int) -> list[Delivery]:
    rows = await connection.fetch(_FIND_UNDELIVERED, older_than, limit)
    return [build(Delivery, row) for row in rows]


async def stage_again(connection: Connection, lost: Sequence[Delivery]) -> None:
    await connection.execute(_STAGE_AGAIN, [delivery.id for delivery in lost], [delivery.attempt for delivery in lost])


async def hint(connection: Connection) -> None:
    """Wakes the relay when this transaction commits."""
    await connection.execute(_HINT)
