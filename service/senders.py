"""Where a request comes from: whoever connects, or whom a proxy that is believed names."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from aiohttp import web

from core.settings import Network

MOST_HOPS = 16
"""Addresses of a header that are looked at; a longer way than this is made up."""


def address_of(request: web.BaseRequest, trusted: Sequence[Network]) -> str | None:
    """The address of the caller, for the audit trail and for counting wrong logins.

    Proxies append to X-Forwarded-For whom they saw. Read from its end, the first address that is no believed proxy is
    the caller's; everything before it may be made up.
    """
    sender = request.remote
    if not trusted or not _is_trusted(sender, trusted):
        return sender
    told = ",".join(request.headers.getall("X-Forwarded-For", ()))
    for hop in reversed(told.split(",")[-MOST_HOPS:]):
        address = _parsed(hop.strip())
        if address is None:
            break
        sender = str(address)
        if not _is_trusted(sender, trusted):
            break
    return sender


def _is_trusted(address: str | None, trusted: Sequence[Network]) -> bool:
    parsed = _parsed(address or "")
    return parsed is not None and any(parsed in network for network in trusted)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
