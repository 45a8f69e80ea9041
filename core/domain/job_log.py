"""Losant's job log of an application: which jobs are its entries, and the words they are shown, asked and sorted by."""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.jobs import JobKind, JobStatus

NAMES: Mapping[str, str] = {
    JobKind.DELETE_VERSIONS: "Bulk delete of flow versions",
    JobKind.DELETE_FLOW: "Removal of a flow",
}
"""The kinds that are entries, and what each is called."""

STATUSES: Mapping[str, str] = {
    JobStatus.QUEUED: "queued",
    JobStatus.IN_PROGRESS: "inProgress",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.ERRORED: "errored",
    # Losant has no word for it.
    JobStatus.CANCELLED: "failed",
}

RESOURCE_TYPE = "application"
"""What every entry is about: Losant's list of resources has no flow."""
