"""Stories of ended jobs to write letters and callbacks about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.domain.jobs import FailedItem, Job, JobKind, JobStatus, JobStory, Reason

ENDED = datetime(2026, 11, 21, 17, 48, 7, 250_000, tzinfo=UTC)


def make_job(
    *,
    kind: JobKind = JobKind.DELETE_VERSIONS,
    status: JobStatus = JobStatus.COMPLETED,
    total: int | None = 3_000,
    removed: int = 2_998,
    reasons: dict[str, int] | None = None,
    error: tuple[str, str] | None = None,
    started_at: datetime | None = ENDED - timedelta(seconds=4.2),
) -> Job:
    counted = {"protected": 1, "changed_since": 1} if reasons is None else reasons
    return Job(
        id=7,
        public_id="V1StGXR8_Z5jdHi6B-myT",
        company_id=1,
        application_id=2,
        flow_id=3,
        kind=kind,
        status=status,
        attempts=1,
        revision=9,
        total=total,
        position=total or 0,
        removed=removed,
        failed=sum(counted.values()),
        reasons=counted,
        error_code=error[0] if error else None,
        error_message=error[1] if error else None,
        requested_by_type="application_token",
        requested_by_id=12,
        arguments={},
        cancel_requested=status is JobStatus.CANCELLED,
        created_at=ENDED - timedelta(seconds=5),
        started_at=started_at,
        finished_at=ENDED,
        undo_until=ENDED + timedelta(days=7),
    )


TWO_LEFT = (FailedItem(101, "v12", Reason.PROTECTED), FailedItem(177, "v77", Reason.CHANGED_SINCE))


def make_story(
    job: Job | None = None,
    *,
    company_name: str = "Acme",
    flow_name: str | None = "Pump control",
    query: str | None = '{"version":{"$startsWith":"v"}}',
    failures: tuple[FailedItem, ...] = TWO_LEFT,
) -> JobStory:
    return JobStory(job or make_job(), company_name, flow_name, query, failures)
