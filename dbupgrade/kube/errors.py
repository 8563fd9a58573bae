"""What can go wrong when talking to the API server, as a small tree.

    KubeError
      ConfigurationError   no way to reach a cluster could be worked out at start
      Unreachable          no complete answer: refused, reset, timed out, TLS, or not an API server
        Silence            a stream that had begun went quiet
      ApiError             an answer that says no, with its HTTP status and the reason of its Status object
        Invalid 400 422, Unauthorized 401, Forbidden 403, NotFound 404, AlreadyExists 409, Conflict 409,
        Expired 410, TooLarge 413, TooManyRequests 429, ServerError 5xx

Messages are made here, of our own words and a cut part of the server's message. Headers, query strings and bodies never
get into them, so `str(error)` is fit for a log line, a condition or an event.
"""
# ruff: noqa: N818 - the names are those of the API server's reasons, as every client of Kubernetes has them

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from dbupgrade.pod.redact import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER_MESSAGE_LIMIT = 600
"""Characters. The API server's own words before those of an admission policy are some 150."""
_HTTP_CONFLICT = 409
_HTTP_INTERNAL_ERROR = 500
_ETCD_TOO_LARGE = ("etcdserver: request is too large", "trying to send message larger than max")
"""What the API server passes on of etcd and of its client; it has no reason of its own for that."""
_FIRST_SERVER_ERROR = 500


class KubeError(Exception):
    """Any failure of a call; `safe_message` may be shown to users, `retry_after` is in seconds if the server named it."""

    def __init__(self, safe_message: str, *, retry_after: float | None = None) -> None:
        super().__init__(safe_message)
        self.safe_message = safe_message
        self.retry_after = retry_after


class ConfigurationError(KubeError):
    """The kubeconfig or the in-cluster files cannot be used."""


class Unreachable(KubeError):
    """There was no complete answer; a write may or may not have happened."""


class Silence(Unreachable):
    """A stream that had begun has brought nothing for long: the connection is dead, or there was nothing to say."""


class ApiError(KubeError):
    """The API server answered with a failure."""

    def __init__(
        self,
        safe_message: str,
        *,
        status: int,
        reason: str = "",
        causes: tuple[tuple[str, str], ...] = (),
        name: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(safe_message, retry_after=retry_after)
        self.status = status
        self.reason = reason
        self.causes = causes
        """Machine-readable causes in the answer's details: reason and field, for example (`NamespaceTerminating`, ``)."""
        self.name = name
        """The object that the answer is about, if its details name one."""


class Invalid(ApiError):
    """The object or the request is malformed (400) or breaks a rule of its schema (422)."""


class Unauthorized(ApiError):
    """The credentials are unknown or have run out."""


class Forbidden(ApiError):
    """RBAC, a quota, an admission plugin or a terminating namespace refuses."""


class NotFound(ApiError):
    """No such object, or no such kind."""


class AlreadyExists(ApiError):
    """An object of that name is there."""


class Conflict(ApiError):
    """The object has changed since it was read, or a precondition does not hold."""


class Expired(ApiError):
    """The resource version or the continue token is too old: list again."""


class TooLarge(ApiError):
    """The request is larger than the API server takes, or the object larger than etcd does."""


class TooManyRequests(ApiError):
    """The server requests a delay; see `retry_after`."""


class ServerError(ApiError):
    """The API server or etcd has an internal problem."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    410: Expired,
    413: TooLarge,
    422: Invalid,
    429: TooManyRequests,
}


def api_error(
    verb: str, path: str, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> ApiError:
    """Make the error for an answer outside 2xx; `path` carries no query."""
    answer = _status_object(body)
    retry_after = _seconds((headers or {}).get("Retry-After"))
    return status_error(verb, path, status, answer, retry_after=retry_after)


def status_error(
    verb: str, path: str, status: int, answer: Mapping[str, Any], *, retry_after: float | None = None
) -> ApiError:
    """Make the error for a Status object, as it comes in an answer's body or in a watch's ERROR event."""
    reason = _text(answer.get("reason"))
    details = answer.get("details")
    details = details if isinstance(details, dict) else {}
    causes = details.get("causes")
    causes = causes if isinstance(causes, list) else []
    message = " ".join(printable(_text(answer.get("message"))).split())[:SERVER_MESSAGE_LIMIT]
    words = (
        f"{verb} {path}: {status}" + (f" {reason}" if reason else "") + (f": {message}" if message else "")
    )
    return _class_of(status, reason, message)(
        words,
        status=status,
        reason=reason,
        causes=tuple(
            (_text(cause.get("reason")), _text(cause.get("field")))
            for cause in causes
            if isinstance(cause, dict)
        ),
        name=_text(details.get("name")),
        retry_after=_seconds(details.get("retryAfterSeconds")) if retry_after is None else retry_after,
    )


def unreachable(verb: str, path: str, error: BaseException) -> Unreachable:
    """Make the error for a request without an answer; the caller chains `error`."""
    return Unreachable(f"{verb} {path}: {_transport_words(error)}")


def _class_of(status: int, reason: str, message: str) -> type[ApiError]:
    if status == _HTTP_CONFLICT:
        return AlreadyExists if reason == "AlreadyExists" else Conflict
    if status == _HTTP_INTERNAL_ERROR and any(words in message for words in _ETCD_TOO_LARGE):
        return TooLarge
    if status >= _FIRST_SERVER_ERROR:
        return ServerError
    return _BY_STATUS.get(status, ApiError)


def _status_object(body: bytes) -> Mapping[str, Any]:
    """Return the Status in `body`; a proxy's HTML page, or anything else, counts as an empty one."""
    with contextlib.suppress(orjson.JSONDecodeError):
        parsed = orjson.loads(body)
        if isinstance(parsed, dict) and parsed.get("kind") == "Status":
            return parsed
    return {}


def _transport_words(error: BaseException) -> str:
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.CertificateError):
        return "the API server's certificate is not trusted"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "the TLS handshake failed"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the API server's host name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        # asyncio puts the address into strerror, and loses errno when it has tried several.
        number = error.os_error.errno
        return f"cannot connect ({os.strerror(number)})" if number else "cannot connect"
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return "the API server's URL is not valid"
    return "the connection was lost"


def _seconds(value: object) -> float | None:
    """Read a number of seconds; the date form of Retry-After is not used by API servers and counts as none."""
    if isinstance(value, int | float | str):
        with contextlib.suppress(ValueError):
            seconds = float(value)
            return seconds if 0 < seconds < float("inf") else None
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
