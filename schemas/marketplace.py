"""The marketplace: what is sent, what is returned."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError

from core.domain.flows import MOST_NAME
from core.domain.marketplace import MOST_REASON, Entry
from core.domain.signing import encoded
from core.domain.templates import Form, Hole, Part, Template
from schemas.fields import Body, Flag, Judged, Text

_TRUE, _FALSE = ("1", "true"), ("0", "false")


class Flaglike(Judged[Any]):
    """True or false, as any of Patchworks' clients writes it: a boolean, 0 or 1, or one of these as text."""

    def check(self, value: Any) -> None:
        if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
            return
        if not isinstance(value, str) or value not in (*_TRUE, *_FALSE):
            raise ValidationError("must be true or false")


def is_true(value: Any) -> bool:
    """What a Flaglike says."""
    return value in (True, 1, *_TRUE)


class UploadPost(Body):
    private = Flaglike()


class InstallPost(Body):
    name = Text(least=1, most=MOST_NAME)
    force = Flag()


class YankPost(Body):
    reason = Text(least=1, most=MOST_REASON, required=True)


def _value(name: str, column: str) -> tuple[Part, Part]:
    return f',"{name}":', Hole(column, Form.VALUE)


SHOWN_ITEM = Template(
    (
        '{"id":', Hole("id", Form.VALUE), ',"company":{"id":', Hole("company_id", Form.VALUE),
        *_value("name", "company_name"), "}", *_value("flow_id", "flow_id"),
        *_value("flow_version_id", "flow_version_id"), *_value("name", "name"), *_value("version", "version"),
        *_value("description", "description"), *_value("private", "private"), *_value("digest", "digest"),
        *_value("size", "size"), *_value("key_id", "key_id"), *_value("installed_count", "installed_count"),
        *_value("is_yanked", "is_yanked"), ',"yanked_at":', Hole("yanked_at", Form.MICROSECONDS),
        *_value("yank_reason", "yank_reason"), ',"uploaded_by":{"type":', Hole("uploaded_by_type", Form.VALUE),
        *_value("id", "uploaded_by_id"), '},"created_at":', Hole("created_at", Form.MICROSECONDS), "}",
    )
)  # fmt: skip
"""One item of the marketplace; `digest`, of the artifact, is in hexadecimal, `size` in bytes."""


def render_entry(entry: Entry) -> dict[str, Any]:
    """One entry of the log. `entry` is the very text that `hash` and `signature` are of."""
    return {
        "company_id": entry.company_id,
        "sequence": entry.sequence,
        "kind": entry.kind,
        "item_id": entry.item_id,
        "entry": entry.text.decode(),
        "previous": None if entry.previous is None else entry.previous.hex(),
        "hash": entry.hash.hex(),
        "key_id": entry.key_id,
        "signature": encoded(entry.signature),
    }
