"""Tokens that open nothing, on every route that takes them: forged, expired, of another place, and closed since."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import orjson
import pytest

from core.domain.access import ActorType, Principal, Role
from core.domain.bearer import ALGORITHM
from core.operations import access, logins, people
from service.routes import Route
from tests.api.cases import arrange, ask, assert_refused, every
from tests.api.conftest import Ground
from tests.support.api import Api
from tests.support.contents import unchanged
from tests.support.people import ISSUING, Person, client_token, log_in, make_client, make_person, make_user, operator
from tests.support.tenants import Tenant

JOBS = "/api/v1/jobs"

every_route_for_people = every(lambda route: route.dialect.takes_people and not route.is_open)


@dataclass(frozen=True)
class Forge:
    """A good token taken apart, and the key that signed it, which no forger has."""

    token: str
    claims: dict[str, Any]
    header: dict[str, Any]
    secret: bytes

    def signed(self, algorithm: str | None = ALGORITHM, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token with these claims instead; None leaves one out."""
        payload = {name: value for name, value in {**self.claims, **claims}.items() if value is not None}
        key = "" if algorithm == "none" else self.secret
        return jwt.encode(payload, key, algorithm, headers={"kid": self.header["kid"], **(header or {})})

    def spelled(self, header: dict[str, Any], claims: object | None = None, *, digest: str = "sha256") -> str:
        """The same by hand, with any header at all, signed with the right key."""
        head, body = (_encoded(orjson.dumps(part)) for part in (header, self.claims if claims is None else claims))
        signature = hmac.digest(self.secret, f"{head}.{body}".encode(), digest)
        return f"{head}.{body}.{_encoded(signature)}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture(scope="module")
async def person(ground: Ground) -> Person:
    return await make_person(ground.owner, Role.ADMINISTRATOR)


@pytest.fixture(scope="module")
async def forge(ground: Ground, person: Person) -> Forge:
    parts = jwt.decode_complete(person.token, options={"verify_signature": False})
    async with ground.database.connection() as connection:
        secret = await connection.fetchval("SELECT secret FROM signing_keys WHERE kid = $1", parts["header"]["kid"])
    return Forge(person.token, parts["payload"], parts["header"], secret)


def flipped(token: str, part: int) -> str:
    """The token with one character of a part changed. The first: in the last some bits mean nothing."""
    parts = token.split(".")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    return ".".join(parts)


def hour(offset: float) -> int:
    return int((datetime.now(UTC) + timedelta(hours=offset)).timestamp())


FORGERIES: dict[str, Callable[[Forge], str]] = {
    "header changed": lambda forge: flipped(forge.token, 0),
    "claims changed": lambda forge: flipped(forge.token, 1),
    "signature changed": lambda forge: flipped(forge.token, 2),
    "signature left out": lambda forge: forge.token.rpartition(".")[0] + ".",
    "two parts": lambda forge: forge.token.rpartition(".")[0],
    "four parts": lambda forge: forge.token + ".AAAA",
    "another's claims under its signature": lambda forge: ".".join(
        [*forge.signed(sub=str(int(forge.claims["sub"]) + 1)).split(".")[:2], forge.token.split(".")[2]]
    ),
    "another key's signature": lambda forge: jwt.encode(
        forge.claims, os.urandom(32), ALGORITHM, headers={"kid": forge.header["kid"]}
    ),
    "unknown key": lambda forge: forge.signed(header={"kid": "unknown"}),
    "no key named": lambda forge: forge.spelled({"alg": "HS256", "typ": "JWT"}),
    "key name that is no text": lambda forge: forge.spelled({"alg": "HS256", "kid": 1}),
    "key name with NUL": lambda forge: forge.spelled({"alg": "HS256", "kid": "a\0"}),
    "key name with SQL": lambda forge: forge.spelled({"alg": "HS256", "kid": "' OR true --"}),
    "alg none": lambda forge: forge.signed("none"),
    "alg None": lambda forge: forge.spelled({**forge.header, "alg": "None"}),
    "alg none under a signature": lambda forge: forge.spelled({**forge.header, "alg": "none"}),
    "alg HS512": lambda forge: forge.spelled({**forge.header, "alg": "HS512"}, digest="sha512"),
    "alg HS384": lambda forge: forge.spelled({**forge.header, "alg": "HS384"}, digest="sha384"),
    "alg RS256": lambda forge: forge.spelled({**forge.header, "alg": "RS256"}),
    "alg left out": lambda forge: forge.spelled({"kid": forge.header["kid"]}),
    "a critical extension": lambda forge: forge.spelled({**forge.header, "crit": ["x"], "x": 1}),
    "claims that are a list": lambda forge: forge.spelled(forge.header, [1]),
    "expired": lambda forge: forge.signed(iat=hour(-25), exp=hour(-1)),
    "without an end": lambda forge: forge.signed(exp=None),
    "with an end that is text": lambda forge: forge.signed(exp=str(hour(1))),
    "with an end that is a fraction": lambda forge: forge.signed(exp=hour(1) + 0.5),
    "issued tomorrow": lambda forge: forge.signed(iat=hour(24), exp=hour(48)),
    "without a beginning": lambda forge: forge.signed(iat=None),
    "wrong audience": lambda forge: forge.signed(aud="somebody else"),
    "no audience": lambda forge: forge.signed(aud=None),
    "another installation": lambda forge: forge.signed(iss="http://other.example"),
    "no issuer": lambda forge: forge.signed(iss=None),
    "no subject": lambda forge: forge.signed(sub=None),
    "subject that is a number": lambda forge: forge.spelled(forge.header, {**forge.claims, "sub": 1}),
    "subject that is no number": lambda forge: forge.signed(sub="admin"),
    "subject beyond bigint": lambda forge: forge.signed(sub=str(2**63)),
    "subject nobody has": lambda forge: forge.signed(sub=str(2**63 - 1)),
    "an older epoch": lambda forge: forge.signed(epoch=0),
    "a later epoch": lambda forge: forge.signed(epoch=2),
    "an epoch beyond integer": lambda forge: forge.signed(epoch=2**31),
    "an epoch of true": lambda forge: forge.signed(epoch=True),
    "no epoch": lambda forge: forge.signed(epoch=None),
    "a client nobody has": lambda forge: forge.signed(client=2**63 - 1),
    "a client beyond bigint": lambda forge: forge.signed(client=2**63),
    "a client that is text": lambda forge: forge.signed(client="1"),
    "no id": lambda forge: forge.signed(jti=None),
    "very long": lambda forge: forge.signed(more="x" * 3_000),
    "deep": lambda forge: ".".join([forge.token.split(".")[0], _encoded(b"[" * 1_400), "AAAA"]),
    "a number of a thousand digits": lambda forge: ".".join(
        [forge.token.split(".")[0], _encoded(b'{"sub":"1","epoch":' + b"1" * 1_000 + b"}"), "AAAA"]
    ),
}
"""Tokens nobody here has issued, most of them under a good signature but for the one thing."""


def test_the_forge_makes_good_tokens_too(forge: Forge) -> None:
    """Otherwise every forgery below could be refused for a reason of its own making."""
    key = {"algorithms": [ALGORITHM], "audience": "penstock"}
    for token in (forge.signed(), forge.spelled(forge.header)):
        assert jwt.decode(token, forge.secret, **key) == forge.claims  # type: ignore[arg-type]


async def test_what_the_forge_makes_opens(ground: Ground, forge: Forge) -> None:
    for token in (forge.token, forge.signed(), forge.spelled(forge.header)):
        assert (await ground.anonymous.as_(f"Bearer {token}").get(JOBS)).status == 200


@pytest.mark.parametrize("title", FORGERIES)
async def test_a_forgery_is_refused(ground: Ground, forge: Forge, title: str) -> None:
    token = FORGERIES[title](forge)
    async with unchanged(ground.database):
        answer = await ground.anonymous.as_(f"Bearer {token}").get(JOBS)
    assert (answer.status, answer.json) == (401, {"message": "Unauthenticated."})


@every_route_for_people
async def test_every_route_refuses_forgeries_before_anything_else(ground: Ground, forge: Forge, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        for title in ("signature changed", "alg none", "expired", "wrong audience", "another installation"):
            caller = ground.anonymous.as_(f"Bearer {FORGERIES[title](forge)}")
            answer = await ask(caller, route, arranged)
            assert_refused(route, answer, 401, "Unauthorized", "Invalid access token")
    assert (await ask(ground.anonymous.as_(f"Bearer {forge.token}"), route, arranged)).status == route.success


async def test_a_login_token_is_no_key(ground: Ground, person: Person) -> None:
    assert (await ground.anonymous.as_(person.token).get(JOBS)).status == 401


async def test_the_time_is_postgresqls(ground: Ground, forge: Forge) -> None:
    """A token ends at the second its `exp` names, by the database's clock."""
    async with ground.database.connection() as connection:
        now = int(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
    assert (await ground.anonymous.as_(f"Bearer {forge.signed(exp=now + 5)}").get(JOBS)).status == 200
    assert (await ground.anonymous.as_(f"Bearer {forge.signed(exp=now)}").get(JOBS)).status == 401


# Closed since

Close = Callable[[Ground, Person], Awaitable[object]]


def _operator(person: Person) -> Principal:
    return Principal(person.user.company_id, ActorType.CLI, None)


CLOSINGS: dict[str, Close] = {
    "closed": lambda ground, person: people.close_user(_operator(person), ground.database, person.user.id),
    "deleted": lambda ground, person: people.delete_user(_operator(person), ground.database, person.user.id),
    "another password": lambda ground, person: people.set_password(
        _operator(person), ground.database, person.user.id, "another password"
    ),
    "company closed": lambda ground, person: access.revoke_company(_operator(person), ground.database),
}


@pytest.fixture
async def closable(ground: Ground) -> Tenant:
    """A company of its own: closing it must not close what other tests use."""
    company_id, application_id = await access.create_company(
        Principal(0, ActorType.CLI, None), ground.database, "Closable", parent_id=None, webhook_secret="whsec_YQ=="
    )
    return Tenant(ground.database, company_id, application_id, 0, "", "")


@pytest.mark.parametrize("title", CLOSINGS)
async def test_what_closes_a_user_closes_every_token_at_once(ground: Ground, closable: Tenant, title: str) -> None:
    person, bystander = await make_person(closable), await make_person(ground.owner)
    client = await make_client(person.user, ground.database)
    robot = await client_token(ground.database, client)
    callers = [ground.anonymous.as_(f"Bearer {token}") for token in (person.token, robot)]
    assert [(await caller.get(JOBS)).status for caller in callers] == [200, 200]
    await CLOSINGS[title](ground, person)
    assert [(await caller.get(JOBS)).status for caller in callers] == [401, 401]
    assert (await ground.anonymous.as_(bystander.credential).get(JOBS)).status == 200


async def test_a_revoked_client_closes_its_tokens_and_no_others(ground: Ground) -> None:
    person = await make_person(ground.owner)
    clients = [await make_client(person.user, ground.database) for _ in range(2)]
    tokens = [await client_token(ground.database, client) for client in clients]
    assert await people.revoke_client(operator(ground.owner), ground.database, clients[0].id)
    assert await statuses(ground.anonymous, *tokens, person.token) == [401, 200, 200]


async def test_a_client_is_not_another_users(ground: Ground, forge: Forge) -> None:
    """A token with a good signature that names a client of somebody else: nobody issues one, and nothing takes it."""
    other = await make_user(ground.owner)
    client = await make_client(other, ground.database)
    assert await statuses(ground.anonymous, forge.signed(client=client.id)) == [401]


async def test_a_reopened_user_has_to_log_in_again(ground: Ground) -> None:
    person = await make_person(ground.owner)
    await people.close_user(_operator(person), ground.database, person.user.id)
    await people.reopen_user(_operator(person), ground.database, person.user.id)
    fresh = await log_in(ground.database, person.user)
    assert await statuses(ground.anonymous, person.token, fresh) == [401, 200]


async def test_another_role_counts_at_once_for_tokens_there_are(ground: Ground) -> None:
    person = await make_person(ground.owner, Role.READ_ONLY)
    api = ground.anonymous.as_(person.credential)
    cancel = f"{JOBS}/{'A' * 21}/cancel"
    assert (await api.post(cancel)).status == 403
    await people.set_role(_operator(person), ground.database, person.user.id, Role.MANAGER)
    assert (await api.post(cancel)).status == 404


async def test_after_a_rotation_old_tokens_open_until_their_key_is_revoked(ground: Ground) -> None:
    user = await make_user(ground.owner)
    old = await log_in(ground.database, user)
    await logins.rotate_signing_key(operator(ground.owner), ground.database, ISSUING)
    new = await log_in(ground.database, user)
    kids = [jwt.get_unverified_header(token)["kid"] for token in (old, new)]
    assert kids[0] != kids[1]
    assert await statuses(ground.anonymous, old, new) == [200, 200]
    (key,) = [row["id"] for row in await logins.list_signing_keys(ground.database) if row["kid"] == kids[1]]
    assert await logins.revoke_signing_key(operator(ground.owner), ground.database, key)
    assert await statuses(ground.anonymous, old, new) == [200, 401]
    assert jwt.get_unverified_header(await log_in(ground.database, user))["kid"] == kids[0], "the one before signs"


async def test_what_a_token_does_is_recorded_under_whoever_it_stands_for(ground: Ground) -> None:
    person = await make_person(ground.owner, Role.MANAGER)
    client = await make_client(person.user, ground.database)
    robot = await client_token(ground.database, client)
    for token, actor in ((person.token, ("user", person.user.id)), (robot, ("oauthClient", client.id))):
        flow = await ground.owner.make_flow(secrets.token_hex(4))
        job = await ground.owner.ask_deletion(flow)
        answer = await ground.anonymous.as_(f"Bearer {token}").post(f"{JOBS}/{job}/cancel")
        assert answer.status == 200
        async with ground.database.connection() as connection:
            event = await connection.fetchrow(
                "SELECT actor_type, actor_id, remote FROM audit_events WHERE action = 'job.cancel' ORDER BY id DESC"
            )
        assert tuple(event) == (*actor, "127.0.0.1")


async def statuses(api: Api, *tokens: str) -> list[int]:
    return [(await api.as_(f"Bearer {token}").get(JOBS)).status for token in tokens]


def test_a_token_says_no_more_than_it_must(forge: Forge) -> None:
    """It can be read by whoever carries it."""
    assert set(forge.claims) == {"iss", "aud", "sub", "iat", "exp", "jti", "epoch"}
    assert forge.header == {"alg": "HS256", "typ": "JWT", "kid": forge.header["kid"]}
    assert forge.claims["exp"] - forge.claims["iat"] == 86_400
    assert len(forge.secret) == 32
