"""The database itself: whether it lets us in."""

import asyncio
import os
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit import address, trouble
from dbupgrade.toolkit.history.atlas import AtlasError

CONNECT_SECONDS = 10.0
PAUSE_SECONDS = 1.0
_CLIENT_SETTINGS = {
    "connect_timeout",
    "fallback_application_name",
    "binary_parameters",
    "channel_binding",
    "gssencmode",
}
"""Parameters of a URL that the driver of Atlas keeps to itself; ours would send them to the server."""
_UNKNOWN_SETTING = re.compile(r'unrecognized configuration parameter "(.*)"')
_DEFAULT_PORTS = {"postgres": 5432, "mysql": 3306, "mariadb": 3306}
NOT_YET = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
)


@dataclass(frozen=True)
class Reached:
    """A database that answered."""

    seconds: float
    """How long the connection took that succeeded."""
    attempts: int


async def wait(url: str, seconds: float, waiting: Callable[[str], None]) -> Reached:
    """Wait until the database accepts the connection, at most `seconds`. Raises AtlasError with the class of the failure.

    Waiting does not help with a wrong password or an unknown database: these are reported immediately.
    """
    deadline = time.monotonic() + seconds
    attempts = 0
    while True:
        attempts += 1
        began = time.monotonic()
        try:
            await _knock(url)
            return Reached(time.monotonic() - began, attempts)
        except NOT_YET as error:
            reason = trouble.words(error)
        if time.monotonic() + PAUSE_SECONDS >= deadline:
            raise AtlasError(Failure.DATABASE_UNREACHABLE, f"no connection within {seconds:g} s: {reason}")
        if attempts == 1:
            waiting(reason)
        await asyncio.sleep(PAUSE_SECONDS)


async def _knock(url: str) -> None:
    if address.is_postgresql(url):
        await (await connect(url)).close()
        return
    parts = urlsplit(url)
    _, writer = await asyncio.wait_for(
        asyncio.open_connection(parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]), CONNECT_SECONDS
    )
    writer.close()
    await writer.wait_closed()


def _tls(query: Mapping[str, str]) -> ssl.SSLContext | None:
    """How to verify a server where no root certificate is named: as the driver of Atlas, by those of the system."""
    mode = query.get("sslmode", "")
    if not mode.startswith("verify-") or "sslrootcert" in query or os.environ.get("PGSSLROOTCERT"):
        return None
    context = ssl.create_default_context()
    context.check_hostname = mode == "verify-full"
    return context


async def connect(url: str) -> asyncpg.Connection:
    """Connect. Raises AtlasError for a refusal, and one of NOT_YET when trying again may help."""
    try:
        return await _connect(url)
    except asyncpg.UndefinedObjectError as error:
        found = await _unknown_parameters(url, error)
        text = address.unknown_parameters(found) if found else trouble.words(error)
        raise AtlasError(Failure.CONNECTION_SETTINGS, text) from None


async def _unknown_parameters(url: str, error: asyncpg.UndefinedObjectError) -> list[str]:
    """All that the server would complain of; it names one at a time."""
    found = _UNKNOWN_SETTING.search(str(error))
    rest = address.without(url, found[1]) if found else url
    if not found or rest == url:
        return []
    try:
        await (await _connect(rest)).close()
    except asyncpg.UndefinedObjectError as other:
        return [found[1], *await _unknown_parameters(rest, other)]
    except (AtlasError, *NOT_YET):
        pass  # of the parameters, nothing more is known
    return [found[1]]


async def _connect(url: str) -> asyncpg.Connection:
    parts = urlsplit(url)
    pairs = [
        pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _CLIENT_SETTINGS
    ]
    try:
        return await asyncpg.connect(
            urlunsplit(parts._replace(query=urlencode(pairs))), timeout=CONNECT_SECONDS, ssl=_tls(dict(pairs))
        )
    except ssl.SSLCertVerificationError as error:
        raise AtlasError(
            Failure.CONNECTION_SETTINGS, f"the server's certificate is not trusted ({error.verify_message})"
        ) from None
    except asyncpg.InvalidAuthorizationSpecificationError:  # the wrong password too
        raise AtlasError(Failure.AUTHENTICATION) from None
    except asyncpg.InvalidCatalogNameError:
        raise AtlasError(Failure.DATABASE_UNREACHABLE, "the server has no database with that name") from None
    except asyncpg.InsufficientPrivilegeError:
        raise AtlasError(
            Failure.AUTHENTICATION, "the user is not allowed to connect to that database"
        ) from None
    except NOT_YET as error:
        if isinstance(error, ConnectionError) and "rejected SSL" in str(error):
            raise AtlasError(
                Failure.CONNECTION_SETTINGS,
                "the server does not support TLS: enable it on the server, or use sslmode=disable in the URL of the database",
            ) from None
        raise
    except asyncpg.UndefinedObjectError:
        raise  # a parameter that the driver did not know
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise AtlasError(Failure.CONNECTION_SETTINGS, trouble.words(error)) from None
