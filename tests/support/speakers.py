"""Two speakers of what both dialects can say, so that a behaviour can be written once and tried in either's words.

Ids are plain numbers to both. What a speaker does returns whether it was done; a refusal is any 4xx, and an answer of
another kind fails the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from core.domain.identifiers import hex_id
from tests.support.api import Api, Reply
from tests.support.patchworks import PAST
from tests.support.tenants import Tenant


@dataclass(frozen=True)
class Seen:
    """A flow as either dialect shows it: its versions without the Draft, by name, and the name of the deployed one."""

    name: str
    enabled: bool
    versions: frozenset[str]
    deployed: str | None


class Speaker(Protocol):
    async def create(self, name: str) -> int: ...
    async def look(self, flow: int) -> Seen | None:
        """None for a flow that is unknown."""

    async def flows(self) -> set[int]: ...
    async def rename(self, flow: int, name: str) -> bool: ...
    async def enable(self, flow: int, enabled: bool) -> bool: ...
    async def deploy(self, flow: int, version: int) -> bool: ...
    async def undeploy(self, flow: int, version: int) -> bool:
        """`version` is the one that is deployed."""

    async def delete(self, flow: int, version: int) -> bool: ...
    async def remove(self, flow: int) -> bool: ...
    async def tag(self, flow: int) -> str:
        """The ETag of a flow."""

    async def rename_if(self, flow: int, name: str, tag: str) -> int:
        """The status of a change that goes by an ETag."""


def done(answer: Reply) -> bool:
    assert answer.status < 500, answer.raw
    return answer.status < 400


@dataclass(frozen=True)
class LosantSpeaker:
    api: Api
    tenant: Tenant

    def path(self, flow: int, rest: str = "") -> str:
        return f"/applications/{self.tenant.application}/flows/{hex_id(flow)}{rest}"

    async def create(self, name: str) -> int:
        answer = await self.api.post(f"/applications/{self.tenant.application}/flows", {"name": name})
        assert answer.status == 201, answer.raw
        return int(answer.json["id"], 16)

    async def look(self, flow: int) -> Seen | None:
        shown = await self.api.get(self.path(flow))
        if shown.status == 404:
            return None
        listed = (await self.api.get(self.path(flow, "/versions?perPage=1000"))).json["items"]
        names = {version["id"]: version["version"] for version in listed}
        default = shown.json.get("defaultVersionId")
        return Seen(
            shown.json["name"],
            shown.json["enabled"],
            frozenset(names.values()),
            None if default is None else names[default],
        )

    async def flows(self) -> set[int]:
        answer = await self.api.get(f"/applications/{self.tenant.application}/flows?perPage=1000")
        return {int(flow["id"], 16) for flow in answer.json["items"]}

    async def rename(self, flow: int, name: str) -> bool:
        return await self._patch(flow, {"name": name})

    async def enable(self, flow: int, enabled: bool) -> bool:
        return await self._patch(flow, {"enabled": enabled})

    async def deploy(self, flow: int, version: int) -> bool:
        return await self._patch(flow, {"defaultVersionId": hex_id(version)})

    async def undeploy(self, flow: int, version: int) -> bool:
        return await self._patch(flow, {"defaultVersionId": None})

    async def delete(self, flow: int, version: int) -> bool:
        return done(await self.api.delete(self.path(flow, f"/versions/{hex_id(version)}")))

    async def remove(self, flow: int) -> bool:
        return done(await self.api.delete(self.path(flow)))

    async def tag(self, flow: int) -> str:
        return (await self.api.get(self.path(flow))).headers["ETag"]

    async def rename_if(self, flow: int, name: str, tag: str) -> int:
        return (await self.api.patch(self.path(flow), {"name": name}, headers={"If-Match": tag})).status

    async def _patch(self, flow: int, body: dict[str, Any]) -> bool:
        return done(await self.api.patch(self.path(flow), body))


@dataclass(frozen=True)
class PatchworksSpeaker:
    api: Api

    async def create(self, name: str) -> int:
        answer = await self.api.post("/api/v1/flows", {"name": name})
        assert answer.status == 200, answer.raw
        number: int = answer.json["data"]["id"]
        return number

    async def look(self, flow: int) -> Seen | None:
        shown = await self.api.get(f"/api/v1/flows/{flow}?include=deployedVersion")
        if shown.status == 404:
            return None
        data = shown.json["data"]
        listed = await self.api.get(f"/api/v1/flows/{flow}/versions?per_page=100&filter[status]=Inactive,Deployed")
        deployed = data["deployed_version"]
        return Seen(
            data["name"],
            data["is_enabled"],
            frozenset(version["name"] for version in listed.json["data"]),
            None if deployed is None else deployed["name"],
        )

    async def flows(self) -> set[int]:
        answer = await self.api.get("/api/v1/flows?per_page=100")
        assert answer.json["meta"]["last_page"] == 1
        return {flow["id"] for flow in answer.json["data"]}

    async def rename(self, flow: int, name: str) -> bool:
        return done(await self.api.patch(f"/api/v1/flows/{flow}", {"name": name}))

    async def enable(self, flow: int, enabled: bool) -> bool:
        return done(await self.api.send("PUT", f"/api/v1/flows/{flow}", {"is_enabled": enabled}))

    async def deploy(self, flow: int, version: int) -> bool:
        return await self.put(flow, version, PAST)

    async def undeploy(self, flow: int, version: int) -> bool:
        return await self.put(flow, version, None)

    async def put(self, flow: int, version: int, deployed_at: str | None) -> bool:
        path = f"/api/v1/flows/{flow}/versions/{version}"
        return done(await self.api.send("PUT", path, {"deployed_at": deployed_at}))

    async def delete(self, flow: int, version: int) -> bool:
        return done(await self.api.delete(f"/api/v1/flows/{flow}/versions/{version}"))

    async def remove(self, flow: int) -> bool:
        return done(await self.api.delete(f"/api/v1/flows/{flow}"))

    async def tag(self, flow: int) -> str:
        return (await self.api.get(f"/api/v1/flows/{flow}")).headers["ETag"]

    async def rename_if(self, flow: int, name: str, tag: str) -> int:
        return (await self.api.patch(f"/api/v1/flows/{flow}", {"name": name}, headers={"If-Match": tag})).status


@dataclass(frozen=True)
class Both:
    """The two of them over one company."""

    losant: LosantSpeaker
    patchworks: PatchworksSpeaker

    async def look(self, flow: int) -> Seen | None:
        """What both see."""
        one, other = await self.losant.look(flow), await self.patchworks.look(flow)
        assert one == other
        return one


def both(anonymous: Api, tenant: Tenant) -> Both:
    """Losant's with an application's token, Patchworks' with a company's key."""
    return Both(
        LosantSpeaker(anonymous.as_(f"Bearer {tenant.token}"), tenant), PatchworksSpeaker(anonymous.as_(tenant.key))
    )
