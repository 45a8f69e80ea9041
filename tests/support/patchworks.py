"""A speaker of the Patchworks dialect: requests in its words, answers as their data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.api import Api, Reply

PAST = "2020-01-01T00:00:00Z"
Json = dict[str, Any]


@dataclass(frozen=True)
class Patchworks:
    """Every answer is a success, or the test fails; `api` is there for those that are meant to fail."""

    api: Api

    async def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = await self.api.send(method, f"/api/v1{path}", body)
        assert answer.status == status, (method, path, answer.status, answer.raw)
        return answer.json.get("data", answer.json)

    async def one(self, method: str, path: str, body: Any = None) -> Json:
        """What is a single thing."""
        thing: Json = await self.ask(method, path, body)
        return thing

    async def many(self, path: str) -> list[Json]:
        """What is a page of a list."""
        things: list[Json] = await self.ask("GET", path)
        return things

    async def new_flow(self, name: str = "Orders", **given: Any) -> Json:
        return await self.one("POST", "/flows", {"name": name, **given})

    async def flow(self, flow: Json, parameters: str = "") -> Json:
        return await self.one("GET", f"/flows/{flow['id']}{parameters}")

    async def new_draft(self, flow: Json) -> Json:
        return await self.one("POST", f"/flows/{flow['id']}/versions")

    async def versions(self, flow: Json, parameters: str = "?per_page=100") -> list[Json]:
        return await self.many(f"/flows/{flow['id']}/versions{parameters}")

    async def version(self, version: Json) -> Json:
        return await self.one("GET", address(version))

    async def put(self, version: Json, deployed_at: str | None) -> Json:
        return await self.one("PUT", address(version), {"deployed_at": deployed_at})

    async def deploy(self, version: Json) -> Json:
        return await self.put(version, PAST)

    async def undeploy(self, version: Json) -> Json:
        return await self.put(version, None)

    async def copy(self, version: Json) -> Json:
        return await self.one("POST", f"{address(version)}/copy")

    async def delete(self, version: Json) -> Json:
        return await self.one("DELETE", address(version))

    async def trash(self, flow: Json) -> list[Json]:
        return await self.many(f"/flows/{flow['id']}/trash")

    async def restore(self, flow: Json, entry: Json) -> Json:
        return await self.one("POST", f"/flows/{flow['id']}/trash/{entry['id']}/restore")

    async def refused(self, method: str, version: Json, body: Any = None, *, path: str = "") -> Reply:
        return await self.api.send(method, f"/api/v1{address(version)}{path}", body)


def address(version: Json) -> str:
    return f"/flows/{version['flow_id']}/versions/{version['id']}"


def standing(versions: list[Json]) -> list[tuple[int, str, str | None]]:
    """Ordinal, status and name of each."""
    return [(version["iteration"], version["status"], version["name"]) for version in versions]
