"""Pages of the lists under /api/v1: which one is asked for, and how it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yarl import URL

from schemas.jobs import MOST_PAGE
from service.calls import Answer, Call
from service.dialects.patchworks.envelope import page


@dataclass(frozen=True, slots=True)
class Paging:
    """A page, counted from 1, of at most `limit` rows: a larger wish is cut, and the answer says so."""

    number: int
    limit: int

    @classmethod
    def of(cls, call: Call) -> Paging:
        return cls(call.query["page"], min(call.query["per_page"], MOST_PAGE))

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit

    def answer(self, call: Call, path: str, rows: Any, total: int, *, count: int | None = None) -> Answer:
        """With links that ask for the same in the same way. `count` of the rows, where they are JSON already."""
        asked = URL(call.raw_path, encoded=True).query
        kept = {name: value for name, value in asked.items() if name.partition("[")[0] in _KEPT}
        return page(
            rows,
            len(rows) if count is None else count,
            path=f"{call.service.settings.public_url}/api/v1{path}",
            query={**kept, "per_page": str(self.limit)},
            number=self.number,
            per_page=self.limit,
            total=total,
        )


_KEPT = frozenset({"filter", "sort", "include", "fields"})
