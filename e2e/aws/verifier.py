"""Says what is wrong with an RDS token, as RDS would: the signature is calculated here from the session's secret."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Mapping

_SERVICE = "rds-db"
_LIFE = timedelta(minutes=15)
_SKEW = timedelta(minutes=5)
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Session:
    """Keys that STS has given."""

    secret_key: str
    session_token: str


@dataclass(frozen=True)
class Wanted:
    """What a token must be for."""

    host: str
    port: int
    username: str
    region: str


def problem(token: str, wanted: Wanted, sessions: Mapping[str, Session], now: datetime) -> str:
    """Why the token is refused; empty when it is good. `sessions` are by access key."""
    place, _, query = token.partition("/?")
    unsigned, mark, signature = query.rpartition("&X-Amz-Signature=")
    found = dict(parse_qsl(unsigned, keep_blank_values=True))
    if not mark or place != f"{wanted.host}:{wanted.port}":
        return "it is for another server, or no token"
    if (found.get("Action"), found.get("DBUser")) != ("connect", wanted.username):
        return "it is for another user"
    key, _, scope = found.get("X-Amz-Credential", "").partition("/")
    date = found.get("X-Amz-Date", "")
    if scope != f"{date[:8]}/{wanted.region}/{_SERVICE}/aws4_request":
        return "it is for another day, region or service"
    session = sessions.get(key)
    if session is None or found.get("X-Amz-Security-Token") != session.session_token:
        return "its session is not known"
    made = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if found.get("X-Amz-Expires") != "900" or not -_SKEW <= now - made < _LIFE:
        return "it has expired"
    right = _signature(place, unsigned, scope, date, session.secret_key)
    return "" if hmac.compare_digest(signature, right) else "its signature is wrong"


def _signature(place: str, query: str, scope: str, date: str, secret_key: str) -> str:
    pairs = sorted(
        (quote(unquote_plus(name), safe="-_.~"), quote(unquote_plus(value), safe="-_.~"))
        for name, _, value in (pair.partition("=") for pair in query.split("&"))
    )
    canonical = "\n".join(
        (
            "GET",
            "/",
            "&".join(f"{name}={value}" for name, value in pairs),
            f"host:{place}",
            "",
            "host",
            _EMPTY,
        )
    )
    to_sign = "\n".join(("AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest()
