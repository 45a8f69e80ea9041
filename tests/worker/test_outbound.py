"""Posts to users' URLs over real sockets, and every way around the gate that we could think of."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.jobs import LEASE_SECONDS, JobFailure, PermanentFailure, TransientFailure
from tests.support.certificates import make_certificate
from tests.support.names import Names
from tests.support.receiver import Manner, Receiver, Reply
from worker.outbound import LARGEST_ANSWER, POST_SECONDS, Outbound, is_allowed

SHORT = 0.4
"""Seconds for receivers that never finish; the others are given the real deadline."""


async def failure_of(outbound: Outbound, url: str, seconds: float = POST_SECONDS) -> JobFailure:
    with pytest.raises(JobFailure) as caught:
        await outbound.post(url, b"{}", {}, seconds)
    for part in ("127.0.0.1", "localhost", "secret-path"):
        assert part not in caught.value.message
    return caught.value


@asynccontextmanager
async def raw_server(content: bytes, *, repeat: bool = False) -> AsyncIterator[str]:
    """Answers each connection with these bytes, once and then the end, or for ever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            writer.write(content)
            await writer.drain()
            while repeat:
                writer.write(content)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_the_request_arrives_and_the_answer_comes_back() -> None:
    async with Receiver() as receiver, Outbound(allow_private=True) as outbound:
        receiver.script(Reply(418, {"Retry-After": "3", "Content-Type": "text/x", "X-Other": "1"}, b"short"))
        url = f"{receiver.url}/%7Ea%2Fb//c?x=%20&y=1"
        answer = await outbound.post(url, b"{1}", {"Content-Type": "application/json", "X-Key": "k"})
        request = await receiver.next()
    assert (answer.status, answer.body) == (418, b"short")
    assert answer.headers == {"Retry-After": "3", "Content-Type": "text/x"}
    assert (request.method, request.target, request.body) == ("POST", "/hook/%7Ea%2Fb//c?x=%20&y=1", b"{1}")
    assert request.headers["x-key"] == "k"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == "Penstock"
    assert request.headers["accept-encoding"] == "identity"


async def test_a_redirect_is_an_answer() -> None:
    async with Receiver() as receiver, Receiver() as other, Outbound(allow_private=True) as outbound:
        receiver.script(Reply(307, {"Location": other.url}))
        assert (await outbound.post(receiver.url, b"{}", {})).status == 307
        assert len(receiver.requests) == 1
        assert not other.requests


async def test_no_cookie_is_kept() -> None:
    async with Receiver() as receiver, Outbound(allow_private=True) as outbound:
        receiver.script(Reply(200, {"Set-Cookie": "a=b; Path=/"}))
        for _ in range(2):
            await outbound.post(receiver.url, b"{}", {})
        assert all("cookie" not in request.headers for request in receiver.requests)


async def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as receiver, Receiver() as proxy, Outbound(allow_private=True) as outbound:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        await outbound.post(receiver.url, b"{}", {})
        assert not proxy.requests


async def test_an_endless_answer_is_read_up_to_the_limit() -> None:
    async with Receiver() as receiver, Outbound(allow_private=True) as outbound:
        receiver.script(Reply(200, manner=Manner.ENDLESS))
        answer = await outbound.post(receiver.url, b"{}", {})
        assert (answer.body, answer.whole) == (b"x" * LARGEST_ANSWER, False)


@pytest.mark.parametrize(("sent", "whole"), [(0, True), (99, True), (100, True), (101, False), (10_000_000, False)])
async def test_as_much_is_read_as_was_asked_for(sent: int, whole: bool) -> None:
    async with Receiver() as receiver, Outbound(allow_private=True) as outbound:
        receiver.script(Reply(200, body=b"x" * sent))
        answer = await outbound.post(receiver.url, b"{}", {}, largest=100)
        assert (len(answer.body), answer.whole) == (min(sent, 100), whole)


async def test_a_connection_is_kept_only_where_that_is_asked_for() -> None:
    async with Receiver() as receiver:
        for keep_seconds in (None, 5.0):
            async with Outbound(allow_private=True, keep_seconds=keep_seconds) as outbound:
                for _ in range(3):
                    await outbound.post(receiver.url, b"{}", {})
    ports = [request.port for request in receiver.requests]
    assert len(set(ports[:3])) == 3
    assert len(set(ports[3:])) == 1


async def test_a_bomb_is_not_decompressed() -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    async with Receiver() as receiver, Outbound(allow_private=True) as outbound:
        receiver.script(Reply(200, {"Content-Encoding": "gzip"}, bomb))
        assert (await outbound.post(receiver.url, b"{}", {})).body == bomb


@pytest.mark.parametrize("manner", [Manner.SILENT, Manner.DRIPPING])
async def test_the_deadline_covers_the_whole_answer(manner: Manner) -> None:
    async with Receiver() as receiver, Outbound(allow_private=True) as outbound:
        receiver.script(Reply(200, manner=manner))
        failure = await failure_of(outbound, receiver.url, SHORT)
        assert (type(failure), failure.code) == (TransientFailure, "target_timeout")


async def test_a_cut_connection_is_tried_again_by_the_job_and_not_by_the_library() -> None:
    async with Receiver() as receiver, Outbound(allow_private=True) as outbound:
        receiver.script(Reply(manner=Manner.CUT))
        failure = await failure_of(outbound, receiver.url)
        assert (type(failure), failure.code) == (TransientFailure, "target_unreachable")
        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"220 smtp.example.com ESMTP\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"HTTP/1.1 200 OK\r\n"],
)
async def test_what_is_not_http_is_unreachable(content: bytes) -> None:
    async with raw_server(content) as url, Outbound(allow_private=True) as outbound:
        failure = await failure_of(outbound, url)
    assert (type(failure), failure.code) == (TransientFailure, "target_unreachable")


@pytest.mark.parametrize("content", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9_999])
async def test_endless_heads_end(content: bytes) -> None:
    async with raw_server(content, repeat=True) as url, Outbound(allow_private=True) as outbound:
        failure = await failure_of(outbound, url, SHORT)
    assert isinstance(failure, TransientFailure)


@pytest.mark.needs_tools
async def test_https_wants_a_certificate_we_trust(tmp_path: Path) -> None:
    server, client = make_certificate(tmp_path)
    async with Receiver(tls=server) as receiver:
        async with Outbound(allow_private=True, tls=client) as outbound:
            assert (await outbound.post(receiver.url, b"{}", {})).status == 204
            by_name = receiver.url.replace("127.0.0.1", "localhost")
            assert (await outbound.post(by_name, b"{}", {})).status == 204
        async with Outbound(allow_private=True) as outbound:
            failure = await failure_of(outbound, receiver.url)
            assert (type(failure), failure.code) == (TransientFailure, "target_unreachable")
            assert "certificate" in failure.message


async def test_nobody_there() -> None:
    async with Receiver() as receiver:
        url = receiver.url
    async with Outbound(allow_private=True) as outbound:
        for target in (url, "http://no-such-host.invalid/secret-path"):
            failure = await failure_of(outbound, target)
            assert (type(failure), failure.code) == (TransientFailure, "target_unreachable")


HOSTS = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "0.0.0.0",
    "0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "10.0.0.1",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
]


@pytest.mark.parametrize("host", HOSTS)
async def test_no_spelling_of_a_forbidden_address_gets_a_connection(host: str) -> None:
    async with Receiver() as receiver, Outbound(allow_private=False) as outbound:
        failure = await failure_of(outbound, f"http://{host}:{receiver.port}/secret-path", 5.0)
        assert not receiver.requests
    # "127.0.0.1." and the like are names to some resolvers and addresses to others; either way nothing was reached.
    assert failure.code in ("target_refused", "target_unreachable")
    if host not in ("127.0.0.1.", "0"):
        assert (type(failure), failure.code) == (PermanentFailure, "target_refused")


async def test_the_control_reaches_the_receiver_when_private_addresses_are_allowed() -> None:
    """Without the gate's refusal the same targets do lead to the receiver, so the test above tests the gate."""
    async with Receiver() as receiver, Outbound(allow_private=True) as outbound:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            assert (await outbound.post(f"http://{host}:{receiver.port}/", b"{}", {})).status == 204


async def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    """A name that changes its address between two questions gains nothing: it is asked about once."""
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with Receiver() as receiver, Outbound(allow_private=True, resolver=names) as outbound:
        url = f"http://rebinding.example:{receiver.port}/"
        assert (await outbound.post(url, b"{}", {})).status == 204
        assert names.asked == 1
        failure = await failure_of(outbound, url)
        assert (type(failure), failure.code) == (PermanentFailure, "target_refused")
        assert (names.asked, len(receiver.requests)) == (2, 1)


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "2606:2800:21f::1"], ["::ffff:10.0.0.1"]]
)
async def test_a_name_with_one_forbidden_address_is_refused_as_a_whole(addresses: list[str]) -> None:
    async with Receiver() as receiver, Outbound(allow_private=False, resolver=Names(addresses)) as outbound:
        failure = await failure_of(outbound, f"http://mixed.example:{receiver.port}/")
        assert (type(failure), failure.code) == (PermanentFailure, "target_refused")
        assert not receiver.requests


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "0.0.0.0", "[::ffff:a9fe:a9fe]"])
async def test_where_clouds_keep_keys_stays_shut_even_when_private_addresses_are_allowed(host: str) -> None:
    async with Outbound(allow_private=True) as outbound:
        failure = await failure_of(outbound, f"http://{host}/latest/meta-data/", 5.0)
        assert (type(failure), failure.code) == (PermanentFailure, "target_refused")


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1/", "http://user:pw@127.0.0.1/", "http://a b/", "http://x/#y"])
async def test_a_malformed_url_is_refused_without_a_connection(url: str) -> None:
    async with Outbound(allow_private=True) as outbound:
        failure = await failure_of(outbound, url)
        assert (type(failure), failure.code) == (PermanentFailure, "target_refused")


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
     "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
     "223.255.255.255", "2606:4700::1111", "2001:4860:4860::8888", "2a00::1", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"],
)  # fmt: skip
def test_the_internet_is_open(address: str) -> None:
    assert is_allowed(address, private=False)
    assert is_allowed(address, private=True)


PRIVATE = [
    "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0", "127.255.255.255", "172.16.0.0",
    "172.31.255.255", "192.168.0.0", "192.168.255.255", "::1", "fc00::1", "fdff:ffff::1", "::ffff:10.0.0.1",
    "::ffff:127.0.0.1", "64:ff9b::10.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_networks_are_open_only_when_asked_for(address: str) -> None:
    assert not is_allowed(address, private=False)
    assert is_allowed(address, private=True)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "0.1.2.3", "100.100.100.200", "168.63.129.16", "169.254.0.1", "169.254.169.254", "192.0.0.192",
     "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
     "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::127.0.0.1", "::1.1.1.1", "::ffff:0.0.0.0",
     "::ffff:169.254.169.254", "::ffff:0:1.1.1.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1.1.1.1", "100::1",
     "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:101:101::", "2002:7f00:1::",
     "3fff::1", "4000::1", "5f00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1",
     "localhost", "", "1.2.3", "127.1", "01.1.1.1", "1.1.1.1 ", "1.1.1.1\n"],
)  # fmt: skip
def test_what_is_no_receiver_is_shut_always(address: str) -> None:
    assert not is_allowed(address, private=False)
    assert not is_allowed(address, private=True)


@given(st.ip_addresses(v=4))
def test_an_address_in_disguise_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    for private in (False, True):
        plain = is_allowed(str(address), private=private)
        assert is_allowed(f"::ffff:{address}", private=private) is plain
        assert is_allowed(f"64:ff9b::{address}", private=private) is plain


@given(st.ip_addresses())
def test_nothing_the_library_calls_special_is_open(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    special = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    if special or (address.is_private and address.version == 4):
        assert not is_allowed(str(address), private=False)


def test_the_deadline_leaves_time_to_settle_the_job() -> None:
    assert POST_SECONDS + 1.0 < LEASE_SECONDS
