"""What has to exist before a route can succeed: one arrangement a handler, made anew for every request.

`ARRANGEMENTS` is written out. A route without an entry fails the generated tests, which is how a new one is noticed.
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from core.domain.access import ActorType, Principal
from core.domain.flows import Flow
from core.domain.identifiers import LARGEST_ID, hex_id, new_public_id
from core.domain.jobs import LEASE_SECONDS, ClaimedJob
from core.domain.people import User
from core.domain.storage import Entry
from core.operations import access, deletions, jobs, people, schedules, settling, storage, transfers, undo, versions
from core.operations.rollup import fold_endings
from core.store import jobs as store
from core.store.database import Connection
from service.calls import Answer, Call, Stream
from service.dialects.losant import flows as losant_flows
from service.dialects.losant import jobs as losant_jobs
from service.dialects.losant import runs as losant_runs
from service.dialects.losant import storage as losant_storage
from service.dialects.losant import versions as losant_versions
from service.dialects.oauth import token as oauth_token
from service.dialects.patchworks import flows as patchworks_flows
from service.dialects.patchworks import login as patchworks_login
from service.dialects.patchworks import metrics as patchworks_metrics
from service.dialects.patchworks import schedules as patchworks_schedules
from service.dialects.patchworks import uploads as patchworks_uploads
from service.dialects.patchworks import versions as patchworks_versions
from service.native import audit as native_audit
from service.native import company as native_company
from service.native import comparisons as native_comparisons
from service.native import jobs as native_jobs
from service.native import ledger as native_ledger
from service.native import marketplace as native_marketplace
from service.native import starts as native_starts
from service.native import storage as native_storage
from service.native import transfers as native_transfers
from service.native import trash as native_trash
from service.routes import Route
from tests.support.market import deployed, make_item
from tests.support.people import PASSWORD, make_client, make_user
from tests.support.runs import end_run, make_runnable
from tests.support.tenants import KEEP, Tenant

_numbers = itertools.count(1)

UNKNOWN = {
    "applicationId": hex_id(LARGEST_ID - 1),
    "flowId": hex_id(LARGEST_ID - 1),
    "flowVersionId": hex_id(LARGEST_ID - 1),
    "jobId": hex_id(LARGEST_ID - 1),
    "job": "A" * 21,
    "flow": str(LARGEST_ID - 1),
    "entry": str(LARGEST_ID - 1),
    "flow_version": str(LARGEST_ID - 1),
    "schedule": str(LARGEST_ID - 1),
    "run": str(LARGEST_ID - 1),
    "version": str(LARGEST_ID - 1),
    "item": str(LARGEST_ID - 1),
    "a": str(LARGEST_ID - 1),
    "b": str(LARGEST_ID - 1),
}
"""A well-formed id that nothing has, for every name a path parameter goes by."""


@dataclass(frozen=True)
class Arranged:
    """The ids to put into a route's path, the parameters it must have and, where it takes one, a body it accepts."""

    ids: Mapping[str, str]
    body: Mapping[str, Any] | None = None
    flow: Flow | None = field(default=None, compare=False)
    parameters: Mapping[str, str] = field(default_factory=dict)
    file: bytes | None = field(default=None, repr=False)

    @property
    def sent(self) -> Mapping[str, Any] | bytes | None:
        """What a request carries: the file where the route takes one."""
        return self.body if self.file is None else self.file

    def path(self, route: Route, parameters: Mapping[str, str] | None = None, /, **others: str) -> str:
        """The route's address, percent-encoded; `others` take the place of arranged ids, `parameters` of arranged
        parameters."""
        ids = {name: quote(value, safe="") for name, value in {**self.ids, **others}.items()}
        asked = urlencode({**self.parameters, **(parameters or {})}, errors="surrogatepass")
        return route.path.format(**ids) + (f"?{asked}" if asked else "")


Arrange = Callable[[Tenant], Awaitable[Arranged]]


async def make_sibling(tenant: Tenant) -> Tenant:
    """Another application of the same company, with a token for everything in it."""
    maker = Principal(tenant.company_id, ActorType.CLI, None)
    application_id = await access.create_application(maker, tenant.database, f"Sibling {next(_numbers)}")
    sibling = replace(tenant, application_id=application_id)
    token = await sibling.make_token("all.Application")
    return replace(sibling, token_id=token.id, token=token.secret)


async def make_key(tenant: Tenant) -> access.NewCredential:
    """One more API key of the company."""
    maker = Principal(tenant.company_id, ActorType.CLI, None)
    return await access.create_key(maker, tenant.database, name="more", random_text=secrets.token_urlsafe)


META = {"category": "any", "label": "Any", "x": 60, "y": 60}
CONTENT: dict[str, Any] = {
    "triggers": [
        {
            "type": "virtualButton",
            "config": {},
            "meta": {**META, "category": "trigger", "name": "virtualButton"},
            "outputIds": [["a"]],
        }
    ],
    "nodes": [{"id": "a", "type": "DebugNode", "config": {}, "meta": {**META, "name": "debug"}}],
}
"""Content that passes every check, the strict one included."""


async def _application(tenant: Tenant) -> Arranged:
    return Arranged({"applicationId": tenant.application})


async def _new_flow(tenant: Tenant) -> Arranged:
    return Arranged({"applicationId": tenant.application}, {"name": f"Flow {next(_numbers)}", **CONTENT})


async def _flow(tenant: Tenant) -> Arranged:
    flow = await tenant.make_flow(f"Flow {next(_numbers)}")
    return Arranged({"applicationId": tenant.application, "flowId": hex_id(flow.id)}, flow=flow)


async def _flow_change(tenant: Tenant) -> Arranged:
    return replace(await _flow(tenant), body={"name": "Renamed", "enabled": False, **CONTENT})


async def _new_version(tenant: Tenant) -> Arranged:
    return replace(await _flow(tenant), body={"version": f"v{next(_numbers)}", **CONTENT})


async def _version(tenant: Tenant) -> Arranged:
    arranged = await _flow(tenant)
    assert arranged.flow is not None
    version = await tenant.make_version(arranged.flow, f"v{next(_numbers)}")
    return replace(arranged, ids={**arranged.ids, "flowVersionId": hex_id(version.id)})


async def _namesake(tenant: Tenant) -> Arranged:
    flow = await tenant.make_flow(f"Flow {next(_numbers)}")
    version = await tenant.make_version(flow, f"v{next(_numbers)}")
    return Arranged({"applicationId": tenant.application}, parameters={"version": str(version.name)})


async def _version_change(tenant: Tenant) -> Arranged:
    return replace(await _version(tenant), body={"notes": "Checked", "enabled": False})


async def _deletion(tenant: Tenant) -> Arranged:
    arranged = await _version(tenant)
    ids = {name: value for name, value in arranged.ids.items() if name != "flowVersionId"}
    return replace(arranged, ids=ids, body={"query": {}})


async def _job(tenant: Tenant) -> Arranged:
    arranged = await _version(tenant)
    assert arranged.flow is not None
    return Arranged({"job": await tenant.ask_deletion(arranged.flow)}, flow=arranged.flow)


async def _ended_job(tenant: Tenant) -> Arranged:
    arranged = await _job(tenant)
    await run_deletion(tenant, arranged.ids["job"])
    return arranged


async def run_deletion(tenant: Tenant, public_id: str) -> None:
    """As a worker would carry it out, in one batch."""
    lease = timedelta(seconds=LEASE_SECONDS)
    terms = settling.Terms(KEEP, lease, mail_daily_cap=0, new_id=lambda: new_public_id(os.urandom))
    job = await jobs.read_job(tenant.principal, tenant.database, public_id)

    async def claim(connection: Connection) -> ClaimedJob | None:
        return await store.claim(connection, job.id, job.attempts, lease)

    claimed = await tenant.database.transaction(claim)
    assert claimed is not None
    batch = await deletions.delete_batch(tenant.database, claimed, limit=1_000, terms=terms)
    assert batch.finished


async def _trashed(tenant: Tenant) -> Arranged:
    """Under /api/v1 a flow goes by its plain number."""
    flow = await tenant.make_flow(f"Flow {next(_numbers)}")
    version = await tenant.make_version(flow, f"v{next(_numbers)}")
    await versions.delete_version(
        tenant.principal, tenant.database, tenant.application_id, flow.id, hex_id(version.id), keep=KEEP
    )
    return Arranged({"flow": str(flow.id)}, flow=flow)


async def _trash_entry(tenant: Tenant) -> Arranged:
    arranged = await _trashed(tenant)
    assert arranged.flow is not None
    (entry,), _ = await undo.list_trash(tenant.principal, tenant.database, arranged.flow.id, limit=1, offset=0)
    return replace(arranged, ids={**arranged.ids, "entry": str(entry.id)})


async def _stored(tenant: Tenant) -> Arranged:
    """A flow that keeps a value."""
    arranged = await _flow(tenant)
    assert arranged.flow is not None
    await storage.set_entry(
        tenant.principal, tenant.database, tenant.application_id, arranged.flow.id, Entry("color", '"red"')
    )
    return arranged


async def _new_value(tenant: Tenant) -> Arranged:
    return replace(await _stored(tenant), body={"key": f"key {next(_numbers)}", "value": {"a": [1, None]}})


async def _deleted_value(tenant: Tenant) -> Arranged:
    """A flow that keeps nothing any more, by the plain number it goes by under /api/v1."""
    arranged = await _stored(tenant)
    assert arranged.flow is not None
    await storage.clear_storage(tenant.principal, tenant.database, tenant.application_id, arranged.flow.id, keep=KEEP)
    return Arranged({"flow": str(arranged.flow.id)}, flow=arranged.flow)


async def _deleted_value_entry(tenant: Tenant) -> Arranged:
    arranged = await _deleted_value(tenant)
    assert arranged.flow is not None
    (entry,), _ = await storage.list_deleted_storage(
        tenant.principal, tenant.database, arranged.flow.id, limit=1, offset=0
    )
    return replace(arranged, ids={**arranged.ids, "entry": str(entry.id)})


async def _job_log(tenant: Tenant) -> Arranged:
    arranged = await _job(tenant)
    job = await jobs.read_job(tenant.principal, tenant.database, arranged.ids["job"])
    return Arranged({"applicationId": tenant.application, "jobId": hex_id(job.id)}, flow=arranged.flow)


async def _company_flow(tenant: Tenant) -> Arranged:
    """A flow by its plain number."""
    flow = await tenant.make_flow(f"Flow {next(_numbers)}")
    return Arranged({"flow": str(flow.id)}, flow=flow)


async def _new_company_flow(_: Tenant) -> Arranged:
    return Arranged({}, {"name": f"Flow {next(_numbers)}", "description": None, "flow_priority": 1})


async def _company_flow_change(tenant: Tenant) -> Arranged:
    body = {"name": "Renamed", "is_enabled": False, "runner_url": "https://runner.example/run"}
    return replace(await _company_flow(tenant), body=body)


async def _inactive(tenant: Tenant) -> Arranged:
    arranged = await _company_flow(tenant)
    assert arranged.flow is not None
    version = await tenant.make_version(arranged.flow, f"v{next(_numbers)}")
    return replace(arranged, ids={**arranged.ids, "version": str(version.id)})


async def _pair(tenant: Tenant) -> Arranged:
    arranged = await _company_flow(tenant)
    assert arranged.flow is not None
    made = [await tenant.make_version(arranged.flow, f"v{next(_numbers)}") for _ in range(2)]
    return replace(arranged, ids={**arranged.ids, "a": str(made[0].id), "b": str(made[1].id)})


async def _deploy(tenant: Tenant) -> Arranged:
    return replace(await _inactive(tenant), body={"deployed_at": "2026-01-01T00:00:00Z"})


async def _uploadable(tenant: Tenant) -> Arranged:
    flow, version = await deployed(tenant, f"Flow {next(_numbers)}")
    return Arranged({"flow_version": str(version.id)}, {"private": True}, flow=flow)


async def _item(tenant: Tenant) -> Arranged:
    return Arranged({"item": str(await make_item(tenant, f"Flow {next(_numbers)}"))})


async def _install(tenant: Tenant) -> Arranged:
    return replace(await _item(tenant), body={"name": "Installed", "force": False})


async def _yank(tenant: Tenant) -> Arranged:
    return replace(await _item(tenant), body={"reason": "It loses every second order."})


async def _file(tenant: Tenant) -> Arranged:
    flow = await tenant.make_flow(f"Flow {next(_numbers)}")
    version = await tenant.make_version(flow, f"v{next(_numbers)}")
    made = await transfers.export_version(
        tenant.principal, tenant.database, flow.id, version.id, instance="http://penstock.example"
    )
    return Arranged({}, file=made.file)


async def _nothing(_: Tenant) -> Arranged:
    return Arranged({})


async def _runner(_: Tenant) -> Arranged:
    return Arranged({}, {"runner_url": f"https://runner.example/{next(_numbers)}"})


async def _somebody(tenant: Tenant) -> User:
    """The company's one person of this name, made where there is none: a password takes a while to hash."""
    email = f"somebody@company{tenant.company_id}.example"
    found = await people.find_user(tenant.database, tenant.company_id, email)
    return found or await make_user(tenant, email=email)


async def _scheduled(tenant: Tenant) -> Arranged:
    """A version by the plain number it goes by under /api/v1."""
    flow = await tenant.make_flow(f"Flow {next(_numbers)}")
    version = await tenant.make_version(flow, f"v{next(_numbers)}")
    return Arranged({"flow_version": str(version.id)}, flow=flow)


async def _new_schedule(tenant: Tenant) -> Arranged:
    return replace(await _scheduled(tenant), body={"cron_string": "0 3 * * *", "timezone": "Europe/Berlin"})


async def _schedule(tenant: Tenant) -> Arranged:
    arranged = await _scheduled(tenant)
    version_id = int(arranged.ids["flow_version"])
    made = await schedules.create_schedule(
        tenant.principal, tenant.database, version_id, {"cron_string": "*/5 * * * *"}
    )
    return replace(arranged, ids={**arranged.ids, "schedule": str(made.id)})


async def _own_schedule(tenant: Tenant) -> Arranged:
    """A schedule by its id alone."""
    arranged = await _schedule(tenant)
    return replace(arranged, ids={"schedule": arranged.ids["schedule"]})


async def _schedule_change(tenant: Tenant) -> Arranged:
    return replace(await _schedule(tenant), body={"cron_string": "0 4 * * *", "paused": True, "pause_reason": "moved"})


async def _previewed(_: Tenant) -> Arranged:
    return Arranged({}, {"cron_string": "0 3 * * *", "timezone": "Europe/Berlin"})


async def _startable(tenant: Tenant) -> Arranged:
    """A flow with a deployed version, by their plain numbers."""
    runnable = await make_runnable(tenant, None)
    return Arranged(
        {"flow": str(runnable.flow.id), "version": str(runnable.version.id)}, {"payload": {"a": 1}}, runnable.flow
    )


async def _run(tenant: Tenant) -> Arranged:
    runnable = await make_runnable(tenant, None)
    run = await runnable.start()
    return Arranged({"run": str(run.id)}, flow=runnable.flow)


async def _some_run(tenant: Tenant) -> Arranged:
    """One for a list to show."""
    await _run(tenant)
    return Arranged({})


async def _ended_run(tenant: Tenant) -> Arranged:
    runnable = await make_runnable(tenant, None)
    run = await runnable.stop(await runnable.start())
    return Arranged({"run": str(run.id)}, flow=runnable.flow)


async def _measured(tenant: Tenant) -> Arranged:
    """A flow of which a run has ended, and was counted."""
    runnable = await make_runnable(tenant, None)
    await runnable.stop(await runnable.start())
    await fold_endings(tenant.database, 100)
    return Arranged({"flow": str(runnable.flow.id)}, flow=runnable.flow)


async def _report(tenant: Tenant) -> Arranged:
    """Of a run that was sent, as far as the ledger knows."""
    arranged = await _run(tenant)
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE runs SET attempts = 1 WHERE id = $1", int(arranged.ids["run"]))
    body = {"status": "partial_success", "message": "2 of 3", "metrics": {"rows": 2}, "logs": ["one"]}
    return replace(arranged, body=body)


async def _told_of(tenant: Tenant) -> Arranged:
    """A flow in Losant's words, of which one run has failed."""
    runnable = await make_runnable(tenant, None, body=orjson.dumps(CONTENT).decode())
    await end_run(tenant, await runnable.start(), "failure", {"level": "error", "message": "No such table."})
    flow, version = runnable.flow, runnable.version
    ids = {"applicationId": tenant.application, "flowId": hex_id(flow.id), "flowVersionId": hex_id(version.id)}
    return Arranged(ids, flow=flow)


async def _flow_told_of(tenant: Tenant) -> Arranged:
    arranged = await _told_of(tenant)
    ids = {name: value for name, value in arranged.ids.items() if name != "flowVersionId"}
    return replace(arranged, ids=ids)


async def _button(tenant: Tenant) -> Arranged:
    """Its content says no key, so the button goes by its place."""
    return replace(await _flow_told_of(tenant), body={"key": "#1", "payload": {"on": True}})


async def _login(tenant: Tenant) -> Arranged:
    user = await _somebody(tenant)
    return Arranged({}, {"username": user.email, "password": PASSWORD})


async def _client(tenant: Tenant) -> Arranged:
    client = await make_client(await _somebody(tenant), tenant.database)
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.secret}
    return Arranged({}, form)


ARRANGEMENTS: dict[Callable[[Call], Awaitable[Answer | Stream]], Arrange] = {
    losant_flows.list_flows: _application,
    losant_flows.create_flow: _new_flow,
    losant_flows.list_namesakes: _namesake,
    losant_flows.read_palette: _application,
    losant_flows.read_flow: _flow,
    losant_flows.change_flow: _flow_change,
    losant_flows.delete_flow: _flow,
    losant_versions.list_versions: _version,
    losant_versions.create_version: _new_version,
    losant_versions.delete_versions: _deletion,
    losant_versions.read_version: _version,
    losant_versions.change_version: _version_change,
    losant_versions.delete_version: _version,
    losant_storage.read_storage: _stored,
    losant_storage.set_entry: _new_value,
    losant_storage.clear_storage: _stored,
    losant_storage.read_metadata: _stored,
    losant_runs.read_flow_stats: _flow_told_of,
    losant_runs.list_flow_errors: _flow_told_of,
    losant_runs.list_flow_log: _flow_told_of,
    losant_runs.press_button: _button,
    losant_runs.read_version_stats: _told_of,
    losant_runs.list_version_errors: _told_of,
    losant_runs.list_version_log: _told_of,
    losant_jobs.list_job_logs: _job_log,
    losant_jobs.read_job_log: _job_log,
    native_jobs.list_jobs: _nothing,
    native_jobs.read_job: _job,
    native_jobs.cancel_job: _job,
    native_jobs.undo_job: _ended_job,
    native_jobs.list_results: _job,
    native_jobs.follow_job: _ended_job,
    native_trash.list_trash: _trashed,
    native_trash.restore_entry: _trash_entry,
    patchworks_login.log_in_user: _login,
    oauth_token.issue_token: _client,
    native_storage.list_trash: _deleted_value,
    native_storage.restore_entry: _deleted_value_entry,
    patchworks_schedules.list_schedules: _scheduled,
    patchworks_schedules.create_schedule: _new_schedule,
    patchworks_schedules.change_schedule: _schedule_change,
    patchworks_schedules.delete_schedule: _schedule,
    patchworks_schedules.preview_schedule: _previewed,
    native_ledger.list_runs: _some_run,
    native_ledger.read_run: _run,
    native_ledger.list_gaps: _own_schedule,
    native_ledger.show_calendar: _own_schedule,
    native_ledger.repair_schedule: _own_schedule,
    native_starts.start_flow: _startable,
    native_starts.start_version: _startable,
    native_starts.start_flow_raw: _startable,
    native_starts.start_version_raw: _startable,
    native_starts.retry_run: _ended_run,
    native_starts.stop_run: _run,
    native_starts.report_run: _report,
    native_starts.list_run_logs: _run,
    patchworks_metrics.list_metrics: _measured,
    patchworks_flows.list_flows: _nothing,
    patchworks_flows.create_flow: _new_company_flow,
    patchworks_flows.read_flow: _company_flow,
    patchworks_flows.replace_flow: _company_flow_change,
    patchworks_flows.change_flow: _company_flow_change,
    patchworks_flows.delete_flow: _company_flow,
    patchworks_versions.list_versions: _inactive,
    patchworks_versions.create_version: _company_flow,
    patchworks_versions.read_version: _inactive,
    patchworks_versions.change_version: _deploy,
    patchworks_versions.delete_version: _inactive,
    patchworks_versions.copy_version: _inactive,
    patchworks_uploads.upload_version: _uploadable,
    native_marketplace.list_items: _item,
    native_marketplace.read_item: _item,
    native_marketplace.list_versions: _item,
    native_marketplace.download_artifact: _item,
    native_marketplace.install_item: _install,
    native_marketplace.yank_item: _yank,
    native_marketplace.list_log: _item,
    native_transfers.export_version: _inactive,
    native_comparisons.compare_versions: _pair,
    native_transfers.import_flow: _file,
    native_audit.list_events: _nothing,
    native_company.read_company: _nothing,
    native_company.change_company: _runner,
    native_company.list_secrets: _nothing,
}
