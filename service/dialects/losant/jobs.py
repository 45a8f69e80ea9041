"""Losant's `applicationJobLogs` and `applicationJobLog`."""

from __future__ import annotations

from core.domain.identifiers import hex_id
from core.operations import jobs
from schemas.losant import render_job_log
from service.calls import Answer, Call
from service.dialects.losant.flows import application_of


async def list_job_logs(call: Call) -> Answer:
    application_id = application_of(call)
    page, per_page = call.query["page"], call.query["per_page"]
    direction = call.query["sort_direction"] or "asc"
    found, total = await jobs.list_application_jobs(
        call.principal,
        call.database,
        application_id,
        limit=per_page,
        offset=page * per_page,
        descending=direction.lower() == "desc",
    )
    return Answer(
        200,
        {
            "items": [render_job_log(job) for job in found],
            "count": len(found),
            "totalCount": total,
            "perPage": per_page,
            "page": page,
            "sortField": call.query["sort_field"],
            "sortDirection": direction,
            "applicationId": hex_id(application_id),
        },
    )


async def read_job_log(call: Call) -> Answer:
    job = await jobs.read_application_job(call.principal, call.database, application_of(call), call.path["jobId"])
    return Answer(200, render_job_log(job))
