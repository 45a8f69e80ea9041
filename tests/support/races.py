"""What can be done to one flow's versions at once, and what must be true of them whoever wins."""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.domain.documents import parse_document
from core.domain.errors import PenstockError
from core.domain.flows import Flow
from core.domain.identifiers import new_public_id
from core.domain.versions import NewVersion
from core.operations import lifecycle, undo
from core.operations.settling import Terms
from schemas.losant import content_of
from tests.support.arrangements import run_deletion
from tests.support.lifecycles import come_due, place, tomorrow
from tests.support.lifecycles import copy as copy_version
from tests.support.tenants import KEEP, Tenant, yesterday

_numbers = itertools.count(1)


@dataclass
class Arena:
    """A company's one flow, whose versions have contents of their own, and all that was ever in it."""

    tenant: Tenant
    terms: Terms
    flow: Flow
    names: list[str]
    ids: list[int] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)
    digests: set[bytes] = field(default_factory=set)
    won: int = 0
    lost: int = 0

    def target(self, number: int) -> int:
        return self.ids[number % len(self.ids)]


def content(label: str) -> str:
    return f'{{"nodes":[{{"id":"a","type":"{label} {next(_numbers)}"}}]}}'


async def make_arena(tenant: Tenant, terms: Terms) -> Arena:
    """Two inactive versions, a deployed one, a Draft, and two entries of the trash."""
    flow = await tenant.make_flow(f"Arena {next(_numbers)}")
    arena = Arena(tenant, terms, flow, [f"a{number}" for number in range(5)])
    made = [await tenant.make_version(flow, name, content("first")) for name in arena.names]
    for version in made[3:]:
        await lifecycle.remove_version(tenant.principal, tenant.database, flow.id, version.id, keep=KEEP)
    await tenant.deploy(flow, made[0])
    arena.ids = [version.id for version in made[:3]]
    await copy_version(tenant, flow, made[1].id)
    arena.versions = {version.id for version in made}
    arena.digests = {version.digest for version in made}
    return arena


async def deploy(arena: Arena, number: int) -> None:
    """A version, or the Draft in every third round."""
    target = arena.target(number)
    if number % 3 == 0:
        async with arena.tenant.database.connection() as connection:
            target = await connection.fetchval(
                "SELECT coalesce(max(id), $2) FROM flow_versions WHERE flow_id = $1 AND status = 'Draft'",
                arena.flow.id,
                target,
            )
    await _place(arena, target, yesterday())


async def undeploy(arena: Arena, number: int) -> None:
    await _place(arena, arena.target(number), None)


async def carry_out(arena: Arena, number: int) -> None:
    """Plans a deploy, and carries out whatever is planned."""
    try:
        await _place(arena, arena.target(number + 1), tomorrow())
    finally:
        await come_due(arena.tenant)
        await lifecycle.deploy_due(arena.tenant.database, 9)


async def copy(arena: Arena, number: int) -> None:
    await copy_version(arena.tenant, arena.flow, arena.target(number))


async def delete(arena: Arena, number: int) -> None:
    await lifecycle.remove_version(
        arena.tenant.principal, arena.tenant.database, arena.flow.id, arena.target(number), keep=KEEP
    )


async def delete_in_bulk(arena: Arena, number: int) -> None:
    job = await arena.tenant.ask_deletion(arena.flow, {"version": {"$in": list(arena.names)}})
    await run_deletion(arena.tenant, job)


async def replace(arena: Arena, number: int) -> None:
    text = content("replaced").encode()
    new = NewVersion(arena.names[number % 5], True, None, content_of(parse_document(text)))
    version = await arena.tenant.keep_version(arena.flow, new, replace=True)
    arena.versions.add(version.id)
    arena.digests.add(new.content.digest)


async def restore(arena: Arena, number: int) -> None:
    entries, _ = await undo.list_trash(arena.tenant.principal, arena.tenant.database, arena.flow.id, limit=9, offset=0)
    if entries:
        entry = entries[number % len(entries)]
        await undo.restore_entry(arena.tenant.principal, arena.tenant.database, arena.flow.id, entry.id, arena.terms)


async def _place(arena: Arena, version_id: int, at: datetime | None) -> None:
    await place(arena.tenant, arena.flow, version_id, at)


Act = Callable[[Arena, int], Awaitable[None]]

ACTS: dict[str, Act] = {
    "deploy": deploy,
    "undeploy": undeploy,
    "carry out": carry_out,
    "copy": copy,
    "delete": delete,
    "bulk delete": delete_in_bulk,
    "replace": replace,
    "restore": restore,
}


async def attempt(act: Act, arena: Arena, number: int) -> None:
    """Somebody who may come too late: whatever the state does not allow is a refusal, and nothing else is."""
    try:
        await act(arena, number)
        arena.won += 1
    except PenstockError:
        arena.lost += 1


async def check(arena: Arena) -> None:
    """One Deployed at most, one Draft at most, nothing twice and nothing lost: every version that ever had a name is
    live or in the trash, and so is every content. (A Draft that is restored becomes the Draft there is.)"""
    async with arena.tenant.database.connection() as connection:
        live = await connection.fetch(
            "SELECT id, revision, status, digest, deploy_at FROM flow_versions WHERE flow_id = $1", arena.flow.id
        )
        trash = await connection.fetch(
            "SELECT version_id AS id, revision, digest FROM deleted_versions WHERE flow_id = $1", arena.flow.id
        )
        made = await connection.fetch(
            "SELECT subject_id FROM audit_events"
            " WHERE company_id = $1 AND action IN ('version.create', 'version.deploy')",
            arena.tenant.company_id,
        )
    statuses = [row["status"] for row in live]
    assert statuses.count("Deployed") <= 1, "two are deployed"
    assert statuses.count("Draft") <= 1, "there are two drafts"
    assert sum(row["deploy_at"] is not None for row in live) <= 1, "two deploys are planned"
    here, gone = {row["id"] for row in live}, {row["id"] for row in trash}
    assert arena.versions | {row["subject_id"] for row in made} <= here | gone, "a version is lost"
    assert arena.digests <= {row["digest"] for row in (*live, *trash)}, "a content is lost"
    states = [(row["id"], row["revision"]) for row in (*live, *trash)]
    assert len(states) == len(set(states)), "something is there twice"


def new_terms() -> Terms:
    return Terms(undo=KEEP, lease=timedelta(seconds=15), mail_daily_cap=0, new_id=lambda: new_public_id(os.urandom))
