"""Version metrics: numbers of the runs of each version of a flow."""

from __future__ import annotations

from dataclasses import replace

from core.domain.metrics import Interval
from core.operations import metrics
from core.operations.metrics import Range
from schemas.metrics import render_metric
from service.calls import Answer, Call
from service.dialects.patchworks.asking import listing_of
from service.native.paging import Paging


async def list_metrics(call: Call) -> Answer:
    flow_id, listing = call.integer_id("flow"), listing_of(call)
    filters = dict(listing.filters)
    intervals = [Interval(str(word)) for word in filters.pop("interval", ())]
    asked = Range(call.query.get("since"), call.query.get("until"), intervals or tuple(Interval))
    found, total = await metrics.list_metrics(
        call.principal, call.database, flow_id, asked, replace(listing, filters=filters)
    )
    rows = [render_metric(metric) for metric in found]
    return Paging.of(call).answer(call, f"/flows/{flow_id}/version-metrics", rows, total)
