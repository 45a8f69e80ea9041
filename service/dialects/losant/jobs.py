"""Losant's `applicationJobLogs` and `applicationJobLog`."""

from __future__ import annotations

import orjson

from core.domain import languages
from core.domain.identifiers import hex_id
from core.operations import jobs
from schemas.losant import joined, render_job_log, render_page
from service.calls import Answer, Call
from service.dialects.losant.extras import linker_of, links_of
from service.dialects.losant.flows import application_of
from service.dialects.losant.lists import entries_of, envelope_of, order_of


async def list_job_logs(call: Call) -> Answer:
    application_id = application_of(call)
    selection = await entries_of(call, languages.JOB_LOGS)
    found, total = await jobs.list_application_jobs(
        call.principal, call.database, application_id, selection, order_of(call)
    )
    link = linker_of(call, "applicationJobLog")
    envelope = envelope_of(call, len(found), total, applicationId=hex_id(application_id))
    if call.query.get("query"):
        envelope["query"] = orjson.Fragment(call.query["query"])
    items = [joined(orjson.dumps(render_job_log(job)), link(0, job.id)) for job in found]
    page = render_page(b",".join(items), **envelope)
    return Answer(200, joined(page, links_of(call, "applicationJobLogs")))


async def read_job_log(call: Call) -> Answer:
    job = await jobs.read_application_job(call.principal, call.database, application_of(call), call.path["jobId"])
    return Answer(200, joined(orjson.dumps(render_job_log(job)), links_of(call, "applicationJobLog", thing_id=job.id)))
