"""What happens to versions while a deletion runs."""

from __future__ import annotations

import asyncio

from tests.faults import unguarded
from tests.faults.conftest import NewGround, Promise
from tests.faults.ground import Ground
from tests.support.wire import Wire


async def test_changed_meanwhile(new_ground: NewGround, promise: Promise) -> None:
    """versions created, replaced, deployed and removed while a deletion runs"""
    ground, other = await new_ground(), await new_ground()
    async with Wire(ground.database_url) as wire:
        await asyncio.gather(
            ground.start("api"),
            other.start("api"),
            ground.start("scheduler"),
            ground.start("worker", DATABASE_URL=wire.url),
        )
        stop = wire.stop_after("COMMIT")  # of the first batch
        deletion = await ground.delete(3_000)
        await stop.reached()
        before = await deletion.begun()
        await ground.create(deletion.flow, "later")
        await ground.replace(deletion.flow, "v2998")
        await ground.remove(deletion.flow, "v2999")
        stop.release()
        deletion.spared |= {"later": None, "v2998": "changed_since"}
        deletion.gone = 1
        account = await deletion.accounted()
    reasons = (await deletion.progress()).reasons
    assert 0 < before.position < 2_997
    assert reasons == {"protected": 1, "changed_since": 2, "gone": 1}
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    promise.kept(f"{account}: {told}", control=await _without_guards(other))


async def _without_guards(ground: Ground) -> str:
    """The same changes around a deletion that chooses its set when it runs, and around one that looks at ids only."""
    chosen_late, by_id = await ground.make_flow(10), await ground.make_flow(10)
    ids = await ground.version_ids(by_id)
    for flow in (chosen_late, by_id):
        await ground.create(flow, "later")
        await ground.replace(flow, "v5")
        await ground.deploy(flow, "v10")
    await unguarded.delete_what_matches_now(ground.database, chosen_late.id)
    await unguarded.delete_by_id(ground.database, ids)
    assert await ground.tenant.names(chosen_late) == ["v10"]
    assert await ground.tenant.names(by_id) == ["later"]
    return "a set chosen late takes the new version, a set of bare ids the replaced and the deployed one"
