"""The command line against a real database: what it makes works, what it shows is true, what it refuses is one line."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

import pytest
from click.testing import CliRunner, Result

from cli.main import penstock
from core.domain.errors import Unauthenticated
from core.domain.jobs import JobStatus
from core.domain.scopes import SCOPES
from core.operations import access, deletions, jobs
from core.settings import Settings
from tests.support.machinery import Machinery
from tests.support.smtp import SmtpCatcher
from tests.support.tenants import Tenant
from tests.support.waiting import until


@dataclass
class Program:
    """Runs commands as an operator would, with this test's database in the environment."""

    url: str

    async def run(self, *words: str) -> str:
        result = await self.try_(*words)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    async def try_(self, *words: str) -> Result:
        environment = {"DATABASE_URL": self.url, "COLUMNS": "200"}
        return await asyncio.to_thread(CliRunner().invoke, penstock, words, env=environment)


@pytest.fixture
def program(settings: Settings) -> Program:
    assert settings.database_url is not None
    return Program(settings.database_url)


def fact(output: str, name: str) -> str:
    """The value a command printed behind a name."""
    found = re.search(rf"^{name} (\S+)$", output, re.MULTILINE)
    assert found, output
    return found[1]


async def test_from_a_company_to_a_token_that_opens_its_application(program: Program, tenant: Tenant) -> None:
    made = await program.run("admin", "company", "create", "Globex")
    company, application = fact(made, "company"), fact(made, "application")
    token = await program.run("admin", "token", "create", application, "--scope", "flow.get", "--name", "reader")
    who = await access.authenticate(tenant.database, fact(token, "token"), bearer=True, remote=None)
    assert who.company_id == int(company)
    assert who.scopes == {"flow.get"}
    assert "Globex" in await program.run("admin", "company", "list")
    listed = await program.run("admin", "token", "list", application)
    assert "reader" in listed
    assert fact(token, "token") not in listed, "a token is shown once"


async def test_a_revoked_token_opens_nothing(program: Program, tenant: Tenant) -> None:
    await program.run("admin", "token", "revoke", str(tenant.token_id))
    with pytest.raises(Unauthenticated):
        await access.authenticate(tenant.database, tenant.token, bearer=True, remote=None)
    again = await program.try_("admin", "token", "revoke", str(tenant.token_id))
    assert str(again.exception) == f"There is no open token {tenant.token_id}."


async def test_keys_are_made_listed_and_revoked(program: Program, tenant: Tenant) -> None:
    made = await program.run("admin", "key", "create", str(tenant.company_id), "--name", "poller")
    who = await access.authenticate(tenant.database, fact(made, "key"), bearer=False, remote=None)
    assert who.company_id == tenant.company_id
    assert "poller" in await program.run("admin", "key", "list", str(tenant.company_id))
    await program.run("admin", "key", "revoke", fact(made, "id"))
    with pytest.raises(Unauthenticated):
        await access.authenticate(tenant.database, fact(made, "key"), bearer=False, remote=None)


async def test_an_application_and_a_signing_secret(program: Program, tenant: Tenant) -> None:
    made = await program.run("admin", "application", "create", str(tenant.company_id), "Second")
    assert fact(made, "application") in await program.run("admin", "application", "list", str(tenant.company_id))
    assert "application.create" in await program.run("admin", "audit", str(tenant.company_id), "--last", "1")
    (first,) = (await program.run("admin", "webhook-secret", str(tenant.company_id))).split()
    newest, older = (await program.run("admin", "webhook-secret", str(tenant.company_id), "--new")).split()
    assert newest.startswith("whsec_")
    assert newest != older == first


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("admin", "application", "create", "999", "x"), "Company was not found"),
        (("admin", "key", "create", "999"), "Company was not found"),
        (("admin", "token", "create", "999"), "Application was not found"),
        (("admin", "company", "create", "x", "--parent", "999"), "Parent company was not found"),
        (("admin", "company", "create", "x" * 256), "name must have 1 to 255 characters"),
        (("admin", "webhook-secret", "999"), "There is no company 999."),
        (("admin", "webhook-secret", "999", "--new"), "Company was not found"),
        (("jobs", "show", "nobody"), "There is no job nobody."),
        (("jobs", "retry", "nobody"), "There is no job nobody."),
        (("jobs", "discard", "nobody"), "There is no job nobody."),
        (("jobs", "watch", "nobody"), "There is no job nobody."),
        (("jobs", "undo", "nobody"), "There is no job nobody."),
    ],
)
async def test_a_refusal_is_one_line(program: Program, tenant: Tenant, words: tuple[str, ...], line: str) -> None:
    result = await program.try_(*words)
    assert str(result.exception) == line


async def test_an_unknown_scope_names_those_that_come_near(program: Program, tenant: Tenant) -> None:
    before = await program.run("admin", "token", "list", tenant.application)
    for scope, near in (
        ("flow.delet", "flow.delete"),
        ("flow.getLogEntries", "flow.log"),
        ("all.application", "all.A"),
    ):
        result = await program.try_("admin", "token", "create", tenant.application, "--scope", scope)
        assert f"{scope} is no scope; did you mean {near}" in str(result.exception)
    some = await program.try_(
        "admin", "token", "create", tenant.application, "--scope", "flow.get", "--scope", "nonsense"
    )
    assert "nonsense is no scope; one has the form" in str(some.exception)
    assert await program.run("admin", "token", "list", tenant.application) == before


async def test_scopes_are_listed_and_each_can_be_given(program: Program, tenant: Tenant) -> None:
    opening = (await program.run("admin", "token", "scopes")).split()
    every = (await program.run("admin", "token", "scopes", "--all")).split()
    assert set(every) == SCOPES
    assert set(opening) < SCOPES
    assert {"all.User.bounded", "flow.*", "flow.setStorageEntry", "flowVersions.delete"} <= set(opening)
    assert not {"device.get", "all.Device", "webhooks.*"} & set(opening)
    given = [word for scope in every for word in ("--scope", scope)]
    made = await program.try_("admin", "token", "create", tenant.application, *given, "--scope", "flow.get")
    who = await access.authenticate(tenant.database, fact(made.stdout, "token"), bearer=True, remote=None)
    assert who.scopes == SCOPES
    assert "Nothing here is opened by all.Device, all.Device.read, application.*" in made.stderr
    made = await program.try_("admin", "token", "create", tenant.application, "--scope", "flow.get")
    assert made.stderr == ""


async def test_a_token_is_switched_off_and_on(program: Program, tenant: Tenant) -> None:
    number = str(tenant.token_id)
    assert fact(await program.run("admin", "token", "deactivate", number), "deactivated") == number
    with pytest.raises(Unauthenticated):
        await access.authenticate(tenant.database, tenant.token, bearer=True, remote=None)
    assert "False" in await program.run("admin", "token", "list", tenant.application)
    assert fact(await program.run("admin", "token", "activate", number), "activated") == number
    assert await access.authenticate(tenant.database, tenant.token, bearer=True, remote=None)
    await program.run("admin", "token", "revoke", number)
    again = await program.try_("admin", "token", "activate", number)
    assert str(again.exception) == f"There is no token {number}, or it was revoked."
    with pytest.raises(Unauthenticated):
        await access.authenticate(tenant.database, tenant.token, bearer=True, remote=None)


async def test_a_token_ends_when_it_was_said_to(program: Program, tenant: Tenant) -> None:
    late = await program.try_("admin", "token", "create", tenant.application, "--expires", "2020-01-01")
    assert (late.exit_code, "lies in the past" in late.output) == (2, True)
    made = await program.run("admin", "token", "create", tenant.application, "--expires", "2999-01-01")
    who = await access.authenticate(tenant.database, fact(made, "token"), bearer=True, remote=None)
    assert who.scopes == {"all.Application"}
    async with tenant.database.connection() as connection:
        await connection.execute(
            "UPDATE application_tokens SET expires_at = clock_timestamp() WHERE id = $1", int(fact(made, "id"))
        )
    with pytest.raises(Unauthenticated):
        await access.authenticate(tenant.database, fact(made, "token"), bearer=True, remote=None)


async def test_jobs_are_listed_shown_retried_and_discarded(
    program: Program, tenant: Tenant, machinery: Machinery, smtp: SmtpCatcher
) -> None:
    smtp.answer("RCPT", "550 no such user")
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    job_id = await tenant.ask_deletion(flow, email="ops@example.com")
    await machinery.drain()
    waiting = await tenant.ask_deletion(flow)

    listed = await program.run("jobs", "list")
    assert job_id in listed
    assert waiting in listed
    assert job_id not in await program.run("jobs", "list", "--status", "queued")
    shown = await program.run("jobs", "show", job_id)
    assert "2 matched, 2 removed, 0 failed" in shown
    assert "recipient_refused" in shown

    await program.run("jobs", "discard", waiting)
    assert (await jobs.read_job(tenant.principal, tenant.database, waiting)).status is JobStatus.CANCELLED
    smtp.behave()
    letter = (await jobs.read_job(tenant.principal, tenant.database, job_id)).notifications[0].job
    await program.run("jobs", "retry", letter)
    await machinery.drain()
    assert len(smtp.letters) == 1


async def test_a_job_is_watched_from_queued_to_its_end(program: Program, tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 30)
    job_id = await tenant.ask_deletion(flow)
    watching = asyncio.create_task(program.try_("jobs", "watch", job_id))
    await looked_at(tenant)
    assert not watching.done(), "a queued job is watched, not told"
    await machinery.drain()
    result = await watching
    assert result.exit_code == 0
    assert "30/30" in result.output
    assert "30 matched, 30 removed, 0 failed" in result.output


async def looked_at(tenant: Tenant) -> None:
    """Waits until the program has asked this test's database about jobs."""

    async def ask() -> int:
        async with tenant.database.connection() as connection:
            count: int = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'penstock command line' AND query LIKE '%jobs%'"
            )
        return count

    await until(ask, "the program looks at the job")


async def test_watching_a_running_job_goes_on_where_it_is(
    program: Program, tenant: Tenant, machinery: Machinery
) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 30)
    job_id = await tenant.ask_deletion(flow)
    (name,) = await machinery.deliver()
    job = await machinery.runner._claim(name)
    assert job is not None
    await deletions.delete_batch(tenant.database, job, limit=10, terms=machinery.tools.terms)
    watching = asyncio.create_task(program.try_("jobs", "watch", job_id))
    await looked_at(tenant)
    assert not watching.done()
    await jobs.cancel_job(tenant.principal, tenant.database, job_id, machinery.tools.terms)
    await deletions.delete_batch(tenant.database, job, limit=10, terms=machinery.tools.terms)
    result = await watching
    assert result.exit_code == 1, "it did not complete"
    assert "30 matched, 10 removed, 20 failed" in result.output
    assert "20 not_attempted" in result.output


async def test_watching_an_ended_job_tells_its_story_at_once(
    program: Program, tenant: Tenant, machinery: Machinery
) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 2)
    job_id = await tenant.ask_deletion(flow, email="ops@example.com")
    await machinery.drain()
    told = await program.run("jobs", "watch", job_id)
    assert "2 matched, 2 removed, 0 failed" in told
    letter = (await jobs.read_job(tenant.principal, tenant.database, job_id)).notifications[0].job
    assert "send_mail" in await program.run("jobs", "watch", letter), "a job without items has a story too"
    stopped = await tenant.ask_deletion(flow)
    await program.run("jobs", "discard", stopped)
    assert (await program.try_("jobs", "watch", stopped)).exit_code == 1


async def test_a_deletion_is_undone(program: Program, tenant: Tenant, machinery: Machinery) -> None:
    flow = await tenant.make_flow()
    await tenant.make_versions(flow, 3)
    job_id = await tenant.ask_deletion(flow)
    early = await program.try_("jobs", "undo", job_id)
    assert str(early.exception) == "This job is queued; it can be undone once it has ended."
    await machinery.drain()
    undo_id = fact(await program.run("jobs", "undo", job_id), "staged")
    assert fact(await program.run("jobs", "undo", job_id), "staged") == undo_id, "one undo a job"
    await machinery.drain()
    assert await tenant.names(flow) == ["v1", "v2", "v3"]
    assert "3 in the trash, 3 brought back, 0 failed" in await program.run("jobs", "watch", undo_id)
    again = await program.try_("jobs", "undo", undo_id)
    assert str(again.exception) == "Only a deletion can be undone."


async def test_without_a_database_it_says_what_to_do(program: Program) -> None:
    program.url = "postgresql://nobody@127.0.0.1:1/nothing"
    result = await program.try_("jobs", "list")
    assert "the database named in DATABASE_URL cannot be used" in str(result.exception)


async def test_firing_is_paused_and_resumed_once(program: Program) -> None:
    assert "paused 2" in await program.run("admin", "pause-firing", "--reason", "tonight")
    assert "paused already" in str((await program.try_("admin", "pause-firing")).exception)
    assert "resumed now" in await program.run("admin", "resume-firing")
    assert "not paused" in str((await program.try_("admin", "resume-firing")).exception)
