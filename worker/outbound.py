"""HTTP requests to addresses our users chose: sent to the internet, never into the network we stand in.

A URL is only text until its host name is resolved, and a name may resolve to something else a moment later. So the
judgement falls where the connection is made: every socket this module opens is opened by `_Gate`, which is handed the
very address about to be connected. Nothing looks the name up a second time in between.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from core.domain.addresses import check_callback_url
from core.domain.errors import Invalid
from core.domain.jobs import PermanentFailure, TransientFailure

POST_SECONDS = 10.0
"""From looking up the host to the last byte of the answer. Below the 15 s a job's lease lasts, so whoever posts still
holds the job when the receiver says nothing."""

LONGEST_WAIT_SECONDS = 900.0
"""The most of a receiver's Retry-After that is honoured: our own longest wait between tries."""

LARGEST_ANSWER = 64 * 1024
"""Bytes of an answer that are kept unless its reader asks for more; the rest is never read."""

_WHOLE_BYTES = 512 * 1024
"""A longer body is written piece by piece: all at once would hold up everything else meanwhile."""

_TRY_AGAIN: Final = frozenset({408, 425, 429})
"""The 4xx that blame the moment and not the request."""

_KEPT_HEADERS: Final = ("Content-Type", "Retry-After")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _networks(*texts: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# The tables are ours, taken from IANA's special-purpose registries: `is_private` and `is_global` differ between
# patch releases of Python, and this is not to change with the machine.

_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
"""The only part of IPv6 that is handed out for the internet; everything outside it is refused unless named below."""

_PRIVATE = _networks(
    "10.0.0.0/8",
    "100.64.0.0/10",  # between a provider and its customers; also many container networks
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)
"""What an operator opens with PENSTOCK_ALLOW_PRIVATE_TARGETS."""

_METADATA = _networks(
    "100.100.100.200/32",  # Alibaba Cloud
    "168.63.129.16/32",  # Azure's host, a public address that only its guests can reach
    "169.254.0.0/16",  # link-local, where nearly every cloud hands out its machines' credentials
    "fd00:ec2::254/128",  # AWS
    "fd20:ce::254/128",  # Google Cloud
)
"""Refused even when private addresses are allowed: what answers there are keys, and no receiver of ours."""

_SPECIAL = _networks(
    "0.0.0.0/8",  # this host
    "192.0.0.0/24",  # protocol assignments; Oracle Cloud's metadata
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # relays of 6to4
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, broadcast
    "2001::/23",  # protocol assignments: Teredo carries an IPv4 address to be reached by way of others
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4 carries an IPv4 address to be reached by way of others
    "3ffe::/16",  # the early test network, returned
    "3fff::/20",  # documentation
)
"""Refused always: no receiver can be there."""

_CARRIERS = tuple(ipaddress.IPv6Network(text) for text in ("::ffff:0:0/96", "64:ff9b::/96"))
"""IPv6 that is IPv4 in disguise, judged as the address in its last 32 bits: mapped, and the well-known NAT64 prefix,
which is how a machine without IPv4 reaches all of IPv4. A NAT64 prefix of one's own network cannot be told from an
ordinary address; keep such a translator from reaching private networks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said."""

    status: int
    headers: Mapping[str, str]
    """`Content-Type` and `Retry-After`, where sent."""
    body: bytes
    """As it came, compressed if it came compressed, up to as many bytes as were asked for."""
    whole: bool = True
    """Whether that is all of it."""

    @property
    def is_final(self) -> bool:
        """Whether sending the same again cannot help: a redirect, which is never followed, or a 4xx about the request
        itself."""
        return 300 <= self.status <= 399 or (400 <= self.status <= 499 and self.status not in _TRY_AGAIN)

    def retry_after(self, now: datetime) -> float | None:
        """Seconds until the receiver wants to be asked again, if it said so."""
        return read_retry_after(self.headers.get("Retry-After"), now)


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from now, 0 to `LONGEST_WAIT_SECONDS`, of a Retry-After, a number or an HTTP date; None if neither."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT_SECONDS)
    try:
        moment = datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    return min(max((moment - now).total_seconds(), 0.0), LONGEST_WAIT_SECONDS)


def is_allowed(text: str, *, private: bool) -> bool:
    """Whether a request may go to this numeric address; `private` opens loopback and private networks."""
    try:
        address = _unwrap(ipaddress.ip_address(text))
    except ValueError:
        return False
    if _within(address, _METADATA):
        return False
    if _within(address, _PRIVATE):
        return private
    if _within(address, _SPECIAL):
        return False
    return address.version == 4 or address in _GLOBAL_V6


def _unwrap(address: _Address) -> _Address:
    if isinstance(address, ipaddress.IPv6Address) and any(address in carrier for carrier in _CARRIERS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _within(address: _Address, networks: tuple[_Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


class _Gate(AbstractResolver):
    """The two places a connection passes: the answer of the name server, and the opening of each socket.

    The first refuses a name as a whole if any of its addresses is forbidden, so that the outcome does not depend on
    which one is tried first. The second sees numeric hosts, too, which no name server is asked about.
    """

    def __init__(self, resolver: AbstractResolver, *, private: bool) -> None:
        self._resolver = resolver
        self._private = private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            self._check(result["host"])
        return found

    def open(self, target: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        family, kind, protocol, _, address = target
        self._check(str(address[0]))
        return socket.socket(family, kind, protocol)

    def _check(self, address: str) -> None:
        if not is_allowed(address, private=self._private):
            # No OSError: the library would take that for one failed try and go on to the next address of the name.
            raise _refused("it leads to an address that requests may not go to")

    async def close(self) -> None:
        await self._resolver.close()


class Outbound:
    """Posts to addresses users chose. Make one in a running event loop, share it, close it at the end.

    No redirects, no proxy or login from the environment, no cookies, nothing decompressed, and a new connection each
    time: an idle one kept for the next request is mostly found closed by then, which would look like a failure. Whoever
    posts to the same receivers hundreds of times a second says for how many seconds an idle one is worth keeping.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        keep_seconds: float | None = None,
    ) -> None:
        """`tls` is whom to trust, `resolver` whom to ask for addresses; None leaves either to the system."""
        gate = _Gate(resolver or aiohttp.ThreadedResolver(), private=allow_private)
        keeping: dict[str, Any] = {"force_close": True} if keep_seconds is None else {"keepalive_timeout": keep_seconds}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=gate,
                socket_factory=gate.open,
                ssl=tls or ssl.create_default_context(),
                use_dns_cache=False,
                limit=0,  # whoever posts bounds how much: waiting in line here would count as the receiver's time
                **keeping,
            ),
            headers={"User-Agent": "Penstock", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # one deadline, held by post()
        )

    async def __aenter__(self) -> Outbound:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._session.close()

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout_seconds: float = POST_SECONDS,
        largest: int = LARGEST_ANSWER,
    ) -> Answer:
        """One request, and the answer whatever its status; a 3xx is an answer like any other. Of the answer `largest`
        bytes are wanted.

        PermanentFailure `target_refused`: the URL is malformed or leads to a forbidden address; nothing was sent.
        TransientFailure `target_unreachable`: no connection, no valid certificate, or no HTTP; `target_timeout`: the
        answer was not complete in time, so the receiver may have acted on the request. Messages never hold the URL,
        whose path may be a secret.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._exchange(check_callback_url(url), body, headers, largest)
        except TimeoutError:
            raise TransientFailure(
                "target_timeout", f"The receiver did not answer completely within {timeout_seconds:g} seconds."
            ) from None
        except Invalid as refusal:
            raise _refused(f"it {refusal.problem}") from None
        except aiohttp.InvalidURL:
            raise _refused("its host is not one that can be reached") from None
        except (aiohttp.ClientError, OSError) as error:
            raise TransientFailure("target_unreachable", f"The receiver cannot be reached: {_reason(error)}.") from None

    async def _exchange(self, url: str, body: bytes, headers: Mapping[str, str], largest: int) -> Answer:
        exact = URL(url, encoded=True)  # as it was written: a receiver may sign or compare its own path
        sent = body if len(body) <= _WHOLE_BYTES else io.BytesIO(body)
        async with self._session.post(exact, data=sent, headers=headers, allow_redirects=False) as response:
            kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
            read = await _read(response.content, largest + 1)
            return Answer(response.status, kept, read[:largest], len(read) <= largest)


async def _read(stream: aiohttp.StreamReader, most: int) -> bytes:
    """The first `most` bytes. Leaving the rest unread closes the connection, however much was to come."""
    kept = bytearray()
    while len(kept) < most:
        piece = await stream.read(most - len(kept))
        if not piece:
            break
        kept += piece
    return bytes(kept)


def _refused(why: str) -> PermanentFailure:
    return PermanentFailure("target_refused", f"The URL cannot be used: {why}.")


def _reason(error: Exception) -> str:
    """What went wrong in words that name neither host nor address."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "no secure connection, its certificate or encryption was not accepted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name was not found"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number) if number else "no connection"  # its own text names the address
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | OSError):
        return "the connection was cut"
    return "its answer is not HTTP"
