"""`_type` and `_links` of the Losant dialect: what a thing is, where it is, and what it belongs to.

One table for all resources. An address is the resource's own path, without the parameters it was asked with.
"""

from __future__ import annotations

from typing import TypeAlias

from core.domain.identifiers import hex_id

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

Linked: TypeAlias = "dict[str, str | dict[str, dict[str, str]]]"


def hrefs(application_id: int, flow_id: int = 0, thing_id: int = 0) -> dict[str, str]:
    """Where each resource is. `thing_id` is the version or the job; what is not given leaves some of it without
    meaning."""
    application = f"/applications/{hex_id(application_id)}"
    flows, jobs = f"{application}/flows", f"{application}/jobLogs"
    flow = f"{flows}/{hex_id(flow_id)}"
    versions, thing = f"{flow}/versions", hex_id(thing_id)
    return {
        "application": application,
        "flows": flows,
        "flowsByVersion": f"{flows}/version",
        "palette": f"{flows}/palette",
        "flow": flow,
        "flowVersions": versions,
        "flowVersion": f"{versions}/{thing}",
        "applicationJobLogs": jobs,
        "applicationJobLog": f"{jobs}/{thing}",
    }


def linked(resource: str, application_id: int, flow_id: int = 0, thing_id: int = 0) -> Linked:
    """`_type` and `_links` of a resource, to be put beside its other members."""
    places = hrefs(application_id, flow_id, thing_id)
    links = {"self": {"href": places[resource]}}
    for parent in PARENTS[resource]:
        links[parent] = {"href": places[parent]}
    return {"_type": _TYPES.get(resource, resource), "_links": links}
