"""The webhook's server over real TLS: good reviews, bad input, clients that dawdle, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from dbupgrade.api.names import WEBHOOK_PATH
from dbupgrade.kube.errors import Unreachable
from dbupgrade.telemetry.metrics import WEBHOOK_REQUESTS
from e2e.cluster.pki import Authority
from tests.integration.harness.waiting import PATIENCE
from webhook import limits, server
from webhook.issue import issue
from webhook.limits import MAX_BODY_BYTES
from webhook.server import Webhook
from webhook.tls import Pair, SwappableContext

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Object = dict[str, Any]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
ISSUED = issue("localhost", datetime.now(UTC))
GROUP = "dbupgrade.subbug.learning"
SPEC = {
    "migrations": {"image": "registry.example/shop:1.0.0"},
    "database": {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "database"}}},
}


def resource(*, running: bool = False, **spec: Any) -> Object:
    condition = {"type": "Progressing", "status": str(running), "reason": "MigrationInProgress"}
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "DBUpgrade",
        "metadata": {"name": "shop", "namespace": "n"},
        "spec": {**SPEC, **spec},
        "status": {"conditions": [condition]},
    }


def review(operation: str = "UPDATE", **objects: Any) -> Object:
    request = {
        "uid": "u-1",
        "kind": {"group": GROUP, "version": "v1alpha1", "kind": "DBUpgrade"},
        "resource": {"group": GROUP, "version": "v1alpha1", "resource": "dbupgrades"},
        "operation": operation,
        "namespace": "n",
        **objects,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ISSUED.ca_pem.decode())


@dataclass
class Served:
    """A webhook that runs, and a client of it."""

    webhook: Webhook
    port: int
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}{WEBHOOK_PATH}"

    async def ask(self, body: Object) -> Object:
        status, text = await self.status(json.dumps(body).encode())
        assert status == 200, text
        answer: Object = json.loads(text)["response"]
        return answer

    async def status(self, data: bytes, content_type: str = "application/json") -> tuple[int, str]:
        headers = {"Content-Type": content_type}
        async with self.session.post(self.url, data=io.BytesIO(data), headers=headers) as response:
            return response.status, await response.text()


@asynccontextmanager
async def serving(
    *, terminating: bool | Exception = False, client_authority: str = "", client: ssl.SSLContext | None = None
) -> AsyncIterator[Served]:
    async def look(_: str) -> bool:
        if isinstance(terminating, Exception):
            raise terminating
        return terminating

    webhook, context = Webhook(look), SwappableContext(client_authority)
    context.swap(Pair(ISSUED.cert_pem, ISSUED.key_pem))
    async with webhook.serve(0, context.listening) as port:
        connector = aiohttp.TCPConnector(ssl=client or trusting())
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Served(webhook, port, session)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as found:
        yield found


async def test_a_good_change_is_allowed_and_the_uid_echoed(served: Served) -> None:
    answer = await served.ask(review(oldObject=resource(), object=resource(suspend=True)))
    assert answer == {"uid": "u-1", "allowed": True}


async def test_a_locked_change_is_denied(served: Served) -> None:
    changed = resource(migrations={"image": "registry.example/shop:2.0.0"})
    answer = await served.ask(review(oldObject=resource(running=True), object=changed))
    assert not answer["allowed"]
    assert answer["status"]["code"] == 403
    assert answer["status"]["details"]["causes"][0]["reason"] == "FieldValueForbidden"


@pytest.mark.parametrize(
    ("terminating", "allowed"),
    [(True, True), (False, False), (Unreachable("GET /api/v1/namespaces/n: refused"), False)],
    ids=["ends", "stays", "unknown"],
)
async def test_a_deletion_in_a_namespace_that(terminating: bool | Exception, allowed: bool) -> None:
    async with serving(terminating=terminating) as served:
        answer = await served.ask(review("DELETE", oldObject=resource(running=True)))
        assert answer["allowed"] == allowed


async def test_a_review_that_fails_unexpectedly_is_counted_as_an_error() -> None:
    before = WEBHOOK_REQUESTS.labels("error")._value.get()
    async with serving(terminating=RuntimeError("bug")) as served:
        body = json.dumps(review("DELETE", oldObject=resource(running=True)))
        async with served.session.post(
            served.url, data=body, headers={"Content-Type": "application/json"}
        ) as answer:
            assert answer.status == 500
    assert WEBHOOK_REQUESTS.labels("error")._value.get() == before + 1


BAD: dict[str, tuple[bytes, str, int]] = {
    "nothing": (b"", "application/json", 400),
    "malformed JSON": (b'{"kind": ', "application/json", 400),
    "JSON that is no review": (b"[1]", "application/json", 400),
    "another content type": (b"{}", "application/yaml", 415),
    "no UTF-8": (b'{"a": "\xff"}', "application/json", 400),
    "a missing oldObject": (json.dumps(review(object=resource())).encode(), "application/json", 400),
    "deep nesting": (b"[" * 100_000, "application/json", 400),
    "20 MiB": (b" " * (20 * 1024 * 1024), "application/json", 413),
    "many empty keys": (b'{"a":[' + b'{"":0},' * 400_000 + b"0]}", "application/json", 413),
    "many lists": (b"[" + b"[]," * 1_000_000 + b"0]", "application/json", 413),
    "many texts": (b"[" + b'"a",' * 800_000 + b"0]", "application/json", 413),
}


@pytest.mark.parametrize(("body", "content_type", "status"), BAD.values(), ids=BAD)
async def test_bad_input_gets_an_error_without_a_trace(
    served: Served, body: bytes, content_type: str, status: int
) -> None:
    code, text = await served.status(body, content_type)
    assert code == status
    assert text.strip()
    assert "Traceback" not in text
    assert (await served.ask(review(oldObject=resource(), object=resource())))["allowed"]


async def test_a_body_as_large_as_two_objects_of_etcd_is_read(served: Served) -> None:
    large = resource()
    large["metadata"]["annotations"] = {"a": "x" * (MAX_BODY_BYTES // 2 - 4096)}
    assert (await served.ask(review(oldObject=large, object=large)))["allowed"]


@pytest.mark.parametrize("spec", [None, {}, {"unknown": 1}], ids=["null", "empty", "unknown fields"])
async def test_a_spec_that_is_none_is_denied(served: Served, spec: Object | None) -> None:
    answer = await served.ask(review("CREATE", object={**resource(), "spec": spec}))
    assert not answer["allowed"]
    assert "spec" in answer["status"]["message"]


async def test_other_paths_and_methods_are_not_there(served: Served) -> None:
    async with served.session.get(served.url) as response:
        assert response.status == 405
    async with served.session.post(f"https://localhost:{served.port}/other", json={}) as response:
        assert response.status == 404


async def test_plain_http_is_turned_away_and_the_next_client_served(served: Served) -> None:
    reader, writer = await asyncio.open_connection("localhost", served.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200" not in await reader.read()
    writer.close()
    assert (await served.ask(review(oldObject=resource(), object=resource())))["allowed"]


@pytest.mark.parametrize(
    "words",
    [b"", b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "],
    ids=["nothing", "half a head"],
)
async def test_a_client_that_dawdles_is_let_go(words: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 1.0)
    async with serving() as served:
        reader, writer = await asyncio.open_connection("localhost", served.port, ssl=trusting())
        writer.write(words)
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()


async def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READ_SECONDS", 0.3)
    async with serving() as served:
        reader, writer = await asyncio.open_connection("localhost", served.port, ssl=trusting())
        head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
        async with asyncio.timeout(PATIENCE):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()


async def opened(port: int, body: bytes = b"", length: int = 0) -> Stream:
    """A connection with the head of a review, the first bytes of its body, and no end."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=trusting())
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    writer.write(head.encode())
    if length:
        writer.write(f"Content-Length: {length}\r\n\r\n".encode() + body)
        await writer.drain()
    return reader, writer


async def test_half_sent_heads_give_way_to_a_review(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 4)
    async with serving() as served:
        streams = [await opened(served.port) for _ in range(4)]
        assert (await served.ask(review(oldObject=resource(), object=resource())))["allowed"]
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                assert await streams[0][0].read() == b""
        for _, writer in streams:
            writer.close()


async def test_of_half_sent_bodies_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 4)
    monkeypatch.setattr(limits, "READ_SECONDS", 3600.0)  # their own time is not over
    async with serving() as served:
        streams = [await opened(served.port, b"{", 1000) for _ in range(12)]
        assert (await served.ask(review(oldObject=resource(), object=resource())))["allowed"]
        async with asyncio.timeout(PATIENCE):
            for reader, _ in streams[:8]:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        for _, writer in streams:
            writer.close()


async def test_half_sent_bodies_give_way_to_a_large_review(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READ_SECONDS", 3600.0)  # their own time is not over
    async with serving() as served:
        size = 3 * 1024 * 1024
        streams = [await opened(served.port, b" " * size, size + 1) for _ in range(4)]
        large = resource()
        large["metadata"]["annotations"] = {"a": "x" * 1024 * 1024}
        assert (await served.ask(review(oldObject=large, object=large)))["allowed"]
        async with asyncio.timeout(PATIENCE):
            assert (await streams[0][0].readline()).startswith(b"HTTP/1.1 408")
        for _, writer in streams:
            writer.close()


async def test_what_clients_send_is_not_in_the_log(served: Served) -> None:
    with capture_logs() as logs:
        await served.status(b'{"password": "hunter2"')
        await served.status(json.dumps({**review(), "kind": "hunter2"}).encode())
        await served.ask(review("CREATE", object=resource(migrations={"image": "hunter2 hunter2"})))
    assert [entry["event"] for entry in logs] == ["review_failed", "review_failed", "admission_denied"]
    assert [entry["status"] for entry in logs[:2]] == [400, 400]
    assert logs[2]["fields"] == ["spec.migrations.image"]
    assert "hunter2" not in str(logs)


OURS, STRANGER = Authority.create("api-server-ca"), Authority.create("another")


@pytest.mark.parametrize(("authority", "answered"), [(OURS, True), (STRANGER, False), (None, False)])
async def test_where_clients_need_a_certificate_only_those_of_the_authority_are_answered(
    tmp_path: Path, authority: Authority | None, answered: bool
) -> None:
    client = trusting()
    if authority:
        made = authority.issue("kube-apiserver")
        (tmp_path / "client.pem").write_bytes(made.key_pem + made.cert_pem)
        client.load_cert_chain(tmp_path / "client.pem")
    async with serving(client_authority=OURS.cert_pem.decode(), client=client) as served:
        asked = served.ask(review(oldObject=resource(), object=resource()))
        if answered:
            assert (await asked)["allowed"]
        else:
            with pytest.raises((aiohttp.ClientError, ConnectionError)):
                await asked


async def test_while_it_drains_each_answer_closes_its_connection(served: Served) -> None:
    served.webhook.draining = True
    body = review(oldObject=resource(), object=resource())
    async with served.session.post(served.url, json=body) as response:
        assert response.status == 200
        assert response.headers["Connection"] == "close"


async def test_a_burst_of_reviews_loses_none(served: Served) -> None:
    body = review(oldObject=resource(), object=resource(migrations={"image": "registry.example/shop:2"}))
    answers = await asyncio.gather(*(served.ask(body) for _ in range(2000)))
    assert [answer["allowed"] for answer in answers] == [True] * 2000
