"""Ports on this machine."""

from __future__ import annotations

import errno
import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port nothing listens on at this moment. It may be taken a moment later, so whoever uses it has to cope."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now. Raises OSError where it never could."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family) as probe:
        # As servers do: connections of an ended one that still linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True
