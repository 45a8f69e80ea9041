"""`_type` and `_links` of the Losant dialect: what a thing is, where it is, and what it belongs to.

One table for all resources. An address is the resource's own path, without the parameters it was asked with.
"""

from __future__ import annotations

import re
from functools import cache

import orjson

from core.domain.identifiers import hex_id
from core.domain.templates import Form, Hole

PARENTS = {
    "flows": ("application",),
    "flowsByVersion": ("application", "flows"),
    "palette": ("application", "flows"),
    "flow": ("application", "flows"),
    "flowVersions": ("application", "flow"),
    "flowVersion": ("application", "flow", "flowVersions"),
    "applicationJobLogs": ("application",),
    "applicationJobLog": ("application", "applicationJobLogs"),
}
"""What each resource links to beside itself: the application, and what it is in."""

_TYPES = {"flowsByVersion": "flowVersions", "palette": "paletteResponse"}
"""The schema of an answer, where it is not called like the resource."""

_PLACE = re.compile(r"\{(application|flow|thing)\}")


def hrefs(application: str, flow: str, thing: str) -> dict[str, str]:
    """Where each resource is, by ids as they are written in addresses. `thing` is a version or a job."""
    root = f"/applications/{application}"
    return {
        "application": root,
        "flows": f"{root}/flows",
        "flowsByVersion": f"{root}/flows/version",
        "palette": f"{root}/flows/palette",
        "flow": f"{root}/flows/{flow}",
        "flowVersions": f"{root}/flows/{flow}/versions",
        "flowVersion": f"{root}/flows/{flow}/versions/{thing}",
        "applicationJobLogs": f"{root}/jobLogs",
        "applicationJobLog": f"{root}/jobLogs/{thing}",
    }


def link(resource: str, application_id: int, flow_id: int = 0) -> bytes:
    """`"_type":…,"_links":{…}` of a resource that is no single version or job, as members of a JSON object are written.

    `flow_id` matters only to what is a flow or in one.
    """
    ids = {"application": hex_id(application_id), "flow": hex_id(flow_id)}
    return _PLACE.sub(lambda place: ids[place[1]], _members(resource)).encode()


def place_links(resource: str, **columns: str) -> tuple[str | Hole, ...]:
    """The same as parts of a template; `columns` have the ids its places stand for, but for the application's."""
    columns = {"application": "application_id", **columns}
    pieces = _PLACE.split(_members(resource))
    return tuple(Hole(columns[piece], Form.HEX_ID) if number % 2 else piece for number, piece in enumerate(pieces))


@cache
def _members(resource: str) -> str:
    places = hrefs("{application}", "{flow}", "{thing}")
    links = {"self": resource, **{parent: parent for parent in PARENTS[resource]}}
    members = {
        "_type": _TYPES.get(resource, resource),
        "_links": {name: {"href": places[place]} for name, place in links.items()},
    }
    return orjson.dumps(members).decode()[1:-1]
