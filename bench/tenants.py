"""Companies with a token each, and versions by the hundred thousand."""

from __future__ import annotations

import hashlib
import random
import secrets
from dataclasses import dataclass

from bench.documents import write_workflow
from cli.demo_company import new_webhook_secret
from core.domain.access import ActorType, Principal
from core.operations import access, flows
from core.store.database import Connection, Database
from schemas.losant import SHOWN_FLOW

DOCUMENTS = 2_000
"""Different bodies. Each row holds and compresses its own, so that repeating them costs and saves nothing."""

LOAD_SECONDS = 600
"""A million rows take about a minute; the pool's own limit for one statement is no measure here."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A company, its default application, a token for everything in it, and a key of the company."""

    company_id: int
    application_id: int
    token_id: int
    token: str
    key: str

    @property
    def principal(self) -> Principal:
        return Principal(self.company_id, ActorType.CLI, None)

    async def make_flow(self, database: Database, name: str) -> int:
        flow = await flows.create_flow(
            self.principal,
            database,
            self.application_id,
            name=name,
            description=None,
            flow_class="cloud",
            enabled=True,
            template=SHOWN_FLOW,
        )
        return flow.id


async def make_tenant(database: Database, name: str) -> Tenant:
    company_id, application_id = await access.create_company(
        Principal(0, ActorType.CLI, None), database, name, parent_id=None, webhook_secret=new_webhook_secret()
    )
    token = await access.create_token(
        Principal(company_id, ActorType.CLI, None),
        database,
        application_id,
        name="bench",
        scopes=["all.Application"],
        expires_at=None,
        random_text=secrets.token_urlsafe,
    )
    key = await access.create_key(
        Principal(company_id, ActorType.CLI, None), database, name="bench", random_text=secrets.token_urlsafe
    )
    return Tenant(company_id, application_id, token.id, token.secret, key.secret)


async def write_documents(connection: Connection, seed: int) -> None:
    """A table of bodies to fill versions from; the same seed gives the same bodies."""
    source = random.Random(seed)
    bodies = [write_workflow(source) for _ in range(DOCUMENTS)]
    await connection.execute(
        "CREATE TABLE bench_documents (n integer PRIMARY KEY, body json NOT NULL, digest bytea NOT NULL)"
    )
    rows = [(n, body, hashlib.sha256(body.encode()).digest()) for n, body in enumerate(bodies)]
    await connection.executemany("INSERT INTO bench_documents (n, body, digest) VALUES ($1, $2, $3)", rows)
    await connection.execute("ANALYZE bench_documents")


async def load_versions(
    connection: Connection,
    table: str,
    company_id: int,
    flow_id: int,
    count: int,
    *,
    token_id: int | None = None,
    body: str | None = None,
) -> None:
    """Gives the flow `count` Inactive versions v1, v2, … in a table with the columns of flow_versions.

    Their bodies are those of write_documents, unless one for all is given; their author is the command line, unless it
    is a token.
    """
    await connection.execute(
        f"""
        INSERT INTO {table} (company_id, flow_id, iteration, name, name_folded, status, body, digest,
                             created_by_type, created_by_id, updated_by_type, updated_by_id)
        SELECT $1, $2, i, 'v' || i, 'v' || i, 'Inactive', coalesce($7::text::json, d.body), d.digest, $5, $6, $5, $6
        FROM generate_series(1, $3::integer) AS i
        JOIN bench_documents d ON d.n = i % $4::integer
        """,
        company_id,
        flow_id,
        count,
        DOCUMENTS,
        ActorType.CLI if token_id is None else ActorType.API_TOKEN,
        token_id,
        body,
        timeout=LOAD_SECONDS,
    )


async def load_flows(connection: Connection, tenant: Tenant, count: int, *, flow_class: str, version: str) -> None:
    """Gives the tenant's application `count` flows, each with a body of write_documents as its develop content and
    another as a version of this name; every tenth is deployed. All by the tenant's token."""
    await connection.execute(
        """
        WITH f AS (
            INSERT INTO flows (company_id, application_id, name, name_folded, description, flow_class, next_iteration,
                               created_by_type, created_by_id, updated_by_type, updated_by_id)
            SELECT $1, $2, 'flow ' || i, 'flow ' || i, 'The flow number ' || i, $5, 3, $6, $3, $6, $3
            FROM generate_series(1, $4::integer) AS i
            RETURNING *
        )
        INSERT INTO flow_versions (company_id, flow_id, iteration, name, name_folded, status, deployed_at, body, digest,
                                   created_by_type, created_by_id, updated_by_type, updated_by_id)
        SELECT $1, f.id, made.iteration, made.name, made.name, made.status,
               CASE made.status WHEN 'Deployed' THEN now() END, d.body, d.digest, $6, $3, $6, $3
        FROM f
        CROSS JOIN LATERAL (
            VALUES (1, NULL, 'Draft'), (2, $7::text, CASE WHEN f.id % 10 = 0 THEN 'Deployed' ELSE 'Inactive' END)
        ) AS made (iteration, name, status)
        JOIN bench_documents d ON d.n = (2 * f.id + made.iteration) % $8::integer
        """,
        tenant.company_id,
        tenant.application_id,
        tenant.token_id,
        count,
        flow_class,
        ActorType.API_TOKEN,
        version,
        DOCUMENTS,
    )


async def load_job_logs(connection: Connection, tenant: Tenant, count: int) -> None:
    """Gives the tenant's application `count` bulk deletes that its token asked for and that have ended."""
    await connection.execute(
        """
        INSERT INTO jobs (public_id, company_id, application_id, kind, queue, status, arguments, attempt, total,
                          removed, failed, requested_by_type, requested_by_id, created_at, started_at, finished_at)
        SELECT lpad(i::text, 21, 'x'), $1, $2, 'delete_versions', 'bulk', 'completed',
               jsonb_build_object('query', '{"version":{"$startsWith":"v' || i || '"}}', 'email', 'ops@example.com',
                                  'callbackUrl', NULL),
               1, 10 * i, 10 * i - 1, 1, $5, $3, now() - i * interval '1 min',
               now() - i * interval '1 min' + interval '20 ms', now() - i * interval '1 min' + interval '2 s'
        FROM generate_series(1, $4::integer) AS i
        """,
        tenant.company_id,
        tenant.application_id,
        tenant.token_id,
        count,
        ActorType.API_TOKEN,
    )
