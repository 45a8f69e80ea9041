"""Content: what a version or a flow's develop copy is made of, put together from the members of a request.

Each member keeps the text it was sent with, and one that is not named keeps what it had.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from core.domain.documents import Document, Json, canonical_digest, parse_document
from core.domain.flow_classes import Outline, check_agent_version, check_class, outline_of
from core.domain.strictness import check_strictly
from core.domain.versions import Content
from core.domain.wiring import check_wiring

MEMBERS = ("triggers", "nodes", "globals", "minimumAgentVersion", "customNodeConfig")
"""What of a request is content, in the order it is kept in."""

LISTS = ("triggers", "nodes")
"""What a version has even if nothing was said of it: empty lists."""

DEVELOP_LISTS = (*LISTS, "globals")
"""The same for a flow's develop copy."""


@dataclass(frozen=True, slots=True)
class DevelopChange:
    """What to put into a flow's develop copy: each of the members `given` in place of the one there.

    `size` is that of the request in bytes, by which the work is done beside the event loop or in it; what is replaced
    stays in the trash for `keep`.
    """

    given: Document
    size: int
    strict: bool
    keep: timedelta


def empty_develop() -> Content:
    """The develop copy that nothing was ever put into."""
    return join(Document({}, {}), DEVELOP_LISTS)


def pick(document: Document) -> Document:
    """The members of a request that are content."""
    names = [name for name in MEMBERS if name in document.value]
    values, texts = ({name: held[name] for name in names} for held in (document.value, document.texts))
    return Document(values, texts)


def join(members: Document, lists: Iterable[str], outline: Outline | None = None) -> Content:
    """Members as one body; `lists` are empty where they are not among them."""
    texts, value = members.texts, members.value
    if missing := [name for name in lists if name not in texts]:
        texts = {**texts, **dict.fromkeys(missing, "[]")}
        value = {**value, **{name: [] for name in missing}}
    parts = [f'"{name}":{texts[name]}' for name in MEMBERS if name in texts]
    parts += [f"{json.dumps(name)}:{text}" for name, text in texts.items() if name not in MEMBERS]
    return Content("{" + ",".join(parts) + "}", canonical_digest(value), outline)


def new_content(document: Document, *, strict: bool) -> Content:
    """The content of a new version, judged but for its flow's class. Raises Invalid."""
    members = pick(document)
    return join(members, LISTS, _judge(members.value, strict=strict))


def changed_content(body: str | None, change: DevelopChange, flow_class: str) -> Content:
    """The develop copy after a change; `body` is what it was, None if nothing was ever put in. Raises Invalid.

    The whole is judged, so that a change of the nodes alone cannot leave a trigger leading nowhere; but a change of
    neither is not held up by what was there before.
    """
    kept = Document({}, {}) if body is None else parse_document(body.encode())
    given = change.given
    members = Document({**kept.value, **given.value}, {**kept.texts, **given.texts})
    check_agent_version(flow_class, kept.value.get("minimumAgentVersion"), given.value.get("minimumAgentVersion"))
    if change.strict or any(name in given.value for name in LISTS):
        check_class(_judge(members.value, strict=change.strict), flow_class)
    return join(members, DEVELOP_LISTS)


def _judge(value: dict[str, Json], *, strict: bool) -> Outline:
    check_wiring(value)
    if strict:
        check_strictly(value)
    return outline_of(value, strict=strict)
