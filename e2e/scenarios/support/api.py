"""A small JSON client for the API server, with the administrator's certificate."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import tempfile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Json = dict[str, Any]

REQUEST_SECONDS = 120.0
USER_AGENT = "e2e-scenarios"
GROUP = "dbupgrade.subbug.learning"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
_GROUPS = {"dbupgrades": f"apis/{GROUP}/v1alpha1", "jobs": "apis/batch/v1", "events": "api/v1"}


class RefusedError(AssertionError):
    """The API server did not do what it was asked for."""

    def __init__(self, what: str, status: Json) -> None:
        super().__init__(f"{what}: {status.get('message', status)}")
        self.code = int(status.get("code", 0))
        self.message = str(status.get("message", ""))
        causes = (status.get("details") or {}).get("causes", ())
        # "<nil>" stands where the server says that it left out further rules, as the object is invalid anyway.
        self.fields = {str(cause.get("field")) for cause in causes} - {"<nil>"}


def path(kind: str, namespace: str, name: str = "", sub: str = "") -> str:
    """The path of a kind's objects in a namespace, or of one object."""
    words = (_GROUPS.get(kind, "api/v1"), "namespaces", namespace, kind, name, sub)
    return "/" + "/".join(word for word in words if word)


class Api:
    """Requests to one API server."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._address = urlsplit(cluster["server"]).netloc
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]))
            pair.write(base64.b64decode(user["client-key-data"]))
            pair.flush()
            self._tls.load_cert_chain(pair.name)

    def request(
        self, method: str, where: str, body: object = None, content_type: str = "application/json"
    ) -> Json:
        """Send a request and return the answer. Raises RefusedError."""
        connection = http.client.HTTPSConnection(self._address, context=self._tls, timeout=REQUEST_SECONDS)
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body)
            connection.request(method, where, data, {"Content-Type": content_type, "User-Agent": USER_AGENT})
            with connection.getresponse() as answer:
                text = answer.read()
        if answer.status < http.client.MULTIPLE_CHOICES:
            found: Json = json.loads(text)
            return found
        raise RefusedError(f"{method} {where}", _status(answer.status, text))

    def watch(self, kind: str, namespace: str, version: str) -> Stream:
        """Everything that happens to the objects of a kind from `version` on."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "3600"}
        connection = http.client.HTTPSConnection(self._address, context=self._tls, timeout=REQUEST_SECONDS)
        connection.connect()
        connection.sock.settimeout(None)
        connection.request(
            "GET", f"{path(kind, namespace)}?{urlencode(query)}", headers={"User-Agent": USER_AGENT}
        )
        return Stream(connection)

    def apply(self, obj: Mapping[str, Any], kind: str, namespace: str) -> Json:
        """Create or change an object, as `kubectl apply --server-side` does."""
        where = path(kind, namespace, obj["metadata"]["name"])
        return self.request("PATCH", f"{where}?fieldManager=e2e&force=true", obj, APPLY)


def _status(code: int, text: bytes) -> Json:
    """What an error says. A path that is not served (yet), as that of a new CRD, is answered in plain words."""
    try:
        found: Json = json.loads(text)
    except ValueError:
        return {"code": code, "message": text.decode(errors="replace").strip()}
    return found


class Stream:
    """The events of a watch, each as the server sent it; `close` may come from another thread."""

    def __init__(self, connection: http.client.HTTPSConnection) -> None:
        self._connection = connection
        self._socket = connection.sock
        self._answer = connection.getresponse()

    def __iter__(self) -> Iterator[Json]:
        # A closed stream ends in one of many ways, depending on where the reader stood.
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            while line := self._answer.readline():
                yield json.loads(line)

    def interrupt(self) -> None:
        """Wake the reader up: there is nothing more to read."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Free the connection; only when nobody reads any more."""
        self._answer.close()
        self._connection.close()
