"""What a flow is made of in the Losant dialect: triggers, nodes, globals, and how a custom node is configured.

Source of the shapes: Losant's published JSON Schemas flowPost, flowPatch and flowVersionPost, which agree on all of
this. A trigger's settings depend on its type, which is the table KINDS; a node's are free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.fields import Flag, Form, Judged, Mapped, Text, Word
from schemas.shapes import JsonText, ListOf, Number, OneOf, Record, Uri

Members = Mapping[str, Judged[Any]]

MOST_TEXT = 32_767
"""Characters of the longest texts: descriptions, notes, certificates, the JSON of a global."""

KEY = Form("[0-9a-zA-Z_-]{1,255}", "1 to 255 letters, digits, underscores or hyphens")
VERSION = Form(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){2}", "a version such as 1.40.0")
DEVICE = Form("(?:[A-Fa-f0-9]{24})?", "24 hexadecimal digits, or empty")

SHORT = Text(most=48)
NAME = Text(most=255)
LINE = Text(most=1024)
LONG = Text(most=MOST_TEXT)
FLAG = Flag()
NUMBER = Number()
KEYS = ListOf(Text(most=255, form=KEY), most=100)

OUTPUT_IDS = ListOf(ListOf(Text(least=1, most=48), most=100), most=100)
"""For each output of a trigger or node, the ids of the nodes it leads to."""


def _flags(*names: str) -> Members:
    return dict.fromkeys(names, FLAG)


@dataclass(frozen=True)
class Kind:
    """Trigger types of one shape: the names their `meta` may carry, their `config`, and what else `meta` may hold."""

    types: tuple[str, ...]
    names: tuple[str, ...]
    config: Members = field(default_factory=dict)
    meta: Members = field(default_factory=dict)
    drawn: bool = True
    """Whether `meta` may say how the trigger is drawn."""


TRIGGER_ID: Members = {"triggerId": SHORT}

SNMP_USER = {
    "name": Text(most=1024, required=True),
    "securityLevel": Word("none", "auth", "authAndEncrypt", required=True),
    "authMethod": Word("sha", "md5"),
    "authKey": LINE,
    "encryptionMethod": Word("aes", "des"),
    "encryptionKey": LINE,
}

KINDS = (
    Kind(("appFile",), ("appFile",), _flags("delete", "create", "update", "public", "private")),
    Kind(
        (
            "customNodeStart", "deviceCreate", "deviceCommand", "deviceIdConnect", "deviceTagConnect",
            "deviceIdDisconnect", "deviceTagDisconnect", "inboundEmail", "notebook", "onBoot", "onConnect",
            "onDisconnect", "resourceJobComplete", "resourceJobIteration", "resourceJobIterationTimeout", "udp",
            "webhook",
        ),
        (
            "customNodeStart", "deviceCreate", "deviceCommand", "deviceIdsTagsConnect", "deviceIdsTagsDisconnect",
            "eeaInit", "flowError", "inboundEmail", "notebook", "onBoot", "onConnect", "onDisconnect",
            "resourceJobComplete", "resourceJobIteration", "resourceJobIterationTimeout", "udp", "webhook",
        ),
        meta=TRIGGER_ID,
    ),
    Kind(
        ("beckhoff",), ("beckhoff",),
        {
            **dict.fromkeys(
                (
                    "localAmsNetId", "localAdsPort", "targetAmsNetId", "targetAdsPort", "routerHost", "routerTcpPort",
                    "configName",
                ),
                LINE,
            ),
            "cycleTimeMs": Number(whole=True, least=10, most=3_600_000),
            "subscriptions": ListOf(Record({"name": LINE}, open=True), most=100),
        },
    ),
    Kind(("dataTable",), ("dataTable",), _flags("bulkInsert", "delete", "insert", "update")),
    Kind(
        ("integration",), ("azureEventHub", "googlePubSub", "mqtt", "particle", "sqs", "websocket"),
        _flags("connect", "message", "disconnect", "failure"), TRIGGER_ID,
    ),
    Kind(
        ("deviceId", "deviceTag"), ("deviceIdsTags", "device", "deviceTag"),
        {
            "attributeBlacklist": KEYS,
            "attributeWhitelist": KEYS,
            "maxAge": NUMBER,
            "triggerOn": Word("batch", "individual", "both"),
            "batchBehavior": Word("once", "each"),
            "allowInvalid": FLAG,
        },
        {
            "timeUnit": SHORT,
            "maxAgeToggle": FLAG,
            "allowedAttributeType": Word("attributeWhitelist", "any", "attributeBlacklist"),
        },
    ),
    Kind(("deviceIdInactivity", "deviceTagInactivity"), ("deviceIdsTagsInactivity",), {"seconds": NUMBER}),
    Kind(("direct",), ("direct",)),
    Kind(("endpoint",), ("endpoint",), {"experienceVersion": Text(least=1, most=255)}),
    Kind(("event",), ("event",), {"subject": NAME, **_flags("new", "acknowledged", "resolved")}),
    Kind(
        ("fileTail",), ("fileTail",),
        {"path": LINE, "encoding": SHORT, "byteLength": SHORT, "delimiter": SHORT},
    ),
    Kind(
        ("fileWatch",), ("fileWatch",),
        {
            "path": LINE,
            **_flags("fileAdded", "fileChanged", "fileRemoved", "directoryAdded", "directoryRemoved"),
        },
    ),
    Kind(("flowError",), ("flowError",), {"scope": Word("local", "global", "experience", "cloud")}),
    Kind(("mqttTopic",), ("mqtt",), {"integrationId": Word("losant", "local", "external")}, TRIGGER_ID),
    Kind(
        ("onSync",), ("onSync",),
        {"syncTypes": ListOf(Word("application", "device", "peripheral"), least=1, most=3)},
        drawn=False,
    ),
    Kind(
        ("opcua",), ("opcua",),
        {
            "uri": Uri(most=1024),
            **dict.fromkeys(("securityPolicy", "securityMode", "nameSpace", "identifier", "samplingInterval"), NAME),
            **dict.fromkeys(("username", "password", "configName"), LINE),
            **dict.fromkeys(("cert", "privateKey"), LONG),
            "eventFilter": ListOf(NAME, most=100),
        },
    ),
    Kind(
        ("redis",), ("redisTrigger",),
        {
            **dict.fromkeys(("host", "password", "topic"), LINE),
            "port": Text(most=16),
            **_flags("fileAdded", "fileChanged", "fileRemoved", "directoryAdded", "directoryRemoved"),
        },
    ),
    Kind(
        ("request",), ("request",),
        {"method": Word("*", "delete", "get", "options", "patch", "post", "put"), "route": LINE},
        TRIGGER_ID,
    ),
    Kind(
        ("serial",), ("serial",),
        {
            "path": LINE,
            **dict.fromkeys(("baudRate", "dataBits", "stopBits"), NUMBER),
            "parity": Text(most=8),
            "rtscts": FLAG,
            "writeOnOpen": LINE,
            **dict.fromkeys(
                ("encoding", "writeOnOpenEncoding", "byteLength", "delimiter", "delimiterEncoding"), SHORT
            ),
        },
        {"parseBy": Word("byteLength", "delimiter")},
    ),
    Kind(
        ("snmpTrap",), ("snmpTrap",),
        {
            "udpPort": Text(most=5, required=True),
            "snmpTrapConfig": Record({"community": LINE, "user": Record(SNMP_USER)}, required=True),
        },
    ),
    Kind(
        ("timer",), ("timer",), {"seconds": NUMBER, "cron": NAME, "tz": NAME},
        {
            "timerTypeSelect": Word("cronWeekly", "seconds", "cron"),
            "timeAt": NAME,
            "timezone": NAME,
            "weekdays": ListOf(NUMBER, most=7),
        },
    ),
    Kind(
        ("virtualButton",), ("virtualButton",),
        meta={
            "groupId": SHORT,
            "payload": Text(most=262_144),
            "deviceId": Text(most=24, form=DEVICE, allow_none=True),
        },
    ),
)  # fmt: skip
"""Every shape a trigger can have, one row each."""


def _trigger(kind: Kind) -> Record:
    meta: Members = {
        "category": Word("trigger"),
        "name": Word(*kind.names),
        "label": Text(least=1, most=255),
        "x": NUMBER,
        "y": NUMBER,
        "uiId": SHORT,
        "description": LONG,
    }
    drawn: Members = {"icon": LINE, "color": LINE, "inputCount": NUMBER, "outputCount": NUMBER, "id": SHORT}
    return Record(
        {
            "key": LINE,
            "type": Word(*kind.types, required=True),
            "config": Record(kind.config),
            "meta": Record({**meta, **(drawn if kind.drawn else {}), **kind.meta}),
            "outputIds": OUTPUT_IDS,
        }
    )


TRIGGER = OneOf({name: record for kind in KINDS for record in [_trigger(kind)] for name in kind.types})

NODE = Record(
    {
        "id": LINE,
        "type": Text(least=1, most=1024, required=True),
        "config": Mapped(),
        "meta": Mapped(),
        "outputIds": OUTPUT_IDS,
    }
)

GLOBAL = Record(
    {
        "key": Text(least=1, most=255, form=KEY, required=True),
        "json": JsonText(least=1, most=MOST_TEXT, required=True),
    }
)


def _input(name: str, members: Members) -> Record:
    """One way a custom node asks for a value."""
    common = {
        "type": Word(name, required=True),
        "label": Text(least=1, most=1024, required=True),
        "id": Text(least=1, most=1024),
        "description": LONG,
    }
    return Record({**common, **members})


INPUTS: Mapping[str, Members] = {
    "checkbox": {"defaultValue": FLAG},
    "select": {
        "defaultValue": Text(least=1, most=1024, required=True),
        "options": ListOf(
            Record({"label": LINE, "value": Text(least=1, most=1024, required=True)}), least=1, most=100, required=True
        ),
    },
    "stringTemplate": {"defaultValue": LINE, "required": FLAG, "validRegExp": LINE},
    "numberTemplate": {"defaultValue": NUMBER, "required": FLAG, "validMin": NUMBER, "validMax": NUMBER},
    "jsonTemplate": {"defaultValue": LONG, "required": FLAG},
    "payloadPath": {"required": FLAG},
    "section": {},
}
"""What a custom node can ask for: the type of the input, and what it has beside its label."""

CUSTOM_NODE_CONFIG: Members = {
    "outputCount": Number(among=(1, 2), required=True),
    "resultMode": Word("optional", "required", "none", required=True),
    "resultDescription": LONG,
    "fields": ListOf(OneOf({name: _input(name, members) for name, members in INPUTS.items()}), most=100, required=True),
}
