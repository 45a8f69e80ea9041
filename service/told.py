"""What the OpenAPI documents say of each route beyond its row in the route table.

A table of its own, since the router has no use for any of it; a test fails on a route without an entry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from marshmallow import Schema

from core.domain.errors import (
    AlreadyExists,
    Conflict,
    Gone,
    Invalid,
    InvalidScope,
    LoginFailed,
    NotAllowed,
    PenstockError,
    TooManyRequests,
    Unauthenticated,
    UnsupportedGrant,
    VersionProtected,
)
from schemas import (
    comparison_answers,
    login_answers,
    losant_answers,
    marketplace_answers,
    native_answers,
    patchworks_answers,
)
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

Shape = type[Schema]
RouteHandler: TypeAlias = Callable[[Call], Awaitable[Answer | Stream]]


@dataclass(frozen=True, slots=True)
class Told:
    """What a route answers and refuses.

    `shape` is what it answers with its success code, and `stream` the content type it answers with instead, or beside
    it if the caller accepts that. `also` holds the shapes of other answers that are no refusals. `reads` are the
    request headers it looks at, `gives` the headers of each success. `refuses` is what it refuses beyond what any
    route like it does.
    """

    summary: str
    shape: Shape | None
    stream: str | None = None
    also: Mapping[int, tuple[Shape, ...]] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    refuses: tuple[type[PenstockError], ...] = ()
    many: bool = False
    """Whether the answer is a list of the shape."""


_TAG, _GUARD = ("ETag",), ("If-Match",)
_QUEUED = ("Location", "Retry-After")
_BEGUN = ("Location",)
_KEY = ("Idempotency-Key",)

TOLD: dict[RouteHandler, Told] = {
    losant_flows.list_flows: Told("Lists the flows of an application", losant_answers.Flows),
    losant_flows.create_flow: Told("Creates a flow", losant_answers.Flow, gives=_TAG),
    losant_flows.list_namesakes: Told("Lists the versions of a name, one of each flow", losant_answers.FlowVersions),
    losant_flows.read_palette: Told("Lists the custom nodes that flows can use", losant_answers.Palette),
    losant_flows.read_flow: Told("Reads a flow", losant_answers.Flow, gives=_TAG),
    losant_flows.change_flow: Told(
        "Changes a flow, or deploys one of its versions", losant_answers.Flow, reads=_GUARD, gives=_TAG
    ),
    losant_flows.delete_flow: Told(
        "Deletes a flow; a job removes its versions", losant_answers.Success, reads=_GUARD, gives=("Location",)
    ),
    losant_storage.read_storage: Told("Reads what a flow has stored", losant_answers.StorageEntries, gives=_TAG),
    losant_storage.set_entry: Told(
        "Sets a stored value, or deletes it", losant_answers.Success, reads=_GUARD, gives=_TAG
    ),
    losant_storage.clear_storage: Told(
        "Clears what a flow has stored", losant_answers.StorageEntries, reads=_GUARD, gives=_TAG
    ),
    losant_storage.read_metadata: Told("Tells how much a flow has stored", losant_answers.StorageUse, gives=_TAG),
    losant_versions.list_versions: Told("Lists the versions of a flow", losant_answers.FlowVersions),
    losant_versions.create_version: Told(
        "Creates or replaces a version", losant_answers.FlowVersion, reads=_GUARD, gives=_TAG, refuses=(AlreadyExists,)
    ),
    losant_versions.delete_versions: Told(
        "Deletes the versions that match a query, as a job",
        losant_answers.JobEnqueued,
        also={200: (losant_answers.BulkDeleted, losant_answers.DeletionPreview)},
        reads=("Idempotency-Key", "Prefer"),
        gives=_QUEUED,
    ),
    losant_versions.read_version: Told("Reads a version", losant_answers.FlowVersion, gives=_TAG),
    losant_versions.change_version: Told(
        "Changes a version's notes or enables it", losant_answers.FlowVersion, reads=_GUARD, gives=_TAG
    ),
    losant_versions.delete_version: Told(
        "Deletes a version", losant_answers.Success, reads=_GUARD, refuses=(VersionProtected,)
    ),
    losant_runs.read_flow_stats: Told("Counts the runs of a flow by interval", losant_answers.FlowStats),
    losant_runs.list_flow_errors: Told("Lists what went wrong in runs of a flow", losant_answers.FlowErrors),
    losant_runs.list_flow_log: Told("Lists the last runs of a flow", losant_answers.FlowLogEntry, many=True),
    losant_runs.press_button: Told(
        "Presses a virtual button, which starts a run",
        losant_answers.Success,
        reads=_KEY,
        gives=_BEGUN,
        refuses=(Conflict,),
    ),
    losant_runs.read_version_stats: Told("Counts the runs of a version by interval", losant_answers.FlowStats),
    losant_runs.list_version_errors: Told("Lists what went wrong in runs of a version", losant_answers.FlowErrors),
    losant_runs.list_version_log: Told("Lists the last runs of a version", losant_answers.FlowLogEntry, many=True),
    losant_jobs.list_job_logs: Told("Lists the deletions of an application", losant_answers.JobLogs),
    losant_jobs.read_job_log: Told("Reads one entry of the job log", losant_answers.JobLog, refuses=(Gone,)),
    native_jobs.list_jobs: Told("Lists jobs, the newest first", native_answers.Jobs, refuses=(NotAllowed,)),
    native_jobs.read_job: Told(
        "Reads a job", native_answers.Job, also={304: ()}, reads=("If-None-Match",), gives=_TAG, refuses=(Gone,)
    ),
    native_jobs.cancel_job: Told("Cancels a job", native_answers.Job, gives=_TAG, refuses=(Gone, Conflict)),
    native_jobs.undo_job: Told(
        "Takes a deletion back, as a job", losant_answers.JobEnqueued, gives=_QUEUED, refuses=(Gone, Conflict)
    ),
    native_jobs.list_results: Told(
        "Lists what became of each item", native_answers.Items, native_jobs.NDJSON, refuses=(Gone,)
    ),
    native_jobs.follow_job: Told(
        "Follows a job to its end", None, native_jobs.EVENTS, also={204: ()}, reads=("Last-Event-ID",), refuses=(Gone,)
    ),
    native_storage.list_trash: Told("Lists what was deleted from a storage", native_answers.DeletedStorages),
    native_storage.restore_entry: Told(
        "Brings deleted values back", native_answers.StorageRestored, refuses=(Conflict,)
    ),
    native_trash.list_trash: Told("Lists what was deleted from a flow or replaced in it", native_answers.TrashEntries),
    native_trash.restore_entry: Told(
        "Brings an entry of the trash back", native_answers.Restored, refuses=(Conflict, AlreadyExists)
    ),
    native_audit.list_events: Told(
        "Reads the audit trail, newest first", native_answers.AuditEvents, native_jobs.NDJSON, refuses=(NotAllowed,)
    ),
    native_company.read_company: Told("Reads the company of whoever asks", native_answers.Company, gives=_TAG),
    native_company.change_company: Told(
        "Says where a company's flows run", native_answers.Company, reads=_GUARD, gives=_TAG
    ),
    native_company.list_secrets: Told("Shows what signs callbacks and runs", native_answers.WebhookSecrets),
    patchworks_login.log_in_user: Told(
        "Gives a user a login token", login_answers.LoggedIn, refuses=(LoginFailed, TooManyRequests)
    ),
    oauth_token.issue_token: Told(
        "Gives a program a login token; HTTP Basic can take the place of client_id and client_secret",
        login_answers.Token,
        refuses=(Unauthenticated, UnsupportedGrant, InvalidScope),
    ),
    patchworks_schedules.list_schedules: Told("Lists the schedules of a version", patchworks_answers.Schedules),
    patchworks_schedules.create_schedule: Told(
        "Gives a version a schedule", patchworks_answers.Schedule, gives=_TAG, refuses=(Conflict,)
    ),
    patchworks_schedules.change_schedule: Told(
        "Changes a schedule", patchworks_answers.Schedule, reads=_GUARD, gives=_TAG
    ),
    patchworks_schedules.delete_schedule: Told(
        "Deletes a schedule for good", patchworks_answers.ScheduleDeleted, reads=_GUARD
    ),
    patchworks_schedules.preview_schedule: Told(
        "Shows when something with these rules would be due", patchworks_answers.SchedulePreview
    ),
    patchworks_metrics.list_metrics: Told(
        "Lists numbers of the runs of a flow's versions", patchworks_answers.Metrics, refuses=(NotAllowed, Invalid)
    ),
    patchworks_flows.list_flows: Told("Lists the flows of a company", patchworks_answers.Flows, refuses=(NotAllowed,)),
    patchworks_flows.create_flow: Told("Creates a flow", patchworks_answers.Flow, gives=_TAG),
    patchworks_flows.read_flow: Told("Reads a flow", patchworks_answers.ChosenFlow, gives=_TAG, refuses=(NotAllowed,)),
    patchworks_flows.replace_flow: Told(
        "Changes what is given of a flow", patchworks_answers.Flow, reads=_GUARD, gives=_TAG
    ),
    patchworks_flows.change_flow: Told(
        "Changes what is given of a flow, too", patchworks_answers.Flow, reads=_GUARD, gives=_TAG
    ),
    patchworks_flows.delete_flow: Told(
        "Deletes a flow; a job removes its versions", patchworks_answers.Told, reads=_GUARD, gives=("Location",)
    ),
    patchworks_versions.list_versions: Told(
        "Lists the versions of a flow, its Draft among them", patchworks_answers.FlowVersions, refuses=(NotAllowed,)
    ),
    patchworks_versions.create_version: Told(
        "Creates the Draft of a flow that has none", patchworks_answers.FlowVersion, gives=_TAG, refuses=(Conflict,)
    ),
    patchworks_versions.read_version: Told(
        "Reads a version", patchworks_answers.ChosenFlowVersion, gives=_TAG, refuses=(NotAllowed,)
    ),
    patchworks_versions.change_version: Told(
        "Deploys a version, now or later, or undeploys it",
        patchworks_answers.FlowVersion,
        reads=_GUARD,
        gives=_TAG,
        refuses=(Conflict,),
    ),
    patchworks_versions.delete_version: Told(
        "Deletes an inactive version", patchworks_answers.Told, reads=_GUARD, refuses=(Conflict, VersionProtected)
    ),
    patchworks_versions.copy_version: Told(
        "Copies a version to a new Draft",
        patchworks_answers.FlowVersion,
        reads=_GUARD,
        gives=_TAG,
        refuses=(Conflict, VersionProtected),
    ),
    patchworks_uploads.upload_version: Told(
        "Uploads a deployed version to the marketplace, as a job",
        marketplace_answers.Queued,
        also={200: (marketplace_answers.Item,)},
        reads=("Idempotency-Key", "Prefer"),
        gives=_QUEUED,
        refuses=(Conflict,),
    ),
    native_marketplace.list_items: Told(
        "Lists the marketplace as a company sees it", marketplace_answers.Items, refuses=(NotAllowed,)
    ),
    native_marketplace.read_item: Told("Reads an item of the marketplace", marketplace_answers.Item),
    native_marketplace.list_versions: Told("Lists the items of the same flow", marketplace_answers.Items),
    native_marketplace.download_artifact: Told(
        "Downloads the signed artifact of an item",
        marketplace_answers.Artifact,
        also={304: ()},
        reads=("If-None-Match",),
        gives=_TAG,
    ),
    native_marketplace.install_item: Told(
        "Makes a disabled flow with a Draft out of an item, as a job",
        marketplace_answers.Queued,
        also={200: (marketplace_answers.Installed,)},
        reads=("Idempotency-Key", "Prefer"),
        gives=_QUEUED,
        refuses=(Conflict,),
    ),
    native_marketplace.yank_item: Told("Takes an item back", marketplace_answers.Item, refuses=(Conflict,)),
    native_marketplace.list_log: Told(
        "Lists the log of uploads and yanks, the newest first", marketplace_answers.LogEntries
    ),
    native_transfers.export_version: Told(
        "Gives a version as a signed file",
        marketplace_answers.Artifact,
        gives=("Content-Disposition",),
        refuses=(Invalid,),
    ),
    native_comparisons.compare_versions: Told(
        "Shows what differs in two versions, and in how they ran", comparison_answers.Comparison, refuses=(NotAllowed,)
    ),
    native_transfers.import_flow: Told(
        "Makes a disabled flow with a Draft out of a signed file", patchworks_answers.Flow, gives=_TAG
    ),
    native_ledger.list_runs: Told("Lists runs, the latest instant first", native_answers.Runs, refuses=(NotAllowed,)),
    native_ledger.read_run: Told("Reads a run", native_answers.Run),
    native_ledger.list_gaps: Told("Lists the instants of a schedule that have no run", native_answers.Gaps),
    native_ledger.show_calendar: Told("Shows when a schedule is due", patchworks_answers.SchedulePreview),
    native_ledger.repair_schedule: Told("Runs what a schedule has missed", native_answers.Repaired),
    native_starts.start_flow: Told(
        "Starts the deployed version of a flow", native_answers.Run, reads=_KEY, gives=_BEGUN, refuses=(Conflict,)
    ),
    native_starts.start_version: Told(
        "Starts a version of a flow", native_answers.Run, reads=_KEY, gives=_BEGUN, refuses=(Conflict,)
    ),
    native_starts.start_flow_raw: Told(
        "Starts the deployed version of a flow; the body is its payload",
        native_answers.Run,
        reads=_KEY,
        gives=_BEGUN,
        refuses=(Conflict,),
    ),
    native_starts.start_version_raw: Told(
        "Starts a version of a flow; the body is its payload",
        native_answers.Run,
        reads=_KEY,
        gives=_BEGUN,
        refuses=(Conflict,),
    ),
    native_starts.retry_run: Told(
        "Runs again what an ended run has run", native_answers.Run, reads=_KEY, gives=_BEGUN, refuses=(Conflict,)
    ),
    native_starts.stop_run: Told("Stops a run, and tells its runner", native_answers.Run, refuses=(Conflict,)),
    native_starts.report_run: Told("Says what became of a run", native_answers.Run, refuses=(Conflict,)),
    native_starts.list_run_logs: Told("Lists what runners told of a run", native_answers.RunLogs),
}
