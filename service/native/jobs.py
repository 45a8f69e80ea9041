"""Jobs under /api/v1: what neither vendor has."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import orjson

from core.domain.etags import is_known
from core.domain.jobs import Job, JobItem, JobKind, JobStatus
from core.operations import jobs, results, undo
from schemas.jobs import render_item, render_job
from service.calls import Answer, Call, Stream
from service.native.paging import Paging

NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"

LINES = 1_000
"""Items read at once for a stream of lines: about 100 kB."""

HEARTBEAT_SECONDS = 15.0
"""Silence after which a comment is sent, so that proxies in between keep the stream open."""

POLL_SECONDS = 1
"""What Retry-After asks of pollers. A job of 10,000 versions takes less; the wait costs nobody anything."""


async def list_jobs(call: Call) -> Answer:
    asked = Paging.of(call)
    found, total = await jobs.list_jobs(
        call.principal,
        call.database,
        kinds=[JobKind(word) for word in call.query.get("kind", ())] or None,
        statuses=[JobStatus(word) for word in call.query.get("status", ())] or None,
        limit=asked.limit,
        offset=asked.offset,
    )
    rows = [render_job(job, call.service.settings.public_url) for job in found]
    return asked.answer(call, "/jobs", rows, total)


async def read_job(call: Call) -> Answer:
    """The ETag is the hash of the very bytes sent, so that 304 can never hide a difference."""
    job = await jobs.read_job(call.principal, call.database, call.path["job"])
    return _document(call, job)


async def cancel_job(call: Call) -> Answer:
    job = await jobs.cancel_job(call.principal, call.database, call.path["job"], call.service.terms)
    return _document(call, job)


async def undo_job(call: Call) -> Answer:
    """The answer has the shape of a bulk delete's: a job was queued, and this is its id."""
    job = await jobs.read_job(call.principal, call.database, call.path["job"])
    public_id = await undo.accept_undo(call.principal, call.database, job, public_id=call.service.terms.new_id())
    call.service.hints.staged()
    answer = {"success": True, "jobQueued": True, "jobId": public_id}
    return Answer(202, answer, {"Location": f"/api/v1/jobs/{public_id}", "Retry-After": str(POLL_SECONDS)})


async def list_results(call: Call) -> Answer | Stream:
    """A page as JSON, or everything as one JSON object a line where the caller accepts that."""
    name = call.path["job"]
    if NDJSON in call.headers.get("Accept", ""):
        first, total = await results.read_results(call.principal, call.database, name, first=0, limit=LINES)
        return Stream(NDJSON, _lines(call, name, first, total))
    asked = Paging.of(call)
    found, total = await results.read_results(
        call.principal, call.database, name, first=asked.offset, limit=asked.limit
    )
    return asked.answer(call, f"/jobs/{name}/results", [render_item(item) for item in found], total)


async def follow_job(call: Call) -> Answer | Stream:
    """Server-sent events: each is the whole document, with the job's revision as its id; the terminal one is the last.

    Whoever resumes with the revision of an ended job is told, by 204, not to come back.
    """
    job = await jobs.read_job(call.principal, call.database, call.path["job"])
    seen = call.headers.get("Last-Event-ID", "")
    if job.status.terminal and seen == str(job.revision):
        return Answer(204, b"")
    if not job.status.terminal:
        call.service.watch.require_room()
    return Stream(EVENTS, _events(call, job, seen))


async def _lines(call: Call, name: str, items: list[JobItem], total: int) -> AsyncIterator[bytes]:
    done = 0
    while items:
        yield b"".join(orjson.dumps(render_item(item), option=orjson.OPT_APPEND_NEWLINE) for item in items)
        done += len(items)
        if done >= total:
            return
        items, _ = await results.read_results(call.principal, call.database, name, first=done, limit=LINES)


async def _events(call: Call, job: Job, seen: str) -> AsyncIterator[bytes]:
    if seen != str(job.revision):
        yield _event(call, job)
    while not job.status.terminal:
        if not await call.service.watch.changed(job.id, job.revision, HEARTBEAT_SECONDS):
            yield b": still here\n\n"
            continue
        job = await jobs.read_job(call.principal, call.database, job.public_id)
        yield _event(call, job)


def _event(call: Call, job: Job) -> bytes:
    return b"id: %d\nevent: job\ndata: %s\n\n" % (job.revision, _body(call, job))


def _body(call: Call, job: Job) -> bytes:
    return orjson.dumps({"data": render_job(job, call.service.settings.public_url)})


def _document(call: Call, job: Job) -> Answer:
    body = _body(call, job)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag}
    if not job.status.terminal:
        headers["Retry-After"] = str(POLL_SECONDS)
    if call.method == "GET" and is_known(call.headers.get("If-None-Match"), etag):
        return Answer(304, b"", headers)
    return Answer(200, body, headers)
