"""Database URLs: built from parts with everything escaped, and given settings of the session. Pure."""

import ipaddress
import math
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from dbupgrade.pod.redact import MASK

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""Those that the driver of Atlas knows."""

_INSTEAD_OF = {"schema": "search_path", "currentschema": "search_path", "ssl": "sslmode"}
"""Parameters by which other drivers call what ours call otherwise."""
_PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,63}")
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_QUOTED_NAME = re.compile(r'"((?:[^"]|"")+)"')
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")


class BadAddressError(ValueError):
    """Parts that make no URL; the message holds no credential."""


def build(*, host: str, port: str, name: str, user: str, password: str, ssl_mode: str) -> str:
    """A PostgreSQL URL. Raises BadAddressError."""
    if ssl_mode not in SSL_MODES:
        raise BadAddressError(f"DB_SSLMODE is {ssl_mode!r}; it must be one of {', '.join(SSL_MODES)}")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):  # noqa: PLR2004
        raise BadAddressError(f"DB_PORT is {port!r}; it must be a number from 1 to 65535")
    secret = f":{quote(password, safe='')}" if password else ""
    return f"postgres://{quote(user, safe='')}{secret}@{_host(host)}:{port}/{quote(name, safe='')}?sslmode={ssl_mode}"


def _host(host: str) -> str:
    bare = host.removeprefix("[").removesuffix("]")
    try:
        if ipaddress.ip_address(bare).version == 6:  # noqa: PLR2004
            return f"[{bare}]"
    except ValueError:
        pass
    if not _HOST_NAME.fullmatch(host):
        raise BadAddressError(
            f"DB_HOST is {host!r}; it must be a host name or an address; the port goes into DB_PORT"
        )
    return host


def is_postgresql(url: str) -> bool:
    """Whether it is a PostgreSQL that the URL leads to."""
    return url.startswith("postgres://")


def with_schema(url: str, schema: str) -> str:
    """What `build` has made, leading into one schema, if there is one.

    The server reads search_path as SQL: without double quotes, it would look for MyApp as myapp.
    """
    if not schema:
        return url
    name = schema if _PLAIN_NAME.fullmatch(schema) else '"' + schema.replace('"', '""') + '"'
    return f"{url}&search_path={quote(name, safe='')}"


def schema(url: str) -> str:
    """The schema that the URL selects, if any: Atlas then uses no other schema."""
    pairs = (pair.partition("=") for pair in urlsplit(url).query.split("&"))
    found = next((unquote(value) for key, _, value in pairs if key == "search_path"), "")
    quoted = _QUOTED_NAME.fullmatch(found)
    return quoted[1].replace('""', '"') if quoted else found


def without(url: str, parameter: str) -> str:
    """`url` without that parameter of its query."""
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if unquote(pair.partition("=")[0]) != parameter]
    return urlunsplit(parts._replace(query="&".join(kept)))


_TO_CONNECT = frozenset(
    {
        *("host", "hostaddr", "port", "user", "password", "dbname", "target_session_attrs"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
    }
)
_TO_CONNECT_TO_MYSQL = frozenset({"tls", "allowCleartextPasswords", "allowNativePasswords"})
_FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})


def to_connect(url: str, is_file: Callable[[str], bool]) -> str:
    """`url` with only those parameters that a connection needs: the others are for the program that it is meant for.

    Files that are not here are left out, as that program has an image of its own: the server's certificate is then
    verified with the public authorities.
    """
    parts, known = urlsplit(url), _TO_CONNECT if is_postgresql(url) else _TO_CONNECT_TO_MYSQL
    pairs = [pair for pair in parts.query.split("&") if _is_needed(pair, known, is_file)]
    if not is_postgresql(url) and not any(pair.startswith("tls=") for pair in pairs):
        pairs.append("tls=preferred")
    return urlunsplit(parts._replace(query="&".join(pairs)))


def _is_needed(pair: str, known: frozenset[str], is_file: Callable[[str], bool]) -> bool:
    name, _, value = pair.partition("=")
    return unquote(name) in known and (name not in _FILES or is_file(unquote(value)))


def unknown_parameters(names: Sequence[str]) -> str:
    """What is wrong with a URL that has these parameters; a name that is none may be a part of a password."""
    told = [_advised(name) if _PARAMETER.fullmatch(name) else MASK for name in sorted(names)]
    return f"the URL of the database has parameters that neither the driver nor the server knows: {', '.join(told)}"


def _advised(name: str) -> str:
    instead = _INSTEAD_OF.get(name.lower())
    return f"{name} (use {instead})" if instead else name


def normalise(url: str) -> str:
    """`url` with the one spelling of PostgreSQL's scheme that all of us know."""
    return "postgres://" + url.removeprefix("postgresql://") if url.startswith("postgresql://") else url


def with_settings(url: str, settings: Mapping[str, int]) -> str:
    """`url` with settings of the session among its options, those that are there kept; what comes last holds."""
    if not settings or not is_postgresql(url):
        return url
    parts = urlsplit(url)
    pairs = [pair for pair in parts.query.split("&") if pair]
    given = next((i for i, pair in enumerate(pairs) if pair.partition("=")[0] == "options"), None)
    existing = "" if given is None else unquote(pairs[given].partition("=")[2].replace("+", " "))
    words = [existing.strip(), *(f"-c {name}={value}" for name, value in settings.items())]
    options = f"options={quote(' '.join(filter(None, words)), safe='=')}"
    if given is None:
        pairs.append(options)
    else:
        pairs[given] = options
    return urlunsplit(parts._replace(query="&".join(pairs)))


def with_longest_waits(url: str, seconds: float | None) -> str:
    """A URL of MySQL with limits for waits, unless `seconds` is None: the driver executes what stands there as SET. What is shorter stays.

    MySQL counts whole seconds.
    """
    if seconds is None:
        return url
    names = ("lock_wait_timeout", "innodb_lock_wait_timeout")
    for name in names:
        url = without(url, name)
    most = math.ceil(seconds)
    added = [f"{name}={quote(f'LEAST(@@{name},{most})')}" for name in names]
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, *added]))))
