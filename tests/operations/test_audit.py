"""Every changing operation leaves an event that says who, from where and what, in its own transaction."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

import core.operations
from core.domain.access import ActorType, Principal, Role
from core.domain.audit import AuditSelection
from core.domain.dispatch import Report
from core.domain.documents import parse_document
from core.domain.errors import NotFound
from core.domain.flows import AS_USUAL, Flow, FlowChange
from core.domain.jobs import ClaimedJob, Job
from core.domain.languages import AUDIT_EVENTS
from core.domain.query import Combination, Condition, Group, Operator
from core.domain.runs import Run
from core.domain.signing import PublicKey, new_key
from core.domain.storage import Entry
from core.domain.versions import NewVersion, VersionChange
from core.operations import (
    access,
    artifact_keys,
    audit,
    catalogue,
    companies,
    deletions,
    firing,
    installs,
    jobs,
    ledger,
    lifecycle,
    logins,
    people,
    rollup,
    schedules,
    starts,
    storage,
    transfers,
    undo,
    versions,
)
from core.operations.installs import InstallRequest
from core.operations.people import NewClient
from core.operations.starts import Press, Start
from core.store.database import Database
from schemas.audit import AuditEventsQuery
from schemas.fields import load
from schemas.losant import SHOWN_FLOW, SHOWN_VERSION, content_of
from tests.support import market
from tests.support.fires import fire_all, make_live
from tests.support.lifecycles import come_due, copy, deploy_draft, place, start_draft, tomorrow
from tests.support.machinery import Machinery
from tests.support.people import ISSUING, client_token, make_client, make_person, make_user
from tests.support.runs import new_id
from tests.support.tenants import KEEP, SECRET, Tenant, yesterday

MODULES = [import_module(f"{core.operations.__name__}.{one.name}") for one in iter_modules(core.operations.__path__)]

READING = {
    "admitted", "authenticate", "compare_versions", "export_version", "fetch_artifact", "find_application_company",
    "find_company", "find_custom_nodes", "find_default_application", "find_flow_company", "find_job", "find_place",
    "find_stopped", "find_user", "has_flow", "keep_deployment", "knows_password", "list_applications",
    "list_artifact_keys", "list_clients", "list_companies", "list_deleted_storage", "list_errors", "list_events",
    "list_gaps", "list_items", "list_jobs", "list_keys", "list_log", "list_metrics", "list_palette", "list_recent_jobs",
    "list_recent_runs", "list_run_logs", "list_runs", "list_schedules", "list_schedules_along", "list_signing_keys",
    "list_tokens", "list_trash", "list_users", "list_webhook_secrets", "listed", "next_deploy_in", "next_due_in",
    "preview_deletion", "preview_schedule", "read_company", "read_events", "read_file", "read_item", "read_job",
    "read_public_keys", "read_results", "read_run", "read_storage", "read_storage_use", "read_story", "read_summary",
    "read_webhook_secrets", "recognise", "show_calendar", "show_company_flow", "show_company_flows", "show_flow",
    "show_flow_version", "show_flow_versions", "show_flows", "show_item", "show_item_versions", "show_items",
    "show_job_log", "show_job_log_entry", "show_namesakes", "show_related", "show_version", "show_versions", "sum_runs",
    "watched",
}  # fmt: skip

DELIVERING = {
    "end_unreported", "expire_jobs", "fire_due", "fold_endings", "make_artifact", "make_partitions", "note_key_use",
    "prune_logins", "prune_metrics", "prune_runs", "purge_trash", "put_off_job", "rescue_jobs", "stage_waiting",
    "sweep", "take_turn", "yield_job",
}  # fmt: skip
"""Move a job between attempts, end a keep time, note a use: nothing a caller asked for changes."""

INSIDE = {
    "accept_once", "append_to_log", "arrive", "cancel_pending", "conclude", "deploy", "drop_buffered", "end_runs",
    "go_on", "hold", "plan", "promote", "renew", "repeat", "settle", "signing_key", "stage_runs", "start_draft",
    "undeploy",
}  # fmt: skip
"""Part of other operations' transactions; what it writes is seen in theirs."""


@dataclass
class Scene:
    """What the operations below are tried on."""

    tenant: Tenant
    machinery: Machinery
    flow: Flow

    @property
    def place(self) -> tuple[Principal, Database, int]:
        return self.tenant.principal, self.tenant.database, self.tenant.application_id

    @property
    def owner(self) -> Principal:
        return Principal(self.tenant.company_id, ActorType.CLI, None)

    async def claimed(self) -> ClaimedJob:
        await self.tenant.ask_deletion(self.flow)
        (name,) = await self.machinery.deliver()
        job = await self.machinery.runner._claim(name)
        assert job is not None
        return job


def new_version(name: str) -> NewVersion:
    return NewVersion(name, True, None, content_of(parse_document(b"{}")))


async def _resume_firing(scene: Scene) -> None:
    await firing.pause_firing(scene.owner, scene.tenant.database, None)
    await firing.resume_firing(scene.owner, scene.tenant.database)


async def _repair(scene: Scene) -> None:
    live = await make_live(scene.tenant, overlap_policy="allow")
    await live.fall_behind(timedelta(hours=1))
    await fire_all(scene.tenant.database)
    await ledger.repair_schedule(scene.tenant.principal, scene.tenant.database, live.schedule.id)


async def _rebuild(scene: Scene) -> None:
    await rollup.rebuild_metrics(scene.owner, scene.tenant.database, scene.flow.id, scene.flow.created_at)


async def _accept(scene: Scene) -> None:
    await scene.tenant.ask_deletion(scene.flow)


async def _delete_batch(scene: Scene) -> None:
    await deletions.delete_batch(
        scene.tenant.database, await scene.claimed(), limit=9, terms=scene.machinery.tools.terms
    )


async def _cancel(scene: Scene) -> None:
    job_id = await scene.tenant.ask_deletion(scene.flow)
    await jobs.cancel_job(scene.tenant.principal, scene.tenant.database, job_id, scene.machinery.tools.terms)


async def _discard(scene: Scene) -> None:
    job = await jobs.find_job(scene.tenant.database, await scene.tenant.ask_deletion(scene.flow))
    assert job is not None
    await jobs.discard_job(scene.owner, scene.tenant.database, job, scene.machinery.tools.terms)


async def _retry(scene: Scene) -> None:
    job = await jobs.find_job(scene.tenant.database, await scene.tenant.ask_deletion(scene.flow))
    assert job is not None
    await jobs.retry_job(scene.owner, scene.tenant.database, job, "unused")


async def _complete(scene: Scene) -> None:
    await jobs.complete_job(scene.tenant.database, await scene.claimed(), scene.machinery.tools.terms)


async def _fail(scene: Scene) -> None:
    await jobs.fail_job(scene.tenant.database, await scene.claimed(), ("x", "y"), scene.machinery.tools.terms)


async def _create_version(scene: Scene) -> None:
    await scene.tenant.keep_version(scene.flow, new_version("new"))


async def _replace_version(scene: Scene) -> None:
    await scene.tenant.keep_version(scene.flow, new_version("v1"), replace=True)


async def _delete_version(scene: Scene) -> None:
    await versions.delete_version(*scene.place, scene.flow.id, "v1", keep=KEEP)


async def _remove_flow(scene: Scene) -> None:
    await deletions.accept_flow_deletion(*scene.place, scene.flow.id, public_id=scene.machinery.tools.terms.new_id())


async def _revoke_key(scene: Scene) -> None:
    made = await access.create_key(scene.owner, scene.tenant.database, name="k", random_text=secrets.token_urlsafe)
    await access.revoke_key(scene.owner, scene.tenant.database, made.id)


async def _revoke_signing_key(scene: Scene) -> None:
    made = await logins.rotate_signing_key(scene.owner, scene.tenant.database, ISSUING)
    await logins.revoke_signing_key(scene.owner, scene.tenant.database, made)


async def _on_user(scene: Scene, change: Callable[[int], Awaitable[object]]) -> None:
    await change((await make_user(scene.tenant)).id)


async def _reopen(scene: Scene) -> None:
    user = await make_user(scene.tenant)
    await people.close_user(scene.owner, scene.tenant.database, user.id)
    await people.reopen_user(scene.owner, scene.tenant.database, user.id)


async def _client(scene: Scene) -> NewClient:
    return await make_client(await make_user(scene.tenant), scene.tenant.database)


async def _revoke_client(scene: Scene) -> None:
    await people.revoke_client(scene.owner, scene.tenant.database, (await _client(scene)).id)


async def _log_in_client(scene: Scene) -> None:
    await client_token(scene.tenant.database, await _client(scene))


async def _deleted(scene: Scene) -> Job:
    """A deletion that has ended."""
    job_id = await scene.tenant.ask_deletion(scene.flow)
    await scene.machinery.drain()
    return await jobs.read_job(scene.tenant.principal, scene.tenant.database, job_id)


async def _undo(scene: Scene) -> None:
    job = await _deleted(scene)
    await undo.accept_undo(
        scene.tenant.principal, scene.tenant.database, job, public_id=scene.machinery.tools.terms.new_id()
    )


async def _restore_batch(scene: Scene) -> None:
    await _undo(scene)
    (name,) = await scene.machinery.deliver()
    job = await scene.machinery.runner._claim(name)
    assert job is not None
    await undo.restore_batch(scene.tenant.database, job, limit=9, terms=scene.machinery.tools.terms)


async def _restore_entry(scene: Scene) -> None:
    await _delete_version(scene)
    ((entry,), _) = await undo.list_trash(
        scene.tenant.principal, scene.tenant.database, scene.flow.id, limit=1, offset=0
    )
    await undo.restore_entry(
        scene.tenant.principal, scene.tenant.database, scene.flow.id, entry.id, scene.machinery.tools.terms
    )


async def _set_deployment(scene: Scene, at: datetime | None) -> None:
    version = await scene.tenant.read_version(scene.flow, "v1")
    await place(scene.tenant, scene.flow, version.id, at)


async def _undeploy(scene: Scene) -> None:
    await _set_deployment(scene, yesterday())
    await _set_deployment(scene, None)


async def _cancel_plan(scene: Scene) -> None:
    await _set_deployment(scene, tomorrow())
    await _set_deployment(scene, None)


async def _deploy_due(scene: Scene) -> None:
    await _set_deployment(scene, tomorrow())
    await come_due(scene.tenant)
    await lifecycle.deploy_due(scene.tenant.database, 9)


async def _copy_version(scene: Scene) -> None:
    version = await scene.tenant.read_version(scene.flow, "v1")
    await copy(scene.tenant, scene.flow, version.id)


async def _remove_version(scene: Scene) -> None:
    version = await scene.tenant.read_version(scene.flow, "v1")
    await lifecycle.remove_version(scene.tenant.principal, scene.tenant.database, scene.flow.id, version.id, keep=KEEP)


async def _set_entry(scene: Scene) -> None:
    await storage.set_entry(*scene.place, scene.flow.id, Entry("color", '"red"'))


async def _delete_entry(scene: Scene) -> None:
    await _set_entry(scene)
    await storage.delete_entry(*scene.place, scene.flow.id, "color", keep=KEEP)


async def _clear_storage(scene: Scene) -> None:
    await _set_entry(scene)
    await storage.clear_storage(*scene.place, scene.flow.id, keep=KEEP)


async def _restore_storage(scene: Scene) -> None:
    await _clear_storage(scene)
    principal, database = scene.tenant.principal, scene.tenant.database
    (entry,), _ = await storage.list_deleted_storage(principal, database, scene.flow.id, limit=1, offset=0)
    await storage.restore_storage(principal, database, scene.flow.id, entry.id, keep=KEEP)


async def _schedule(scene: Scene) -> tuple[Principal, Database, int, int]:
    """A schedule of a new version, as the operations name it."""
    version = await scene.tenant.make_version(scene.flow, "timed")
    principal, database = scene.tenant.principal, scene.tenant.database
    made = await schedules.create_schedule(principal, database, version.id, {"cron_string": "0 3 * * *"})
    return principal, database, version.id, made.id


async def _change_schedule(scene: Scene) -> None:
    await schedules.change_schedule(*await _schedule(scene), {"paused": True})


async def _delete_schedule(scene: Scene) -> None:
    await schedules.delete_schedule(*await _schedule(scene))


async def _accept_upload(scene: Scene) -> None:
    _, version = await market.deployed(scene.tenant)
    await market.ask_upload(scene.tenant, version)
    await scene.machinery.drain()


async def _accept_install(scene: Scene) -> None:
    request = InstallRequest(await market.make_item(scene.tenant), name=None, force=False)
    owner = market.administrator(scene.tenant)
    await installs.accept_install(owner, scene.tenant.database, request, public_id=market.TERMS.new_id(), key=None)
    await scene.machinery.drain()


async def _yank_item(scene: Scene) -> None:
    await market.yank(scene.tenant, await market.make_item(scene.tenant))


async def _import_flow(scene: Scene) -> None:
    version = await scene.tenant.read_version(scene.flow, "v1")
    asked = (scene.tenant.principal, scene.tenant.database)
    made = await transfers.export_version(*asked, scene.flow.id, version.id, instance=market.INSTANCE)
    await transfers.import_flow(*asked, made.file, SHOWN_FLOW)


async def _rotate_artifact_key(scene: Scene) -> int:
    return await artifact_keys.rotate_artifact_key(scene.owner, scene.tenant.database, secrets.token_bytes)


async def _revoke_artifact_key(scene: Scene) -> None:
    number = await _rotate_artifact_key(scene)
    await artifact_keys.revoke_artifact_key(scene.owner, scene.tenant.database, number)


async def _trust_artifact_keys(scene: Scene) -> None:
    made = new_key(secrets.token_bytes)
    keys = {made.key_id: PublicKey(made.key_id, made.public)}
    await artifact_keys.trust_artifact_keys(scene.owner, scene.tenant.database, keys)


async def _run(scene: Scene) -> Run:
    """A run of the flow's v1."""
    version = await scene.tenant.read_version(scene.flow, "v1")
    start = Start(scene.flow.id, version.id)
    return await starts.start_run(scene.tenant.principal, scene.tenant.database, start, new_id=new_id)


async def _press(scene: Scene) -> Run:
    await scene.tenant.make_version(scene.flow, "buttoned", '{"triggers":[{"type":"virtualButton","key":"b"}]}')
    press = Press(scene.flow.id, "b", "buttoned")
    return await starts.press_button(scene.tenant.principal, scene.tenant.database, press, new_id=new_id)


async def _stop_run(scene: Scene) -> Run:
    run = await _run(scene)
    return await starts.stop_run(scene.tenant.principal, scene.tenant.database, run.id, new_id=new_id)


async def _retry_run(scene: Scene) -> None:
    run = await _stop_run(scene)
    await starts.retry_run(scene.tenant.principal, scene.tenant.database, run.id, new_id=new_id)


async def _report_run(scene: Scene) -> None:
    run = await _run(scene)
    async with scene.tenant.database.connection() as connection:
        await connection.execute("UPDATE runs SET attempts = 1")
    await starts.report_run(scene.tenant.principal, scene.tenant.database, run.id, Report())


CHANGING: dict[str, tuple[Callable[[Scene], Awaitable[object]], str]] = {
    "pause_firing": (
        lambda scene: firing.pause_firing(scene.owner, scene.tenant.database, "tonight"),
        "firing.pause",
    ),
    "resume_firing": (_resume_firing, "firing.resume"),
    "rebuild_metrics": (_rebuild, "metrics.rebuild"),
    "repair_schedule": (_repair, "schedule.repair"),
    "create_company": (
        lambda scene: access.create_company(
            scene.owner, scene.tenant.database, "New", parent_id=None, webhook_secret=SECRET
        ),
        "company.create",
    ),
    "create_application": (
        lambda scene: access.create_application(scene.owner, scene.tenant.database, "More"),
        "application.create",
    ),
    "add_webhook_secret": (
        lambda scene: access.add_webhook_secret(scene.owner, scene.tenant.database, SECRET),
        "webhook_secret.create",
    ),
    "create_token": (lambda scene: scene.tenant.make_token("flow.get"), "token.create"),
    "create_key": (
        lambda scene: access.create_key(
            scene.owner, scene.tenant.database, name="k", random_text=secrets.token_urlsafe
        ),
        "key.create",
    ),
    "revoke_token": (
        lambda scene: access.revoke_token(scene.owner, scene.tenant.database, scene.tenant.token_id),
        "token.revoke",
    ),
    "set_token_active": (
        lambda scene: access.set_token_active(scene.owner, scene.tenant.database, scene.tenant.token_id, active=False),
        "token.deactivate",
    ),
    "revoke_key": (_revoke_key, "key.revoke"),
    "revoke_application": (
        lambda scene: access.revoke_application(scene.owner, scene.tenant.database, scene.tenant.application_id),
        "application.revoke",
    ),
    "revoke_company": (lambda scene: access.revoke_company(scene.owner, scene.tenant.database), "company.revoke"),
    "set_rate_limit": (
        lambda scene: access.set_rate_limit(scene.owner, scene.tenant.database, 9),
        "company.rate_limit",
    ),
    "set_runner": (
        lambda scene: companies.set_runner(scene.tenant.principal, scene.tenant.database, "https://runner.example"),
        "company.runner",
    ),
    "create_user": (lambda scene: make_user(scene.tenant), "user.create"),
    "set_password": (
        lambda scene: _on_user(
            scene, lambda user: people.set_password(scene.owner, scene.tenant.database, user, "another password")
        ),
        "user.password",
    ),
    "set_role": (
        lambda scene: _on_user(
            scene, lambda user: people.set_role(scene.owner, scene.tenant.database, user, Role.USER)
        ),
        "user.role",
    ),
    "close_user": (
        lambda scene: _on_user(scene, lambda user: people.close_user(scene.owner, scene.tenant.database, user)),
        "user.close",
    ),
    "reopen_user": (_reopen, "user.reopen"),
    "delete_user": (
        lambda scene: _on_user(scene, lambda user: people.delete_user(scene.owner, scene.tenant.database, user)),
        "user.delete",
    ),
    "create_client": (_client, "oauth_client.create"),
    "revoke_client": (_revoke_client, "oauth_client.revoke"),
    "log_in": (lambda scene: make_person(scene.tenant), "user.login"),
    "log_in_client": (_log_in_client, "oauth_client.login"),
    "rotate_signing_key": (
        lambda scene: logins.rotate_signing_key(scene.owner, scene.tenant.database, ISSUING),
        "signing_key.create",
    ),
    "revoke_signing_key": (_revoke_signing_key, "signing_key.revoke"),
    "create_flow": (lambda scene: scene.tenant.make_flow("new"), "flow.create"),
    "change_flow": (
        lambda scene: scene.tenant.change_flow(scene.flow, FlowChange(name="x")),
        "flow.change",
    ),
    "create_version": (_create_version, "version.create"),
    "create_or_replace_version": (_replace_version, "version.replace"),
    "delete_version": (_delete_version, "version.delete"),
    "change_version": (
        lambda scene: versions.change_version(
            *scene.place, scene.flow.id, "v1", VersionChange(notes="x"), SHOWN_VERSION
        ),
        "version.change",
    ),
    "create_company_flow": (
        lambda scene: catalogue.create_company_flow(
            scene.owner,
            scene.tenant.database,
            name="x",
            description=None,
            enabled=True,
            running=AS_USUAL,
            template=SHOWN_FLOW,
        ),
        "flow.create",
    ),
    "create_draft": (
        lambda scene: start_draft(scene.tenant, scene.flow),
        "draft.create",
    ),
    "set_deployment": (lambda scene: _set_deployment(scene, yesterday()), "version.deploy"),
    "copy_version": (_copy_version, "version.copy"),
    "remove_version": (_remove_version, "version.delete"),
    "deploy_due": (_deploy_due, "version.deploy"),
    "set_entry": (_set_entry, "storage.set"),
    "delete_entry": (_delete_entry, "storage.delete"),
    "clear_storage": (_clear_storage, "storage.clear"),
    "restore_storage": (_restore_storage, "storage.restore"),
    "create_schedule": (_schedule, "schedule.create"),
    "change_schedule": (_change_schedule, "schedule.change"),
    "delete_schedule": (_delete_schedule, "schedule.delete"),
    "start_run": (_run, "run.manual"),
    "press_button": (_press, "run.virtual_button"),
    "stop_run": (_stop_run, "run.stop"),
    "retry_run": (_retry_run, "run.retry"),
    "report_run": (_report_run, "run.report"),
    "accept_undo": (_undo, "job.undo"),
    "restore_batch": (_restore_batch, "versions.restore"),
    "restore_entry": (_restore_entry, "version.restore"),
    "accept_deletion": (_accept, "versions.delete"),
    "accept_flow_deletion": (_remove_flow, "flow.delete"),
    "delete_batch": (_delete_batch, "versions.remove"),
    "cancel_job": (_cancel, "job.cancel"),
    "discard_job": (_discard, "job.discard"),
    "retry_job": (_retry, "job.retry"),
    "accept_upload": (_accept_upload, "version.upload"),
    "keep_artifact": (_accept_upload, "item.create"),
    "accept_install": (_accept_install, "item.install"),
    "install_item": (_accept_install, "flow.install"),
    "yank_item": (_yank_item, "item.yank"),
    "import_flow": (_import_flow, "flow.import"),
    "rotate_artifact_key": (_rotate_artifact_key, "artifact_key.create"),
    "revoke_artifact_key": (_revoke_artifact_key, "artifact_key.revoke"),
    "trust_artifact_keys": (_trust_artifact_keys, "artifact_key.trust"),
    "complete_job": (_complete, "job.completed"),
    "fail_job": (_fail, "job.failed"),
}


def operations() -> set[str]:
    """Every public operation there is."""
    return {
        name
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


def test_every_operation_is_known_here() -> None:
    """A new operation has to be put into one of the lists above before it can land."""
    assert operations() == READING | DELIVERING | INSIDE | set(CHANGING)


OTHERWISE: dict[str, tuple[Callable[[Scene], Awaitable[object]], str]] = {
    "undeploy": (_undeploy, "version.undeploy"),
    "plan": (lambda scene: _set_deployment(scene, tomorrow()), "version.deploy_plan"),
    "cancel a plan": (_cancel_plan, "version.deploy_cancel"),
    "deploy a draft": (lambda scene: deploy_draft(scene.tenant, scene.flow), "version.deploy"),
}
"""What else some of them do."""


@pytest.mark.leaves_jobs
@pytest.mark.parametrize("name", [*CHANGING, *OTHERWISE])
async def test_a_change_is_audited(tenant: Tenant, machinery: Machinery, name: str) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    change, action = (CHANGING | OTHERWISE)[name]
    async with tenant.database.connection() as connection:
        before = await connection.fetchval("SELECT coalesce(max(id), 0) FROM audit_events")

    await change(Scene(tenant, machinery, flow))

    async with tenant.database.connection() as connection:
        events = await connection.fetch("SELECT * FROM audit_events WHERE id > $1", before)
    (event,) = [event for event in events if event["action"] == action]
    assert event["actor_type"] in set(ActorType)
    if event["actor_type"] == ActorType.API_TOKEN:
        assert (event["actor_id"], event["remote"]) == (tenant.token_id, "127.0.0.1")
    assert await is_found(tenant, event)


async def is_found(tenant: Tenant, event: Mapping[str, Any]) -> bool:
    """Whether its company's administrators find an event by all that it says, in the words their filters take."""
    said = {name: str(event[name]) for name in AUDIT_EVENTS if event[name] is not None}
    asked = load(AuditEventsQuery(), {f"filter[{name}]": text for name, text in said.items()})
    conditions = tuple(Condition(name, Operator.EQ, *asked[name]) for name in said)
    reader = Principal(event["company_id"], ActorType.CLI, None)
    selection = AuditSelection(Combination(Group.AND, conditions))
    found, _ = await audit.list_events(reader, tenant.database, selection, limit=100, offset=0)
    return event["id"] in [shown.id for shown in found]


async def test_a_refused_change_leaves_no_event(tenant: Tenant) -> None:
    flow = await tenant.make_flow()
    await tenant.make_version(flow, "v")
    async with tenant.database.connection() as connection:
        before = await connection.fetchval("SELECT count(*) FROM audit_events")
    with pytest.raises(NotFound):
        await tenant.change_flow(flow, FlowChange(name="x", deploy=999))
    async with tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM audit_events") == before
