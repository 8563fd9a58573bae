"""The HTTPS server of the webhook: transport only, the verdict is `decide.admission`'s.

It runs on every replica, asks the status that comes with the request and no cache, and keeps what clients send out of the log.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from dbupgrade.api.names import WEBHOOK_PATH
from dbupgrade.decide import admission
from dbupgrade.decide.admission import AdmissionVerdict, Operation
from dbupgrade.decide.platform import Platform
from dbupgrade.kube.errors import KubeError
from dbupgrade.telemetry.endpoints import CannotListenError
from dbupgrade.telemetry.metrics import WEBHOOK_REQUESTS
from webhook import limits
from webhook.review import MalformedReviewError, Review, answer, parse

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiohttp.web_protocol import RequestHandler

IDLE_SECONDS = 100.0
"""For a head, and between two requests: longer than the 90 s of the API server's client, so that idle connections are
closed by the side that knows whether it is about to use one."""
_SHUTDOWN_SECONDS = 5.0
"""For the other side to confirm that TLS ends."""
_BACKLOG = 2048  # a burst of reviews, each on a connection of its own
_TLS_BUFFER_BYTES = 4 * 1024
"""For each connection. asyncio takes 256 KiB: 600 connections, as many as an API server may open, would be more memory than the
pod has."""
_HOST = "0.0.0.0"  # noqa: S104 - the API server comes from outside the pod
_JSON = "application/json"

_log = structlog.get_logger()


class Webhook:
    """Answers reviews.

    `terminating` returns whether a namespace is being deleted or does not exist; it may raise a KubeError. `platform` is what pods may claim.
    """

    def __init__(
        self, terminating: Callable[[str], Awaitable[bool]], platform: Platform | None = None
    ) -> None:
        self._terminating = terminating
        self._platform = platform or Platform()
        self._bodies = limits.Bodies()
        self._answering: set[RequestHandler] = set()
        self.draining = False
        """Set before the end: each answer then closes its connection, so that the next one is made elsewhere."""

    @asynccontextmanager
    async def serve(self, port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
        """Serve on `port` (0: any free one) with TLS; yields the port. Raises CannotListenError."""
        asyncio.sslproto.SSLProtocol.max_size = _TLS_BUFFER_BYTES  # there is no parameter for it
        application = web.Application()
        application.add_routes([web.post(WEBHOOK_PATH, self._handle)])
        runner = web.AppRunner(application, access_log=None, keepalive_timeout=IDLE_SECONDS)
        await runner.setup()
        try:
            listener = await asyncio.get_running_loop().create_server(
                self._acceptor(runner.server),
                _HOST,
                port,
                ssl=context,
                ssl_handshake_timeout=limits.READ_SECONDS,
                ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
                backlog=_BACKLOG,
            )
        except OSError as error:
            await runner.cleanup()
            raise CannotListenError(f"port {port} cannot be used: {error.strerror}") from error
        try:
            yield int(listener.sockets[0].getsockname()[1])
        finally:
            listener.close()
            await runner.cleanup()

    def _acceptor(self, server: web.Server | None) -> Callable[[], RequestHandler]:
        """What makes the protocol of a new connection, after room was made for it."""
        if server is None:
            raise AssertionError("a runner has a server after its setup")

        def accept() -> RequestHandler:
            limits.make_room(server.connections, self._answering)
            return server()

        return accept

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            with self._bodies.one() as body:
                response = await self._respond(request, body)
        except Exception:
            WEBHOOK_REQUESTS.labels("error").inc()
            raise
        finally:
            self._answering.discard(request.protocol)
        if self.draining:
            response.force_close()
        return response

    async def _respond(self, request: web.Request, body: limits.Body) -> web.Response:
        if request.content_type != _JSON:
            return _failed(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the content type must be {_JSON}")
        try:
            data = await self._bodies.read(body, request)
            self._answering.add(request.protocol)
            review = parse(data)
        except ConnectionError:  # it was closed, to make room for others perhaps: nobody hears the answer
            return _failed(HTTPStatus.BAD_REQUEST, "the body did not arrive")
        except TimeoutError:
            return _failed(HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time")
        except limits.BusyError:
            return _failed(HTTPStatus.SERVICE_UNAVAILABLE, "too many large reviews are being judged at once")
        except limits.TooLargeError as error:
            return _failed(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
        except MalformedReviewError as error:
            return _failed(HTTPStatus.BAD_REQUEST, str(error))
        verdict = await self._judge(review)
        WEBHOOK_REQUESTS.labels("allowed" if verdict.allowed else "denied").inc()
        if not verdict.allowed:
            fields = [problem.field for problem in verdict.problems]
            name = (review.new or review.old)["metadata"]["name"]
            _log.info(
                "admission_denied",
                namespace=review.namespace,
                name=name,
                operation=review.operation,
                fields=fields,
            )
        return web.Response(body=answer(review.uid, verdict), content_type=_JSON)

    async def _judge(self, review: Review) -> AdmissionVerdict:
        match review.operation:
            case Operation.CREATE:
                return admission.created(review.new, self._platform)
            case Operation.UPDATE:
                return admission.updated(review.old, review.new, self._platform)
            case Operation.DELETE:
                return admission.deleted(review.old, namespace_terminating=await self._is_leaving(review))

    async def _is_leaving(self, review: Review) -> bool | None:
        if not admission.needs_namespace(review.old):
            return False
        try:
            return await self._terminating(review.namespace)
        except KubeError as error:
            _log.warning("namespace_unknown", namespace=review.namespace, error=error.safe_message)
            return None


def _failed(status: HTTPStatus, message: str) -> web.Response:
    WEBHOOK_REQUESTS.labels("error").inc()
    _log.warning("review_failed", status=int(status), error=message)
    return web.Response(status=status, text=f"{message}\n")
