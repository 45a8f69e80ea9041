"""Optimistic concurrency: what a caller last saw, against what is there now (RFC 9110, If-Match)."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.errors import PreconditionFailed


@dataclass(frozen=True, slots=True)
class Etag:
    """The revisions a caller accepts; None accepts any. An empty set is a header with no revision we ever gave out."""

    accepted: frozenset[int] | None = None

    def require(self, revision: int | None) -> None:
        """Raises PreconditionFailed unless this is a revision the caller accepts; None stands for nothing there."""
        if self.accepted is not None and revision not in self.accepted:
            raise PreconditionFailed


ANY = Etag()


def render_etag(revision: int) -> str:
    """The ETag of a flow or a version: strong, since a revision rises with every change."""
    return f'"r{revision}"'


def parse_if_match(header: str | None) -> Etag:
    """What an If-Match header accepts. `*` accepts whatever is there; a weak tag matches nothing, as RFC 9110 says."""
    if header is None or header.strip() == "*":
        return ANY
    known = set()
    for candidate in header.split(","):
        digits = candidate.strip().removeprefix('"r').removesuffix('"')
        if digits.isascii() and digits.isdigit() and len(digits) < 10 and candidate.strip() == render_etag(int(digits)):
            known.add(int(digits))
    return Etag(frozenset(known))


def is_known(header: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names this tag: by weak comparison, as RFC 9110 asks."""
    candidates = [candidate.strip().removeprefix("W/") for candidate in (header or "").split(",")]
    return "*" in candidates or etag in candidates
