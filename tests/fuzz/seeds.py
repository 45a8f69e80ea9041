"""What a run begins with. From nothing, a minute would go into finding out that JSON has braces."""

from __future__ import annotations

import json
import random
from pathlib import Path

from core.domain.languages import FLOWS, JOB_LOGS, NAMESAKES, VERSIONS
from core.domain.query import MOST_MEMBERS, MOST_TEXT, Group, Operator

FIELDS = tuple(dict.fromkeys([*VERSIONS, *FLOWS, *NAMESAKES, *JOB_LOGS]))
VALUES = ("type", "key", "config", "000000000000000000000001", "2026-11-21T10:00:00Z", "cloud")

QUERIES: tuple[dict[str, object], ...] = (
    {},
    {"version": {"$startsWith": "v", "$ci": True, "$nin": ["v1", 2, True]}},
    {"id": {"$in": ["000000000000000000000001"]}, "enabled": False},
    {"creationDate": {"$gte": "2026-11-21T10:00:00.123Z", "$lt": 1795255200000}},
    {"$or": [{"$and": [{"lastUpdated": None}]}, {"$nor": [{"flowClass": {"$ne": "edge"}}]}]},
    {"triggers": {"type": "timer", "key": "k0", "config": {"x": 1.5}}, "nodes": {"$ne": {"type": "other"}}},
    {"version": {"$contains": "\\%_'\u00e9\U0001f600"}, "customNodeSupports": {"$eq": None}},
    {"defaultVersion": None, "customNodeSupports": {"$nin": ["edge"]}, "triggers": {"$eq": {"type": "timer"}}},
    {"flowId": "000000000000000000000001", "name": {"$endsWith": "b", "$ci": True}},
    {"status": {"$in": ["failed"]}, "runStartedAt": {"$ne": None}, "resourceType": "application"},
    {"$and": [{"$or": [{"$nor": [{"$and": [{"$and": [{"$and": [{"$and": [{}]}]}]}]}]}]}]},
    {"$or": [{"id": {"$in": ["0" * 24] * MOST_MEMBERS}}, *[{"version": {"$gt": "a", "$ne": ""}}] * 99], "name": 1},
    {"version": "x" * MOST_TEXT},
)
"""The last three are as deep, as long and as wide as queries may be: one step further is over the edge."""

RANDOM_SEEDS = 100
RANDOM_BYTES = 512
"""Hypothesis makes a query up from 40 bytes on average, and hardly ever from more than 330."""


def write_front(folder: Path) -> None:
    for number, query in enumerate(QUERIES):
        (folder / f"query-{number}").write_text(json.dumps(query))


def write_agreement(folder: Path) -> None:
    for number in range(RANDOM_SEEDS):
        (folder / f"choices-{number}").write_bytes(random.Random(number).randbytes(RANDOM_BYTES))


def write_dictionary(file: Path) -> None:
    """The words of the language, quoted as in JSON and once more as libFuzzer has it."""
    words = [*FIELDS, *VALUES, *Group, *Operator, "$ci"]
    file.write_text("".join(f'"\\"{word}\\""\n' for word in words))
