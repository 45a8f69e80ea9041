"""Where a caller may have us write: the address of a letter, the URL of a callback.

Both arrive from outside and end in an SMTP command or an HTTP request line, so both grammars are lists of what is
allowed, in ASCII, matched in time linear in the text. Messages never repeat the text: it may be anything.
"""

from __future__ import annotations

import ipaddress
import re

from core.domain.errors import Invalid

LONGEST_TARGET = 1024
"""Characters of an address or URL as the Losant dialect documents them; the grammars below are narrower for mail."""

_LONGEST_LOCAL = 64
"""RFC 5321 4.5.3.1.1. Servers refuse more."""

_LONGEST_HOST = 253
"""What fits into the 255 bytes of a name on the wire (RFC 1035 2.3.4)."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(?:\.{_ATOM})*", re.ASCII)
_DOMAIN_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)

_URI_CHARACTERS = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_URL = re.compile(r"https?://(?P<authority>[^/?#]*)(?:[/?][^#]*)?", re.ASCII | re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_HOST_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}", re.ASCII)


def is_address(text: str) -> bool:
    """Whether the text is one plain `local@domain` that every mail server understands.

    Narrower than RFC 5322 on purpose: no quoted local part, no comment, no display name, no address literal, and ASCII
    only. A domain in another script is written in its `xn--` form: we convert nothing, so that the address shown,
    stored, compared with the allow-list and sent to is the same text.
    """
    local, at, domain = text.partition("@")
    return bool(
        at
        and len(local) <= _LONGEST_LOCAL
        and len(domain) <= _LONGEST_HOST
        and _LOCAL_PART.fullmatch(local)
        and _is_domain(domain)
    )


def check_recipient(text: str, domains: tuple[str, ...]) -> str:
    """The address as it was sent, or Invalid naming `email`.

    `domains` are the only ones letters may go to, compared exactly but for case; none allows any. Whether anybody
    reads mail there is for the mail server to say, later, on the job.
    """
    if len(text) > LONGEST_TARGET:
        raise Invalid(f"must be at most {LONGEST_TARGET} characters", path="email")
    if not text.isascii():
        raise Invalid("must be ASCII; write a domain in another script in its xn-- form", path="email")
    if not is_address(text):
        raise Invalid("must be one address such as name@example.com", path="email")
    if domains and text.rpartition("@")[2].lower() not in {domain.lower() for domain in domains}:
        raise Invalid("is at a domain this server may not write to", path="email")
    return text


def check_callback_url(text: str, path: str = "callbackUrl") -> str:
    """The URL as it was sent, or Invalid naming `path`, where it was sent.

    Only its form is judged: which address a host name stands for can change at any time, so that is judged where the
    connection is made. No user or password (they would end in logs and job records), no fragment (it is never sent).
    """
    if len(text) > LONGEST_TARGET:
        raise Invalid(f"must be at most {LONGEST_TARGET} characters", path=path)
    if not _URI_CHARACTERS.fullmatch(text):
        raise Invalid("may hold only the characters of a URL; percent-encode any other", path=path)
    if "#" in text:
        raise Invalid("must not have a fragment (#…)", path=path)
    url = _URL.fullmatch(text)
    if url is None:
        raise Invalid("must begin with http:// or https://", path=path)
    _check_authority(url["authority"], path)
    return text


def _check_authority(authority: str, path: str) -> None:
    if "@" in authority:
        raise Invalid("must not carry a user or password", path=path)
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or not (_is_ipv6(parts["literal"]) if parts["literal"] else _is_host(parts["host"])):
        raise Invalid("must name a host, and a port only as :number", path=path)
    if parts["port"] is not None and not 1 <= int(parts["port"]) <= 65535:
        raise Invalid("must have a port from 1 to 65535", path=path)


def _is_domain(text: str) -> bool:
    """A mail domain; one label such as `localhost` will do, digits alone at the end will not: that is an address."""
    labels = text.split(".")
    return all(_DOMAIN_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()


def _is_host(text: str) -> bool:
    """A host name or IPv4 address. Underscores occur in the names of containers; a final dot makes a name absolute."""
    name = text.removesuffix(".")
    return len(name) <= _LONGEST_HOST and all(_HOST_LABEL.fullmatch(label) for label in name.split("."))


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
