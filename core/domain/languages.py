"""What can be asked of each kind of thing: the fields of its query language, and what each field is.

Sources: Losant's advancedFlowVersionQuery, advancedFlowQuery, advancedFlowByVersionQuery and
advancedApplicationJobLogQuery. `core/store/predicates.py` has the same names with the columns they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias


class Kind(StrEnum):
    """How a field is compared."""

    TEXT = "text"
    FLAG = "flag"
    """Written and refused like text, compared as true or false."""
    ID = "id"
    DATE = "date"
    TRIGGERS = "triggers"
    NODES = "nodes"


Language: TypeAlias = Mapping[str, Kind]
"""Fields in the order in which refusals and documents name them."""

VERSIONS: Language = {
    "version": Kind.TEXT,
    "name": Kind.TEXT,
    "id": Kind.ID,
    "creationDate": Kind.DATE,
    "lastUpdated": Kind.DATE,
    "flowClass": Kind.TEXT,
    "enabled": Kind.FLAG,
    "triggers": Kind.TRIGGERS,
    "nodes": Kind.NODES,
    "customNodeSupports": Kind.TEXT,
}
"""The versions of one flow."""

FLOWS: Language = {
    "name": Kind.TEXT,
    "id": Kind.ID,
    "creationDate": Kind.DATE,
    "lastUpdated": Kind.DATE,
    "flowClass": Kind.TEXT,
    "enabled": Kind.FLAG,
    "defaultVersion": Kind.ID,
    "triggers": Kind.TRIGGERS,
    "nodes": Kind.NODES,
    "customNodeSupports": Kind.TEXT,
}
"""The flows of an application; `triggers` and `nodes` are those of the develop content."""

NAMESAKES: Language = {
    "name": Kind.TEXT,
    "id": Kind.ID,
    "creationDate": Kind.DATE,
    "lastUpdated": Kind.DATE,
    "flowClass": Kind.TEXT,
    "enabled": Kind.FLAG,
    "flowId": Kind.ID,
}
"""The versions of one name in all flows of an application; `name` and `flowClass` are the flow's."""

JOB_LOGS: Language = {
    "id": Kind.ID,
    "runQueuedAt": Kind.DATE,
    "runStartedAt": Kind.DATE,
    "runCompletedAt": Kind.DATE,
    "status": Kind.TEXT,
    "name": Kind.TEXT,
    "resourceId": Kind.ID,
    "resourceType": Kind.TEXT,
}
"""The job log of an application, in the words its entries show."""

AUDIT_EVENTS: Language = {
    "action": Kind.TEXT,
    "actor_type": Kind.TEXT,
    "actor_id": Kind.ID,
    "subject_type": Kind.TEXT,
    "subject_id": Kind.ID,
}
"""A company's audit trail, in the words of its own filters; nobody writes a query about it."""
