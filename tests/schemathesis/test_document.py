"""What somebody who knows only the OpenAPI document would send, right and wrong, and a check of every answer.

PENSTOCK_EXAMPLES is how many requests there are for each operation, PENSTOCK_SEED where they start from: the same seed
sends the same requests to the same code.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import orjson
import pytest

from core.domain.identifiers import hex_id
from core.operations import schedules, undo
from service.dialects.oauth.token import GRANT
from service.documents import DOCUMENTED
from service.routes import ROUTES, Dialect
from tests.api.cases import titles
from tests.api.conftest import Ground
from tests.support.arrangements import run_deletion
from tests.support.conformance import check, document_of, route_of
from tests.support.lifecycles import views
from tests.support.market import deployed, make_item
from tests.support.people import PASSWORD, make_client, make_user
from tests.support.runs import make_runnable
from tests.support.tap import open_tap
from tests.support.tenants import Tenant

SECONDS = 3600.0
"""For when something hangs; the run itself is bounded by its number of examples."""

PATIENCE = 45
"""Seconds for one answer: the longest that `Prefer: wait` can ask for, and then some."""

FLOWS = 80
"""Flows to choose from: the run deletes some of them."""

MOST_TOLD = 10_000
"""Bytes of a body's schema up to which each of its words is tried. Beyond that lie the many kinds of triggers, some ten
thousand requests; tests/api/test_every_route_fields.py has as many ways to be wrong in them."""

Known: TypeAlias = "Mapping[str, Sequence[str | int] | str]"
"""Values that lead somewhere, by what they are for: `path.job`, `body.password`. One that is no list is always sent:
of two fields that nobody must send and that only work together, both would seldom be there."""

WITHOUT = {
    # A stream, which lasts as long as its job; nobody works here. And a file, which nobody can make up.
    Dialect.NATIVE: ["jobs.follow_job", "transfers.import_flow"],
    # The one flow that has versions would be gone at once.
    Dialect.PATCHWORKS: ["flows.delete_flow"],
}
"""What is not asked."""

LEFT_OUT = (
    # What a document cannot say, such as where the wires between nodes lead, makes a fitting request a wrong one.
    "positive_data_acceptance",
    # GET …/versions/delete reads the version of that name: other methods are allowed there than those of its path.
    "allow_header_conformance",
    "unsupported_method",
    # Some is read more kindly than told: True for true, and an unknown parameter is passed over.
    "negative_data_rejection",
)
"""Checks of the tool that ask for more than is meant."""


async def known_of_losant(tenant: Tenant) -> Known:
    """For each name in a path but the application's, ids that exist."""
    flows = [await tenant.make_flow(f"Flow {number}") for number in range(FLOWS)]
    for flow in flows:
        for name in ("v1", "v2", "v3"):
            await tenant.make_version(flow, name, '{"triggers":[{"type":"virtualButton","key":"b"}],"nodes":[]}')
    jobs = [await tenant.ask_deletion(flow, {"version": "nothing"}) for flow in flows[:5]]
    return {
        "path.flowId": [hex_id(flow.id) for flow in flows],
        "path.flowVersionId": ["v1", "v2", "v3"],
        "path.jobId": jobs,
        "body.key": ["b", "#1"],
        "body.flowVersion": "v1",
    }


async def known_natively(tenant: Tenant) -> Known:
    """Jobs that have ended, and what they have put into the trash."""
    flows = [await tenant.make_flow(f"Flow {number}") for number in range(3)]
    jobs = []
    for flow in flows:
        await tenant.make_versions(flow, FLOWS)
        jobs.append(await tenant.ask_deletion(flow))
        await run_deletion(tenant, jobs[-1])
    entries: list[int] = []
    for flow in flows:
        found, _ = await undo.list_trash(tenant.principal, tenant.database, flow.id, limit=FLOWS, offset=0)
        entries += [entry.id for entry in found]
    flow, version = await deployed(tenant)
    made = [
        await schedules.create_schedule(
            tenant.principal, tenant.database, version.id, {"cron_string": f"{minute} * * * *"}
        )
        for minute in range(40)
    ]
    runnable = await make_runnable(tenant, None)
    runs = [await runnable.start() for _ in range(3 * FLOWS)]
    for run in runs[::3]:
        await runnable.stop(run)
    async with tenant.database.connection() as connection:
        await connection.execute("UPDATE runs SET attempts = 1 WHERE finished_at IS NULL")
    return {
        "path.job": jobs,
        "path.flow": [*(one.id for one in flows), *[flow.id] * 3],
        "path.entry": entries,
        "path.version": [version.id],
        "path.a": [version.id],
        "path.b": [version.id],
        "path.run": [run.id for run in runs],
        "body.status": ["success", "partial_success", "failure"],
        "path.schedule": [schedule.id for schedule in made],
        "path.item": [await make_item(tenant, f"Item {number}") for number in range(FLOWS)],
        "body.runner_url": ["https://runner.example/run", "http://10.0.0.7:9000"],
    }


async def known_of_patchworks(tenant: Tenant) -> Known:
    """A flow with versions, as often as all those without any, its versions, schedules, and somebody who can log in."""
    empty = [(await tenant.make_flow(f"Flow {number}")).id for number in range(FLOWS)]
    flow = await tenant.make_flow("Full")
    await tenant.make_versions(flow, 5 * FLOWS)
    versions = [view.id for view in await views(tenant, flow)]
    _, version = await deployed(tenant, "Timed")
    made = [
        await schedules.create_schedule(
            tenant.principal, tenant.database, version.id, {"cron_string": f"{minute} * * * *"}
        )
        for minute in range(40)
    ]
    user = await make_user(tenant)
    client = await make_client(user, tenant.database)
    return {
        "path.flow": [*empty, *[flow.id] * FLOWS],
        "path.version": versions,
        "header.If-Match": ["*"],
        "query.include": ["", "schedules", "schedules_count", "schedulesExists"],
        "path.flow_version": [version.id],
        "path.schedule": [schedule.id for schedule in made],
        "body.cron_string": ["* * * * *", "30 2 * * 0", "0 0 13 * 5"],
        "body.timezone": ["UTC", "Europe/Berlin", "Australia/Lord_Howe"],
        "body.username": [user.email],
        "body.email": [user.email],
        "body.password": [PASSWORD],
        "body.grant_type": [GRANT],
        "body.client_id": client.client_id,
        "body.client_secret": client.secret,
    }


KNOWN = {
    Dialect.LOSANT: known_of_losant,
    Dialect.PATCHWORKS: known_of_patchworks,
    Dialect.NATIVE: known_natively,
}

SCHEMES = {Dialect.LOSANT: "token", Dialect.PATCHWORKS: "login", Dialect.NATIVE: "login"}
"""How the documents call what opens all of their operations."""


def too_long_to_tell(dialect: Dialect) -> list[str]:
    """The operations whose bodies' schemas are over MOST_TOLD."""
    document = document_of(dialect)
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    references = {
        operation["operationId"]: content["schema"]["$ref"]
        for operation in operations
        for content in operation.get("requestBody", {"content": {}})["content"].values()
        if "$ref" in content["schema"]
    }
    shapes = document["components"]["schemas"]
    return [
        name
        for name, reference in references.items()
        if len(orjson.dumps(shapes[reference.rpartition("/")[2]])) > MOST_TOLD
    ]


def configured(application: str, known: Known, scheme: str, bearer: str, fuzzed: list[str]) -> str:
    """The tool's configuration in TOML. One value in ten of a list gives way to one of its own making.

    `bearer` is what it shows wherever the document has this security scheme among those that open an operation.

    `fuzzed` operations skip the phase that tries each word of the document.
    """
    chosen = {place: values for place, values in known.items() if not isinstance(values, str)}
    lines = [
        f"seed = {os.environ.get('PENSTOCK_SEED', '1')}",
        "max-redirects = 0",
        f"request-timeout = {PATIENCE}",
        "[generation]",
        f"max-examples = {os.environ['PENSTOCK_EXAMPLES']}",
        'database = "none"',
        f"[auth.openapi.{scheme}]",
        f'bearer = "{bearer}"',
        "[parameters]",
        f'"path.applicationId" = "{application}"',
        *(f'"{place}" = {orjson.dumps(known[place]).decode()}' for place in known if place not in chosen),
        *(f'"{place}" = {{ dictionary = "{place}", probability = 0.9 }}' for place in chosen),
        *(f'[dictionaries."{place}"]\nvalues = {orjson.dumps(values).decode()}' for place, values in chosen.items()),
        *(f"[checks.{name}]\nenabled = false" for name in LEFT_OUT),
        *(f'[[operations]]\ninclude-operation-id = "{name}"\nphases.coverage.enabled = false' for name in fuzzed),
    ]
    return "\n".join(lines)


async def run_tool(dialect: Dialect, url: str, folder: Path) -> int:
    """Runs it where its configuration is; what it says goes to whoever watches. Returns its exit code."""
    program = str(Path(sys.executable).with_name("st"))
    document = f"{url}/openapi/{dialect.value}.json"
    without = [word for name in WITHOUT.get(dialect, []) for word in ("--exclude-operation-id", name)]
    command = [program, "--no-color", "run", document, "--url", url, *without]
    process = await asyncio.create_subprocess_exec(*command, cwd=folder)
    async with asyncio.timeout(SECONDS):
        return await process.wait()


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("dialect", DOCUMENTED, ids=lambda dialect: dialect.value)
async def test_no_answer_surprises_somebody_who_has_only_the_document(
    ground: Ground, dialect: Dialect, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And it got through to each operation, so that the silence means something."""
    owner = ground.owner
    known = await KNOWN[dialect](owner)
    bearer = owner.token if dialect is Dialect.LOSANT else ground.administrators[owner.company_id].split()[1]
    configuration = configured(owner.application, known, SCHEMES[dialect], bearer, too_long_to_tell(dialect))
    (tmp_path / "schemathesis.toml").write_text(configuration)
    async with open_tap(ground.anonymous.url) as tap:
        with capfd.disabled():
            code = await run_tool(dialect, tap.url, tmp_path)
    assert code == 0, "what surprised it stands above"
    succeeded = set()
    for exchange in tap.exchanges:
        check(exchange.method, exchange.path, exchange.status, exchange.headers, exchange.raw)
        route = route_of(exchange.method, exchange.path)
        if route is not None and exchange.status == route.success:
            succeeded.add(titles(route))
    told = [route for route in ROUTES if route.dialect.told_with is dialect]
    left_out = {name.rpartition(".")[2] for name in WITHOUT.get(dialect, [])}
    wanted = [route for route in told if route.handler.__name__ not in left_out]
    # An entry is found in its own flow only, and which is whose no document can say.
    assert succeeded >= {titles(route) for route in wanted if "{entry}" not in route.path}
