"""What the documents say of the code is true of it. When a test here fails, the document needs the edit."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import click
import pytest
from marshmallow import Schema

from cli.main import penstock
from core.domain import languages
from core.domain.backoff import backoff_seconds
from core.domain.jobs import MOST_FAILURES, JobKind, JobStatus, Reason
from core.domain.languages import Kind
from core.store import database, listings
from core.store.queries import queries_of
from schemas import patchworks_lists
from schemas.fields import Word
from schemas.lists import FlowsQuery, JobLogsQuery, NamesakesQuery, VersionsQuery
from service.dialects.losant import envelope as losant
from service.dialects.oauth import envelope as oauth
from service.dialects.patchworks import envelope as native
from service.openapi import refusals_of
from service.routes import ROUTES, Dialect, Route
from tests.architecture.documents import DOCUMENTS, ROOT, anchors, read, rows, snippets
from tests.support.conformance import document_of
from worker import loops
from worker import main as worker

UNITS = {"": 1.0, "s": 1.0, "h": 3600.0, "days": 86400.0}

EVERY_DOCUMENT = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@EVERY_DOCUMENT
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


@EVERY_DOCUMENT
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = {name for code in snippets(document.read_text()) for name in re.findall(r"\bmake ([a-z][a-z-]*)", code)}
    assert named <= targets


@EVERY_DOCUMENT
def test_every_command_exists(document: Path) -> None:
    for code in snippets(document.read_text()):
        for line in re.findall(r"\bpenstock ([a-z].*)", code):
            _follow(line.partition("#")[0].split())


def _follow(words: list[str]) -> None:
    """Walks down the program along the words of a command line; options must be those of the command it ends at."""
    command: click.Command = penstock
    for word in words:
        if isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            assert found is not None, f"penstock {' '.join(words)}: there is no {word}"
            command = found
        elif word.startswith("--"):
            options = {option for parameter in command.params for option in parameter.opts}
            assert word in options, f"penstock {' '.join(words)}: there is no {word}"


def test_the_routes_of_the_losant_dialect_are_all_there() -> None:
    told = [tuple(row) for row in rows(read("docs/api-losant.md"), "Routes")]
    served = [
        (route.method, route.path, _scope(route), str(route.success))
        for route in ROUTES
        if route.dialect is Dialect.LOSANT
    ]
    assert sorted(told) == sorted(served)


def test_the_native_routes_are_all_there() -> None:
    told = [tuple(row) for row in rows(read("docs/api-native.md"), "Routes")]
    served = [
        (route.method, route.path, _scope(route), str(route.role or ""), str(route.success))
        for route in ROUTES
        if route.dialect.told_with is Dialect.NATIVE
    ]
    assert sorted(told) == sorted(served)


def test_the_routes_of_the_patchworks_dialect_are_all_there() -> None:
    told = [tuple(row) for row in rows(read("docs/api-patchworks.md"), "Routes")]
    served = [
        (route.method, route.path, _scope(route), str(route.role or ""), str(route.success))
        for route in PATCHWORKS_ROUTES
    ]
    assert sorted(told) == sorted(served)


def test_the_parameters_of_the_patchworks_dialect_are_all_there() -> None:
    told = {row[0]: (row[1].split(), row[2].split()) for row in rows(read("docs/api-patchworks.md"), "Parameters")}
    assert {name: (sorted(query), sorted(body)) for name, (query, body) in told.items()} == {
        _operation(route): (sorted(_names(route.query)), sorted(_names(route.body))) for route in PATCHWORKS_ROUTES
    }


def _operation(route: Route) -> str:
    document = document_of(Dialect.PATCHWORKS)
    name: str = document["paths"][route.path][route.method.lower()]["operationId"]
    return name


def test_both_dialects_are_told_of_under_the_same_headings() -> None:
    """But for the vendor's name."""
    losant_text, patchworks_text = (
        re.findall(r"^#+ .*$", read(f"docs/api-{name}.md"), re.MULTILINE) for name in ("losant", "patchworks")
    )
    assert [line.replace("Patchworks", "Losant") for line in patchworks_text] == losant_text


def test_what_the_lists_of_patchworks_have_is_all_there() -> None:
    text = read("docs/api-patchworks.md")
    spoken = {"flows": patchworks_lists.FlowsQuery, "versions": patchworks_lists.FlowVersionsQuery}
    sorts = {row[0]: row[1].split(", ") for row in rows(text, "Lists")}
    filters = {name for schema in spoken.values() for name in _names(schema) if name.startswith("filter[")}
    assert {row[0] for row in rows(text, "Queries")} == filters
    assert [row[0] for row in rows(text, "Answers")] == list(patchworks_lists.FLOW_INCLUDES)
    for name, schema in spoken.items():
        field = schema().fields["sort"]
        assert isinstance(field, patchworks_lists.Names)
        assert {word.removeprefix("-") for word in sorts[name]} == set(field.names)
    for shelf, told in ((listings.FLOWS, sorts["flows"]), (listings.VERSIONS, sorts["versions"])):
        sort, descending = shelf.order
        assert shelf.sorts[told[0].removeprefix("-")] == sort
        assert told[0].startswith("-") == descending
        assert set(shelf.sorts) == {word.removeprefix("-") for word in told}


def test_the_errors_of_the_patchworks_dialect_are_all_there() -> None:
    told = {int(status) for status, _ in rows(read("docs/api-patchworks.md"), "Errors")}
    raised = {status for route in PATCHWORKS_ROUTES for status in refusals_of(route)}
    assert told == raised | {native.INTERNAL.status, 405}


PATCHWORKS_ROUTES = [route for route in ROUTES if route.dialect.told_with is Dialect.PATCHWORKS]


def _scope(route: Route) -> str:
    return route.need.scope if route.need and not route.for_people else ""


def test_the_errors_of_oauth_are_those_it_can_raise() -> None:
    told = {
        (int(status), error)
        for statuses, error, _ in rows(read("docs/api-native.md"), "OAuth")
        for status in statuses.split(", ")
    }
    (route,) = (route for route in ROUTES if route.dialect is Dialect.OAUTH)
    assert told == {oauth.STATUSES[cause] for causes in refusals_of(route).values() for cause in causes}


def test_the_parameters_are_all_there() -> None:
    """An empty cell is an operation that takes nothing there."""
    told = {row[0]: (row[1].split(), row[2].split()) for row in rows(read("docs/api-losant.md"), "Parameters")}
    assert told == {
        route.need.scope: (_names(route.query), _names(route.body))
        for route in ROUTES
        if route.dialect is Dialect.LOSANT and route.need
    }


def _names(schema: type[Schema] | None) -> list[str]:
    return [field.data_key or name for name, field in schema().fields.items()] if schema else []


def test_the_fields_of_each_query_are_all_there() -> None:
    """One column for each language, in the order of the table's head."""
    spoken = (languages.VERSIONS, languages.FLOWS, languages.NAMESAKES, languages.JOB_LOGS)
    told = rows(read("docs/api-losant.md"), "Queries")
    for column, language in enumerate(spoken, 2):
        assert {row[0] for row in told if row[column]} == set(language)
        assert {row[0]: row[1] for row in told if row[column]} == {
            name: COMPARED[kind] for name, kind in language.items()
        }


COMPARED = {
    Kind.TEXT: "text",
    Kind.FLAG: "true or false",
    Kind.ID: "an id",
    Kind.DATE: "a date",
    Kind.TRIGGERS: "{type, key?, config?}",
    Kind.NODES: "{type, config?}",
}


def test_what_lists_can_be_sorted_by_is_all_there() -> None:
    told = {row[0]: re.sub(r" \(.*?\)", "", row[1]).split(", ") for row in rows(read("docs/api-losant.md"), "Lists")}
    schemas = {
        "flows": FlowsQuery, "versions of one name": NamesakesQuery, "versions": VersionsQuery, "job log": JobLogsQuery
    }  # fmt: skip
    for name, schema in schemas.items():
        field = schema().fields["sort_field"]
        assert isinstance(field, Word)
        assert set(told[name]) == set(field.words)
        assert told[name][0] == field.load_default


def test_the_errors_of_the_losant_dialect_are_all_there() -> None:
    told = {(int(status), kind) for status, kind, _ in rows(read("docs/api-losant.md"), "Errors")}
    assert told == {*losant.STATUSES.values(), (losant.INTERNAL.status, losant.INTERNAL.body["type"])}


def test_the_errors_of_the_native_routes_are_all_there() -> None:
    told = {int(status) for status, _ in rows(read("docs/api-native.md"), "Errors")}
    assert told == {*native.STATUSES.values(), native.INTERNAL.status}


def test_states_kinds_and_reasons_are_all_there() -> None:
    text = read("docs/job-lifecycle.md")
    assert [row[0] for row in rows(text, "States")] == list(JobStatus)
    assert [(row[0], row[1]) for row in rows(text, "Kinds")] == [(kind, kind.queue) for kind in JobKind]
    assert [row[0] for row in rows(text, "Accounting")] == list(Reason)


@pytest.mark.parametrize("row", rows(read("docs/job-lifecycle.md"), "Numbers"), ids=lambda row: row[0])
def test_the_numbers_are_right(row: list[str]) -> None:
    module, _, name = row[0].rpartition(".")
    value = getattr(import_module(module), name)
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    told, _, unit = row[1].partition(" ")
    assert float(told.replace(",", "")) * UNITS[unit] == seconds


@pytest.mark.parametrize("document", ["docs/job-lifecycle.md", "docs/operations.md", "docs/api-native.md"])
def test_the_time_until_a_job_gives_up_is_right(document: str) -> None:
    waits = range(1, MOST_FAILURES)
    least, most = (sum(backoff_seconds(failures, spread) for failures in waits) / 60 for spread in (0.0, 1.0))
    assert f"{least:.0f} to {most:.0f} minutes" in " ".join(read(document).split())


def test_the_failure_codes_are_all_there() -> None:
    text = read("docs/operations.md")
    _, _, below = text.partition("| code | on | means |")
    told = {
        code for cell in re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", below, re.MULTILINE) for code in _codes(cell)
    }
    calls = [call for tree in _sources() for call in ast.walk(tree) if isinstance(call, ast.Call)]
    raised = {
        code for call in calls if _callee(call) in ("PermanentFailure", "TransientFailure") for code in _texts(call)
    }
    texts = {code for tree in _sources() for node in ast.walk(tree) for code in _constant(node)}
    assert raised <= told
    assert told <= texts


def _codes(cell: str) -> list[str]:
    return re.findall(r"`([a-z_]+)`", cell)


def _sources() -> Iterator[ast.Module]:
    for folder in ("worker", "core/operations"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield ast.parse(file.read_text())


def _callee(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _texts(call: ast.Call) -> Iterator[str]:
    """The first argument, where it is written out."""
    for argument in call.args[:1]:
        yield from _constant(argument)


def _constant(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def test_the_writers_of_every_table_are_right() -> None:
    told = {
        table: writers.split(", ")
        for table, writers in rows(read("ARCHITECTURE.md"), "Which module writes which table")
    }
    assert told == _writers()


def _writers() -> dict[str, list[str]]:
    """Table -> the modules whose queries insert, update or delete its rows, first its namesake, then by name."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for file in (ROOT / "core" / "store").glob("*.py"):
        source = file.read_text()
        queries = [queries_of(table)[name] for table, name in re.findall(r'query\("([a-z_]+)\.([a-z_]+)"\)', source)]
        written = r"(?:INSERT INTO|DELETE FROM|(?<!FOR )(?<!KEY )(?<!DO )UPDATE) ([a-z_]+)"
        for table in re.findall(written, "\n".join([source, *queries])):
            found[table].add(str(file.relative_to(ROOT)))
    return {
        table: sorted(files, key=lambda name: (Path(name).stem not in table, name)) for table, files in found.items()
    }


def test_the_connections_to_count_on_are_those_that_are_opened() -> None:
    api, each, scheduler = database.USUAL_CONNECTIONS, worker.CONNECTIONS, loops.CONNECTIONS
    told = f"Each api holds up to {api}, each worker up to {each}, a scheduler up to {scheduler} and one for LISTEN."
    assert told in read("docs/operations.md")
    assert scheduler == len(loops.LOOPS)
