"""Pages of the lists under /api/v1: which one is asked for, and how it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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

    def answer(
        self,
        call: Call,
        path: str,
        rows: Any,
        total: int,
        kept: dict[str, str] | None = None,
        *,
        count: int | None = None,
    ) -> Answer:
        """`count` of the rows, where they are JSON already; `kept`: the rest of the query string, for the links, which
        is the page's size if nothing else."""
        return page(
            rows,
            len(rows) if count is None else count,
            path=f"{call.service.settings.public_url}/api/v1{path}",
            query={"per_page": str(self.limit)} if kept is None else kept,
            number=self.number,
            per_page=self.limit,
            total=total,
        )
