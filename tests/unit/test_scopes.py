"""Which scopes there are, and what is said of names that are none."""

from __future__ import annotations

import time

import pytest

from core.domain.scopes import SCOPES, complaints


def test_there_are_as_many_as_losant_names() -> None:
    """Eleven of everything, 54 of whole resources, and the rest of one operation each."""
    of_everything = {scope for scope in SCOPES if scope.startswith("all.")}
    of_resources = {scope for scope in SCOPES if scope.endswith(".*")}
    assert (len(of_everything), len(of_resources), len(SCOPES)) == (11, 54, 277)


@pytest.mark.parametrize("name", ["Application", "Organization", "User"])
def test_everything_can_be_given_whole_for_reading_and_bounded(name: str) -> None:
    assert {f"all.{name}", f"all.{name}.read", f"all.{name}.bounded"} <= SCOPES


@pytest.mark.parametrize(
    "scopes",
    [
        "flow.* flow.get flow.patch flow.delete flow.errors flow.log flow.stats flow.pressVirtualButton flow.debug",
        "flow.getStorageEntries flow.setStorageEntry flow.clearStorageEntries flow.getStorageEntriesMetadata",
        "flows.* flows.get flows.getByVersion flows.palette flows.post flows.import",
        "flowVersion.* flowVersion.get flowVersion.patch flowVersion.delete flowVersion.log flowVersion.errors",
        "flowVersions.* flowVersions.get flowVersions.post flowVersions.delete",
        "applicationJobLog.* applicationJobLog.get applicationJobLogs.* applicationJobLogs.get",
        "all.Device all.Device.read device.* device.getState experienceEndpoints.stats webhooks.post edgeDeployments.*",
    ],
)
def test_each_operation_has_its_own(scopes: str) -> None:
    assert set(scopes.split()) <= SCOPES


@pytest.mark.parametrize(
    "name",
    [
        "", "*", "*.*", "all", "all.*", "all.Device.bounded", "all.Application.write", "flow", "flow.",
        "flow.getLogEntries", "flowVersion.post", "FLOW.GET", "flow.get ", "flow.get\n", "flow.get.read", "flow.*.read",
    ],
)  # fmt: skip
def test_what_only_looks_like_one_is_none(name: str) -> None:
    assert name not in SCOPES
    (complaint,) = complaints(["flow.get", name, name])
    assert " is no scope; " in complaint


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FLOW.get", "flow.get"),
        ("all.application", "all.Application"),
        ("flowversions.Delete", "flowVersions.delete"),
        (" flow.get", "flow.get"),
        ("flow.get\n", "flow.get"),
        ("flow.getLogEntries", "flow.log"),
        ("flowVersion.getLogEntries", "flowVersion.log"),
    ],
)
def test_another_spelling_gets_the_one_that_was_meant(name: str, meant: str) -> None:
    assert complaints([name])[0].endswith(f" is no scope; did you mean {meant}?")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("flow.delet", "flow.delete"),
        ("flowVersion.post", "flowVersions.post"),
        ("flow.setStorageEntries", "flow.setStorageEntry"),
        ("all.Application.write", "all.Application.read"),
        ("applicationJobLogs.list", "applicationJobLogs.get"),
    ],
)
def test_a_near_miss_gets_up_to_three_guesses(name: str, near: str) -> None:
    (complaint,) = complaints([name])
    guesses = complaint.partition("; did you mean ")[2].rstrip("?").replace(" or ", ", ").split(", ")
    assert near in guesses
    assert len(guesses) <= 3
    assert set(guesses) <= SCOPES


@pytest.mark.parametrize("name", ["", "*", "\u0661\u0662", "x" * 50])
def test_what_is_near_nothing_is_told_the_form(name: str) -> None:
    assert complaints([name])[0].endswith("; one has the form RESOURCE.ACTION, RESOURCE.* or all.Application.")


def test_several_are_complained_of_one_by_one() -> None:
    assert [text.partition(" ")[0] for text in complaints(["b.x", "flow.get", "a.x"])] == ["a.x", "b.x"]
    assert complaints(SCOPES) == []


@pytest.mark.parametrize("name", ["x" * 1_000_000, "flow.get" * 100_000, "\x1b[2J", "a\u202eb", "\ud800"])
def test_a_hostile_name_is_short_and_printable_in_the_complaint(name: str) -> None:
    begun = time.monotonic()
    (complaint,) = complaints([name])
    assert time.monotonic() - begun < 1
    assert complaint.isprintable()
    assert len(complaint) < 1000
