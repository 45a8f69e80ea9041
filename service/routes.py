"""Every address there is, written out. The router, the checks and the generated tests read this one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from marshmallow import Schema

from core.domain.access import KEY_ROLE, Need, Role
from core.domain.errors import PenstockError
from core.operations.marketplace import READING
from schemas import jobs as job_shapes
from schemas import lists, patchworks_lists
from schemas import logins as login_shapes
from schemas import losant as shapes
from schemas import marketplace as marketplace_shapes
from schemas import patchworks as patchworks_shapes
from schemas import schedules as schedule_shapes
from schemas import tallies as tally_shapes
from schemas.audit import AuditEventsQuery
from schemas.companies import CompanyPut
from schemas.comparisons import ComparisonQuery
from schemas.fields import Query
from schemas.reports import ReportPost
from schemas.runs import StartPost
from service.calls import Answer, Call, Stream
from service.dialects.losant import envelope as losant_envelope
from service.dialects.losant import flows as losant_flows
from service.dialects.losant import jobs as losant_jobs
from service.dialects.losant import runs as losant_runs
from service.dialects.losant import storage as losant_storage
from service.dialects.losant import versions as losant_versions
from service.dialects.oauth import envelope as oauth_envelope
from service.dialects.oauth import token as oauth_token
from service.dialects.patchworks import envelope as patchworks_envelope
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


class Dialect(Enum):
    """How a route's errors look, and what its callers are to us."""

    LOSANT = "losant"
    NATIVE = "native"
    PATCHWORKS = "patchworks"
    OAUTH = "oauth"

    @property
    def takes_people(self) -> bool:
        """Whether login tokens and raw API keys open its routes, beside the tokens of applications."""
        return self in (Dialect.NATIVE, Dialect.PATCHWORKS)

    @property
    def is_counted(self) -> bool:
        """Whether its requests count against their company's limit. Losant documents none on its own."""
        return self in (Dialect.NATIVE, Dialect.PATCHWORKS)

    @property
    def told_with(self) -> Dialect:
        """The dialect whose OpenAPI document has its routes: whoever fetches a token goes on in Patchworks' words."""
        return Dialect.PATCHWORKS if self is Dialect.OAUTH else self

    @property
    def internal(self) -> Answer:
        return _ENVELOPES[self][0]

    def render(self, error: PenstockError) -> Answer:
        return _ENVELOPES[self][1](error)


_ENVELOPES: dict[Dialect, tuple[Answer, Callable[[PenstockError], Answer]]] = {
    Dialect.LOSANT: (losant_envelope.INTERNAL, losant_envelope.render_error),
    Dialect.NATIVE: (patchworks_envelope.INTERNAL, patchworks_envelope.render_error),
    Dialect.PATCHWORKS: (patchworks_envelope.INTERNAL, patchworks_envelope.render_error),
    Dialect.OAUTH: (oauth_envelope.INTERNAL, oauth_envelope.render_error),
}


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `need` is None where the operation itself decides what the caller may see.

    `claims`: the statement that answers looks up a token or key as well, which spares what is asked most a round trip.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Answer | Stream]]
    dialect: Dialect
    need: Need | None
    success: int
    query: type[Schema] = Query
    body: type[Schema] | None = None
    claims: bool = False
    role: Role | None = None
    """The least role that a user, or a key, needs; None where only tokens of applications are taken, or everybody."""
    is_open: bool = False
    """Whether it takes no credential: it is where one gets one."""
    is_form: bool = False
    """Whether the body is a form instead of JSON."""
    is_file: bool = False
    """Whether the body is taken as the bytes that came, for the handler to verify before anything parses them."""
    is_raw: bool = False
    """Whether the body is kept as it comes, whatever it is; then there is no schema of it."""
    is_optional: bool = False
    """Whether no body at all says as much as an empty object."""
    for_people: bool = False
    """Whether it is about the whole company: a token, which is for one of its applications, is refused whatever its
    scopes."""

    @property
    def is_counted(self) -> bool:
        """Whether a request counts against its company's limit; nobody knows the company of one that is open."""
        return self.dialect.is_counted and not self.is_open

    @property
    def takes_keys(self) -> bool:
        """Whether an API key opens it."""
        return self.dialect.takes_people and (self.role is None or KEY_ROLE.includes(self.role))


def _reads(scope: str) -> Need:
    return Need(scope, reads=True)


def _writes(scope: str) -> Need:
    return Need(scope, reads=False)


_A = "/applications/{applicationId}"
_W = _A + "/flows/{flowId}"
_V = _W + "/versions"
_S = _W + "/storage"
_F = "/api/v1/flows/{flow}"
_R = "/api/v1/flow-runs/{run}"
_STARTS = _writes("flow.pressVirtualButton")  # Losant's one way of starting a flow by hand
_C = "/api/v1/flow-versions/{flow_version}/schedules"
_I = "/api/v1/marketplace/flows/{item}"
_L, _N, _P = Dialect.LOSANT, Dialect.NATIVE, Dialect.PATCHWORKS

ROUTES: tuple[Route, ...] = (
    Route("GET", f"{_A}/flows", losant_flows.list_flows, _L, _reads("flows.get"), 200, lists.FlowsQuery, claims=True),
    Route(
        "POST", f"{_A}/flows", losant_flows.create_flow, _L, _writes("flows.post"), 201,
        lists.WritingQuery, shapes.FlowPost,
    ),
    # Before the address of one flow, which would take these words for ids; and with claims, as routes that have them
    # come first.
    Route(
        "GET", f"{_A}/flows/version", losant_flows.list_namesakes, _L, _reads("flows.getByVersion"), 200,
        lists.NamesakesQuery, claims=True,
    ),
    Route(
        "GET", f"{_A}/flows/palette", losant_flows.read_palette, _L, _reads("flows.palette"), 200, lists.LinkedQuery,
        claims=True,
    ),
    Route(
        "GET", f"{_A}/flows/{{flowId}}", losant_flows.read_flow, _L, _reads("flow.get"), 200, lists.ContentQuery,
        claims=True,
    ),
    Route(
        "PATCH", f"{_A}/flows/{{flowId}}", losant_flows.change_flow, _L, _writes("flow.patch"), 200,
        lists.WritingQuery, shapes.FlowPatch,
    ),
    Route("DELETE", f"{_A}/flows/{{flowId}}", losant_flows.delete_flow, _L, _writes("flow.delete"), 200),
    Route(
        "GET", _V, losant_versions.list_versions, _L, _reads("flowVersions.get"), 200, lists.VersionsQuery, claims=True
    ),
    Route("GET", _S, losant_storage.read_storage, _L, _reads("flow.getStorageEntries"), 200),
    Route(
        "PATCH", _S, losant_storage.set_entry, _L, _writes("flow.setStorageEntry"), 200, body=shapes.FlowStorageEntry
    ),
    Route("DELETE", _S, losant_storage.clear_storage, _L, _writes("flow.clearStorageEntries"), 200),
    Route(
        "GET", f"{_S}-metadata", losant_storage.read_metadata, _L, _reads("flow.getStorageEntriesMetadata"), 200
    ),
    Route(
        "POST", _V, losant_versions.create_version, _L, _writes("flowVersions.post"), 201,
        lists.VersionPostQuery, shapes.FlowVersionPost, claims=True,
    ),
    Route(
        "POST", f"{_V}/delete", losant_versions.delete_versions, _L, _writes("flowVersions.delete"), 202,
        shapes.DeletionQuery, shapes.FlowVersionsDeletePost,
    ),
    Route(
        "GET", f"{_V}/{{flowVersionId}}", losant_versions.read_version, _L, _reads("flowVersion.get"), 200,
        lists.ContentQuery, claims=True,
    ),
    Route(
        "PATCH", f"{_V}/{{flowVersionId}}", losant_versions.change_version, _L, _writes("flowVersion.patch"), 200,
        lists.ContentQuery, shapes.FlowVersionPatch,
    ),
    Route(
        "DELETE", f"{_V}/{{flowVersionId}}", losant_versions.delete_version, _L, _writes("flowVersion.delete"), 200
    ),
    Route(
        "GET", f"{_W}/stats", losant_runs.read_flow_stats, _L, _reads("flow.stats"), 200, tally_shapes.FlowStatsQuery
    ),
    Route(
        "GET", f"{_W}/errors", losant_runs.list_flow_errors, _L, _reads("flow.errors"), 200,
        tally_shapes.FlowErrorsQuery,
    ),
    Route("GET", f"{_W}/logs", losant_runs.list_flow_log, _L, _reads("flow.log"), 200, tally_shapes.LogQuery),
    Route(
        "POST", f"{_W}/virtualButton", losant_runs.press_button, _L, _STARTS, 200,
        body=tally_shapes.VirtualButtonPress,
    ),
    Route(
        "GET", f"{_V}/{{flowVersionId}}/stats", losant_runs.read_version_stats, _L, _reads("flowVersion.stats"), 200,
        tally_shapes.VersionStatsQuery,
    ),
    Route(
        "GET", f"{_V}/{{flowVersionId}}/errors", losant_runs.list_version_errors, _L, _reads("flowVersion.errors"),
        200, tally_shapes.VersionErrorsQuery,
    ),
    Route(
        "GET", f"{_V}/{{flowVersionId}}/logs", losant_runs.list_version_log, _L, _reads("flowVersion.log"), 200,
        tally_shapes.LogQuery,
    ),
    Route(
        "GET", f"{_A}/jobLogs", losant_jobs.list_job_logs, _L, _reads("applicationJobLogs.get"), 200,
        lists.JobLogsQuery, claims=True,
    ),
    Route(
        "GET", f"{_A}/jobLogs/{{jobId}}", losant_jobs.read_job_log, _L, _reads("applicationJobLog.get"), 200,
        lists.LinkedQuery, claims=True,
    ),
    Route("GET", "/api/v1/jobs", native_jobs.list_jobs, _N, None, 200, job_shapes.JobsQuery, role=Role.READ_ONLY),
    Route("GET", "/api/v1/jobs/{job}", native_jobs.read_job, _N, None, 200, role=Role.READ_ONLY),
    Route("POST", "/api/v1/jobs/{job}/cancel", native_jobs.cancel_job, _N, None, 200, role=Role.MANAGER),
    Route("POST", "/api/v1/jobs/{job}/undo", native_jobs.undo_job, _N, None, 202, role=Role.MANAGER),
    Route(
        "GET", "/api/v1/jobs/{job}/results", native_jobs.list_results, _N, None, 200, job_shapes.PageQuery,
        role=Role.READ_ONLY,
    ),
    Route("GET", "/api/v1/jobs/{job}/events", native_jobs.follow_job, _N, None, 200, role=Role.READ_ONLY),
    Route(
        "GET", "/api/v1/flows/{flow}/trash", native_trash.list_trash, _N, _reads("flowVersions.get"), 200,
        job_shapes.PageQuery, role=Role.READ_ONLY,
    ),
    Route(
        "POST", "/api/v1/flows/{flow}/trash/{entry}/restore", native_trash.restore_entry, _N,
        _writes("flowVersions.post"), 200, role=Role.MANAGER,
    ),
    Route(
        "POST", "/fabric/api/login", patchworks_login.log_in_user, _P, None, 200, body=login_shapes.LoginPost,
        is_open=True,
    ),
    Route(
        "POST", "/oauth/token", oauth_token.issue_token, Dialect.OAUTH, None, 200, body=login_shapes.TokenPost,
        is_open=True, is_form=True,
    ),
    Route(
        "GET", "/api/v1/flows/{flow}/storage/trash", native_storage.list_trash, _N, _reads("flow.getStorageEntries"),
        200, job_shapes.PageQuery, role=Role.READ_ONLY,
    ),
    Route(
        "POST", "/api/v1/flows/{flow}/storage/trash/{entry}/restore", native_storage.restore_entry, _N,
        _writes("flow.setStorageEntry"), 200, role=Role.MANAGER,
    ),
    Route(
        "GET", "/api/v1/flows", patchworks_flows.list_flows, _P, _reads("flows.get"), 200, patchworks_lists.FlowsQuery,
        claims=True, role=Role.READ_ONLY,
    ),
    Route(
        "POST", "/api/v1/flows", patchworks_flows.create_flow, _P, _writes("flows.post"), 200,
        body=patchworks_shapes.FlowPost, role=Role.MANAGER,
    ),
    Route(
        "GET", _F, patchworks_flows.read_flow, _P, _reads("flow.get"), 200, patchworks_lists.FlowQuery, claims=True,
        role=Role.READ_ONLY,
    ),
    Route(
        "PUT", _F, patchworks_flows.replace_flow, _P, _writes("flow.patch"), 200, body=patchworks_shapes.FlowPut,
        role=Role.MANAGER,
    ),
    Route(
        "PATCH", _F, patchworks_flows.change_flow, _P, _writes("flow.patch"), 200, body=patchworks_shapes.FlowPut,
        role=Role.MANAGER,
    ),
    Route("DELETE", _F, patchworks_flows.delete_flow, _P, _writes("flow.delete"), 200, role=Role.MANAGER),
    Route(
        "GET", f"{_F}/versions", patchworks_versions.list_versions, _P, _reads("flowVersions.get"), 200,
        patchworks_lists.FlowVersionsQuery, claims=True, role=Role.READ_ONLY,
    ),
    # What makes a Draft or deploys is a change of the flow to Losant, so a token needs the scope for that.
    Route(
        "POST", f"{_F}/versions", patchworks_versions.create_version, _P, _writes("flow.patch"), 200,
        role=Role.MANAGER,
    ),
    Route(
        "GET", f"{_F}/versions/{{version}}", patchworks_versions.read_version, _P, _reads("flowVersion.get"), 200,
        patchworks_lists.FlowVersionQuery, claims=True, role=Role.READ_ONLY,
    ),
    Route(
        "PUT", f"{_F}/versions/{{version}}", patchworks_versions.change_version, _P, _writes("flow.patch"), 200,
        body=patchworks_shapes.FlowVersionPut, role=Role.MANAGER,
    ),
    Route(
        "DELETE", f"{_F}/versions/{{version}}", patchworks_versions.delete_version, _P, _writes("flowVersion.delete"),
        200, role=Role.MANAGER,
    ),
    Route(
        "POST", f"{_F}/versions/{{version}}/copy", patchworks_versions.copy_version, _P, _writes("flow.patch"), 200,
        role=Role.MANAGER,
    ),
    Route(
        "GET", _C, patchworks_schedules.list_schedules, _P, _reads("flowVersion.get"), 200, job_shapes.PageQuery,
        role=Role.READ_ONLY,
    ),
    Route(
        "POST", _C, patchworks_schedules.create_schedule, _P, _writes("flowVersion.patch"), 200,
        body=schedule_shapes.SchedulePost, role=Role.MANAGER,
    ),
    Route(
        "PUT", f"{_C}/{{schedule}}", patchworks_schedules.change_schedule, _P, _writes("flowVersion.patch"), 200,
        body=schedule_shapes.SchedulePut, role=Role.MANAGER,
    ),
    Route(
        "DELETE", f"{_C}/{{schedule}}", patchworks_schedules.delete_schedule, _P, _writes("flowVersion.patch"), 200,
        role=Role.MANAGER,
    ),
    Route(
        "GET", f"{_F}/version-metrics", patchworks_metrics.list_metrics, _P, _reads("flowVersion.stats"), 200,
        patchworks_lists.MetricsQuery, role=Role.READ_ONLY,
    ),
    Route(
        "GET", "/api/v1/flow-runs", native_ledger.list_runs, _N, _reads("flow.log"), 200, patchworks_lists.RunsQuery,
        role=Role.READ_ONLY,
    ),
    Route("GET", _R, native_ledger.read_run, _N, _reads("flow.log"), 200, role=Role.READ_ONLY),
    Route(
        "GET", "/api/v1/schedules/{schedule}/gaps", native_ledger.list_gaps, _N, _reads("flow.log"), 200,
        job_shapes.PageQuery, role=Role.READ_ONLY,
    ),
    Route(
        "GET", "/api/v1/schedules/{schedule}/calendar", native_ledger.show_calendar, _N, _reads("flowVersion.get"), 200,
        patchworks_lists.CalendarQuery, role=Role.READ_ONLY,
    ),
    Route(
        "POST", "/api/v1/schedules/{schedule}/repair", native_ledger.repair_schedule, _N, _STARTS, 202,
        role=Role.MANAGER,
    ),
    Route(
        "POST", "/api/v1/schedules/preview", patchworks_schedules.preview_schedule, _P, _reads("flowVersion.get"), 200,
        body=schedule_shapes.SchedulePreviewPost, role=Role.READ_ONLY,
    ),
    Route(
        "POST", "/api/v1/flow-versions/{flow_version}/upload", patchworks_uploads.upload_version, _P, None, 202,
        body=marketplace_shapes.UploadPost, role=Role.ADMINISTRATOR, is_optional=True, for_people=True,
    ),
    Route(
        "GET", "/api/v1/marketplace/flows", native_marketplace.list_items, _N, READING, 200,
        patchworks_lists.MarketplaceQuery, claims=True, role=Role.READ_ONLY, for_people=True,
    ),
    Route("GET", _I, native_marketplace.read_item, _N, None, 200, role=Role.READ_ONLY, for_people=True),
    Route(
        "GET", f"{_I}/versions", native_marketplace.list_versions, _N, None, 200, job_shapes.PageQuery,
        role=Role.READ_ONLY, for_people=True,
    ),
    Route(
        "GET", f"{_I}/artifact", native_marketplace.download_artifact, _N, None, 200, role=Role.READ_ONLY,
        for_people=True,
    ),
    Route(
        "POST", f"{_I}/install", native_marketplace.install_item, _N, None, 202, body=marketplace_shapes.InstallPost,
        role=Role.MANAGER, is_optional=True, for_people=True,
    ),
    Route(
        "POST", f"{_I}/yank", native_marketplace.yank_item, _N, None, 200, body=marketplace_shapes.YankPost,
        role=Role.ADMINISTRATOR, for_people=True,
    ),
    Route(
        "GET", "/api/v1/marketplace/log", native_marketplace.list_log, _N, None, 200,
        patchworks_lists.MarketplaceLogQuery, role=Role.READ_ONLY, for_people=True,
    ),
    Route(
        "GET", f"{_F}/versions/{{version}}/export", native_transfers.export_version, _N, _reads("flowVersion.get"), 200,
        role=Role.READ_ONLY,
    ),
    Route(
        "GET", f"{_F}/versions/{{a}}/compare/{{b}}", native_comparisons.compare_versions, _N, _reads("flowVersion.get"),
        200, ComparisonQuery, role=Role.READ_ONLY,
    ),
    # What is brought in makes a flow with its content, as Losant's flows.post does.
    Route(
        "POST", "/api/v1/flows/import", native_transfers.import_flow, _N, _writes("flows.post"), 200,
        role=Role.MANAGER, is_file=True,
    ),
    Route(
        "GET", "/api/v1/audit-events", native_audit.list_events, _N, None, 200, AuditEventsQuery,
        role=Role.ADMINISTRATOR, for_people=True,
    ),
    Route(
        "GET", "/api/v1/company", native_company.read_company, _N, None, 200, role=Role.READ_ONLY, for_people=True
    ),
    Route(
        "PUT", "/api/v1/company", native_company.change_company, _N, None, 200, body=CompanyPut, role=Role.MANAGER,
        for_people=True,
    ),
    Route(
        "GET", "/api/v1/company/webhook-secrets", native_company.list_secrets, _N, None, 200, job_shapes.PageQuery,
        role=Role.ADMINISTRATOR, for_people=True,
    ),
    # Before the address of a version, which would take this word for an id.
    Route("POST", f"{_F}/start/raw", native_starts.start_flow_raw, _N, _STARTS, 202, role=Role.USER, is_raw=True),
    Route(
        "POST", f"{_F}/start/raw/{{version}}", native_starts.start_version_raw, _N, _STARTS, 202, role=Role.USER,
        is_raw=True,
    ),
    Route(
        "POST", f"{_F}/start", native_starts.start_flow, _N, _STARTS, 202, body=StartPost, role=Role.USER,
        is_optional=True,
    ),
    Route(
        "POST", f"{_F}/start/{{version}}", native_starts.start_version, _N, _STARTS, 202, body=StartPost,
        role=Role.USER, is_optional=True,
    ),
    Route("POST", f"{_R}/retry", native_starts.retry_run, _N, _STARTS, 202, role=Role.USER),
    Route("POST", f"{_R}/stop", native_starts.stop_run, _N, _STARTS, 200, role=Role.USER),
    Route("POST", f"{_R}/report", native_starts.report_run, _N, _STARTS, 200, body=ReportPost, role=Role.USER),
    Route(
        "GET", f"{_R}/flow-run-logs", native_starts.list_run_logs, _N, _reads("flow.log"), 200, job_shapes.PageQuery,
        role=Role.READ_ONLY,
    ),
)  # fmt: skip


def dialect_of(path: str) -> Dialect:
    """Which dialect an address, with a route or without, is answered in."""
    return _DIALECTS.get(path.lstrip("/").partition("/")[0], Dialect.LOSANT)


_DIALECTS = {"api": Dialect.NATIVE, "fabric": Dialect.PATCHWORKS, "oauth": Dialect.OAUTH}
"""By the first segment of the path."""
