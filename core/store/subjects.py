"""Where the fields of each query language stand: the rows a list is made of, and what it can be sorted by.

The names are those of `core/domain/languages.py`; a test holds the two together. Each expression is over the aliases of
the queries it is put into: `v` a version, `f` its flow, `d` what the flow runs by default, `j` a job, `e` an event of
the audit trail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.domain import job_log, languages
from core.domain.languages import Language


@dataclass(frozen=True, slots=True)
class Place:
    """Where one field stands: an SQL expression.

    `folded` is the same for comparisons that ignore case. `unique`: no two rows of a list have the same. `words` is for
    what is shown as other words than are stored. `joined` is in a row that is only there where the query joins it.
    """

    sql: str
    folded: str = ""
    nullable: bool = False
    unique: bool = False
    words: Mapping[str, str] | None = None
    joined: bool = False

    @property
    def shown(self) -> str:
        """What callers see of the field: its words where it has some."""
        if self.words is None:
            return self.sql
        cases = " ".join(f"WHEN '{stored}' THEN '{shown}'" for stored, shown in self.words.items())
        return f"CASE {self.sql} {cases} END"

    @property
    def ordered(self) -> str:
        """What the field is sorted by: what is shown, words byte by byte."""
        return self.shown if self.words is None else f'{self.shown} COLLATE "C"'


@dataclass(frozen=True, slots=True)
class Subject:
    """One kind of row: its language, where the fields stand, and the id that settles ties.

    `constants` are the fields that are the same for every row there is. A field with neither a place nor a value here
    has one value for each list, which the caller knows.
    """

    language: Language
    places: Mapping[str, Place]
    key: str
    constants: Mapping[str, str | None] = field(default_factory=dict)
    default_triggers: Place | None = None
    """The triggers of what the flow runs by default, for `triggerFilter`."""
    joins: str = ""
    """What a query has to join for the places that are `joined`. Only then, since no planner leaves out a join over a
    partial index, and a count takes six times as long with these."""

    def order(self, sort: str, *, descending: bool) -> str:
        """An ORDER BY of which pages never overlap: equal values go by id. What is not there comes before the rest."""
        direction = "DESC" if descending else "ASC"
        place = self.places.get(sort)
        if place is None or place.sql == self.key:
            return f"{self.key} {direction}"
        nulls = (" NULLS LAST" if descending else " NULLS FIRST") if place.nullable else ""
        by = f"{place.ordered} {direction}{nulls}"
        return by if place.unique else f"{by}, {self.key} {direction}"


_FLOW_NAME = Place('(f.name COLLATE "C")', folded='coalesce(f.name_folded, lower(f.name) COLLATE "C")')
_SUPPORTS = Place(
    '(f.custom_node_supports[1] COLLATE "C")', folded='(lower(f.custom_node_supports[1]) COLLATE "C")', nullable=True
)
_FLOW_CLASS = Place("f.flow_class", folded="lower(f.flow_class)")

VERSIONS = Subject(
    languages.VERSIONS,
    {
        # Never null here, since the Draft is never matched. Sorted by it alone, since an id behind it would keep deep
        # pages from being found in its index.
        "version": Place("v.name", folded="v.name_folded", unique=True),
        "id": Place("v.id"),
        "creationDate": Place("v.created_at"),
        "lastUpdated": Place("v.updated_at"),
        "enabled": Place("v.enabled"),
        "triggers": Place("v.body -> 'triggers'"),
        "nodes": Place("v.body -> 'nodes'"),
    },
    key="v.id",
)

FLOWS = Subject(
    languages.FLOWS,
    {
        "name": _FLOW_NAME,
        "id": Place("f.id"),
        "creationDate": Place("f.created_at"),
        "lastUpdated": Place("f.updated_at"),
        "flowClass": _FLOW_CLASS,
        "enabled": Place("f.enabled"),
        "customNodeSupports": _SUPPORTS,
        "defaultVersion": Place("d.id", nullable=True, joined=True),
        "triggers": Place("v.body -> 'triggers'", joined=True),
        "nodes": Place("v.body -> 'nodes'", joined=True),
    },
    key="f.id",
    default_triggers=Place("coalesce(d.body, v.body) -> 'triggers'", joined=True),
    joins="""
        LEFT JOIN flow_versions d ON d.flow_id = f.id AND d.company_id = f.company_id AND d.status = 'Deployed'
        LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.company_id = f.company_id AND v.status = 'Draft'
    """,
)

NAMESAKES = Subject(
    languages.NAMESAKES,
    {
        "name": _FLOW_NAME,
        "id": Place("v.id"),
        "creationDate": Place("v.created_at"),
        "lastUpdated": Place("v.updated_at"),
        "flowClass": _FLOW_CLASS,
        "enabled": Place("v.enabled"),
        "flowId": Place("v.flow_id"),
    },
    key="v.id",
    # The deployed version comes before the Draft in the alphabet, too.
    default_triggers=Place(
        """(
            SELECT t.body FROM flow_versions t
            WHERE t.flow_id = f.id AND t.company_id = f.company_id AND t.status IN ('Deployed', 'Draft')
            ORDER BY t.status LIMIT 1
        ) -> 'triggers'"""
    ),
)

JOB_LOGS = Subject(
    languages.JOB_LOGS,
    {
        "id": Place("j.id"),
        "runQueuedAt": Place("j.created_at"),
        "runStartedAt": Place("j.started_at", nullable=True),
        "runCompletedAt": Place("j.finished_at", nullable=True),
        "status": Place("j.status", words=job_log.STATUSES),
        "name": Place("j.kind", words=job_log.NAMES),
        "resourceId": Place("j.application_id"),
    },
    key="j.id",
    constants={"resourceType": job_log.RESOURCE_TYPE},
)

AUDIT_EVENTS = Subject(
    languages.AUDIT_EVENTS,
    {
        "action": Place('(e.action COLLATE "C")'),
        "actor_type": Place('(e.actor_type COLLATE "C")'),
        "actor_id": Place("e.actor_id", nullable=True),
        "subject_type": Place('(e.subject_type COLLATE "C")'),
        "subject_id": Place("e.subject_id"),
    },
    key="e.id",
)
