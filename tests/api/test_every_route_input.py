"""What every route there is reads, and how it refuses the rest: generated from the route table and its schemas.

The request that is refused would succeed but for one thing, the refusal names it, and nothing is written.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import orjson
import pytest
from marshmallow import fields
from yarl import URL

from schemas.fields import Anything, Count, Flag, HexId, Mapped, QueryFlag, Text, Word
from schemas.filters import Bound, Several
from schemas.lists import TriggerFilter
from schemas.moments import Moment
from schemas.patchworks_lists import Names
from schemas.reports import Metrics
from schemas.schedules import CronString
from schemas.shapes import ListOf, Number, Record
from schemas.tallies import Milliseconds
from service.dialects.patchworks.metrics import list_metrics
from service.endpoints import MOST_OPEN_BODY
from service.native.company import list_secrets
from service.routes import Dialect, Route
from service.told import TOLD
from tests.api.cases import (
    arrange,
    ask,
    assert_invalid,
    assert_open,
    assert_refused,
    every,
    every_route,
    every_route_with_a_body,
    kind_of,
    send,
)
from tests.api.conftest import Ground
from tests.support.api import Api, Reply
from tests.support.arrangements import Arranged
from tests.support.contents import unchanged


async def send_large(api: Api, route: Route, arranged: Arranged, raw: bytes) -> Reply:
    """Sends a body of megabytes piece by piece, as any client would."""
    url = URL(api.url + arranged.path(route), encoded=True)
    headers = {"Authorization": api.credential or "", "Content-Type": "application/json"}
    async with api.session.request(route.method, url, data=io.BytesIO(raw), headers=headers) as answer:
        return Reply(answer.status, answer.headers, await answer.read())


# What it reads


NO_OBJECTS = {
    "empty": b"",
    "blank": b"  \n",
    "cut": b"{",
    "single quotes": b"{'a': 1}",
    "comma at the end": b'{"a": 1,}',
    "two objects": b"{} {}",
    "comment": b"// no\n{}",
    "list": b"[]",
    "text": b'"text"',
    "number": b"1",
    "true": b"true",
    "null": b"null",
    "byte order mark": b"\xef\xbb\xbf{}",
    "no UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": "b"}'.encode("utf-16"),
    "form": b"a=b&c=d",
}


@every_route_with_a_body
async def test_a_body_that_is_no_json_object_is_refused(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    opening, path = ground.opening(route), arranged.path(route)
    async with unchanged(ground.database):
        answers = {
            name: await opening.send(route.method, path, raw=raw)
            for name, raw in NO_OBJECTS.items()
            if raw or not route.is_optional  # nothing at all is what such a route takes
        }
    for name, answer in answers.items():
        assert (name, answer.status) == (name, 400 if route.dialect is Dialect.LOSANT else 422)
        assert answer.json["message"].startswith("the body ")
        assert ("type" in answer.json) == (route.dialect is Dialect.LOSANT)
    await assert_open(ground, route, arranged)


KINDS: dict[str, list[object]] = {
    "text": ["nonsense"],
    "number": [1, 0, -1, 1.5],
    "flag": [True, False],
    "list": [[], [1]],
    "object": [{}, {"a": 1}],
    "null": [None],
}
"""Everything JSON can say, by kind."""

ACCEPTED: dict[type[fields.Field[Any]], str | None] = {
    Text: "text",
    Flag: "flag",
    Mapped: "object",
    Record: None,
    Metrics: "object",
    ListOf: None,
    HexId: None,
    Word: None,
    Moment: None,
    CronString: None,
    Number: "number",
    Anything: "anything",
}
"""The kind each kind of field reads; None where not even every value of that kind will do."""


def wrong_values(field: fields.Field[Any]) -> Iterator[object]:
    """What a field must not take: every other kind, and its own outside of its bounds."""
    if ACCEPTED[type(field)] == "anything":
        return
    for kind, values in KINDS.items():
        if kind == ACCEPTED[type(field)] or (kind == "null" and field.allow_none):
            continue
        yield from (value for value in values if not (isinstance(field, ListOf) and value == []))
    assert not field.validators, "a field judges by itself"
    yield from beyond_bounds(field)
    yield from WRONG_FORMS.get(type(field), ())
    if isinstance(field, Text) and field.form:
        yield from ("nonsense", "", "\u0661.\u0661.\u0661", "1.2.3\n", "data:image/png;base64,\n")
    if isinstance(field, Word):
        yield from (word.upper() for word in field.words if word)


def beyond_bounds(field: fields.Field[Any]) -> Iterator[object]:
    if isinstance(field, Text):
        yield from ["x" * (field.most + 1), "x" * (field.least - 1)][: 2 if field.least else 1]
    if isinstance(field, ListOf) and field.most is not None:
        yield [{}] * (field.most + 1)
    if isinstance(field, Number):
        assert field.whole
        assert field.least is not None
        assert field.most is not None
        yield from (field.least - 1, field.most + 1, field.least + 0.5, 2**63, "1")


NO_INSTANTS = (
    "", " ", "now", "2026", "2026-11-21", "2026-11-21T10:00:00", "2026-11-21T10:00Z", "2026-11-21T10:00:00 Z",
    "2026-02-30T10:00:00Z", "2026-13-01T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T10:60:00Z",
    "2026-11-21T10:00:61Z", "2026-11-21T10:00:00+25:00", "2026-11-21T10:00:00+0100", "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "10000-01-01T00:00:00Z", "-2026-11-21T10:00:00Z",
    "2026-11-21T10:00:00Z\n", "2026-11-21T10:00:00.Z", "2026-11-21T10:00:00.1234567890Z", "20261121T100000Z",
    "\u0662026-11-21T10:00:00Z", "2026-W47-6T10:00:00Z", "1763719200", "9999-12-31T23:59:59Z", "2" * 5000,
)  # fmt: skip
"""Text that is no instant, or none that anything can be planned for."""

WRONG_FORMS: dict[type[fields.Field[Any]], tuple[str, ...]] = {
    HexId: ("1" * 23, "1" * 25, "\u0661" * 24, "0" * 23 + "1\n"),
    CronString: ("", "* * * *", "* * * * * *", "@daily", "H * * * *", "61 * * * *", "* " * 5_000, "\u0661 * * * *"),
    Moment: NO_INSTANTS,
}
"""Text that looks like what a field is for."""


@every_route_with_a_body
async def test_a_field_that_is_wrong_is_named(ground: Ground, route: Route) -> None:
    assert route.body is not None
    arranged = await arrange(route, ground.owner)
    assert arranged.body is not None
    tried = 0
    async with unchanged(ground.database):
        for field in route.body().fields.values():
            name = str(field.data_key or field.name)
            for value in wrong_values(field):
                answer = await ground.opening(route).send(
                    route.method, arranged.path(route), {**arranged.body, name: value}
                )
                assert_invalid(route, answer, f"{name}[0]" if value == [1] and isinstance(field, ListOf) else name)
                tried += 1
            if field.required:
                without = {key: entry for key, entry in arranged.body.items() if key != name}
                answer = await ground.opening(route).send(route.method, arranged.path(route), without)
                assert_invalid(route, answer, name)
                assert answer.json["message"] == f"{name}: is required"
    assert tried > 0 or all(type(field) is Anything for field in route.body().fields.values())
    await assert_open(ground, route, arranged)


STRANGE = ("surprise", "_id", "constructor", "\u00e4\u0661", "x" * 5000, "$where", "a.b", " ")


@every_route_with_a_body
async def test_a_key_that_is_unknown_is_named(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    assert arranged.body is not None
    async with unchanged(ground.database):
        for key in STRANGE:
            answer = await ground.opening(route).send(route.method, arranged.path(route), {**arranged.body, key: 1})
            assert_invalid(route, answer, key[:64])
            assert len(answer.raw) < 1000, "a long key must not come back whole"
    await assert_open(ground, route, arranged)


HOSTILE = {
    "NUL": (b'"a\\u0000b"', "must not contain NUL"),
    "half a pair, high": (b'"\\ud800"', "must not contain half of a surrogate pair"),
    "half a pair, low": (b'"x\\udfff"', "must not contain half of a surrogate pair"),
    "1e400": (b"1e400", "is too large a number"),
    "-1e400": (b"-1e400", "is too large a number"),
    "NaN": (b"NaN", "NaN is not a JSON number"),
    "Infinity": (b"Infinity", "Infinity is not a JSON number"),
    "-Infinity": (b"-Infinity", "-Infinity is not a JSON number"),
    "5,000 digits": (b"1" * 5000, "has more than 64 digits"),
    "65 digits": (b"-" + b"9" * 65, "has more than 64 digits"),
}
"""Values that are refused wherever they stand, and how."""


PLACES = {"given": b'{"given":%s}', "given[1].deep[0]": b'{"given":[{"a":1},{"deep":[%s]}]}'}


@every_route_with_a_body
async def test_a_value_that_could_be_read_in_two_ways_is_refused(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        for (value, problem), (path, around) in product(HOSTILE.values(), PLACES.items()):
            answer = await ground.opening(route).send(route.method, arranged.path(route), raw=around % value)
            assert_invalid(route, answer, path)
            assert answer.json["message"] == f"{path}: {problem}"
    await assert_open(ground, route, arranged)


@every_route_with_a_body
@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b'{"given":1,"given":1}', "given"),
        (b'{"given":1,"giv\\u0065n":2}', "given"),
        (b'{"given":{"a":[{"b":1,"c":2,"b":1}]}}', "given.a[0].b"),
        (b'{"given":{"":1,"":2}}', "given."),
    ],
)
async def test_a_key_given_twice_is_refused(ground: Ground, route: Route, raw: bytes, path: str) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        answer = await ground.opening(route).send(route.method, arranged.path(route), raw=raw)
    assert_invalid(route, answer, path)
    assert answer.json["message"] == f"{path}: is given twice"


@every_route_with_a_body
async def test_a_body_nested_too_deep_is_refused(ground: Ground, route: Route) -> None:
    """In lists and in objects; the body itself is the first level."""
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        for depth, (opening, closing) in product((64, 999, 9_999, 199_999), ((b"[", b"]"), (b'{"a":', b"}"))):
            raw = b'{"given":' + opening * depth + b"1" + closing * depth + b"}"
            answer = await send_large(ground.opening(route), route, arranged, raw)
            assert len(answer.raw) < 1000
            if route.is_open and len(raw) > MOST_OPEN_BODY:
                assert answer.status == 413, "from somebody unknown it is too large first"
                continue
            assert answer.status == (400 if route.dialect is Dialect.LOSANT else 422)
            assert answer.json["message"].endswith("is nested more than 64 deep")


@every_route_with_a_body
async def test_a_body_over_8_megabytes_is_refused(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    raw = orjson.dumps({**(arranged.body or {}), "given": "x" * 9_000_000})
    async with unchanged(ground.database):
        answer = await send_large(ground.opening(route), route, arranged, raw)
    assert_refused(route, answer, 413, "PayloadTooLarge", "The request body is too large.")
    await assert_open(ground, route, arranged)


@every_route_with_a_body
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "only said to be"])
async def test_a_compressed_body_is_refused(ground: Ground, route: Route, packed: bool) -> None:
    """A few bytes can unpack to gigabytes, and no client of either dialect compresses what it sends."""
    arranged = await arrange(route, ground.owner)
    raw = orjson.dumps(arranged.body)
    data = gzip.compress(raw) if packed else raw
    async with unchanged(ground.database):
        answer = await ground.opening(route).send(
            route.method, arranged.path(route), raw=data, headers={"Content-Encoding": "gzip"}
        )
    assert answer.status == (400 if route.dialect is Dialect.LOSANT else 422)
    assert answer.json["message"] == "the body must not be compressed"


# Parameters


NO_COUNTS = [
    "", "x", "-1", "-0", "+1", "1_0", "1.0", "1e2", "0x1", "1 ", " 1", "1\n", "1\0", "\u0661", "\uff11", "\u00b2",
    "\u00bd", "nan", "inf", "null", "true", "[]", "1,2", "9" * 10, "9" * 5000,
]  # fmt: skip
"""Text that is no number, and text that only `int` or `str.isdigit` would take for one."""


WRONG_TEXTS = {
    "filter": ["\0", "a\0b", "x" * 1025],
    "query": [
        "nonsense", "[]", "null", "{", '{"a"}', '{"version":1}{}', '{"version":1,"version":2}', '{"version":"\0"}',
        '{"version":"\\u0000"}', '{"version":"\\ud800"}', '{"version":NaN}', "[" * 5000, '{"$where":"1"}', " ",
        '{},"x":1', '{"id":5}',
    ],
    "version": ["", "\0", "v\0", "x" * 256],
    "flowVersion": ["", "\0", "v\0", "x" * 256],
}  # fmt: skip
"""What each parameter of text must not take, but for its length."""

RIGHT_TEXTS = {
    "deviceId": ["575ed18f7ae143cd83dc4bb6", "0" * 24, "A" * 24],
    # At the usual resolution a longer duration would be more points than there may be, and so would less resolution.
    "duration": ["1", "0001", "86400000", "36288000000"],
    "end": ["0", "1", "1795285569471", "32503679999999"],
    "resolution": ["8572", "3600000", "86399999", "86400001", "3162240000000"],
    "since": ["0", "00", "1795285569471", "32503679999999"],
    "filter": ["", "*", "a*b", "%", "_", "\\", "'; --", "\u00e4\u0661\U0001f600", "*" * 1024, "\ud800", "develop"],
    "query": ["", "{}", ' {"name": "a"} ', '{"$or":[{"name":{"$contains":"%"}}]}', '{"name":"\u00e4"}', '{"id":null}'],
    "flowVersion": ["v1", "x" * 255, "develop", "default", "%", "'; --", "\u00e4\U0001f600", "\ud800", "f" * 24],
    "version": ["v1", "x" * 255, "develop", "default", "*", "%", "'; --", "\u00e4\u0661\U0001f600", "\ud800", "f" * 24],
}


WRONG_BOUNDS = [
    "now", "-1", "1.5", "9" * 16, "999999999999999", "2026-11-21", "2026-11-21T10:00:00", "2026-11-21 10:00", " ",
    "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-21T25:00:00Z", "2026-11-21T10:00:00+25:00",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "10000-01-01T00:00:00Z", "0000-01-01T00:00:00Z",
    "2026-11-21T10:00:00 Europe/Berlin", "2026-11-21T10:00:00Z,2026-11-22T10:00:00Z", "2026-11-21T10:00:00Z\n",
    "\u0662026-11-21T10:00:00Z", "\u0661", "\0", "\ud800", "infinity", "2026-11-21T10:00:00Z" + " " * 100,
]  # fmt: skip

RIGHT_BOUNDS = [
    "0", "1795285569471", "2026-11-21T10:00:00Z", "2026-11-21T10:00:00.123456Z",
    "2026-11-21T10:00:00+01:00", "2026-11-21T10:00:00-0330", "2026-11-21 10:00Z", "20261121T100000Z",
    "2026-W47-6T10:00:00Z", "",
    # A plus that was not percent-encoded.
    "2026-11-21T10:00:00 01:00",
]  # fmt: skip

FAR_BOUNDS = ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "3000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
"""Too early or too late where there are a first and a last year."""


def wrong_parameters(field: fields.Field[Any]) -> Iterator[str]:
    """What a parameter must not take; each kind of field there is must be known here."""
    if isinstance(field, Count):
        yield from (*NO_COUNTS, str(field.least - 1))
        if len(str(field.most + 1)) < 10:
            yield str(field.most + 1)
    elif isinstance(field, Milliseconds):
        yield from (*(text for text in NO_COUNTS if text != "9" * 10), str(field.least - 1), str(field.most + 1))
        yield from {"resolution": ("1", "8571")}.get(str(field.name), ())
    elif isinstance(field, HexId):
        yield from ("", "nonsense", *WRONG_FORMS[HexId], "\0", "x" * 5000)
    elif isinstance(field, Word):
        yield from ("nonsense", " asc", "asc ", "_", "\0", "asc,desc", "v.id; --", "x" * 5000, "id DESC")
    elif isinstance(field, TriggerFilter):
        yield from ("nonsense", "[]", "{}", '[{"type":"timer"}]', "0", "\0", "x" * 5000)
    elif isinstance(field, (Several, Names)):
        yield from wrong_alternatives(field)
    elif isinstance(field, Bound):
        yield from (*WRONG_BOUNDS, *(FAR_BOUNDS if field.within else ()))
    elif isinstance(field, QueryFlag):
        yield from ("yes", "no", "2", "-1", "truee", " true", "tr\u00fce", "null", "[]", "\0")
    else:
        assert isinstance(field, Text), f"no wrong values are known for {type(field).__name__}"
        yield from WRONG_TEXTS[str(field.data_key or field.name)]
        yield "x" * 5000


def wrong_alternatives(field: Several | Names) -> Iterator[str]:
    """What none of several values, separated by commas, can be; and too many of what they can."""
    if isinstance(field, Several):
        yield from WRONG_VALUES[_kind(field)]
        yield "x" * 5000
        yield ",".join(["1"] * 101)
    else:
        yield from ("x" * 5000, "\0", ",".join((*field.names, "x")[:1] * 101))


def right_parameters(field: fields.Field[Any]) -> Iterator[str]:
    if isinstance(field, Count):
        yield from (str(field.least), str(field.most), f"0{field.least}")
    elif isinstance(field, Word):
        yield from field.words
    elif isinstance(field, QueryFlag):
        yield from ("true", "false", "True", "False", "TRUE", "0", "1", "")
    elif isinstance(field, TriggerFilter):
        yield ""
    elif isinstance(field, Several):
        yield from RIGHT_VALUES[_kind(field)]
        yield from ("", ",", ",,")
    elif isinstance(field, Names):
        yield from ("", ",", *field.names, ",".join(field.names))
        yield from (f"{sign}{name}" for sign in field.signs for name in field.names)
    elif isinstance(field, Bound):
        yield from (*RIGHT_BOUNDS, *(() if field.within else (*FAR_BOUNDS, "253402300799999")))
    else:
        yield from RIGHT_TEXTS[str(field.data_key or field.name)]


def _kind(field: Several) -> str:
    """Its name, but for one that several lists have with different words."""
    name = str(field.data_key)
    if name == "filter[version]" and "[1-9]" in field.pattern:
        return "version of metrics"
    if name == "filter[status]":
        return next((kind for kind, word in STATUSES.items() if word in field.pattern), name)
    return name


STATUSES = {"status of jobs": "in_progress", "status of runs": "queued"}
"""By a word that others have not."""


NO_NUMBERS = ["x", "-1", "+1", "1.0", "1e2", "0x1", " 1", "1\n", "1\0", "\u0661", "null", "1,x", "9" * 20]
NO_WORDS = ["nonsense", "\0", "v.id; --", "null"]
NO_IDS = [*NO_NUMBERS, "0", "01", str(2**63)]
NO_FREE_WORDS = ["\0", "a b", "\u0661", "\ud800", "x" * 65, "a,b c"]
WRONG_VALUES = {
    "filter[id]": NO_IDS,
    "filter[company_id]": NO_IDS,
    "filter[flow_id]": NO_IDS,
    "filter[digest]": ["x", "A" * 64, "a" * 63, "a" * 65, "\0", "a" * 64 + "\n", "\u0661" * 64],
    "filter[private]": ["yes", "2", "\0"],
    "filter[is_yanked]": ["yes", "2", "\0"],
    "filter[is_latest]": ["yes", "2", "\0"],
    "filter[version]": ["\0", "x" * 256],
    "filter[flow_version_id]": NO_IDS,
    "filter[schedule_id]": NO_IDS,
    "filter[trigger]": [*NO_WORDS, "Manual", "manual,Live"],
    "version of metrics": NO_IDS,
    "filter[interval]": [*NO_WORDS, "5min", "HOUR", "hour,week"],
    "filter[type]": [*NO_WORDS, "Runs", "runs,speed"],
    "filter[key]": [*NO_WORDS, "p42", "rows:p42", "rows", ":p50", "x" * 129 + ":p50", "p50,median"],
    "status of runs": [*NO_WORDS, "0", "6", "Queued", "queued,Draft"],
    "status of jobs": [*NO_WORDS, "Queued", "queued,done"],
    "filter[kind]": [*NO_WORDS, "DELETE_FLOW", "delete_flow,delete"],
    "filter[action]": NO_FREE_WORDS,
    "filter[actor_type]": [*NO_WORDS, "User"],
    "filter[actor_id]": NO_IDS,
    "filter[subject_type]": NO_FREE_WORDS,
    "filter[subject_id]": NO_IDS,
    "filter[name]": ["\0", "a\0b", "x" * 256, "a," + "x" * 256],
    "filter[is_enabled]": ["yes", "2", "truee", "\0", "true,no"],
    "filter[flow_class]": [*NO_WORDS, "Cloud", "cloud,x"],
    "filter[flow_priority]": NO_NUMBERS,
    "filter[status]": [*NO_WORDS, "draft", "Draft,Live"],
    "filter[iteration]": NO_NUMBERS,
}
RIGHT_VALUES = {
    "filter[company_id]": ["1", "1,2"],
    "filter[digest]": ["0" * 64, "a" * 64 + "," + "f" * 64],
    "filter[private]": ["0", "true"],
    "filter[is_yanked]": ["0", "true"],
    "filter[is_latest]": ["0", "true"],
    "filter[version]": ["1.0", "a,b", "\u00e4"],
    "filter[id]": ["1", "1,2", "9" * 18, str(2**63 - 1), "1,"],
    "filter[flow_id]": ["1", "1,2", "9" * 18, str(2**63 - 1), "1,"],
    "filter[flow_version_id]": ["1", "1,2"],
    "filter[schedule_id]": ["1", "1,2"],
    "filter[trigger]": ["manual", "schedule,repair,timer"],
    "version of metrics": ["1", "1,2", str(2**63 - 1)],
    "filter[interval]": ["5m", "hour,day", "day,day"],
    "filter[type]": ["runs", "duration,lateness,payload,custom"],
    "filter[key]": ["success", "p50,max,other,attempts", "rows:p99", "a:b:sum", "\u00e4 %:avg", "x" * 128 + ":p50"],
    "status of runs": ["queued", "1", "2,missed", "skipped,5"],
    "status of jobs": ["queued", "completed,failed,errored,in_progress,cancelled"],
    "filter[kind]": ["delete_flow", "send_mail,post_callback"],
    "filter[action]": ["flow.deploy", "a,b", "x" * 64, ",".join(["x" * 39] * 100)],
    "filter[actor_type]": ["user", "cli,apiToken"],
    "filter[actor_id]": ["1", "1,1", str(2**63 - 1), ",".join(["7"] * 100)],
    "filter[subject_type]": ["flow", "flow,version"],
    "filter[subject_id]": ["1", "1,2"],
    "filter[name]": ["a", "%", "_", "\\", "'; --", "\u00e4\u0661\U0001f600", "a,b", "x" * 255, "\ud800", "{}"],
    "filter[is_enabled]": ["0", "1", "true", "FALSE", "0,1"],
    "filter[flow_class]": ["cloud", "edge,customNode"],
    "filter[flow_priority]": ["0", "3", "1,5", "999999999"],
    "filter[status]": ["Draft", "Deployed,Inactive"],
    "filter[iteration]": ["0", "1,2"],
}
"""The same for values that are separated by commas."""


every_route_with_parameters = every(lambda route: route.query().fields)


@every_route_with_parameters
async def test_a_parameter_that_is_wrong_is_named(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        for field in route.query().fields.values():
            name = str(field.data_key or field.name)
            for value in wrong_parameters(field):
                path = arranged.path(route, {name: value})
                answer = await ground.opening(route).send(route.method, path, arranged.body)
                assert_invalid(route, answer, name)
                assert len(answer.raw) < 1000, "a long value must not come back"
    await assert_open(ground, route, arranged)


@every(lambda route: any(field.required for field in route.query().fields.values()))
async def test_a_parameter_that_is_left_out_is_named(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    async with unchanged(ground.database):
        for name in arranged.parameters:
            left = {other: value for other, value in arranged.parameters.items() if other != name}
            answer = await ask(ground.opening(route), route, replace(arranged, parameters=left))
            assert_invalid(route, answer, name)
            assert answer.json["message"] == f"{name}: is required"
    await assert_open(ground, route, arranged)


@every_route_with_parameters
async def test_a_parameter_that_is_right_is_taken(ground: Ground, route: Route) -> None:
    for field in route.query().fields.values():
        name = str(field.data_key or field.name)
        for value in right_parameters(field):
            arranged = await arrange(route, ground.owner)
            path = arranged.path(route, {name: value})
            answer = await ground.opening(route).send(route.method, path, arranged.body)
            if name == "filter[from]" and route.handler is list_metrics and answer.status == 422:
                assert "days before filter[to]" in answer.json["message"], "a value like any other, in too long a range"
                continue
            preview = name == "dryRun" and value.lower() in ("true", "1")
            assert answer.status == (200 if preview else route.success), (name, value, answer.raw)


@every_route
async def test_what_the_official_clients_send_along_does_no_harm(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    sent = {"_actions": "false", "_links": "true", "_embedded": "true", "unheard": "of"}
    path = arranged.path(route, sent)
    headers = {"Accept": "application/json", "Accept-Version": "^99.0.0", "losantdomain": "x"}
    api = ground.anonymous if route.is_open else ground.opening(route)
    answer = await send(api, route, path, arranged.sent, headers)
    assert answer.status == route.success, answer.raw


@every_route
async def test_every_answer_is_json_that_nobody_keeps_or_guesses(ground: Ground, route: Route) -> None:
    arranged = await arrange(route, ground.owner)
    for answer in (
        await ask(ground.anonymous, route, arranged),
        await ask(ground.opening(route), route, arranged),
    ):
        shows_a_secret = route.is_open or (route.handler is list_secrets and answer.status == route.success)
        assert answer.headers["Cache-Control"] == ("no-store" if shows_a_secret else "no-cache")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Type"] == kind_of(route, answer)
        if answer.headers["Content-Type"] == "application/json":
            listed = TOLD[route.handler].many and answer.status == route.success
            assert isinstance(answer.json, list if listed else dict)
