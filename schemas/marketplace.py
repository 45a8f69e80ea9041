"""The marketplace: what is sent, what is returned."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError

from core.domain.flows import MOST_NAME
from core.domain.marketplace import MOST_REASON, Entry, Item
from core.domain.signing import encoded
from schemas.fields import Body, Flag, Judged, Text, microseconds

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


def render_item(item: Item) -> dict[str, Any]:
    """One item of the marketplace; `digest`, of the artifact, is in hexadecimal, `size` in bytes."""
    return {
        "id": item.id,
        "company": {"id": item.company_id, "name": item.company_name},
        "flow_id": item.flow_id,
        "flow_version_id": item.version_id,
        "name": item.name,
        "version": item.version,
        "description": item.description,
        "private": item.private,
        "digest": item.digest.hex(),
        "size": item.size,
        "key_id": item.key_id,
        "installed_count": item.installed_count,
        "is_yanked": item.yanked_at is not None,
        "yanked_at": microseconds(item.yanked_at),
        "yank_reason": item.yank_reason,
        "uploaded_by": {"type": item.uploaded_by_type, "id": item.uploaded_by_id},
        "created_at": microseconds(item.created_at),
    }


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
