"""A relay's claim, taken apart: the lock, and what is done under it."""

from __future__ import annotations

import re

from core.store.database import Connection

RELAY_LOCK = "SELECT pg_advisory_xact_lock(1346720332)"
"""What a relay holds while it claims."""


async def unlocked_claim(connection: Connection) -> str:
    """The statement under the lock, with the parameters of `claim_staged`."""
    source = await connection.fetchval(
        "SELECT prosrc FROM pg_proc WHERE proname = 'claim_staged' ORDER BY pronargs DESC LIMIT 1"
    )
    found = re.search(r"RETURN QUERY\s+(.+);\s+END", source, re.DOTALL)
    assert found is not None
    assert RELAY_LOCK.removeprefix("SELECT ") in source
    return found[1]
