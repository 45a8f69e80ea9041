"""Companies with everything a test needs, made through the operations a real one is made with."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.domain.access import ActorType, Claim, Need, Principal, Role, Visitor, credential_digest
from core.domain.documents import parse_document
from core.domain.errors import NotFound
from core.domain.etags import ANY, Etag
from core.domain.flows import Flow, FlowChange
from core.domain.identifiers import hex_id, new_public_id
from core.domain.query import parse_query
from core.domain.templates import Form, Hole, Template
from core.domain.versions import NewVersion, Version, VersionStatus
from core.operations import access, deletions, flows, versions
from core.operations.flows import FLOW_UNKNOWN
from core.store import flows as store
from core.store.database import Database
from core.store.rows import build
from schemas.losant import SHOWN_FLOW, SHOWN_VERSION, content_of

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
KEEP = timedelta(days=7)


@dataclass(frozen=True)
class Tenant:
    """A company with its default application, a token for everything in it, and an API key."""

    database: Database
    company_id: int
    application_id: int
    token_id: int
    token: str
    key: str

    @property
    def principal(self) -> Principal:
        return Principal(
            self.company_id,
            ActorType.API_TOKEN,
            self.token_id,
            application_id=self.application_id,
            scopes=frozenset({"all.Application"}),
            remote="127.0.0.1",
        )

    @property
    def application(self) -> str:
        return hex_id(self.application_id)

    async def make_token(self, *scopes: str, expires_at: datetime | None = None) -> access.NewCredential:
        """One more token of the application."""
        return await access.create_token(
            Principal(self.company_id, ActorType.CLI, None),
            self.database,
            self.application_id,
            name="more",
            scopes=scopes,
            expires_at=expires_at,
            random_text=secrets.token_urlsafe,
        )

    async def make_flow(self, name: str = "Pump control", **given: object) -> Flow:
        settings: dict[str, object] = {"description": None, "flow_class": "cloud", "enabled": True, **given}
        made = await flows.create_flow(
            self.principal,
            self.database,
            self.application_id,
            name=name,
            template=SHOWN_FLOW,
            **settings,  # type: ignore[arg-type]
        )
        return await self.read_flow(made.id)

    async def read_flow(self, flow_id: int) -> Flow:
        """The flow with its develop content. Raises NotFound like the operations."""
        async with self.database.connection() as connection:
            flow = await store.read_with_develop(connection, self.company_id, self.application_id, flow_id)
        if flow is None:
            raise NotFound(FLOW_UNKNOWN)
        return flow

    async def change_flow(self, flow: Flow, change: FlowChange, *, etag: Etag = ANY) -> Flow:
        """The flow as it is after the change."""
        at = (self.principal, self.database, self.application_id, flow.id)
        await flows.change_flow(*at, change, SHOWN_FLOW, etag=etag)
        return await self.read_flow(flow.id)

    async def make_version(self, flow: Flow, name: str, body: str = '{"nodes":[{"id":"a","type":"x"}]}') -> Version:
        new = NewVersion(name, True, None, content_of(parse_document(body.encode())))
        return await self.keep_version(flow, new)

    async def keep_version(self, flow: Flow, new: NewVersion, *, replace: bool = False) -> Version:
        asked = (self.claim("flowVersions.post", reads=False), self.database, flow.id, new, SHOWN_VERSION)
        await (versions.create_or_replace_version(*asked, keep=KEEP) if replace else versions.create_version(*asked))
        return await self.read_version(flow, new.name)

    def claim(self, scope: str, *, reads: bool = True) -> Claim:
        """What a request with the tenant's token shows."""
        return Claim(credential_digest(self.token), self.application_id, Need(scope, reads=reads), "127.0.0.1")

    def visitor(self, scope: str) -> Visitor:
        """The same under /api/v1."""
        digest = credential_digest(self.token)
        return Visitor(Need(scope, reads=True), Role.READ_ONLY, "127.0.0.1", digest)

    async def read_version(self, flow: Flow, segment: str) -> Version:
        """The version at this address. Raises NotFound like the operation."""
        shown = await versions.show_version(
            self.claim("flowVersion.get"), self.database, flow.id, segment, Template((Hole("id", Form.HEX_ID),))
        )
        async with self.database.connection() as connection:
            row = await connection.fetchrow("SELECT * FROM flow_versions WHERE id = $1", int(shown.text, 16))
        if row is None:  # somebody else has deleted it since
            raise NotFound(versions.VERSION_UNKNOWN)
        return build(Version, row, status=VersionStatus(row["status"]))

    async def make_versions(self, flow: Flow, count: int, *, prefix: str = "v", body_bytes: int = 60) -> None:
        """Many at once, in one statement: arranging thousands one by one would be most of a test."""
        body = '{"triggers":[],"nodes":[],"globals":[{"key":"k","json":"' + "1" * max(1, body_bytes - 60) + '"}]}'
        async with self.database.connection() as connection:
            await connection.execute(
                """
                WITH taken AS (
                    UPDATE flows SET next_iteration = next_iteration + $3 WHERE id = $2
                    RETURNING next_iteration - $3 AS first
                )
                INSERT INTO flow_versions (company_id, flow_id, iteration, name, name_folded, status, body, digest,
                                           created_by_type, updated_by_type)
                SELECT $1, $2, first + n - 1, $4 || n, lower($4 || n), 'Inactive', $5::json, $6, 'cli', 'cli'
                FROM taken, generate_series(1, $3) AS n
                """,
                self.company_id,
                flow.id,
                count,
                prefix,
                body,
                credential_digest(body),
            )

    async def make_draft(self, flow: Flow) -> None:
        """The flow's Draft, which no list shows and no bulk delete matches."""
        await self.make_versions(flow, 1, prefix="draft")
        async with self.database.connection() as connection:
            await connection.execute(
                "UPDATE flow_versions SET status = 'Draft', name = NULL, name_folded = NULL WHERE name = 'draft1'"
            )

    async def deploy(self, flow: Flow, version: Version) -> None:
        await self.change_flow(flow, FlowChange(deploy=version.id))

    async def ask_deletion(self, flow: Flow, query: dict[str, object] | None = None, **told: str | None) -> str:
        """Accepts a bulk delete and returns the job's public id."""
        request = deletions.DeletionRequest(
            query=parse_query(query or {}),
            query_text="{}",
            email=told.get("email"),
            callback_url=told.get("callback_url"),
        )
        return await deletions.accept_deletion(
            self.principal,
            self.database,
            self.application_id,
            flow.id,
            request,
            public_id=new_public_id(os.urandom),
            key=None,
        )

    async def names(self, flow: Flow) -> list[str | None]:
        """The names of the flow's versions, drafts as None, in order of creation."""
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT name FROM flow_versions WHERE flow_id = $1 ORDER BY id", flow.id)
        return [row["name"] for row in rows]


async def make_tenant(database: Database, name: str = "Acme", *, parent: Tenant | None = None) -> Tenant:
    maker = Principal(0, ActorType.CLI, None)
    company_id, application_id = await access.create_company(
        maker, database, name, parent_id=parent.company_id if parent else None, webhook_secret=SECRET
    )
    owner = Principal(company_id, ActorType.CLI, None)
    token = await access.create_token(
        owner,
        database,
        application_id,
        name="all",
        scopes=["all.Application"],
        expires_at=None,
        random_text=secrets.token_urlsafe,
    )
    key = await access.create_key(owner, database, name="key", random_text=secrets.token_urlsafe)
    return Tenant(database, company_id, application_id, token.id, token.secret, key.secret)


def yesterday() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)
