"""Who asks, and what they may.

A Losant token holds scopes: an operation RES.ACTION is open to `all.Application`, `all.Organization`, `all.User`,
`RES.*` and `RES.ACTION`; one that only reads is open to the first three with `.read` as well, and every operation to
the three with `.bounded` (Losant's endpoint table, API 1.30). `flowVersions` and `flowVersion` are different resources.

Losant describes `.bounded` as everything but tokens, members, transfers and credentials. No operation here is one of
those, so it opens what the full scope opens; one that will be must not admit it.

People, and what acts for them or for their company, have a role instead. One role includes those below it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from core.domain.errors import Forbidden
from core.domain.jobs import JobKind
from core.domain.scopes import ALL

API_KEY_PREFIX = "pnk_"
TOKEN_PREFIX = "pnt_"  # noqa: S105 - a prefix that leak scanners can look for, not a secret
CLIENT_PREFIX = "pnc_"
CLIENT_SECRET_PREFIX = "pns_"  # noqa: S105 - a prefix like the others
PREFIX_LENGTH = 10
"""Characters of a key that lists show: the fixed prefix and 36 random bits, enough to tell two keys apart."""


class Role(StrEnum):
    """What people of a company may do, from least to most; the words are Patchworks'."""

    READ_ONLY = "read-only"
    USER = "user"
    MANAGER = "manager"
    ADMINISTRATOR = "administrator"

    def includes(self, other: Role) -> bool:
        """Whether whoever has this role may do what the other one may."""
        return _RANKS[self] >= _RANKS[other]


_RANKS = {role: rank for rank, role in enumerate(Role)}

KEY_ROLE = Role.MANAGER
"""An API key acts for its company, as a manager would."""


class ActorType(StrEnum):
    API_TOKEN = "apiToken"  # noqa: S105 - Losant's word for the kind of caller
    API_KEY = "apiKey"
    USER = "user"
    OAUTH_CLIENT = "oauthClient"
    JOB = "job"
    SCHEDULER = "scheduler"
    """Carries out what somebody planned."""
    CLI = "cli"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever asks: the first argument of every operation, and the only place a tenant comes from."""

    company_id: int
    actor_type: ActorType
    actor_id: int | None
    application_id: int | None = None
    """None: not bound to one application of the company."""
    scopes: frozenset[str] = frozenset()
    remote: str | None = None
    role: Role | None = None
    """None: not a person's or a key's doing; then the scopes decide."""
    rate_limit: int | None = None
    """Requests a minute its company may make; 0: any number; None: what the installation allows."""

    @property
    def owner(self) -> str:
        """A stable name of the credential: `apiToken:7`."""
        return f"{self.actor_type}:{self.actor_id}"


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """What an operation asks of a token: its scope name, and whether it only reads. Written once, and only itself."""

    scope: str
    reads: bool


@cache
def admitting(need: Need) -> frozenset[str]:
    """The scopes of which a token must have one."""
    resource = need.scope.partition(".")[0]
    suffixes = ("", ".bounded", ".read") if need.reads else ("", ".bounded")
    return frozenset({need.scope, f"{resource}.*"} | {f"{name}{suffix}" for name in ALL for suffix in suffixes})


def admits(scopes: Collection[str], need: Need) -> bool:
    """Whether a token with these scopes may do what is needed."""
    return not admitting(need).isdisjoint(scopes)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request shows of itself, not looked up yet: the statement that answers it decides who asks as well.

    `application_id` is the one in the address.
    """

    digest: bytes
    application_id: int
    need: Need
    remote: str | None = None


@dataclass(slots=True, eq=False)
class Visitor:
    """Whoever asks under /api/v1 for what one statement answers, and what that takes.

    That statement looks up what was shown, unless somebody was recognised before (`principal`). Not frozen: once it is
    known who it is, that stands here.
    """

    need: Need
    least: Role
    remote: str | None
    digest: bytes | None = None
    is_key: bool = False
    principal: Principal | None = None
    unnoted: bool = False
    """Whether it is a key whose use is to be noted."""

    @property
    def shown(self) -> tuple[bytes | None, bool, int | None, int | None]:
        """What the statement takes: a digest and whether it is a key's, else a company and perhaps an application."""
        if self.principal is None:
            return self.digest, self.is_key, None, None
        return None, False, self.principal.company_id, self.principal.application_id

    @property
    def known(self) -> Principal:
        """Who it is, once that is known."""
        assert self.principal is not None, "nobody has settled who asks"
        return self.principal

    def require(self, principal: Principal) -> None:
        """Raises Forbidden for whoever may not do this."""
        require(principal, self.need, self.least)


def require(principal: Principal, need: Need | None, least: Role | None) -> None:
    """Raises Forbidden for a role below the least one; for whoever has none, unless a scope admits what is needed."""
    if principal.role is not None:
        assert least is not None, "a route that lets people in says whom"
        require_role(principal, least)
    elif need and not admits(principal.scopes, need):
        raise Forbidden


def require_role(principal: Principal, least: Role) -> None:
    """Raises Forbidden, naming both, for whoever has another role than this one and those that include it."""
    assert principal.role is not None, "a token without a role is judged by its scopes"
    if not principal.role.includes(least):
        raise Forbidden(f"This takes the role {least}; yours is {principal.role}.")


ENQUEUES = {
    JobKind.DELETE_VERSIONS: Need("flowVersions.delete", reads=False),
    JobKind.DELETE_FLOW: Need("flow.delete", reads=False),
}
"""What it takes to enqueue a job of a kind. Whoever may enqueue it may also read, cancel and undo it."""


_COMPANIONS = {JobKind.UNDO_DELETION, JobKind.SEND_MAIL, JobKind.POST_CALLBACK}
"""Jobs that follow from others. Whoever may read any kind may read them; who may cancel one, its origin decides."""


def enqueueable_kinds(principal: Principal) -> frozenset[JobKind]:
    """The kinds of jobs this caller may cause, cancel and undo.

    All for a manager and above, none for lower roles; without a role, those that the scopes name.
    """
    if principal.role is not None:
        return frozenset(JobKind) if principal.role.includes(Role.MANAGER) else frozenset()
    return frozenset(kind for kind, need in ENQUEUES.items() if admits(principal.scopes, need))


def readable_kinds(principal: Principal) -> frozenset[JobKind]:
    """The kinds of jobs this caller may read: all for whoever has a role, else those its scopes may enqueue.

    Letters, callbacks and undos follow from other jobs and go with any of its kinds.
    """
    if principal.role is not None:
        return frozenset(JobKind)
    kinds = enqueueable_kinds(principal)
    return kinds | _COMPANIONS if kinds else kinds


def new_credential(prefix: str, random_text: Callable[[int], str]) -> str:
    """A token or key: a prefix that leak scanners can look for and 256 random bits. Shown once, stored as a digest."""
    return prefix + random_text(32)


def credential_digest(credential: str) -> bytes:
    """What is stored and looked up. SHA-256 suffices: a random 256-bit value cannot be guessed from it."""
    return hashlib.sha256(credential.encode("utf-8", "surrogateescape")).digest()
