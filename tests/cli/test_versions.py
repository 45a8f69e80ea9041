"""`penstock versions diff`: what it prints, in which colours, and what it does not let a flow say to a terminal."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import penstock
from core.domain.runs import RunStatus
from core.operations.schedules import create_schedule
from core.settings import Settings
from tests.cli.test_commands import Program
from tests.support.comparisons import PUMP, changed, run_second
from tests.support.metrics import fold_all, run_some
from tests.support.runs import make_runnable
from tests.support.tenants import Tenant

ESCAPE = "\x1b"


@pytest.fixture
def program(settings: Settings) -> Program:
    assert settings.database_url is not None
    return Program(settings.database_url)


async def two(tenant: Tenant, before: dict[str, Any], after: dict[str, Any]) -> tuple[str, str]:
    flow = await tenant.make_flow()
    one = await tenant.make_version(flow, "v1", json.dumps(before))
    other = await tenant.make_version(flow, "v2", json.dumps(after))
    return str(one.id), str(other.id)


async def in_environment(program: Program, a: str, b: str, **environment: str) -> str:
    given = {"DATABASE_URL": program.url, "COLUMNS": "200", "TERM": "xterm-256color", **environment}
    result = await asyncio.to_thread(CliRunner().invoke, penstock, ["versions", "diff", a, b], env=given, color=True)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


async def test_what_differs_is_printed(program: Program, tenant: Tenant) -> None:
    one, other = await two(tenant, PUMP, changed())
    await create_schedule(tenant.principal, tenant.database, int(other), {"cron_string": "0 3 * * *"})
    lines = (await program.run("versions", "diff", one, other)).splitlines()
    assert lines[0].startswith(f"A  v1  (version {one}, Inactive, iteration 1, ")
    for line in (
        "nodes: 1 added, 1 changed",
        "  + DelayNode (wait)",
        '  ~ "Too high?" ConditionalNode (judge)',
        "      config/expression",
        "  -       {{data.bar}} > 4.25",
        "  +       {{data.bar}} > {{globals.limitBar}}",
        "edges: 2 added, 1 removed",
        '  - "Too high?" (judge)  output 1  →  tell',
        '  + "Too high?" (judge)  output 1  →  wait',
        "schedules: 1 added",
        '  + "0 3 * * *" UTC',
        "  failures: one of them has no runs to compare",
    ):
        assert line in lines, line


async def test_scripts_are_compared_line_by_line(program: Program, tenant: Tenant) -> None:
    before, after = copy.deepcopy(PUMP), copy.deepcopy(PUMP)
    before["nodes"][0]["config"] = {"script": "let a = 1;\nlet b = 2;\nreturn a + b;"}
    after["nodes"][0]["config"] = {"script": "let a = 1;\nlet b = 3;\nreturn a + b;"}
    output = await program.run("versions", "diff", *await two(tenant, before, after))
    assert "  -       let b = 2;\n  +       let b = 3;\n" in output
    assert output.count("return a + b;") == 1


async def test_colours_are_for_terminals_that_want_them(program: Program, tenant: Tenant) -> None:
    pair = await two(tenant, PUMP, changed())
    assert ESCAPE not in await in_environment(program, *pair)
    coloured = await in_environment(program, *pair, FORCE_COLOR="1")
    assert f"{ESCAPE}[32m  + DelayNode" in coloured
    assert re.search(rf"{ESCAPE}\[31m  - .*judge", coloured)
    assert ESCAPE not in await in_environment(program, *pair, FORCE_COLOR="1", NO_COLOR="1")


async def test_what_somebody_typed_says_nothing_to_a_terminal(program: Program, tenant: Tenant) -> None:
    before, after = copy.deepcopy(PUMP), copy.deepcopy(PUMP)
    evil = f"{ESCAPE}]0;owned\x07{ESCAPE}[2J\x9b31m\u202e[red]markup[/]\r"
    after["nodes"][0]["meta"]["label"] = evil
    after["nodes"][1]["config"]["expression"] = f"{evil}\n{evil}"
    after["nodes"].append({"id": f"new{ESCAPE}[5m", "type": f"X{ESCAPE}c", "outputIds": [["judge"]]})
    output = await in_environment(program, *await two(tenant, before, after))
    assert not [one for one in output if not one.isprintable() and one != "\n"]
    assert r"\x1b]0;owned\x07\x1b[2J\x9b31m\u202e[red]markup[/]\r" in output


@pytest.mark.leaves_jobs
async def test_what_the_runs_say_is_printed(program: Program, tenant: Tenant) -> None:
    runnable = await make_runnable(tenant, None)
    second = await tenant.make_version(runnable.flow, "v2", json.dumps(PUMP))
    await run_some(runnable, *[RunStatus.SUCCESS] * 25, took=timedelta(milliseconds=100))
    await run_second(runnable, second, [RunStatus.FAILURE] * 8 + [RunStatus.SUCCESS] * 17, timedelta(seconds=2))
    await fold_all(tenant.database)
    output = await program.run("versions", "diff", str(runnable.version.id), str(second.id))
    assert re.search(r"ended +25 +25 *\n +failed +0 \(0\.00%\) +8 \(32\.00%\) *\n +median", output)
    assert "  B fails more often: confidence 99.60 % (Fisher's exact test; +32.00 points, somewhere" in output
    assert "  B is slower: confidence over 99.99 % (Mann-Whitney U test; " in output
    past = await program.run(
        "versions", "diff", str(runnable.version.id), str(second.id), "--to", "2020-01-01T00:00:00Z"
    )
    assert "durations: one of them has no runs to compare" in past


async def test_nothing_and_layout_alone_are_said_to_be_that(program: Program, tenant: Tenant) -> None:
    moved = copy.deepcopy(PUMP)
    moved["nodes"][0]["meta"]["x"] = 77
    one, other = await two(tenant, PUMP, moved)
    assert "  Nothing differs.\n" in await program.run("versions", "diff", one, one)
    assert "  Nothing differs but how it is drawn" in await program.run("versions", "diff", one, other)


async def test_programs_get_the_patch_or_the_answer(program: Program, tenant: Tenant) -> None:
    one, other = await two(tenant, PUMP, {**PUMP, "nodes": [*PUMP["nodes"], {"id": "n", "type": "x"}]})
    patch = json.loads(await program.run("versions", "diff", one, other, "--patch"))
    assert patch == [{"op": "add", "path": "/nodes/-", "value": {"id": "n", "type": "x"}}]
    answer = json.loads(await program.run("versions", "diff", one, other, "--json"))
    assert (answer["patch"], answer["b"]["id"]) == (patch, int(other))


async def test_what_cannot_be_compared_is_one_line(program: Program, tenant: Tenant) -> None:
    one, _ = await two(tenant, PUMP, PUMP)
    elsewhere, _ = await two(tenant, PUMP, PUMP)
    for words, line in (
        (("999999", one), "There is no version 999999."),
        ((one, "999999"), "Flow version was not found"),
        ((one, elsewhere), "Flow version was not found"),
        ((one, one, "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"), "filter[from]: must not be "),
    ):
        result = await program.try_("versions", "diff", *words)
        assert str(result.exception).startswith(line)
    for wrong in ("NaN", "x", "2026-01-01"):
        assert (await program.try_("versions", "diff", one, one, "--from", wrong)).exit_code == 2
