"""Addresses of the Losant dialect, percent-encoded."""

from __future__ import annotations

from urllib.parse import quote

from core.domain.flows import Flow
from core.domain.identifiers import hex_id
from tests.support.tenants import Tenant


def flows_path(tenant: Tenant) -> str:
    return f"/applications/{tenant.application}/flows"


def flow_path(tenant: Tenant, flow: Flow) -> str:
    return f"{flows_path(tenant)}/{hex_id(flow.id)}"


def versions_path(tenant: Tenant, flow: Flow) -> str:
    return f"{flow_path(tenant, flow)}/versions"


def version_path(tenant: Tenant, flow: Flow, name: str) -> str:
    """By id or name, every character encoded that could be taken for something else."""
    return f"{versions_path(tenant, flow)}/{quote(name, safe='').replace('.', '%2E')}"


def job_logs_path(tenant: Tenant) -> str:
    return f"/applications/{tenant.application}/jobLogs"
