"""The company as its own people see it, and what they can change of it."""

from __future__ import annotations

from typing import Any

from core.domain.addresses import LONGEST_TARGET
from core.domain.companies import Company, WebhookSecret
from schemas.fields import Body, Text, microseconds


class CompanyPut(Body):
    """Null takes the runner back. The form of a URL is judged by core.domain.addresses."""

    runner_url = Text(least=1, most=LONGEST_TARGET, required=True, allow_none=True)


def render_company(company: Company, *, rate_limit: int, letters: int) -> dict[str, Any]:
    """`data` of GET /api/v1/company. `rate_limit` is what the installation allows, `letters` those of a day."""
    requests = rate_limit if company.rate_limit is None else company.rate_limit
    return {
        "id": company.id,
        "name": company.name,
        "runner_url": company.runner_url,
        "limits": {"requests_per_minute": requests or None, "letters_per_day": letters},
        "created_at": microseconds(company.created_at),
    }


def render_secret(secret: WebhookSecret) -> dict[str, Any]:
    """The secret itself included: whoever verifies a signature needs it."""
    return {"id": secret.id, "secret": secret.secret, "created_at": microseconds(secret.created_at)}
