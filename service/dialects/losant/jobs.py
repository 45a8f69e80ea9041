"""Losant's `applicationJobLogs` and `applicationJobLog`."""

from __future__ import annotations

import orjson

from core.domain import languages
from core.domain.identifiers import hex_id
from core.operations import jobs
from schemas.losant import joined, render_page
from service.calls import Answer, Call
from service.dialects.losant.extras import entry_template, links_of
from service.dialects.losant.flows import application_of
from service.dialects.losant.lists import entries_of, envelope_of, order_of


async def list_job_logs(call: Call) -> Answer:
    selection = await entries_of(call, languages.JOB_LOGS)
    found = await jobs.show_job_log(call.claim, call.database, selection, order_of(call), entry_template(call))
    envelope = envelope_of(call, len(found.ids), found.total, applicationId=hex_id(application_of(call)))
    if call.query.get("query"):
        envelope["query"] = orjson.Fragment(call.query["query"])
    return Answer(200, joined(render_page(found.items, **envelope), links_of(call, "applicationJobLogs")))


async def read_job_log(call: Call) -> Answer:
    shown = await jobs.show_job_log_entry(call.claim, call.database, call.path["jobId"], entry_template(call))
    return Answer(200, shown.text)
