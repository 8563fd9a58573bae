"""A registry that asks for a user and a password: a door in front of the cluster's own."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSED_ON = ("Accept", "Range")
_PASSED_BACK = ("Content-Type", "Content-Length", "Docker-Content-Digest", "Docker-Distribution-Api-Version")


@contextlib.contextmanager
def guarded(registry: str, host: str, user: str, password: str) -> Iterator[str]:
    """Serve `registry` (host:port) on a free port of `host` to those who know the password; yields host:port."""
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != wanted:
                self._answer(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": 'Basic realm="private"'}, b"")
                return
            headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
            with contextlib.closing(http.client.HTTPConnection(registry, timeout=60)) as inner:
                inner.request(self.command, self.path, headers=headers)
                answer = inner.getresponse()
                back = {name: value for name in _PASSED_BACK if (value := answer.headers.get(name))}
                self._answer(answer.status, back, answer.read())

        do_HEAD = do_GET  # noqa: N815 - the base class looks for this name

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer((host, 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def pull_secret(registry: str, user: str, password: str) -> str:
    """The content of a kubernetes.io/dockerconfigjson Secret."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {registry: {"auth": token}}})
