"""What a broken constraint means to a caller. Every constraint a request can break is named here."""

from __future__ import annotations

from typing import cast

import asyncpg

from core.domain.errors import AlreadyExists, Conflict, Invalid, NotFound, PenstockError

MEANINGS: dict[str, tuple[type[PenstockError], str]] = {
    "flow_versions_pkey": (Conflict, "This version is there already."),
    "flow_versions_name_key": (AlreadyExists, "A version with this name already exists."),
    "flow_versions_one_draft": (Conflict, "This flow already has a draft."),
    "flow_versions_one_deployed": (Conflict, "This flow already has a deployed version."),
    "flow_versions_one_pending": (Conflict, "A deploy of this flow is already pending."),
    "flow_versions_pending_undeployed": (Conflict, "A deployed version cannot have a pending deploy."),
    "flow_versions_flow_fkey": (NotFound, "Flow was not found"),
    "flows_application_fkey": (NotFound, "Application was not found"),
    "applications_company_fkey": (NotFound, "Company was not found"),
    "application_tokens_application_fkey": (NotFound, "Application was not found"),
    "webhook_secrets_company_fkey": (NotFound, "Company was not found"),
    "api_keys_company_fkey": (NotFound, "Company was not found"),
    "companies_parent_fkey": (NotFound, "Parent company was not found"),
    "companies_name_length": (Invalid, "name must have 1 to 255 characters"),
    "applications_name_length": (Invalid, "name must have 1 to 255 characters"),
    "application_tokens_name_length": (Invalid, "name must have 1 to 255 characters"),
    "api_keys_name_length": (Invalid, "name must have 1 to 255 characters"),
    "companies_rate_limit_range": (Invalid, "the rate limit must be from 0 to 1000000 requests a minute"),
    "users_company_fkey": (NotFound, "Company was not found"),
    "users_email_key": (AlreadyExists, "Somebody logs in with this e-mail address already."),
    "users_name_length": (Invalid, "name must have 1 to 255 characters"),
    "oauth_clients_name_length": (Invalid, "name must have 1 to 255 characters"),
}


def translate(error: asyncpg.IntegrityConstraintViolationError) -> Exception:
    """The domain error for a broken constraint; the error itself if no caller should be able to break it."""
    meaning = MEANINGS.get(error.constraint_name or "")
    if meaning is None:
        return cast(Exception, error)
    kind, message = meaning
    return kind(message)
