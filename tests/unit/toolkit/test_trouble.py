"""What people read of a connection that is not there: no class of an exception, nothing that a server or a library wrote."""

from __future__ import annotations

import errno
import socket
import ssl

import asyncpg
import pytest

from dbupgrade.toolkit import trouble

SECRET = "postgres://u:secret@h/d"
SEVERAL = f"Multiple exceptions: [Errno 111] Connect call failed ('::1', 5432), [Errno 111] {SECRET}"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (ConnectionRefusedError(errno.ECONNREFUSED, SECRET), "connection refused"),
        (OSError(SEVERAL), "connection refused"),
        (OSError(errno.EHOSTUNREACH, SECRET), "no route to host"),
        (OSError(SECRET), "the connection failed"),
        (ConnectionError(SECRET), "the connection was closed"),
        (ConnectionResetError(errno.ECONNRESET, SECRET), "the connection was closed"),
        (socket.gaierror(-2, SECRET), "its host name cannot be resolved"),
        (ssl.SSLError(1, SECRET), "the TLS handshake failed"),
        (asyncpg.CannotConnectNowError(SECRET), "the server is starting, shutting down or recovering"),
        (asyncpg.TooManyConnectionsError(SECRET), "the server accepts no more connections"),
        (asyncpg.ConnectionDoesNotExistError(SECRET), "the connection was closed"),
        (asyncpg.InterfaceError(SECRET), "the connection was closed"),
        (asyncpg.UndefinedTableError(SECRET), "the server reports SQLSTATE 42P01"),
        (
            asyncpg.ClientConfigurationError(SECRET),
            "a parameter of the URL has a value that the driver cannot use",
        ),
        (ValueError(SECRET), "a part of the URL cannot be read"),
        (RuntimeError(SECRET), "the connection failed"),
    ],
)
def test_each_trouble_has_words_of_our_own(error: Exception, words: str) -> None:
    assert trouble.words(error) == words
