"""The commands about people, their programs and what signs their tokens: what they make works, what they close is."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner, Result

from cli.main import penstock
from core.domain.errors import LoginFailed, Unauthenticated
from core.domain.people import User
from core.operations import access, logins, people
from core.settings import Settings
from tests.cli.test_commands import Program, fact
from tests.support.people import ISSUING, PASSWORD, log_in, make_client, make_person, make_user
from tests.support.tenants import Tenant


@pytest.fixture
def program(settings: Settings) -> Program:
    assert settings.database_url is not None
    return Program(settings.database_url)


async def typed(program: Program, text: str, *words: str) -> Result:
    """Runs a command with this on its standard input."""
    environment = {"DATABASE_URL": program.url, "COLUMNS": "200"}
    return await asyncio.to_thread(CliRunner().invoke, penstock, words, env=environment, input=text)


async def the_user(tenant: Tenant) -> User:
    (user,) = await people.list_users(tenant.database, tenant.company_id)
    return user


async def test_a_user_is_made_with_a_password_that_is_shown_once(program: Program, tenant: Tenant) -> None:
    company = str(tenant.company_id)
    made = await program.run("admin", "user", "create", company, "ada@example.com", "--role", "read-only")
    user = await the_user(tenant)
    assert (str(user.id), user.role, user.name) == (fact(made, "user"), "read-only", "ada@example.com")
    password = fact(made, "password")
    assert len(password) == 24
    assert await log_in(tenant.database, user, password)
    listed = await program.run("admin", "user", "list", company)
    assert "ada@example.com" in listed
    assert password not in listed


async def test_a_password_may_be_piped_in(program: Program, tenant: Tenant) -> None:
    company = str(tenant.company_id)
    made = await typed(program, f"{PASSWORD}\n", "admin", "user", "create", company, "ada@example.com", "--ask")
    assert made.exit_code == 0
    assert PASSWORD not in made.output
    user = await the_user(tenant)
    assert await log_in(tenant.database, user)
    short = await typed(program, "short\n", "admin", "user", "password", str(user.id), "--ask")
    assert str(short.exception) == "password: must have 12 to 1024 characters"
    assert await log_in(tenant.database, user)


async def test_another_password_closes_the_old_one_and_its_tokens(program: Program, tenant: Tenant) -> None:
    person = await make_person(tenant)
    made = await program.run("admin", "user", "password", str(person.user.id))
    with pytest.raises(Unauthenticated):
        await logins.recognise(tenant.database, person.token, ISSUING, remote=None)
    with pytest.raises(LoginFailed):
        await log_in(tenant.database, person.user)
    assert await log_in(tenant.database, person.user, fact(made, "password"))


async def test_a_role_a_closing_a_return_and_an_end(program: Program, tenant: Tenant) -> None:
    user = await make_user(tenant)
    number = str(user.id)
    await program.run("admin", "user", "role", number, "administrator")
    assert (await the_user(tenant)).role == "administrator"
    await program.run("admin", "user", "revoke", number)
    again = await program.try_("admin", "user", "revoke", number)
    assert str(again.exception) == f"The access of user {number} is closed already."
    with pytest.raises(LoginFailed):
        await log_in(tenant.database, user)
    await program.run("admin", "user", "restore", number)
    again = await program.try_("admin", "user", "restore", number)
    assert str(again.exception) == f"The access of user {number} is open."
    assert await log_in(tenant.database, user)
    await program.run("admin", "user", "delete", number)
    assert await people.list_users(tenant.database, tenant.company_id) == []


async def test_a_client_is_made_listed_and_revoked(program: Program, tenant: Tenant) -> None:
    user = await make_user(tenant)
    made = await program.run("admin", "oauth-client", "create", str(user.id), "--name", "robot")
    secret = fact(made, "client_secret")
    issued = await logins.log_in_client(tenant.database, fact(made, "client_id"), secret, ISSUING, None)
    assert await logins.recognise(tenant.database, issued.token, ISSUING, remote=None)
    listed = await program.run("admin", "oauth-client", "list", str(tenant.company_id))
    assert "robot" in listed
    assert fact(made, "client_id") in listed
    assert secret not in listed
    await program.run("admin", "oauth-client", "revoke", fact(made, "id"))
    with pytest.raises(Unauthenticated):
        await logins.recognise(tenant.database, issued.token, ISSUING, remote=None)
    again = await program.try_("admin", "oauth-client", "revoke", fact(made, "id"))
    assert str(again.exception) == f"There is no open client {fact(made, 'id')}."


async def test_a_long_address_is_listed_whole(program: Program, tenant: Tenant) -> None:
    email = f"{'a' * 64}@{'b' * 60}.example"
    await make_user(tenant, email=email)
    assert email in await program.run("admin", "user", "list", str(tenant.company_id))


async def test_signing_keys_are_rotated_listed_and_revoked(program: Program, tenant: Tenant) -> None:
    person = await make_person(tenant)
    first = (await logins.list_signing_keys(tenant.database))[0]
    rotated = fact(await program.run("admin", "signing-key", "rotate"), "id")
    listed = await program.run("admin", "signing-key", "list")
    assert [line.split()[0] for line in listed.splitlines()[1:]] == [rotated, str(first["id"])], "newest first"
    assert await logins.recognise(tenant.database, person.token, ISSUING, remote=None)
    await program.run("admin", "signing-key", "revoke", str(first["id"]))
    with pytest.raises(Unauthenticated):
        await logins.recognise(tenant.database, person.token, ISSUING, remote=None)
    again = await program.try_("admin", "signing-key", "revoke", str(first["id"]))
    assert str(again.exception) == f"There is no signing key {first['id']}."


async def test_a_keys_last_use_is_listed(program: Program, tenant: Tenant) -> None:
    company = str(tenant.company_id)
    before = await program.run("admin", "key", "list", company)
    await access.authenticate(tenant.database, tenant.key, bearer=False, remote=None)
    after = await program.run("admin", "key", "list", company)
    assert tenant.key[:10] in after
    assert after.count("-") > before.count("-"), "one date more"


async def test_a_company_and_an_application_are_closed(program: Program, tenant: Tenant) -> None:
    user = await make_user(tenant)
    await make_client(user, tenant.database)
    await tenant.make_token("flow.get")
    assert fact(await program.run("admin", "application", "revoke", tenant.application), "tokens") == "2"
    closed = await program.run("admin", "company", "revoke", str(tenant.company_id))
    assert closed.split() == ["tokens", "0", "keys", "1", "users", "1", "oauth-clients", "1"]
    for credential, bearer in ((tenant.token, True), (tenant.key, False)):
        with pytest.raises(Unauthenticated):
            await access.authenticate(tenant.database, credential, bearer=bearer, remote=None)


async def test_a_rate_limit_is_set_listed_and_taken_back(program: Program, tenant: Tenant) -> None:
    company = str(tenant.company_id)
    await program.run("admin", "company", "rate-limit", company, "617")
    assert "617" in await program.run("admin", "company", "list")
    assert fact(await program.run("admin", "company", "rate-limit", company), "rate-limit") == "default"
    assert "617" not in await program.run("admin", "company", "list")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("admin", "user", "create", "999", "a@example.com"), "Company was not found"),
        (("admin", "user", "create", "1", "nobody"), "email: must be one address such as name@example.com"),
        (("admin", "user", "create", "1", "a@example.com", "--name", "x" * 256), "name must have 1 to 255 characters"),
        (("admin", "user", "password", "999"), "User was not found"),
        (("admin", "user", "role", "999", "user"), "User was not found"),
        (("admin", "user", "revoke", "999"), "User was not found"),
        (("admin", "user", "restore", "999"), "User was not found"),
        (("admin", "user", "delete", "999"), "User was not found"),
        (("admin", "oauth-client", "create", "999"), "User was not found"),
        (("admin", "oauth-client", "revoke", "999"), "There is no open client 999."),
        (("admin", "signing-key", "revoke", "999"), "There is no signing key 999."),
        (("admin", "company", "rate-limit", "999", "5"), "Company was not found"),
        (("admin", "company", "revoke", "999"), "Company was not found"),
        (("admin", "application", "revoke", "999"), "Application was not found"),
    ],
)
async def test_a_refusal_is_one_line(program: Program, tenant: Tenant, words: tuple[str, ...], line: str) -> None:
    result = await program.try_(*words)
    assert str(result.exception) == line


async def test_an_address_is_taken_once(program: Program, tenant: Tenant, stranger: Tenant) -> None:
    await make_user(stranger, email="ada@example.com")
    taken = await program.try_("admin", "user", "create", str(tenant.company_id), "Ada@example.com")
    assert str(taken.exception) == "Somebody logs in with this e-mail address already."


async def test_a_role_there_is_not_names_those_there_are(program: Program, tenant: Tenant) -> None:
    refused = await program.try_("admin", "user", "create", str(tenant.company_id), "a@example.com", "--role", "root")
    assert refused.exit_code == 2
    assert "read-only" in refused.output
    assert "administrator" in refused.output
