"""Jobs under /api/v1: what neither vendor has."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import orjson

from core.domain.errors import Invalid
from core.domain.jobs import Job, JobKind, JobStatus
from core.operations import jobs
from schemas.jobs import MOST_PAGE, render_job
from service.calls import Answer, Call
from service.dialects.patchworks.envelope import page

POLL_SECONDS = 1
"""What Retry-After asks of pollers. A job of 10,000 versions takes less; the wait costs nobody anything."""


async def list_jobs(call: Call) -> Answer:
    number, per_page = call.query["page"], min(call.query["per_page"], MOST_PAGE)
    found, total = await jobs.list_jobs(
        call.principal,
        call.database,
        kinds=_words(call, "kind", JobKind),
        statuses=_words(call, "status", JobStatus),
        limit=per_page,
        offset=(number - 1) * per_page,
    )
    public_url = call.service.settings.public_url
    rows = [render_job(job, public_url) for job in found]
    kept = {key: call.query[name] for key, name in _FILTERS.items() if name in call.query}
    path = f"{public_url}/api/v1/jobs"
    return page(rows, path=path, query=kept, number=number, per_page=per_page, total=total)


async def read_job(call: Call) -> Answer:
    """The ETag is the hash of the very bytes sent, so that 304 can never hide a difference."""
    job = await jobs.read_job(call.principal, call.database, call.path["job"])
    return _document(call, job)


async def cancel_job(call: Call) -> Answer:
    job = await jobs.cancel_job(call.principal, call.database, call.path["job"], call.service.terms)
    return _document(call, job)


def _document(call: Call, job: Job) -> Answer:
    body = orjson.dumps({"data": render_job(job, call.service.settings.public_url)})
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag}
    if not job.status.terminal:
        headers["Retry-After"] = str(POLL_SECONDS)
    if call.method == "GET" and _matches(call.headers.get("If-None-Match", ""), etag):
        return Answer(304, b"", headers)
    return Answer(200, body, headers)


def _matches(header: str, etag: str) -> bool:
    """Weak comparison, as RFC 9110 asks for If-None-Match."""
    candidates = [candidate.strip().removeprefix("W/") for candidate in header.split(",")]
    return "*" in candidates or etag in candidates


_FILTERS = {"filter[kind]": "kind", "filter[status]": "status", "per_page": "per_page"}


Word = TypeVar("Word", JobKind, JobStatus)


def _words(call: Call, name: str, kind: type[Word]) -> list[Word] | None:
    """A filter's words, of which any may hold; None if it was not given."""
    if name not in call.query:
        return None
    words = call.query[name].split(",")
    known = [str(word) for word in kind]
    if not all(word in known for word in words):
        raise Invalid(f"must be one or more of {', '.join(known)}", f"filter[{name}]")
    return [kind(word) for word in words]
