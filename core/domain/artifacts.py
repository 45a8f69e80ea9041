"""The artifact of a flow version: a file that says what it holds and who vouches for it, and can be checked anywhere.

    {"artifact":{…},"signature":{"algorithm":"Ed25519","key_id":"…","value":"…"},"statement":{…}}

All of it is canonical JSON, so each part can be cut out of the bytes before anything is parsed. The statement names the
SHA-256 digest and the size of the artifact and where it comes from; the signature is of the statement's bytes. The same
flow version makes the same artifact, whoever uploads it and when: that is what the digest is of.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core.domain.canonical import canonical, doubles
from core.domain.documents import MOST_DEPTH, Document, Json, parse_document
from core.domain.errors import Invalid
from core.domain.signing import ALGORITHM, SIGNATURE_BYTES, Keys, SecretKey, decoded, encoded

FORMAT = "penstock.flow-version/1"
STATEMENT = "penstock.statement/1"

MOST_FILE = 16 * 1024 * 1024
"""Bytes of a file that are read: twice the largest body of a request, since numbers such as 1e20 grow when they are
written canonically."""

MOST_STATEMENT = 16_384
"""Bytes of a statement and its signature: ours have about 1,000, and names are bounded."""

_HEAD = b'{"artifact":'
_SIGNATURE_HEAD = b',"signature":'
_STATEMENT_HEAD = b',"statement":'
_SIGNATURE = re.compile(
    rb'\{"algorithm":"Ed25519","key_id":"([A-Za-z0-9_-]{1,64})","value":"([A-Za-z0-9_-]{86})"\}', re.ASCII
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A file in its parts, of which nothing has been parsed or believed yet."""

    artifact: bytes
    statement: bytes
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Statement:
    """What was signed about an artifact; `provenance` is as it was written."""

    digest: bytes
    size: int
    provenance: Mapping[str, Json]
    key_id: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A file whose digest and signature are right."""

    artifact: bytes
    statement: Statement


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was made, with what is kept beside it."""

    file: bytes
    digest: bytes
    size: int
    key_id: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """What an artifact holds. `content` is parsed as strictly as the body of a request; `schedules` and `flow` are
    still to be judged."""

    content: Document
    flow: Mapping[str, Json]
    schedules: Sequence[Json]
    version: str | None
    notes: str | None


def write_artifact(
    content: Json, *, flow: Mapping[str, Json], schedules: Sequence[Json], version: str | None, notes: str | None
) -> bytes:
    """The artifact's canonical bytes. Raises Invalid for what they cannot express. Takes about 0.1 s a megabyte."""
    return canonical(
        {
            "content": content,
            "flow": dict(flow),
            "format": FORMAT,
            "notes": notes,
            "schedules": list(schedules),
            "version": version,
        }
    )


def seal(artifact: bytes, provenance: Mapping[str, Json], key: SecretKey) -> Made:
    """The file of an artifact, signed."""
    digest = hashlib.sha256(artifact).digest()
    statement = canonical(
        {
            "artifact": FORMAT,
            "digest": digest.hex(),
            "format": STATEMENT,
            "provenance": dict(provenance),
            "size": len(artifact),
        }
    )
    signature = canonical({"algorithm": ALGORITHM, "key_id": key.key_id, "value": encoded(key.sign(statement))})
    file = b"".join([_HEAD, artifact, _SIGNATURE_HEAD, signature, _STATEMENT_HEAD, statement, b"}"])
    return Made(file, digest, len(artifact), key.key_id)


def split(file: bytes) -> Sealed:
    """The parts of a file, found from its end by their places: an artifact can hold any text but not after itself.

    Raises Invalid for a file that is too large or has another form.
    """
    if len(file) > MOST_FILE:
        raise Invalid(f"has more than {MOST_FILE} bytes", "artifact")
    tail = file.rfind(_STATEMENT_HEAD, max(0, len(file) - MOST_STATEMENT))
    if not file.startswith(_HEAD) or not file.endswith(b"}}") or tail < 0:
        raise Invalid("is no artifact, or was cut off", "artifact")
    middle = file.rfind(_SIGNATURE_HEAD, max(0, tail - 256), tail)
    found = _SIGNATURE.fullmatch(file, middle + len(_SIGNATURE_HEAD), tail) if middle >= 0 else None
    value = decoded(found[2].decode(), SIGNATURE_BYTES) if found else None
    if found is None or value is None:
        raise Invalid("is not in the form of an Ed25519 signature", "signature")
    return Sealed(file[len(_HEAD) : middle], file[tail + len(_STATEMENT_HEAD) : -1], found[1].decode(), value)


def verify(file: bytes, keys: Keys) -> Verified:
    """A file whose statement one of these keys signed, and whose artifact is the one it speaks of.

    Nothing is parsed before the signature is right, and the artifact not at all. Raises Invalid, whose path says which
    part is wrong: artifact, signature or statement.
    """
    sealed = split(file)
    key = keys.get(sealed.key_id)
    if key is None:
        raise Invalid(f"is by the key {sealed.key_id}, which is not known here", "signature")
    if key.revoked:
        raise Invalid(f"is by the key {sealed.key_id}, which was revoked", "signature")
    if not key.verifies(sealed.statement, sealed.signature):
        raise Invalid("is not of this statement", "signature")
    statement = _read_statement(sealed)
    if len(sealed.artifact) != statement.size or hashlib.sha256(sealed.artifact).digest() != statement.digest:
        raise Invalid("is not the one that was signed: its digest is another one", "artifact")
    return Verified(sealed.artifact, statement)


def read_artifact(raw: bytes) -> Artifact:
    """What a verified artifact holds. Raises Invalid with a path below `artifact`."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"is not JSON, or nested too deep: {error.msg}", "artifact") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise Invalid(f"must be {FORMAT}", "artifact.format")
    content, flow, schedules = value.get("content"), value.get("flow"), value.get("schedules")
    for name, part, kind in (("content", content, dict), ("flow", flow, dict), ("schedules", schedules, list)):
        if not isinstance(part, kind):
            raise Invalid("is missing", f"artifact.{name}")
    assert isinstance(flow, dict), "judged above"
    assert isinstance(schedules, list), "judged above"
    try:
        document = parse_document(orjson.dumps(doubles(content, raw)))
    except Invalid as refusal:
        raise Invalid(refusal.problem, f"artifact.content.{refusal.path}".rstrip(".")) from None
    except (orjson.JSONEncodeError, RecursionError):  # what it parses it does not write again, deeper than 254
        raise Invalid(f"is nested more than {MOST_DEPTH} deep", "artifact.content") from None
    return Artifact(document, flow, schedules, _text(value, "version"), _text(value, "notes"))


def _text(value: Mapping[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise Invalid("must be a string or null", f"artifact.{name}")
    return text


def _read_statement(sealed: Sealed) -> Statement:
    try:
        value = parse_document(sealed.statement).value
    except Invalid as refusal:
        raise Invalid(refusal.problem, "statement") from None
    digest, size, provenance = value.get("digest"), value.get("size"), value.get("provenance")
    if (
        value.get("format") != STATEMENT
        or not isinstance(digest, str)
        or not re.fullmatch(r"[0-9a-f]{64}", digest, re.ASCII)
        or not isinstance(size, int)
        or not isinstance(provenance, dict)
    ):
        raise Invalid(f"must be {STATEMENT}", "statement")
    return Statement(bytes.fromhex(digest), size, provenance, sealed.key_id)
