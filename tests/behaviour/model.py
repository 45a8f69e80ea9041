"""What flows and versions are meant to be, in memory: plain values, and each operation in a few lines.

Versions go by the ids that the service gave them; contents by labels, of which no two are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.domain.versions import deployed_name

EMPTY = ""
"""The content of a Draft into which nothing was put."""


@dataclass
class ModelVersion:
    name: str
    iteration: int
    label: str


@dataclass(frozen=True)
class Entry:
    """What the trash keeps. Without a name it is a Draft's."""

    version_id: int
    name: str | None
    iteration: int
    label: str


@dataclass
class Draft:
    id: int
    iteration: int
    label: str


@dataclass
class ModelFlow:
    name: str
    enabled: bool = True
    draft: Draft | None = None
    versions: dict[int, ModelVersion] = field(default_factory=dict)
    deployed: int | None = None
    planned: int | None = None
    trash: list[Entry] = field(default_factory=list)
    next_iteration: int = 1

    def names(self) -> dict[str, int]:
        return {version.name: number for number, version in self.versions.items()}

    def take_iteration(self) -> int:
        self.next_iteration += 1
        return self.next_iteration - 1

    def add(self, version_id: int, name: str, label: str) -> None:
        self.versions[version_id] = ModelVersion(name, self.take_iteration(), label)

    def replace(self, version_id: int, label: str) -> None:
        version = self.versions[version_id]
        self.trash.append(Entry(version_id, version.name, version.iteration, version.label))
        version.label = label

    def write_draft(self, draft_id: int, label: str) -> None:
        """`draft_id` counts where there was none."""
        if self.draft is None:
            self.draft = Draft(draft_id, self.take_iteration(), label)
            return
        self.trash.append(Entry(self.draft.id, None, self.draft.iteration, self.draft.label))
        self.draft.label = label

    def deploy(self, version_id: int, new_draft_id: int | None) -> None:
        """`new_draft_id` is what appears when the Draft is deployed."""
        if version_id == self.deployed:
            return
        self.planned = None
        if self.draft is not None and version_id == self.draft.id:
            draft = self.draft
            self.versions[draft.id] = ModelVersion(
                deployed_name(draft.iteration, self.names()), draft.iteration, draft.label
            )
            assert new_draft_id is not None
            self.draft = Draft(new_draft_id, self.take_iteration(), draft.label)
        self.deployed = version_id

    def undeploy(self) -> None:
        self.deployed, self.planned = None, None

    def copy(self, version_id: int, new_draft_id: int) -> None:
        if self.draft is not None:
            self.trash.append(Entry(self.draft.id, None, self.draft.iteration, self.draft.label))
        self.draft = Draft(new_draft_id, self.take_iteration(), self.versions[version_id].label)

    def is_protected(self, version_id: int) -> bool:
        return version_id in (self.deployed, self.planned)

    def delete(self, version_id: int) -> None:
        version = self.versions.pop(version_id)
        self.trash.append(Entry(version_id, version.name, version.iteration, version.label))

    def delete_all(self) -> None:
        """In bulk, in the order of ids."""
        for version_id in sorted(self.versions):
            if not self.is_protected(version_id):
                self.delete(version_id)

    def entry(self, version_id: int, name: str | None, place: int) -> Entry:
        """Of the entries of one version under one name that in this place, the oldest first."""
        return [entry for entry in self.trash if (entry.version_id, entry.name) == (version_id, name)][place]

    def can_restore(self, entry: Entry) -> bool:
        """A name that another version has by now is in the way."""
        if entry.name is None or entry.version_id in self.versions:
            return True
        return entry.name not in self.names()

    def restore(self, entry: Entry) -> None:
        self.trash.remove(entry)
        if entry.name is None:
            self.write_draft(entry.version_id, entry.label)
        elif entry.version_id in self.versions:
            self.replace(entry.version_id, entry.label)
        else:
            self.versions[entry.version_id] = ModelVersion(entry.name, entry.iteration, entry.label)
