from __future__ import annotations

import ssl
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

from dbupgrade.kube import errors

PATH = "/apis/batch/v1/namespaces/shop/jobs/a"


def status(**fields: Any) -> bytes:
    return orjson.dumps({"kind": "Status", **fields})


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        pytest.param(400, "BadRequest", errors.Invalid, id="a malformed request is Invalid"),
        pytest.param(401, "Unauthorized", errors.Unauthorized, id="401"),
        pytest.param(403, "Forbidden", errors.Forbidden, id="403"),
        pytest.param(404, "NotFound", errors.NotFound, id="404"),
        pytest.param(409, "AlreadyExists", errors.AlreadyExists, id="409 of a creation"),
        pytest.param(409, "Conflict", errors.Conflict, id="409 of an update"),
        pytest.param(409, "", errors.Conflict, id="409 without a reason"),
        pytest.param(410, "Expired", errors.Expired, id="410 Expired"),
        pytest.param(410, "Gone", errors.Expired, id="410 Gone"),
        pytest.param(413, "RequestEntityTooLarge", errors.TooLarge, id="413"),
        pytest.param(422, "Invalid", errors.Invalid, id="422"),
        pytest.param(429, "TooManyRequests", errors.TooManyRequests, id="429"),
        pytest.param(500, "InternalError", errors.ServerError, id="500"),
        pytest.param(504, "Timeout", errors.ServerError, id="504"),
        pytest.param(302, "", errors.ApiError, id="a redirect is an error"),
    ],
)
def test_a_status_code_becomes_its_class(code: int, reason: str, expected: type[errors.ApiError]) -> None:
    error = errors.api_error("GET", PATH, code, status(reason=reason))
    assert type(error) is expected
    assert (error.status, error.reason) == (code, reason)


@pytest.mark.parametrize(
    "message",
    [
        "etcdserver: request is too large",
        "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2097176 vs. 2097152)",
    ],
)
def test_what_etcd_finds_too_large_is_the_requests_fault(message: str) -> None:
    error = errors.api_error("PUT", PATH, 500, status(message=message))
    assert type(error) is errors.TooLarge


def test_the_message_names_verb_path_status_reason_and_the_servers_words() -> None:
    error = errors.api_error(
        "POST", PATH, 403, status(reason="Forbidden", message="exceeded\x1b quota:\n  pods=1")
    )
    assert str(error) == error.safe_message == f"POST {PATH}: 403 Forbidden: exceeded quota: pods=1"


def test_the_servers_message_is_cut() -> None:
    error = errors.api_error("POST", PATH, 422, status(reason="Invalid", message="x" * 5000))
    assert error.safe_message.endswith(": " + "x" * errors.SERVER_MESSAGE_LIMIT)


@pytest.mark.parametrize(
    "body", [b"", b"<html>secret</html>", b"[1]", b'{"password": "secret"}', status(message=[1], details=3)]
)
def test_a_body_that_is_no_status_is_not_quoted(body: bytes) -> None:
    error = errors.api_error("GET", PATH, 502, body)
    assert isinstance(error, errors.ServerError)
    assert str(error) == f"GET {PATH}: 502"


@pytest.mark.parametrize(
    ("header", "details", "expected"),
    [
        pytest.param("3", {}, 3.0, id="from the header"),
        pytest.param(None, {"retryAfterSeconds": 5}, 5.0, id="from the details"),
        pytest.param("1", {"retryAfterSeconds": 5}, 1.0, id="the header wins"),
        pytest.param("Wed, 21 Oct 2026 07:28:00 GMT", {}, None, id="a date counts as none"),
        pytest.param("-1", {}, None, id="negative counts as none"),
        pytest.param("nan", {}, None, id="not a number counts as none"),
        pytest.param(None, {"retryAfterSeconds": 0}, None, id="zero, which is what absent fields are"),
    ],
)
def test_retry_after(header: str | None, details: dict[str, Any], expected: float | None) -> None:
    headers = {} if header is None else {"Retry-After": header}
    assert errors.api_error("GET", PATH, 429, status(details=details), headers).retry_after == expected


def test_causes_tell_a_terminating_namespace() -> None:
    details = {"causes": [{"reason": "NamespaceTerminating", "message": "..."}]}
    assert errors.api_error("POST", PATH, 403, status(details=details)).causes == (
        ("NamespaceTerminating", ""),
    )


def connector_error(error: OSError) -> aiohttp.ClientConnectorError:
    key = aiohttp.client_reqrep.ConnectionKey("host", 443, True, True, None, None, None)
    return aiohttp.ClientConnectorError(key, error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (aiohttp.SocketTimeoutError(), "no answer in time"),
        (
            connector_error(ConnectionRefusedError(111, "Connection refused")),
            "cannot connect (Connection refused)",
        ),
        (connector_error(OSError("several addresses: secret")), "cannot connect"),
        (ssl.SSLCertVerificationError(), "the API server's certificate is not trusted"),
        (ssl.SSLError(), "the TLS handshake failed"),
        (ConnectionResetError(104, "reset"), "the connection was lost"),
        (aiohttp.ServerDisconnectedError("secret"), "the connection was lost"),
        (aiohttp.InvalidURL(URL("http://u:secret@host")), "the API server's URL is not valid"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_transport_error_is_named_in_our_words(error: Exception, words: str) -> None:
    assert str(errors.unreachable("GET", PATH, error)) == f"GET {PATH}: {words}"
