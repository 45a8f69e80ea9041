"""`POST /oauth/token`: client credentials as RFC 6749 has them, and its errors."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import jwt
import pytest
from aiohttp import ClientSession, encode_basic_auth
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.access import Role
from core.operations import people
from core.operations.logins import CLIENT_UNKNOWN
from core.operations.people import NewClient
from tests.api.conftest import Ground
from tests.support.api import Reply
from tests.support.contents import unchanged
from tests.support.people import make_client, make_user, operator

TOKEN = "/oauth/token"
FORM = "application/x-www-form-urlencoded"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
async def client(ground: Ground) -> NewClient:
    return await make_client(await make_user(ground.owner, Role.USER), ground.database)


def basic(client_id: str, secret: str) -> dict[str, str]:
    """As RFC 6749 2.3.1 has it: both parts percent-encoded."""
    joined = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return {"Authorization": "Basic " + base64.b64encode(joined.encode()).decode()}


def in_body(client: NewClient, **more: str) -> dict[str, str]:
    return {**GRANT, "client_id": client.client_id, "client_secret": client.secret, **more}


async def ask(
    ground: Ground, form: Mapping[str, str] | bytes, headers: Mapping[str, str] | None = None, path: str = TOKEN
) -> Reply:
    raw = form if isinstance(form, bytes) else urlencode(form).encode()
    return await ground.anonymous.post(path, raw=raw, headers={"Content-Type": FORM, **(headers or {})})


def assert_error(answer: Reply, status: int, error: str) -> None:
    assert (answer.status, set(answer.json), answer.json["error"]) == (status, {"error", "error_description"}, error)
    assert answer.json["error_description"].isascii()
    assert not set('"\\') & set(answer.json["error_description"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/json"
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def test_a_client_gets_a_token_with_its_users_role(ground: Ground, client: NewClient) -> None:
    for form, headers in ((in_body(client), {}), (GRANT, basic(client.client_id, client.secret))):
        answer = await ask(ground, form, headers)
        assert answer.status == 200
        assert {**answer.json, "access_token": ""} == {
            "access_token": "",
            "token_type": "Bearer",
            "expires_in": 86_400,
        }
        assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
        api = ground.anonymous.as_(f"Bearer {answer.json['access_token']}")
        assert (await api.get("/api/v1/jobs")).status == 200
        assert (await api.post(f"/api/v1/jobs/{'A' * 21}/cancel")).status == 403
        claims = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
        assert claims["client"] == client.id


async def test_what_an_ordinary_http_client_sends_works(ground: Ground, client: NewClient) -> None:
    headers = {"Authorization": encode_basic_auth(client.client_id, client.secret)}
    url = ground.anonymous.url + TOKEN
    async with ClientSession() as session, session.post(url, data=GRANT, headers=headers) as answer:
        assert answer.status == 200


async def test_what_the_rfc_lets_pass_passes(ground: Ground, client: NewClient) -> None:
    """Parameters nobody knows, and ones without a value, count as left out; the id may stand in both places."""
    for form, headers in (
        (in_body(client, audience="x", resource="y"), {}),
        (in_body(client, scope=""), {}),
        ({**GRANT, "client_id": client.client_id}, basic(client.client_id, client.secret)),
        ({**GRANT, "client_id": "", "client_secret": ""}, basic(client.client_id, client.secret)),
        (in_body(client), {"Content-Type": f"{FORM}; charset=UTF-8"}),
    ):
        assert (await ask(ground, form, headers)).status == 200, form


async def test_wrong_credentials_are_an_invalid_client(ground: Ground, client: NewClient) -> None:
    other = await make_client(await make_user(ground.owner), ground.database)
    revoked = await make_client(await make_user(ground.owner), ground.database)
    await people.revoke_client(operator(ground.owner), ground.database, revoked.id)
    closed_user = await make_user(ground.owner)
    closed = await make_client(closed_user, ground.database)
    await people.close_user(operator(ground.owner), ground.database, closed_user.id)
    tries = [
        (client.client_id, other.secret),
        (client.client_id, client.secret[:-1]),
        (client.client_id, client.secret + "x"),
        (client.client_id, "\u00fc"),
        (client.client_id.upper(), client.secret),
        (revoked.client_id, revoked.secret),
        (closed.client_id, closed.secret),
        ("nobody", client.secret),
        (str(client.id), client.secret),
    ]
    async with unchanged(ground.database):
        for client_id, secret in tries:
            form = {**GRANT, "client_id": client_id, "client_secret": secret}
            for answer in (await ask(ground, form), await ask(ground, GRANT, basic(client_id, secret))):
                assert_error(answer, 401, "invalid_client")
                assert answer.json["error_description"] == CLIENT_UNKNOWN


@pytest.mark.parametrize(
    "header",
    [
        "", "Basic", "Basic ", "Basic !!!", "Basic YQ", "Basic YQ==", "Bearer YTpi", "Basic YTpi YTpi",
        "Basic /////w==", "Basic JTAwOmI=", "Basic JUZGOmI=", "Basic Og==", "YTpi",
    ],
)  # fmt: skip
async def test_a_header_that_is_no_basic_authentication_is_an_invalid_client(ground: Ground, header: str) -> None:
    async with unchanged(ground.database):
        assert_error(await ask(ground, GRANT, {"Authorization": header}), 401, "invalid_client")


async def test_no_credentials_are_an_invalid_client(ground: Ground, client: NewClient) -> None:
    async with unchanged(ground.database):
        for form in (GRANT, {**GRANT, "client_id": client.client_id}, {**GRANT, "client_secret": client.secret}):
            assert_error(await ask(ground, form), 401, "invalid_client")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"grant_type": "Client_Credentials"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials "}, "unsupported_grant_type"),
        ({"grant_type": 'nonsense"\\\u00fc\n'}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "x" * 256}, "invalid_request"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"scope": " "}, "invalid_scope"),
        ({"client_id": "a\0b"}, "invalid_request"),
        ({"a\0b": "c"}, "invalid_request"),
        ({"client_secret": "x" * 256}, "invalid_request"),
        ({f"field{number}": "x" for number in range(200)}, "invalid_request"),
    ],
)
async def test_a_request_that_is_wrong_says_what_is_wrong(
    ground: Ground, client: NewClient, changes: dict[str, str], error: str
) -> None:
    async with unchanged(ground.database):
        assert_error(await ask(ground, {**in_body(client), **changes}), 400, error)
    assert (await ask(ground, in_body(client))).status == 200


async def test_credentials_in_two_places_are_refused(ground: Ground, client: NewClient) -> None:
    header = basic(client.client_id, client.secret)
    async with unchanged(ground.database):
        assert_error(await ask(ground, in_body(client), header), 400, "invalid_request")
        assert_error(await ask(ground, {**GRANT, "client_id": "other"}, header), 400, "invalid_request")


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"grant_type", b"=", b"&&&", b"grant_type=client_credentials&grant_type=client_credentials",
        b"grant_type=%FF", b"\xff\xfe", b"%ED%A0%80=a", b"{}", b'{"grant_type": "client_credentials"}',
        "grant_type=\u00fc".encode(),
    ],
)  # fmt: skip
async def test_a_body_that_is_no_form_is_refused(ground: Ground, client: NewClient, raw: bytes) -> None:
    async with unchanged(ground.database):
        answer = await ask(ground, raw, basic(client.client_id, client.secret))
    assert_error(answer, 400, "invalid_request")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
async def test_another_kind_of_body_is_refused(ground: Ground, client: NewClient, content_type: str) -> None:
    async with unchanged(ground.database):
        answer = await ask(ground, in_body(client), {"Content-Type": content_type})
    assert_error(answer, 400, "invalid_request")


async def test_a_body_too_large_or_compressed_is_refused(ground: Ground, client: NewClient) -> None:
    async with unchanged(ground.database):
        assert_error(await ask(ground, in_body(client, padding="x" * 65_536)), 413, "invalid_request")
        assert_error(await ask(ground, in_body(client), {"Content-Encoding": "gzip"}), 400, "invalid_request")


async def test_what_stands_in_the_query_is_no_credential(ground: Ground, client: NewClient) -> None:
    """RFC 6749 2.3.1: they must not be in the address, which ends up in logs."""
    async with unchanged(ground.database):
        answer = await ask(ground, GRANT, path=f"{TOKEN}?{urlencode(in_body(client))}")
    assert_error(answer, 401, "invalid_client")


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=60) | st.dictionaries(st.text(max_size=8), st.text(max_size=8)), st.binary(max_size=20))
async def test_any_form_and_any_credential(ground: Ground, form: bytes | dict[str, str], credential: bytes) -> None:
    raw = form if isinstance(form, bytes) else urlencode(form, errors="surrogatepass").encode()
    header = {"Authorization": "Basic " + base64.b64encode(credential).decode()}
    for headers in ({}, header):
        answer = await ask(ground, raw, headers)
        assert answer.status in (400, 401)
        assert set(answer.json) == {"error", "error_description"}
