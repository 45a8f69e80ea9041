"""Random operations through both dialects, in any order; after every one of them both agree with a model in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.domain.identifiers import hex_id
from core.operations import lifecycle
from tests.behaviour.model import EMPTY, ModelFlow
from tests.support.api import Api
from tests.support.lifecycles import come_due, tomorrow
from tests.support.machinery import Machinery
from tests.support.patchworks import Patchworks
from tests.support.speakers import Both, Seen, Speaker, both
from tests.support.tenants import Tenant

EXAMPLES, STEPS = 12, 30
"""Together with the reading after each step about five thousand requests."""

Result = TypeVar("Result")
Json = dict[str, Any]

numbers = st.integers(0, 99)
dialects = st.sampled_from(["losant", "patchworks"])
names = st.sampled_from(["a", "b", "c"])


@dataclass
class World:
    """What the machine drives, on the event loop that everything lives on."""

    loop: asyncio.AbstractEventLoop
    tenant: Tenant
    machinery: Machinery
    ears: Both
    steps: int = 0

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(work)

    @property
    def native(self) -> Patchworks:
        return Patchworks(self.ears.patchworks.api)


@pytest.fixture
async def world(anonymous: Api, tenant: Tenant, machinery: Machinery) -> World:
    return World(asyncio.get_running_loop(), tenant, machinery, both(anonymous, tenant))


class Machine(RuleBasedStateMachine):
    """One flow an example; those of other examples are left alone."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.labels = 0
        self.flow = 0
        self.model: ModelFlow | None = None

    # What is done

    @initialize(dialect=dialects)
    def begin(self, dialect: str) -> None:
        self.flow = self.run(self.speaker(dialect).create("Pump"))
        self.model = ModelFlow("Pump")

    @rule(dialect=dialects, name=st.sampled_from(["Pump", "Valve"]))
    def rename(self, dialect: str, name: str) -> None:
        assert self.run(self.speaker(dialect).rename(self.flow, name))
        self.known.name = name

    @rule(dialect=dialects, enabled=st.booleans())
    def enable(self, dialect: str, enabled: bool) -> None:
        assert self.run(self.speaker(dialect).enable(self.flow, enabled))
        self.known.enabled = enabled

    @rule(name=names)
    def make_version(self, name: str) -> None:
        label, taken = self.new_label(), name in self.known.names()
        answer = self.run(self.losant("POST", "/versions", {"version": name, "nodes": nodes(label)}))
        assert answer.status == (400 if taken else 201)
        if not taken:
            self.known.add(int(answer.json["id"], 16), name, label)

    @rule(name=names)
    def replace_version(self, name: str) -> None:
        label = self.new_label()
        body = {"version": name, "nodes": nodes(label)}
        answer = self.run(self.losant("POST", "/versions?allowReplacement=true", body))
        assert answer.status == 201
        version_id = int(answer.json["id"], 16)
        if version_id in self.known.versions:
            self.known.replace(version_id, label)
        else:
            self.known.add(version_id, name, label)

    @rule()
    def write_draft(self) -> None:
        label = self.new_label()
        assert self.run(self.losant("PATCH", "", {"nodes": nodes(label)})).status == 200
        self.known.write_draft(self.draft_id(), label)

    @rule()
    def begin_draft(self) -> None:
        answer = self.run(self.patchworks("POST", "/versions"))
        assert answer.status == (200 if self.known.draft is None else 409)
        if answer.status == 200:
            self.known.write_draft(answer.json["data"]["id"], EMPTY)

    @precondition(lambda self: self.known.versions)
    @rule(dialect=dialects, number=numbers)
    def deploy(self, dialect: str, number: int) -> None:
        version_id = self.any_version(number)
        assert self.run(self.speaker(dialect).deploy(self.flow, version_id))
        self.known.deploy(version_id, None)

    @precondition(lambda self: self.known.draft)
    @rule()
    def deploy_draft(self) -> None:
        assert self.known.draft is not None
        draft_id = self.known.draft.id
        assert self.run(self.world.ears.patchworks.deploy(self.flow, draft_id))
        self.known.deploy(draft_id, self.draft_id())

    @precondition(lambda self: self.known.deployed)
    @rule(dialect=dialects)
    def undeploy(self, dialect: str) -> None:
        assert self.known.deployed is not None
        assert self.run(self.speaker(dialect).undeploy(self.flow, self.known.deployed))
        self.known.undeploy()

    @precondition(lambda self: self.known.versions or self.known.draft)
    @rule(number=numbers)
    def plan(self, number: int) -> None:
        version_id = self.any_version(number, drafts=True)
        planned = self.run(self.world.ears.patchworks.put(self.flow, version_id, tomorrow().isoformat()))
        assert planned == (version_id != self.known.deployed)
        if planned:
            self.known.planned = version_id

    @precondition(lambda self: self.known.planned)
    @rule()
    def take_back(self) -> None:
        assert self.known.planned is not None
        assert self.run(self.world.ears.patchworks.put(self.flow, self.known.planned, None))
        self.known.planned = None

    @rule()
    def time_passes(self) -> None:
        self.run(come_due(self.world.tenant))
        self.run(lifecycle.deploy_due(self.world.tenant.database, 100))
        if self.known.planned is not None:
            self.known.deploy(self.known.planned, self.draft_id())

    @precondition(lambda self: self.known.versions)
    @rule(number=numbers)
    def copy(self, number: int) -> None:
        version_id, draft = self.any_version(number), self.known.draft
        answer = self.run(self.patchworks("POST", f"/versions/{version_id}/copy"))
        assert answer.status == (409 if draft is not None and self.known.planned == draft.id else 200)
        if answer.status == 200:
            self.known.copy(version_id, answer.json["data"]["id"])

    @precondition(lambda self: self.known.versions)
    @rule(dialect=dialects, number=numbers)
    def delete(self, dialect: str, number: int) -> None:
        version_id = self.any_version(number)
        deleted = self.run(self.speaker(dialect).delete(self.flow, version_id))
        assert deleted != self.known.is_protected(version_id)
        if deleted:
            self.known.delete(version_id)

    @rule()
    def delete_in_bulk(self) -> None:
        assert self.run(self.losant("POST", "/versions/delete", {"query": {}})).status == 202
        self.run(self.world.machinery.drain())
        self.known.delete_all()

    @precondition(lambda self: self.known.trash)
    @rule(number=numbers)
    def restore(self, number: int) -> None:
        kept = self.entries()
        chosen = kept[number % len(kept)]
        entry = self.known.entry(
            *key(chosen), [one["id"] for one in kept if key(one) == key(chosen)].index(chosen["id"])
        )
        answer = self.run(self.patchworks("POST", f"/trash/{chosen['id']}/restore"))
        assert answer.status == (200 if self.known.can_restore(entry) else 409)
        if answer.status == 200:
            self.known.restore(entry)

    @precondition(lambda self: self.world.steps % 10 == 9)
    @rule(dialect=dialects)
    def remove(self, dialect: str) -> None:
        """And begin again with another one."""
        assert self.run(self.speaker(dialect).remove(self.flow))
        self.run(self.world.machinery.drain())
        assert self.run(self.world.ears.look(self.flow)) is None
        self.begin_again(dialect)

    # What is seen

    @invariant()
    def both_agree_with_the_model(self) -> None:
        if self.model is None:
            return
        self.world.steps += 1
        known = self.known
        deployed = None if known.deployed is None else known.versions[known.deployed].name
        assert self.run(self.world.ears.look(self.flow)) == Seen(
            known.name, known.enabled, frozenset(known.names()), deployed
        )

    @invariant()
    def contents_are_what_was_put_in(self) -> None:
        if self.model is None:
            return
        develop = self.run(self.losant("GET", "")).json
        assert label_of(develop) == (EMPTY if self.known.draft is None else self.known.draft.label)
        listed = self.run(self.losant("GET", "/versions?perPage=1000")).json["items"]
        assert {int(version["id"], 16): label_of(version) for version in listed} == {
            number: version.label for number, version in self.known.versions.items()
        }

    @invariant()
    def standings_and_ordinals_are_kept(self) -> None:
        if self.model is None:
            return
        known = self.known
        expected: dict[int, tuple[int, str | None, str, bool]] = {}
        for number, version in known.versions.items():
            status = "Deployed" if number == known.deployed else "Inactive"
            expected[number] = (version.iteration, version.name, status, number in (known.deployed, known.planned))
        if known.draft is not None:
            draft = known.draft
            expected[draft.id] = (draft.iteration, None, "Draft", draft.id == known.planned)
        listed = self.run(self.world.native.versions({"id": self.flow}))
        assert {
            row["id"]: (row["iteration"], row["name"], row["status"], row["deployed_at"] is not None) for row in listed
        } == expected

    @invariant()
    def the_trash_has_all_that_is_gone(self) -> None:
        if self.model is not None:
            assert Counter(map(key, self.entries())) == Counter(
                (entry.version_id, entry.name) for entry in self.known.trash
            )

    # How

    @property
    def known(self) -> ModelFlow:
        assert self.model is not None
        return self.model

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.world.run(work)

    def speaker(self, dialect: str) -> Speaker:
        chosen: Speaker = getattr(self.world.ears, dialect)
        return chosen

    def begin_again(self, dialect: str) -> None:
        self.flow = self.run(self.speaker(dialect).create("Pump"))
        self.model = ModelFlow("Pump")

    async def losant(self, method: str, rest: str, body: Json | None = None) -> Any:
        path = f"/applications/{self.world.tenant.application}/flows/{hex_id(self.flow)}{rest}"
        return await self.world.ears.losant.api.send(method, path, body)

    async def patchworks(self, method: str, rest: str, body: Json | None = None) -> Any:
        return await self.world.ears.patchworks.api.send(method, f"/api/v1/flows/{self.flow}{rest}", body)

    def new_label(self) -> str:
        self.labels += 1
        return f"content {self.labels}"

    def any_version(self, number: int, *, drafts: bool = False) -> int:
        chosen = sorted(self.known.versions)
        if drafts and self.known.draft is not None:
            chosen.append(self.known.draft.id)
        return chosen[number % len(chosen)]

    def draft_id(self) -> int:
        """What the service has as the Draft now; 0 for none."""
        found = self.run(self.world.native.versions({"id": self.flow}, "?filter[status]=Draft"))
        return found[0]["id"] if found else 0

    def entries(self) -> list[Json]:
        """The trash, the oldest first; what went in one batch is in any order."""
        answer = self.run(self.patchworks("GET", "/trash?per_page=100")).json
        assert answer["meta"]["last_page"] == 1
        rows: list[Json] = answer["data"]
        return rows[::-1]


def nodes(label: str) -> list[Json]:
    return [{"id": "a", "type": label}]


def key(entry: Json) -> tuple[int, str | None]:
    return entry["version_id"], entry["name"]


def label_of(thing: Json) -> str:
    label: str = thing["nodes"][0]["type"] if thing["nodes"] else EMPTY
    return label


def test_both_dialects_agree_with_the_model(world: World) -> None:
    """No coroutine, so that the machine can run the loop step by step."""

    class Driven(Machine):
        pass

    Driven.world = world
    run_state_machine_as_test(
        Driven,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert world.steps > EXAMPLES * STEPS / 4
