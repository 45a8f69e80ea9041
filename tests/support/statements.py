"""What a client asks of PostgreSQL, read off the line: which statements, and in how many trips.

The protocol's own messages are counted, so nothing in the client can hide one: BEGIN, a look-up of types and a
statement that is prepared anew are seen like any other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

_SSL_REQUEST = 80877103
"""Comes before the start of a session and is no part of it: PostgreSQL's protocol, 53.7."""


@dataclass
class Census:
    """What was asked since `forget`, on all lines together."""

    statements: list[str] = field(default_factory=list)
    """The text of each one that was run, in order."""
    trips: int = 0
    """How often the client stopped to wait for an answer."""

    def forget(self) -> None:
        self.statements.clear()
        self.trips = 0

    def line(self) -> Line:
        """The reader of one more connection."""
        return Line(self)


class Line:
    """One connection's messages to the server."""

    def __init__(self, census: Census) -> None:
        self._census = census
        self._unread = b""
        self._begun = False
        self._prepared: dict[bytes, str] = {}
        self._bound: dict[bytes, str] = {}

    def hear(self, data: bytes) -> None:
        """Takes what goes over the line, in pieces of any size."""
        self._unread += data
        while self._read():
            pass

    def _read(self) -> bool:
        """Whether there was one more whole message."""
        head = 1 if self._begun else 0
        if len(self._unread) < head + 4:
            return False
        (length,) = struct.unpack_from("!i", self._unread, head)
        if len(self._unread) < head + length:
            return False
        message, self._unread = self._unread[: head + length], self._unread[head + length :]
        if self._begun:
            self._take(message[:1], message[5:])
        else:
            self._begun = struct.unpack_from("!i", message, 4) != (_SSL_REQUEST,)
        return True

    def _take(self, kind: bytes, body: bytes) -> None:
        first, _, rest = body.partition(b"\0")
        second = rest.partition(b"\0")[0]
        if kind == b"P":
            self._prepared[first] = second.decode()
        elif kind == b"B":
            self._bound[first] = self._prepared[second]
        elif kind == b"E":
            self._census.statements.append(self._bound[first])
        elif kind == b"Q":
            self._census.statements.append(first.decode())
        self._census.trips += kind in (b"Q", b"S")
