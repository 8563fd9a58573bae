"""Certificates are swapped under a listening server: the next handshake has the new one, a bad one changes nothing."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from webhook.issue import Issued, issue
from webhook.tls import BadCertificateError, Pair, SwappableContext, expiry

FIRST, SECOND = (issue("localhost", datetime.now(UTC)) for _ in range(2))


def pair(issued: Issued) -> Pair:
    return Pair(issued.cert_pem, issued.key_pem)


@pytest.fixture
async def tls() -> AsyncIterator[tuple[SwappableContext, int]]:
    """A context, and the port of a server that greets with it."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    context = SwappableContext()
    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context.listening)
    async with server:
        yield context, server.sockets[0].getsockname()[1]


async def greeting(port: int, trusted: Issued, *, name: str = "localhost", **options: int) -> bytes:
    context = ssl.create_default_context(cadata=trusted.ca_pem.decode())
    for option, value in options.items():
        setattr(context, option, value)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_each_handshake_takes_the_pair_that_was_swapped_in_last(
    tls: tuple[SwappableContext, int],
) -> None:
    context, port = tls
    for issued, other in ((FIRST, SECOND), (SECOND, FIRST)):
        assert context.swap(pair(issued))
        assert await greeting(port, issued) == b"hello"
        with pytest.raises(ssl.SSLCertVerificationError):
            await greeting(port, other)


async def test_a_client_that_names_no_server_is_served_too(tls: tuple[SwappableContext, int]) -> None:
    context, port = tls
    by_address = issue("127.0.0.1", datetime.now(UTC))
    context.swap(pair(by_address))
    assert await greeting(port, by_address, name="127.0.0.1") == b"hello"  # addresses are not sent (RFC 6066)


@pytest.mark.parametrize(
    "bad",
    [
        Pair(b"", b""),
        Pair(b"junk", b"junk"),
        Pair(FIRST.cert_pem, SECOND.key_pem),
        Pair(FIRST.cert_pem, b""),
        Pair(FIRST.cert_pem[:200], FIRST.key_pem),
    ],
    ids=["nothing", "junk", "another's key", "no key", "half a certificate"],
)
async def test_a_bad_pair_is_refused_and_the_last_good_one_stays(
    tls: tuple[SwappableContext, int], bad: Pair
) -> None:
    context, port = tls
    context.swap(pair(FIRST))
    with pytest.raises(BadCertificateError) as caught:
        context.swap(bad)
    assert "PRIVATE" not in str(caught.value)
    assert await greeting(port, FIRST) == b"hello"


async def test_without_a_certificate_a_handshake_fails(tls: tuple[SwappableContext, int]) -> None:
    context, port = tls
    assert not context.has_certificate
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await greeting(port, FIRST)


async def test_old_versions_of_tls_are_refused(tls: tuple[SwappableContext, int]) -> None:
    context, port = tls
    context.swap(pair(FIRST))
    assert await greeting(port, FIRST, maximum_version=ssl.TLSVersion.TLSv1_2) == b"hello"
    assert context.listening.minimum_version == ssl.TLSVersion.TLSv1_2


def test_the_same_pair_is_no_news() -> None:
    context = SwappableContext()
    assert context.swap(pair(FIRST))
    assert not context.swap(pair(FIRST))


def test_the_expiry_is_read_from_the_certificate() -> None:
    assert expiry(FIRST.cert_pem) > datetime.now(UTC)
    with pytest.raises(BadCertificateError):
        expiry(b"junk")


def test_no_key_is_shown() -> None:
    assert "PRIVATE" not in repr(pair(FIRST))
