"""Logging in with a password over HTTP: what it takes, how it refuses, and how long guessing is put up with."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import aiohttp
import jwt
import pytest

from core.domain.access import Role
from core.domain.bearer import AUDIENCE
from core.operations import people
from core.operations.logins import PATIENCE
from core.settings import Settings
from core.store.database import Database
from service.app import listening
from tests.api.conftest import Ground
from tests.support.api import Api, Reply, open_api
from tests.support.contents import unchanged
from tests.support.paths import versions_path
from tests.support.people import PASSWORD, make_user, operator
from tests.support.tenants import Tenant, make_tenant

LOGIN = "/fabric/api/login"

WRONG = {"message": "The name or the password is wrong."}


async def log_in(api: Api, name: str, password: str = PASSWORD, **headers: str) -> Reply:
    return await api.post(LOGIN, {"username": name, "password": password}, headers=headers)


async def forget(database: Database) -> None:
    """As if the windows were over."""
    async with database.connection() as connection:
        await connection.execute("DELETE FROM login_failures")


async def failures(database: Database) -> dict[str, int]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT kind, sum(failures)::int AS failures FROM login_failures GROUP BY 1")
    return {row["kind"]: row["failures"] for row in rows}


@pytest.fixture(autouse=True)
async def patient(ground: Ground) -> None:
    await forget(ground.database)


@pytest.mark.parametrize("field", ["username", "email"])
async def test_a_password_gives_a_token_that_opens(ground: Ground, field: str) -> None:
    user = await make_user(ground.owner, Role.READ_ONLY)
    answer = await ground.anonymous.post(LOGIN, {field: user.email, "password": PASSWORD})
    assert answer.status == 200
    assert {**answer.json, "token": ""} == {
        "message": "You have successfully logged in.",
        "token": "",
        "expires_in": 86_400,
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["token"].count(".") == 2
    listed = await ground.anonymous.as_(f"Bearer {answer.json['token']}").get("/api/v1/jobs")
    assert listed.status == 200


async def test_the_name_is_read_in_any_case_and_the_password_in_its_own(ground: Ground) -> None:
    user = await make_user(ground.owner, email="Mixed.Case@Example.com")
    assert (await log_in(ground.anonymous, "mixed.CASE@example.COM")).status == 200
    assert (await log_in(ground.anonymous, user.email, PASSWORD.upper())).status == 401


async def test_both_names_at_once_must_say_the_same(ground: Ground) -> None:
    user = await make_user(ground.owner)
    both = {"username": user.email, "email": user.email.upper(), "password": PASSWORD}
    assert (await ground.anonymous.post(LOGIN, both)).status == 200
    refused = await ground.anonymous.post(LOGIN, {**both, "email": "other@example.com"})
    assert (refused.status, refused.json["errors"]) == (422, {"email": ["is another one than username"]})
    neither = await ground.anonymous.post(LOGIN, {"password": PASSWORD})
    assert (neither.status, neither.json["errors"]) == (422, {"username": ["is required"]})


async def test_a_credential_sent_along_changes_nothing(ground: Ground) -> None:
    user = await make_user(ground.owner)
    for credential in ("Bearer nonsense", ground.owner.key, "Bearer a.b.c"):
        assert (await log_in(ground.anonymous.as_(credential), user.email)).status == 200
        assert (await log_in(ground.anonymous.as_(credential), user.email, "wrong password")).status == 401


async def test_wrong_unknown_and_closed_look_the_same(ground: Ground) -> None:
    user, closed = await make_user(ground.owner), await make_user(ground.owner)
    await people.close_user(operator(ground.owner), ground.database, closed.id)
    tries = [
        (user.email, "wrong password"),
        ("nobody@example.com", PASSWORD),
        ("' OR true --", PASSWORD),
        ("\u0130\u017f\u212a", PASSWORD),
        (closed.email, PASSWORD),
        (closed.email, "wrong password"),
        (user.email, f" {PASSWORD}"),
        (user.email, "x" * 1_024),
        (user.email, "\U0001f600" * 1_024),
    ]
    answers = []
    async with unchanged(ground.database):
        for name, password in tries:
            answers.append(await log_in(ground.anonymous, name, password))
    assert [(answer.status, answer.json) for answer in answers] == [(401, WRONG)] * len(tries)
    assert {frozenset(answer.headers) for answer in answers} == {frozenset(answers[0].headers)}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"password": "x" * 1_025}, "password"),
        ({"password": "x" * 60_000}, "password"),
        ({"password": ""}, "password"),
        ({"password": None}, "password"),
        ({"password": 123456789012}, "password"),
        ({"password": ["a"]}, "password"),
        ({"username": "x" * 1_025}, "username"),
        ({"username": ""}, "username"),
        ({"username": {"$ne": ""}}, "username"),
        ({"remember": True}, "remember"),
    ],
)
async def test_what_cannot_be_a_login_is_refused_before_any_hash(
    ground: Ground, body: dict[str, Any], path: str
) -> None:
    user = await make_user(ground.owner)
    answer = await ground.anonymous.post(LOGIN, {"username": user.email, "password": PASSWORD, **body})
    assert (answer.status, list(answer.json["errors"])) == (422, [path])
    assert await failures(ground.database) == {}, "no login was tried"


@pytest.mark.parametrize("field", ["username", "password"])
async def test_nul_and_half_pairs_are_refused(ground: Ground, field: str) -> None:
    for escape in ("\\u0000", "\\ud800"):
        other = "password" if field == "username" else "username"
        raw = f'{{"{field}": "a{escape}b", "{other}": "somebody"}}'.encode()
        answer = await ground.anonymous.post(LOGIN, raw=raw)
        assert (answer.status, list(answer.json["errors"])) == (422, [field])


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/xml", "nonsense"]
)
async def test_another_kind_of_body_is_refused(ground: Ground, content_type: str) -> None:
    raw = b"username=a&password=b"
    answer = await ground.anonymous.post(LOGIN, raw=raw, headers={"Content-Type": content_type})
    assert answer.status == 422
    assert answer.json["message"] == "the body must be a JSON object"


async def test_a_body_over_64_kilobytes_is_too_large_for_somebody_unknown(ground: Ground) -> None:
    answer = await ground.anonymous.post(LOGIN, {"username": "a", "password": "x" * 65_536})
    assert (answer.status, answer.json) == (413, {"message": "The request body is too large."})


# Guessing


async def guess(api: Api, name: str, times: int, **headers: str) -> list[int]:
    return [(await log_in(api, name, "wrong password", **headers)).status for _ in range(times)]


async def test_after_ten_wrong_passwords_an_account_has_to_wait(ground: Ground) -> None:
    user, other = await make_user(ground.owner), await make_user(ground.owner)
    assert await guess(ground.anonymous, user.email, PATIENCE.account) == [401] * PATIENCE.account
    async with unchanged(ground.database):
        refused = await log_in(ground.anonymous, user.email)
    assert (refused.status, refused.json) == (429, {"message": "Too many logins have failed; try again later."})
    assert 14 * 60 < int(refused.headers["Retry-After"]) <= 15 * 60
    assert (await log_in(ground.anonymous, user.email.upper())).status == 429, "the name in another case is the same"
    assert (await log_in(ground.anonymous, other.email)).status == 200, "nobody else has to wait"
    assert await failures(ground.database) == {"account": PATIENCE.account, "address": PATIENCE.account}


async def test_an_unknown_account_has_to_wait_just_the_same(ground: Ground) -> None:
    name = "nobody-at-all@example.com"
    assert await guess(ground.anonymous, name, PATIENCE.account + 1) == [401] * PATIENCE.account + [429]


async def test_when_the_window_is_over_the_count_begins_anew(ground: Ground) -> None:
    user = await make_user(ground.owner)
    await guess(ground.anonymous, user.email, PATIENCE.account)
    await shift(ground.database, "14 minutes")
    assert (await log_in(ground.anonymous, user.email)).status == 429
    await shift(ground.database, "1 minute")
    assert await guess(ground.anonymous, user.email, 1) == [401]
    assert await failures(ground.database) == {"account": 1, "address": 1}
    assert (await log_in(ground.anonymous, user.email)).status == 200


async def shift(database: Database, time: str) -> None:
    """Lets time go by for what was counted."""
    async with database.connection() as connection:
        await connection.execute("UPDATE login_failures SET since = since - $1::text::interval", time)


async def test_a_login_forgives_the_account_and_not_the_address(ground: Ground) -> None:
    user = await make_user(ground.owner)
    await guess(ground.anonymous, user.email, PATIENCE.account - 1)
    assert (await log_in(ground.anonymous, user.email)).status == 200
    assert await failures(ground.database) == {"address": PATIENCE.account - 1}


async def test_a_new_password_forgives_too(ground: Ground) -> None:
    user = await make_user(ground.owner)
    await guess(ground.anonymous, user.email, PATIENCE.account)
    await people.set_password(operator(ground.owner), ground.database, user.id, "another password")
    assert (await log_in(ground.anonymous, user.email, "another password")).status == 200


async def test_an_address_that_tries_many_names_has_to_wait(ground: Ground) -> None:
    user = await make_user(ground.owner)
    async with ground.database.connection() as connection:
        await guess(ground.anonymous, "first@example.com", 1)
        await connection.execute("UPDATE login_failures SET failures = $1 WHERE kind = 'address'", PATIENCE.address - 1)
    assert await guess(ground.anonymous, "last@example.com", 2) == [401, 429]
    assert (await log_in(ground.anonymous, user.email)).status == 429, "whoever sits there"


async def test_guesses_made_at_once_count_each(ground: Ground) -> None:
    """Forty at the same moment are not one: ten are told that they are wrong, the others nothing."""
    user = await make_user(ground.owner)
    answers = await asyncio.gather(*(log_in(ground.anonymous, user.email, f"guess number {n}") for n in range(40)))
    assert sorted(answer.status for answer in answers) == [401] * PATIENCE.account + [429] * 30
    assert (await log_in(ground.anonymous, user.email)).status == 429


async def test_many_may_log_in_at_once(ground: Ground) -> None:
    """Right passwords wait for their turn, and none of them counts against anybody."""
    users = [await make_user(ground.owner) for _ in range(3)]
    answers = await asyncio.gather(*(log_in(ground.anonymous, users[n % 3].email) for n in range(50)))
    assert [answer.status for answer in answers] == [200] * 50
    assert len({answer.json["token"] for answer in answers}) == 50
    assert await failures(ground.database) == {}


# Where somebody comes from


@pytest.mark.parametrize(
    ("trusted", "forwarded", "remote"),
    [
        ((), "203.0.113.7", "127.0.0.1"),
        (("10.0.0.0/8",), "203.0.113.7", "127.0.0.1"),
        (("127.0.0.0/8",), None, "127.0.0.1"),
        (("127.0.0.0/8",), "203.0.113.7", "203.0.113.7"),
        (("127.0.0.1/32",), "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (("127.0.0.0/8", "203.0.113.0/24"), "198.51.100.1, 203.0.113.7", "198.51.100.1"),
        (("127.0.0.0/8", "203.0.113.0/24"), "203.0.113.8,203.0.113.7", "203.0.113.8"),
        (("127.0.0.0/8",), "203.0.113.7, nonsense", "127.0.0.1"),
        (("127.0.0.0/8",), "", "127.0.0.1"),
        (("127.0.0.0/8",), ",,,", "127.0.0.1"),
        (("127.0.0.0/8",), "2001:DB8::7", "2001:db8::7"),
        (("127.0.0.0/8",), "::ffff:203.0.113.7", "203.0.113.7"),
        (("127.0.0.0/8",), "1.1.1.1," * 40 + "203.0.113.7", "203.0.113.7"),
    ],
)
async def test_a_believed_proxy_says_who_it_is(
    settings: Settings, database: Database, tenant: Tenant, trusted: tuple[str, ...], forwarded: str | None, remote: str
) -> None:
    user = await make_user(tenant)
    networks = tuple(ip_network(network) for network in trusted)
    async with open_api(replace(settings, trusted_proxies=networks)) as api:
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        assert (await log_in(api, user.email, **headers)).status == 200
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT remote FROM audit_events WHERE action = 'user.login'") == remote


async def test_what_an_application_does_is_kept_under_the_address_a_believed_proxy_names(
    settings: Settings, tenant: Tenant
) -> None:
    """Where the statement that answers looks up the token as well, too."""
    flow = await tenant.make_flow()
    path = versions_path(tenant, flow)
    async with open_api(replace(settings, trusted_proxies=(ip_network("127.0.0.0/8"),))) as api:
        headers = {"X-Forwarded-For": "203.0.113.7"}
        answer = await api.as_(f"Bearer {tenant.token}").post(path, {"version": "v1"}, headers=headers)
    assert answer.status == 201, answer.raw
    async with tenant.database.connection() as connection:
        assert await connection.fetchval("SELECT remote FROM audit_events WHERE action = 'version.create'") == (
            "203.0.113.7"
        )


async def test_behind_a_believed_proxy_one_guesser_does_not_keep_others_out(settings: Settings, tenant: Tenant) -> None:
    user = await make_user(tenant)
    trusting = replace(settings, trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with open_api(trusting) as api:
        guesser = {"X-Forwarded-For": "203.0.113.7"}
        await log_in(api, "first@example.com", "wrong password", **guesser)
        async with tenant.database.connection() as connection:
            await connection.execute("UPDATE login_failures SET failures = 1000 WHERE kind = 'address'")
        assert (await log_in(api, user.email, **guesser)).status == 429
        assert (await log_in(api, user.email, **{"X-Forwarded-For": "203.0.113.8"})).status == 200


async def test_addresses_of_one_ipv6_network_count_together(settings: Settings, tenant: Tenant) -> None:
    trusting = replace(settings, trusted_proxies=(ip_network("127.0.0.0/8"),))
    async with open_api(trusting) as api:
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "203.0.113.7"):
            await log_in(api, "first@example.com", "wrong password", **{"X-Forwarded-For": address})
    async with tenant.database.connection() as connection:
        rows = await connection.fetch("SELECT failures FROM login_failures WHERE kind = 'address' ORDER BY 1 DESC")
    assert [row["failures"] for row in rows] == [2, 1, 1]


async def test_a_copy_of_the_database_elsewhere_refuses_its_tokens(settings: Settings, database: Database) -> None:
    """The same keys and users under another public URL, as in a copy made for trying things out."""
    tenant = await make_tenant(database)
    user = await make_user(tenant)
    async with open_api(settings) as api, listening(replace(settings, public_url="http://copy.example")) as url:
        token = (await log_in(api, user.email)).json["token"]
        assert jwt.decode(token, options={"verify_signature": False})["aud"] == AUDIENCE
        async with aiohttp.ClientSession() as session:
            copy = Api(session, url, f"Bearer {token}")
            assert (await copy.get("/api/v1/jobs")).status == 401
        assert (await api.as_(f"Bearer {token}").get("/api/v1/jobs")).status == 200
