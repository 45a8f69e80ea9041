"""What a scope opens, by Losant's endpoint table, and what credentials are made of."""

from __future__ import annotations

import hashlib
import secrets

import pytest

from core.domain.access import (
    API_KEY_PREFIX,
    CLIENT_SECRET_PREFIX,
    ENQUEUES,
    KEY_ROLE,
    PREFIX_LENGTH,
    TOKEN_PREFIX,
    ActorType,
    Need,
    Principal,
    Role,
    admits,
    credential_digest,
    enqueueable_kinds,
    new_credential,
    readable_kinds,
    require_role,
)
from core.domain.errors import Forbidden
from core.domain.jobs import DELETION_KINDS, JobKind

WRITES = Need("flowVersions.post", reads=False)
READS = Need("flowVersions.get", reads=True)

OPENS_EVERYTHING = [
    f"{name}{suffix}" for name in ("all.Application", "all.Organization", "all.User") for suffix in ("", ".bounded")
]
OPENS_READING = ["all.Application.read", "all.Organization.read", "all.User.read"]


@pytest.mark.parametrize("scope", [*OPENS_EVERYTHING, "flowVersions.*"])
def test_what_opens_reading_and_writing(scope: str) -> None:
    assert admits([scope], WRITES)
    assert admits([scope], READS)


@pytest.mark.parametrize("scope", OPENS_READING)
def test_what_opens_reading_only(scope: str) -> None:
    assert admits([scope], READS)
    assert not admits([scope], WRITES)


def test_an_operations_own_scope_opens_it_and_no_other() -> None:
    assert admits(["flowVersions.post"], WRITES)
    assert not admits(["flowVersions.post"], READS)
    assert not admits(["flowVersions.get"], WRITES)


@pytest.mark.parametrize(
    "scope",
    [
        "flowVersion.*",
        "flowVersion.post",
        "flows.*",
        "flowversions.*",
        "flowVersions",
        "flowVersions.",
        "*",
        "*.*",
        "all",
        "all.*",
        "all.application",
        "all.Device",
        "flowVersions.post.bounded",
        "",
    ],
)
def test_what_opens_neither(scope: str) -> None:
    """The singular and the plural are different resources, and no scope is guessed from a similar one."""
    assert not admits([scope], WRITES)
    assert not admits([scope], READS)


def test_one_scope_of_many_suffices_and_none_opens_nothing() -> None:
    assert admits({"flow.get", "flowVersions.post"}, WRITES)
    assert not admits([], READS)


def principal(*scopes: str, actor: ActorType = ActorType.API_TOKEN) -> Principal:
    return Principal(1, actor, 7, application_id=2, scopes=frozenset(scopes))


def test_whoever_may_enqueue_a_job_may_read_it() -> None:
    for kind, need in ENQUEUES.items():
        assert kind in readable_kinds(principal(need.scope))
    assert set(ENQUEUES) == set(DELETION_KINDS)


@pytest.mark.parametrize(
    ("scopes", "kinds"),
    [
        ((), set()),
        (("flowVersions.get", "flow.get", "applicationJobLogs.*"), set()),
        (("all.Application.read",), set()),
        (("flowVersions.delete",), {JobKind.DELETE_VERSIONS}),
        (("flow.*",), {JobKind.DELETE_FLOW}),
        (("all.Application",), {JobKind.DELETE_VERSIONS, JobKind.DELETE_FLOW}),
    ],
)
def test_a_token_reads_the_jobs_it_may_enqueue_and_what_follows_from_them(
    scopes: tuple[str, ...], kinds: set[JobKind]
) -> None:
    following = {JobKind.UNDO_DELETION, JobKind.SEND_MAIL, JobKind.POST_CALLBACK} if kinds else set()
    assert readable_kinds(principal(*scopes)) == kinds | following
    assert enqueueable_kinds(principal(*scopes)) == kinds, "what follows from a job is nobody's to ask for by itself"


@pytest.mark.parametrize("role", Role)
def test_whoever_has_a_role_reads_every_job(role: Role) -> None:
    assert readable_kinds(Principal(1, ActorType.USER, 7, role=role)) == set(JobKind)


def test_a_role_includes_those_below_it() -> None:
    order = ["read-only", "user", "manager", "administrator"]
    assert list(Role) == order
    for role in Role:
        assert [other for other in Role if role.includes(other)] == order[: order.index(role) + 1]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("least", Role)
def test_a_role_that_is_too_low_is_told_which_it_takes(role: Role, least: Role) -> None:
    somebody = Principal(1, ActorType.USER, 7, role=role)
    if role.includes(least):
        require_role(somebody, least)
        return
    with pytest.raises(Forbidden) as refusal:
        require_role(somebody, least)
    assert refusal.value.message == f"This takes the role {least}; yours is {role}."


@pytest.mark.parametrize("role", Role)
def test_a_manager_stops_every_job_but_uploads_and_lower_roles_none(role: Role) -> None:
    """Uploading takes an administrator."""
    uploads = {JobKind.UPLOAD_VERSION}
    kinds = {Role.MANAGER: set(JobKind) - uploads, Role.ADMINISTRATOR: set(JobKind)}.get(role, set())
    assert enqueueable_kinds(Principal(1, ActorType.USER, 7, role=role)) == kinds


def test_a_companys_key_reads_every_job_and_stops_what_a_manager_does() -> None:
    key = Principal(1, ActorType.API_KEY, 7, role=KEY_ROLE)
    assert enqueueable_kinds(key) == set(JobKind) - {JobKind.UPLOAD_VERSION}
    assert readable_kinds(key) == set(JobKind)


def test_an_owner_is_named_by_kind_and_number() -> None:
    assert principal().owner == "apiToken:7"
    assert principal(actor=ActorType.API_KEY).owner == "apiKey:7"


@pytest.mark.parametrize("prefix", [TOKEN_PREFIX, API_KEY_PREFIX, CLIENT_SECRET_PREFIX])
def test_a_credential_is_a_prefix_and_256_random_bits(prefix: str) -> None:
    made = {new_credential(prefix, secrets.token_urlsafe) for _ in range(100)}
    assert len(made) == 100
    assert all(credential.startswith(prefix) and len(credential) == 47 for credential in made)
    assert all(credential.isascii() and credential.strip() == credential for credential in made)
    assert new_credential(prefix, lambda count: f"<{count} bytes>") == f"{prefix}<32 bytes>"
    assert PREFIX_LENGTH - len(prefix) == 6, "lists show 36 random bits of 256"


def test_only_the_digest_is_kept() -> None:
    assert credential_digest("pnt_abc") == hashlib.sha256(b"pnt_abc").digest()
    assert credential_digest("pnt_abd") != credential_digest("pnt_abc")


@pytest.mark.parametrize("text", ["\u00fc", "\udc80", "\U0001f600", ""])
def test_any_header_has_a_digest(text: str) -> None:
    """Bytes that are no UTF-8 reach us as half surrogates."""
    assert len(credential_digest(text)) == 32
