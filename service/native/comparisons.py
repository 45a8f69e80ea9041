"""Two versions beside each other under /api/v1."""

from __future__ import annotations

from core.domain.documents import written
from core.operations import comparisons
from core.threads import computed
from schemas.comparisons import render_comparison
from service.calls import Answer, Call


async def compare_versions(call: Call) -> Answer:
    """The answer can be as large as both contents together, so it is written as they were read."""
    found = await comparisons.compare_versions(
        call.principal,
        call.database,
        call.integer_id("flow"),
        (call.integer_id("a"), call.integer_id("b")),
        call.query.get("since"),
        call.query.get("until"),
    )
    size = sum(len(version.body) for version in found.versions)
    return Answer(200, await computed(size, lambda: written({"data": render_comparison(found)})))
