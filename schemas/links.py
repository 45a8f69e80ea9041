"""`_type` and `_links` of the Losant dialect: what a thing is, where it is, and what it belongs to.

One table for all resources. An address is the resource's own path, without the parameters it was asked with.
"""

from __future__ import annotations

import re

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

_FLOW, _THING = "%(flow)s", "%(thing)s"
_APPLICATION = "%(application)s"
_PLACE = re.compile(r"%\((\w+)\)s")


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


class Linker:
    """Writes `"_type":…,"_links":{…}` of one kind of resource, as the members of a JSON object are written.

    Everything that does not differ from one to the next is put together once: a page has a thousand of them.
    """

    def __init__(self, resource: str, application_id: int) -> None:
        self._text = _members(resource, hex_id(application_id))

    def members(self, flow_id: int = 0, thing_id: int = 0) -> bytes:
        """Those of one resource. `flow_id` and `thing_id` (a version, a job) matter only to what is in or under one."""
        return (self._text % {"flow": hex_id(flow_id), "thing": hex_id(thing_id)}).encode()


def place_links(resource: str, *, thing: str) -> tuple[str | Hole, ...]:
    """The same as parts of a template of a resource, whose own id is the column `thing`."""
    columns = {"application": "application_id", "flow": "flow_id", "thing": thing}
    pieces = _PLACE.split(_members(resource, _APPLICATION))
    return tuple(Hole(columns[piece], Form.HEX_ID) if number % 2 else piece for number, piece in enumerate(pieces))


def _members(resource: str, application: str) -> str:
    places = hrefs(application, _FLOW, _THING)
    links = {"self": resource, **{parent: parent for parent in PARENTS[resource]}}
    members = {
        "_type": _TYPES.get(resource, resource),
        "_links": {name: {"href": places[place]} for name, place in links.items()},
    }
    return orjson.dumps(members).decode()[1:-1]
