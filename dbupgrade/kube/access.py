"""May the bearer of a token read a path? Asked of the API server: who is that (TokenReview), and may they (SubjectAccessReview).

As controller-runtime guards its metrics. Answers are remembered for a while, so that a scrape costs nothing most of the time.
"""

from __future__ import annotations

import hashlib
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog

from dbupgrade.kube.errors import KubeError

if TYPE_CHECKING:
    from dbupgrade.kube.client import Client

REMEMBER_SECONDS = 60.0
_MOST = 256  # tokens; whoever sends more makes the API server answer more, as a client of its own could
_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path, not a token
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

_log = structlog.get_logger()


class Access:
    """Decides about one path."""

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        self._known: dict[bytes, tuple[float, HTTPStatus]] = {}

    async def decide(self, token: str) -> HTTPStatus:
        """OK, UNAUTHORIZED, FORBIDDEN, or SERVICE_UNAVAILABLE when the API server does not say."""
        if not token:
            return HTTPStatus.UNAUTHORIZED
        key, now = hashlib.sha256(token.encode()).digest(), time.monotonic()
        at, answer = self._known.get(key, (0.0, HTTPStatus.UNAUTHORIZED))
        if key in self._known and now - at < REMEMBER_SECONDS:
            return answer
        try:
            answer = await self._ask(token)
        except KubeError as error:
            _log.warning("access_unknown", path=self._path, error=error.safe_message)
            return HTTPStatus.SERVICE_UNAVAILABLE
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (now, answer)
        return answer

    async def _ask(self, token: str) -> HTTPStatus:
        status = await self._review(
            _TOKEN_REVIEWS, "authentication.k8s.io/v1", "TokenReview", {"token": token}
        )
        if not status.get("authenticated"):
            return HTTPStatus.UNAUTHORIZED
        user = status.get("user") or {}
        spec = {
            "user": user.get("username"),
            "uid": user.get("uid"),
            "groups": user.get("groups"),
            "extra": user.get("extra"),
            "nonResourceAttributes": {"path": self._path, "verb": "get"},
        }
        status = await self._review(_ACCESS_REVIEWS, "authorization.k8s.io/v1", "SubjectAccessReview", spec)
        return HTTPStatus.OK if status.get("allowed") else HTTPStatus.FORBIDDEN

    async def _review(self, path: str, version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in spec.items() if value is not None}
        body = {"apiVersion": version, "kind": kind, "spec": given}
        answer: dict[str, Any] = await self._client.request("POST", path, body=body)
        return answer.get("status") or {}
