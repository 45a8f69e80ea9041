"""A flow version: one kept copy of a flow's content, and the rules for its name."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import count

from core.domain.errors import Invalid
from core.domain.flow_classes import Outline
from core.domain.identifiers import is_hex_id

DEVELOP, DEFAULT = "develop", "default"
"""What a flow's own content, which is no version, and its deployed version go by in Losant's words."""

RESERVED_NAMES = frozenset({DEVELOP, DEFAULT})

MOST_NAME = 255
MOST_NOTES = 32_767


class VersionStatus(StrEnum):
    DRAFT = "Draft"
    INACTIVE = "Inactive"
    DEPLOYED = "Deployed"


@dataclass(frozen=True, slots=True)
class Content:
    """What a version keeps: its body as JSON text, exactly as received, and the digest of its canonical form.

    `outline` is there while the content is new, for the flow's class to judge; what was kept once is not judged again.
    """

    body: str
    digest: bytes
    outline: Outline | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it stands. Times are aware and in UTC."""

    id: int
    company_id: int
    flow_id: int
    iteration: int
    name: str | None
    status: VersionStatus
    enabled: bool
    notes: str | None
    body: str
    digest: bytes
    revision: int
    deploy_at: datetime | None
    deployed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    created_by_type: str
    created_by_id: int | None
    updated_by_type: str
    updated_by_id: int | None


NOW_SECONDS = 2.0
"""A deploy that is asked for so far ahead is one for now: clocks of callers differ from ours by as much."""

MOST_AHEAD_SECONDS = 366 * 86_400.0
"""A deploy further ahead than a year is a mistyped year."""


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a caller gives to make a version."""

    name: str
    enabled: bool
    notes: str | None
    content: Content


@dataclass(frozen=True, slots=True)
class VersionChange:
    """What of a kept version can change; None leaves it alone."""

    notes: str | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """What is kept of a deleted version or a replaced content, until `purge_after`; `job` deleted it, if one did."""

    id: int
    version_id: int
    name: str | None
    reason: str
    revision: int
    digest: bytes
    deleted_at: datetime
    purge_after: datetime
    job: str | None


def check_name(name: str) -> str:
    """The name, if a version may be called that.

    Raises Invalid for reserved names, for text of 24 hex digits, which would be taken for an id, and for lengths
    outside 1 to 255 characters.
    """
    if not 1 <= len(name) <= MOST_NAME:
        raise Invalid(f"must have 1 to {MOST_NAME} characters", "version")
    if name in RESERVED_NAMES:
        raise Invalid(f'"{name}" is reserved', "version")
    if is_hex_id(name):
        raise Invalid("a name of 24 hexadecimal digits would be taken for an id", "version")
    return name


def deployed_name(iteration: int, taken: Collection[str]) -> str:
    """What a Draft is called once it is deployed: `v7`, or the first of `v7-2`, `v7-3`… that is free."""
    base = f"v{iteration}"
    if base not in taken:
        return base
    return next(name for number in count(2) if (name := f"{base}-{number}") not in taken)


def fold(name: str) -> str:
    """The name as case-insensitive queries compare it: Unicode case folding, the same on every server."""
    return name.casefold()
