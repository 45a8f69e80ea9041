"""What a company's own people can ask of it. Each function is one transaction."""

from __future__ import annotations

import hashlib

from core.domain.access import Principal
from core.domain.companies import Company, WebhookSecret
from core.domain.errors import NotFound
from core.domain.etags import ANY, Etag
from core.operations.access import COMPANY_UNKNOWN
from core.store import audit_events
from core.store import companies as store
from core.store.database import Connection, Database


async def read_company(principal: Principal, database: Database) -> Company:
    """The caller's own. Raises NotFound when it is gone."""
    async with database.connection() as connection:
        return _there(await store.read(connection, principal.company_id))


async def set_runner(principal: Principal, database: Database, url: str | None, *, etag: Etag = ANY) -> Company:
    """Where flows run from now on that name no runner of their own; None takes it back. Returns the company then.

    Only the form of the URL was judged; where it leads is judged by whoever connects. Raises PreconditionFailed.
    """

    async def work(connection: Connection) -> Company:
        before = _there(await store.lock(connection, principal.company_id))
        etag.require(before.revision)
        after = await store.set_runner(connection, principal.company_id, url)
        await audit_events.record(
            connection,
            principal,
            "company.runner",
            ("company", principal.company_id),
            before=_digest(before.runner_url),
            after=_digest(url),
            details={"before": before.runner_url, "after": url},
        )
        return after

    return await database.transaction(work)


async def list_webhook_secrets(principal: Principal, database: Database) -> list[WebhookSecret]:
    """What signs now, newest first: two while receivers change over, else one. Reading it leaves no event."""
    async with database.connection() as connection:
        return await store.list_secrets(connection, principal.company_id)


def _there(company: Company | None) -> Company:
    if company is None:
        raise NotFound(COMPANY_UNKNOWN)
    return company


def _digest(url: str | None) -> bytes | None:
    return None if url is None else hashlib.sha256(url.encode()).digest()
