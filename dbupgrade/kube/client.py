"""Requests to the API server: JSON in, JSON out, typed errors, always a deadline.

It uses the client package for what is hard (kubeconfig, TLS, tokens) and leaves out its models and its `call_api`, which
costs more CPU than the request itself. Everything the operator sends goes through `Client.request`, `read` or `stream`.
"""

from __future__ import annotations

import asyncio
import contextlib
import urllib.request
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import aiohttp
import orjson
import structlog
from yarl import URL

from dbupgrade.kube import config
from dbupgrade.kube.errors import ServerError, Silence, TooManyRequests, Unreachable, api_error, unreachable
from dbupgrade.kube.package import ApiClient
from dbupgrade.telemetry.metrics import API_REQUESTS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from dbupgrade.kube.package import Configuration

JSON = "application/json"
USER_AGENT = "dbupgrade"
"""Its first word is also the manager's name in managedFields."""

REQUEST_SECONDS = 15.0
CONNECT_SECONDS = 5.0
MAX_RETRIES = 2
LONGEST_RETRY_AFTER = 2.0

_log = structlog.get_logger(__name__)


class Client:
    """One connection pool and one SSL context to one API server. Make it inside the running loop, close it at the end.

    Writes are sent once. aiohttp itself sends a GET, PUT or DELETE once more when a pooled connection turns out to be dead;
    ours carry a resource version or a uid, so that a second arrival does nothing.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._api = ApiClient(configuration)
        # The package's own session looks for a proxy and for ~/.netrc on every request, each in a thread, and an entry in
        # .netrc makes requests with a token fail. A second session shares its connections and TLS without that.
        self._session = aiohttp.ClientSession(
            connector=self._api.rest_client.pool_manager.connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept": JSON},
        )
        self._connection_options: dict[str, Any] = {
            "proxy": configuration.proxy or _environment_proxy(self.host),
            "proxy_headers": configuration.proxy_headers,
            "server_hostname": configuration.tls_server_name,
        }

    @classmethod
    async def connect(cls, kubeconfig: str | None = None, context: str | None = None) -> Client:
        """Make a client for the cluster that `config.load` finds. Sends nothing. Raises ConfigurationError."""
        return cls(await config.load(kubeconfig, context))

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._api.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def host(self) -> str:
        """The API server's URL."""
        return str(self._configuration.host)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        timeout: float = REQUEST_SECONDS,  # noqa: ASYNC109 - a deadline for retries and waits too, kept below
    ) -> Any:
        """Send `body` as JSON and return the answer's JSON; `timeout` is for everything together, in seconds.

        Raises a KubeError.
        """
        data = None if body is None else orjson.dumps(body)
        headers = {} if data is None else {"Content-Type": content_type}
        raw = await self._send(method, path, query=query, data=data, headers=headers, deadline=timeout)
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise Unreachable(f"{method} {path}: the answer is not JSON") from error

    async def read(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        timeout: float = REQUEST_SECONDS,  # noqa: ASYNC109 - as in request
    ) -> bytes:
        """GET something that is not JSON, for example a log. Raises a KubeError."""
        return await self._send("GET", path, query=query, headers={"Accept": "*/*"}, deadline=timeout)

    async def stream(
        self, path: str, *, query: Mapping[str, str], silence: float
    ) -> AsyncGenerator[bytes, None]:
        """GET `path` and yield the body in the pieces in which it arrives, until the server ends it.

        When nothing arrives for `silence` seconds it raises Unreachable, and Silence once the server has begun to answer.
        Close the generator (contextlib.aclosing) to end the request. Raises a KubeError.
        """
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=silence)
        headers = {"Accept-Encoding": "identity"}
        async with self._response("GET", path, query=query, headers=headers, timeout=timeout) as response:
            try:
                async for chunk in response.content.iter_any():
                    yield chunk
            except aiohttp.SocketTimeoutError as error:
                raise Silence(f"GET {path}: nothing arrived for {silence:g} s") from error
            finally:
                _abandon(response)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        deadline: float,
        data: bytes | None = None,
    ) -> bytes:
        """Send, and send again while the server asks for a short patience (it has not acted on such a request)."""
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS)
        try:
            async with asyncio.timeout(deadline):
                for attempt in range(MAX_RETRIES + 1):
                    try:
                        async with self._response(
                            method, path, query=query, headers=headers, data=data, timeout=timeout
                        ) as response:
                            return await response.read()
                    except (TooManyRequests, ServerError) as error:
                        wait = _short_wait(error)
                        if wait is None or attempt == MAX_RETRIES:
                            raise
                    await asyncio.sleep(wait)
        except TimeoutError as error:
            raise unreachable(method, path, error) from error
        raise AssertionError("the last attempt returns or raises")

    @contextlib.asynccontextmanager
    async def _response(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        **options: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open one request; the place where the transport's errors and bad statuses become ours."""
        url = URL(self.host + path + (f"?{urlencode(query)}" if query else ""), encoded=True)
        code = "<error>"
        try:
            async with self._session.request(
                method,
                url,
                headers={**headers, **await self._authorization()},
                allow_redirects=False,
                **self._connection_options,
                **options,
            ) as response:
                code = str(response.status)
                if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                    raise api_error(method, path, response.status, await response.read(), response.headers)
                yield response
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(method, path, error) from error
        finally:
            API_REQUESTS.labels(code=code, method=method).inc()

    async def _authorization(self) -> dict[str, str]:
        """Return the header with the current token; a failed refresh goes on with the last one, which may still serve."""
        configuration = self._configuration
        try:
            settings = await configuration.auth_settings()
            token = settings["BearerToken"]["value"] if settings else None
        except Exception as error:  # noqa: BLE001 - whatever an exec plugin or a file system comes up with
            _log.warning("credentials_not_refreshed", error=type(error).__name__)
            token = configuration.api_key.get("BearerToken")
        # A token file often ends in a newline, which is no legal part of a header.
        return {"Authorization": token.strip()} if token else {}


def _abandon(response: aiohttp.ClientResponse) -> None:
    """Break a response off whose body has no end. An orderly TLS shutdown would wait 30 s for a peer that may be gone."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()


def _short_wait(error: TooManyRequests | ServerError) -> float | None:
    """Return how many seconds to wait before the same request is sent again, None for not at all."""
    if isinstance(error, ServerError) and error.status != HTTPStatus.SERVICE_UNAVAILABLE:
        return None
    wait = error.retry_after
    return wait if wait is not None and wait <= LONGEST_RETRY_AFTER else None


def _environment_proxy(host: str) -> str | None:
    """Return the proxy that HTTPS_PROXY and NO_PROXY name for the API server, looked up once."""
    url = URL(host)
    if url.host is None or urllib.request.proxy_bypass(url.host):
        return None
    return urllib.request.getproxies().get(url.scheme)
