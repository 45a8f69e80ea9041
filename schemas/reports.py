"""What a runner says of a run: in its answer to us, or in a report of its own. One shape for both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, ValidationError

from core.domain.dispatch import (
    MOST_LOG_CHARACTERS,
    MOST_LOG_LINES,
    MOST_METRICS,
    MOST_REPORT_MESSAGE,
    LogLine,
    Report,
)
from core.domain.documents import Json, parse_document
from core.domain.runs import REPORTABLE, RunStatus
from schemas.fields import Body, Judged, Mapped, Text, Word, check_value, load
from schemas.moments import Moment, parse_moment
from schemas.shapes import ListOf, Number, Record

LEVELS = ("debug", "info", "warning", "error", "fatal")
USUAL_LEVEL = "info"

MOST_METRIC_NAME = 128

_FARTHEST = 10**15
"""Beyond it a double no longer holds every whole number, and sums of many begin to lie."""


METRIC = Number(least=-_FARTHEST, most=_FARTHEST)
METRIC_NAME = Text(least=1, most=MOST_METRIC_NAME)

LINE_TEXT = Text(most=MOST_LOG_CHARACTERS)
LINE = Record(
    {
        "message": Text(most=MOST_LOG_CHARACTERS, required=True),
        "level": Word(*LEVELS),
        "at": Moment(),
        "details": Mapped(),
    }
)


class Metrics(Judged[dict[str, Json]]):
    """Numbers by name."""

    def check(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise ValidationError("must be an object")
        if len(value) > MOST_METRICS:
            raise ValidationError(f"must have at most {MOST_METRICS} entries")
        for name, number in value.items():
            try:
                METRIC_NAME.check(name)
                check_value(METRIC, number)
            except ValidationError as error:
                raise ValidationError({name: error.messages}) from None


class Line(Judged[Json]):
    """A line of a log: a text, or an object that says more of it."""

    def check(self, value: Any) -> None:
        (LINE_TEXT if isinstance(value, str) else LINE).check(value)


class ReportPost(Body):
    """Without a status the run succeeded."""

    status = Word(*REPORTABLE)
    message = Text(most=MOST_REPORT_MESSAGE)
    metrics = Metrics()
    logs = ListOf(Line(), most=MOST_LOG_LINES)


class ReportAnswer(ReportPost):
    """The same in an answer, where a runner may say what else it likes."""

    class Meta:
        unknown = EXCLUDE


_ANSWER = ReportAnswer()


def read_answer(body: bytes) -> Report:
    """What a 2xx answer says; nothing at all says success. Raises Invalid for what is no report."""
    if not body.strip():
        return Report()
    return report_of(load(_ANSWER, parse_document(body).value))


def report_of(body: Mapping[str, Any]) -> Report:
    """The report in a checked body."""
    return Report(
        status=RunStatus(body.get("status", RunStatus.SUCCESS)),
        message=body.get("message"),
        metrics=body.get("metrics"),
        logs=tuple(_line(entry) for entry in body.get("logs", ())),
    )


def _line(entry: str | Mapping[str, Any]) -> LogLine:
    if isinstance(entry, str):
        return LogLine(USUAL_LEVEL, entry)
    at = entry.get("at")
    return LogLine(
        level=entry.get("level", USUAL_LEVEL),
        message=entry["message"],
        at=None if at is None else parse_moment(at),
        details=entry.get("details"),
    )
