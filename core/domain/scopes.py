"""The scopes there are, by name. What one opens is decided in access.py.

They are Losant's: those it lets an application's token be created with, and those its endpoint table names beside them.
Scopes of what is not served here can be given all the same and open nothing, so that a token can be made anew as it
was.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

ALL = ("all.Application", "all.Organization", "all.User")
"""Open every operation there is; `.read` after one only those that read."""

_ACTIONS = {
    "application": (
        "applyTemplate archiveData backfillArchiveData clone debug delete export fullDataTablesArchive"
        " fullEventsArchive get import mqttPublishMessage mqttSubscriptionStream patch payloadCounts search"
    ),
    "applicationApiToken": "delete get patch",
    "applicationApiTokens": "get post",
    "applicationCertificate": "delete get patch",
    "applicationCertificateAuthorities": "get post",
    "applicationCertificateAuthority": "delete get patch",
    "applicationCertificates": "get post",
    "applicationDashboard": "delete get patch",
    "applicationDashboards": "get post",
    "applicationJobLog": "get",
    "applicationJobLogs": "get",
    "applicationKey": "delete get patch",
    "applicationKeys": "get post",
    "data": "export lastValueQuery timeSeriesQuery",
    "dataTable": "addColumn delete get patch removeColumn",
    "dataTableRow": "delete get patch",
    "dataTableRows": "delete export get post query truncate",
    "dataTables": "get post",
    "device": (
        "commandStream debug delete export get getCommand getCompositeState getLogEntries getState patch removeData"
        " sendCommand sendState setConnectionStatus stateStream"
    ),
    "deviceRecipe": "bulkCreate delete get patch",
    "deviceRecipes": "get post",
    "devices": ("attributeNames delete detailedSummary export get patch post removeData sendCommand tagKeys tagValues"),
    "edgeDeployments": "get release remove replace",
    "event": "delete get patch",
    "events": "delete export get mostRecentBySeverity patch post",
    "experience": "bootstrap delete",
    "experienceDomain": "delete get patch",
    "experienceDomains": "get post",
    "experienceEndpoint": "delete get linkedResources patch",
    "experienceEndpoints": "get post stats",
    "experienceGroup": "delete get patch",
    "experienceGroups": "detailedSummary get post",
    "experienceSlug": "delete get patch",
    "experienceSlugs": "get post",
    "experienceUser": "delete get patch",
    "experienceUsers": "detailedSummary get post",
    "experienceVersion": "delete get patch",
    "experienceVersions": "get post",
    "experienceView": "debug delete get linkedResources patch",
    "experienceViews": "debug detailedSummary get post",
    "file": "delete get move patch upload",
    "files": "get post",
    "flow": (
        "clearStorageEntries debug delete errors get getStorageEntries getStorageEntriesMetadata log patch"
        " pressVirtualButton setStorageEntry stats"
    ),
    "flowVersion": "delete errors get log patch stats",
    "flowVersions": "delete get post",
    "flows": "get getByVersion import palette post",
    "integration": "delete get patch",
    "integrations": "get post",
    "notebook": "delete execute get logs patch requestInputDataExport upload",
    "notebooks": "get post",
    "resourceJob": "cancelExecution delete execute get logs patch",
    "resourceJobs": "get post",
    "webhook": "delete get patch",
    "webhooks": "get post",
}
"""Resource -> its actions. The singular and the plural are different resources."""

SCOPES = frozenset(
    [f"{name}{suffix}" for name in ALL for suffix in ("", ".read", ".bounded")]
    + ["all.Device", "all.Device.read"]
    + [f"{resource}.*" for resource in _ACTIONS]
    + [f"{resource}.{action}" for resource, actions in _ACTIONS.items() for action in actions.split()]
)
"""The scopes a token can be created with."""

_METHODS = {"getLogEntries": "log"}
"""Methods of Losant's clients whose action has another name."""

_MOST_GUESSES = 3

_MOST_SHOWN = 100
"""Characters of a name that are looked at: more than any scope has, and comparing takes time by the square."""


def complaints(scopes: Collection[str]) -> list[str]:
    """One sentence for each name that is no scope, with those that come near it."""
    return [_complaint(name) for name in sorted(set(scopes) - SCOPES)]


def _complaint(name: str) -> str:
    plain = name.isprintable() and name == name.strip() and 0 < len(name) <= _MOST_SHOWN
    shown = name if plain else ascii(name[:_MOST_SHOWN])
    near = _near(name[:_MOST_SHOWN].strip())
    if not near:
        return f"{shown} is no scope; one has the form RESOURCE.ACTION, RESOURCE.* or all.Application."
    return f"{shown} is no scope; did you mean {_or(near)}?"


def _near(name: str) -> list[str]:
    """Up to three scopes that somebody may have meant: the same in another spelling, else the most alike."""
    resource, _, method = name.partition(".")
    folded = {scope.casefold(): scope for scope in sorted(SCOPES)}
    guess = f"{resource}.{_METHODS.get(method, method)}".casefold()
    if guess in folded:
        return [folded[guess]]
    return [folded[match] for match in get_close_matches(guess, folded, n=_MOST_GUESSES)]


def _or(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
