"""Why there is no connection, in words of our own: those of servers and libraries may quote a URL, and so a password."""

import errno
import os
import re
import socket
import ssl

import asyncpg

_SEVERAL = re.compile(r"\[Errno (\d+)\]")
"""What asyncio says of a host with several addresses, none of which can be reached."""


CLOSED = "the connection was closed"
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "no answer in time"),
    (asyncpg.CannotConnectNowError, "the server is starting, shutting down or recovering"),
    (asyncpg.TooManyConnectionsError, "the server accepts no more connections"),
    (asyncpg.PostgresConnectionError, CLOSED),
    (asyncpg.ClientConfigurationError, "a parameter of the URL has a value that the driver cannot use"),
    (asyncpg.InterfaceError, CLOSED),
    (ConnectionResetError, CLOSED),
    (BrokenPipeError, CLOSED),
    (socket.gaierror, "its host name cannot be resolved"),
    (ssl.SSLError, "the TLS handshake failed"),
    (ValueError, "a part of the URL cannot be read"),
)
"""The first that fits, so the narrower class comes first."""


def words(error: BaseException) -> str:
    """What happened to a connection, or when one was made."""
    for kind, text in _WORDS:
        if isinstance(error, kind):
            return text
    if isinstance(error, asyncpg.PostgresError):
        return f"the server reports SQLSTATE {error.sqlstate}"
    return _of_system(error) if isinstance(error, OSError) else "the connection failed"


def _of_system(error: OSError) -> str:
    numbers = [error.errno] if error.errno else [int(found) for found in _SEVERAL.findall(str(error))]
    if not numbers:
        return CLOSED if isinstance(error, ConnectionError) else "the connection failed"
    if errno.ECONNREFUSED in numbers:
        return "connection refused"
    return os.strerror(numbers[0]).lower()
