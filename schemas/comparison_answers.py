"""What comparing two versions answers."""

from __future__ import annotations

from marshmallow import Schema, fields

from core.domain.matching import DRAWN
from core.domain.significance import Method, Verdict
from core.domain.versions import VersionStatus
from schemas.answers import Fields, answer, dated, listed, number, one_of
from schemas.comparisons import DURATIONS, FAILURES
from schemas.fields import Anything
from schemas.native_answers import data_of

_UNDECIDED = (Verdict.NONE, Verdict.TOO_FEW)


def _share(*, least: int = 0, **kwargs: bool) -> fields.Field[float]:
    return fields.Float(metadata={"minimum": least, "maximum": 1}, **kwargs)  # type: ignore[arg-type]


def _text() -> fields.Field[str]:
    return fields.String(allow_none=True)


_Version = answer(
    "comparedVersion",
    {
        "id": number(least=1),
        "name": _text(),
        "iteration": number(least=1),
        "status": one_of(*VersionStatus),
        "is_enabled": fields.Boolean(),
        "revision": number(),
        "digest": fields.String(metadata={"pattern": "^[0-9a-f]{64}$"}),
    },
)

_Change = answer(
    "change",
    {"path": fields.String(), "is_cut": fields.Boolean()},
    {"before": Anything(allow_none=True), "after": Anything(allow_none=True)},
)


def _group(name: str, thing: Fields) -> fields.Field[object]:
    told = answer(name, thing)
    changed = answer(f"{name}Changed", {**thing, "changes": listed(_Change), "is_whole": fields.Boolean()})
    shape = answer(
        f"{name}Changes",
        {
            "added_count": number(),
            "removed_count": number(),
            "changed_count": number(),
            "added": listed(told),
            "removed": listed(told),
            "changed": listed(changed),
        },
    )
    return fields.Nested(shape)


def _element() -> Fields:
    return {"id": _text(), "type": _text(), "label": _text()}


_Edge = answer(
    "edge",
    {
        "from_type": one_of(*(name[:-1] for name in DRAWN)),
        "from": _text(),
        "output": number(),
        "to": fields.String(),
    },
)

_Edges = answer(
    "edgeChanges",
    {"added_count": number(), "removed_count": number(), "added": listed(_Edge), "removed": listed(_Edge)},
)

_Changes = answer(
    "versionChanges",
    {
        "nodes": _group("node", _element()),
        "triggers": _group("trigger", _element()),
        "globals": _group("global", _element()),
        "edges": fields.Nested(_Edges),
        "settings": listed(_Change),
        "schedules": _group("scheduleRules", {"cron_string": fields.String(), "timezone": fields.String()}),
    },
)

_Operation = answer(
    "patchOperation",
    {"op": one_of("add", "remove", "replace", "move"), "path": fields.String()},
    {"value": Anything(allow_none=True), "from": fields.String()},
)


def _number() -> fields.Field[float]:
    return fields.Float(allow_none=True)


_Runs = answer(
    "comparedRuns",
    {
        "count": number(),
        "failures": number(),
        "failure_rate": _share(allow_none=True),
        "duration_ms": fields.Nested(
            answer("comparedDurations", {"count": number(), "p50": _number(), "p95": _number(), "p99": _number()})
        ),
    },
)


def _tested(name: str, verdicts: dict[Verdict, str], more: Fields) -> type[Schema]:
    words = (*verdicts.values(), *_UNDECIDED)
    always: Fields = {"test": one_of(*Method), "p_value": _share(), "confidence": _share(), "verdict": one_of(*words)}
    return answer(name, {**always, **more})


_Failures = _tested(
    "failuresTest",
    FAILURES,
    {"difference": _share(least=-1), "difference_from": _share(least=-1), "difference_to": _share(least=-1)},
)

_Duration = _tested("durationTest", DURATIONS, {"chance_of_slower": _share(), "median_ratio": _number()})

_Comparison = answer(
    "comparison",
    {
        "flow_id": number(least=1),
        "a": fields.Nested(_Version),
        "b": fields.Nested(_Version),
        "is_same": fields.Boolean(),
        "changes": fields.Nested(_Changes),
        "patch": listed(_Operation),
        "patch_coarse": fields.List(fields.String()),
        "runs": fields.Nested(
            answer(
                "runsCompared",
                {
                    "from": dated(),
                    "to": dated(),
                    "a": fields.Nested(_Runs),
                    "b": fields.Nested(_Runs),
                    "failures": fields.Nested(_Failures, allow_none=True),
                    "duration": fields.Nested(_Duration, allow_none=True),
                },
            ),
            allow_none=True,
        ),
    },
)

Comparison = data_of("comparisonDocument", _Comparison)
