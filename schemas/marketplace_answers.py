"""What the routes of the marketplace answer."""

from __future__ import annotations

from marshmallow import fields

from core.domain.marketplace import Happening
from schemas.answers import answer, dated, keyed, number, one_of, true
from schemas.native_answers import data_of, page_of


def _digest() -> fields.Field[str]:
    return fields.String(metadata={"pattern": "^[0-9a-f]{64}$"})


_Item = answer(
    "marketplaceItem",
    {
        "id": number(least=1),
        "company": fields.Nested(answer("itemCompany", {"id": number(least=1), "name": fields.String()})),
        "flow_id": number(least=1),
        "flow_version_id": number(least=1),
        "name": fields.String(),
        "version": fields.String(),
        "description": fields.String(allow_none=True),
        "private": fields.Boolean(),
        "digest": _digest(),
        "size": number(least=1),
        "key_id": fields.String(),
        "installed_count": number(),
        "is_yanked": fields.Boolean(),
        "yanked_at": fields.AwareDateTime(allow_none=True),
        "yank_reason": fields.String(allow_none=True),
        "uploaded_by": fields.Nested(
            answer("uploader", {"type": fields.String(), "id": fields.Integer(allow_none=True)})
        ),
        "created_at": dated(),
    },
)

_Entry = answer(
    "marketplaceLogEntry",
    {
        "company_id": number(least=1),
        "sequence": number(least=1),
        "kind": one_of(*Happening),
        "item_id": number(least=1),
        "entry": fields.String(metadata={"contentMediaType": "application/json"}),
        "previous": fields.String(allow_none=True),
        "hash": _digest(),
        "key_id": fields.String(),
        "signature": fields.String(),
    },
)

_Signature = answer(
    "artifactSignature", {"algorithm": one_of("Ed25519"), "key_id": fields.String(), "value": fields.String()}
)

_Installed = answer(
    "installedItem",
    {"item_id": number(least=1), "digest": _digest(), "flow_id": number(least=1), "flow_version_id": number(least=1)},
)

Item = data_of("marketplaceItemDocument", _Item)
Items = page_of("marketplaceItems", _Item)
LogEntries = page_of("marketplaceLog", _Entry)
Installed = data_of("installedItemDocument", _Installed)
Artifact = answer(
    "artifactFile",
    {
        "artifact": fields.Nested(keyed("artifact")),
        "signature": fields.Nested(_Signature),
        "statement": fields.Nested(keyed("artifactStatement")),
    },
)
Queued = answer(
    "marketplaceJobEnqueued",
    {"success": true(), "jobQueued": true(), "jobId": fields.String(), "message": fields.String()},
)
