"""A real etcd and kube-apiserver on loopback, without nodes and controllers.

What is missing on purpose: nothing runs pods, completes Jobs, collects garbage or finishes the deletion of namespaces, and
namespaces have no service accounts of their own. Tests play these parts where they matter.

Which version it is: harness/kubernetes.py.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from e2e.cluster import pki
from e2e.ports import free_port, keep_port
from tests.integration.harness import kubernetes
from tests.integration.harness.processes import Process

if TYPE_CHECKING:
    import socket
    from pathlib import Path

START_SECONDS = 180
_AUDIT_POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""


@dataclass(frozen=True)
class Login:
    """Who a kubeconfig makes its user: a bearer token or a client certificate."""

    token: str | None = None
    certificate: pki.Certificate | None = None

    def as_user(self) -> dict[str, str]:
        if self.token is not None:
            return {"token": self.token}
        assert self.certificate is not None
        return {
            "client-certificate-data": base64.b64encode(self.certificate.cert_pem).decode(),
            "client-key-data": base64.b64encode(self.certificate.key_pem).decode(),
        }


class ApiServer:
    """Start it with `start`, end it with `stop`; `directory` is for its files and must be empty."""

    def __init__(self, directory: Path) -> None:
        self._dir = directory
        self._port = free_port()
        self._kept: socket.socket | None = None
        self._etcd_url = f"http://127.0.0.1:{free_port()}"
        self._authority = pki.Authority.create("dbupgrade-tests")
        self._write_certificates()
        self._etcd = Process(self._etcd_command(), directory / "etcd.log")
        self._apiserver = Process(self._apiserver_command(), directory / "kube-apiserver.log")
        self.admin = self.login("admin", "system:masters")
        self.kubeconfig = self.write_kubeconfig("admin", self.admin)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    @property
    def ca_file(self) -> Path:
        return self._dir / "ca.pem"

    def start(self) -> None:
        """Start both servers and wait until they are ready."""
        self._etcd.start()
        self._apiserver.start()
        self._wait_ready()

    def stop(self) -> None:
        self._apiserver.stop()
        self._etcd.stop()

    def kill(self) -> None:
        """End the API server as a crash does; `restart` brings it back on the same port with the same objects."""
        self._apiserver.stop(signal.SIGKILL)
        self._kept = keep_port(self._port)

    async def restart(self) -> None:
        """Start the API server again, after ending it if it runs."""
        if self._kept:
            self._kept.close()
            self._kept = None
        await asyncio.to_thread(self._restart, self._apiserver)

    async def restart_etcd(self) -> None:
        await asyncio.to_thread(self._restart, self._etcd)

    def kill_etcd(self) -> None:
        self._etcd.stop(signal.SIGKILL)

    async def forget_history(self) -> None:
        """Make old continue tokens and resource versions expire: compact etcd, and empty the API server's cache."""
        revision = self._etcd_call("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
        self._etcd_call("/v3/kv/compaction", {"revision": revision, "physical": True})
        await self.restart()

    def audit(self) -> list[dict[str, Any]]:
        """Return the requests so far, as audit.k8s.io/v1 Events of level Metadata (verb, user, objectRef, responseStatus)."""
        log = self._dir / "audit.log"
        # The last line may be half written.
        text = log.read_text().rpartition("\n")[0] if log.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def login(self, user: str, *groups: str) -> Login:
        """Make a client certificate for a user."""
        return Login(certificate=self._authority.issue(user, groups))

    def write_kubeconfig(self, name: str, login: Login, server: str | None = None) -> Path:
        """Write a kubeconfig, for the API server itself or for a proxy in front of it."""
        cluster: dict[str, Any] = {"server": server or self.url}
        if cluster["server"].startswith("https"):
            cluster["certificate-authority"] = str(self.ca_file)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": login.as_user()}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        }
        path = self._dir / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def client_context(self) -> ssl.SSLContext:
        """Make an SSL context that trusts the server and logs in as the administrator."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.load_cert_chain(self._dir / "admin.pem", self._dir / "admin-key.pem")
        return context

    def _write_certificates(self) -> None:
        server = self._authority.issue("kube-apiserver", dns=["localhost"], ips=["127.0.0.1"])
        admin = self._authority.issue("admin", ["system:masters"])
        accounts = pki.KeyPair.create()
        files = {
            "ca.pem": self._authority.cert_pem,
            "server.pem": server.cert_pem,
            "server-key.pem": server.key_pem,
            "admin.pem": admin.cert_pem,
            "admin-key.pem": admin.key_pem,
            "accounts.pem": accounts.public_pem,
            "accounts-key.pem": accounts.private_pem,
            "audit-policy.yaml": _AUDIT_POLICY.encode(),
        }
        for name, content in files.items():
            (self._dir / name).write_bytes(content)

    def _etcd_command(self) -> list[str]:
        peer = f"http://127.0.0.1:{free_port()}"
        return [
            kubernetes.binary("etcd"),
            f"--data-dir={self._dir / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _apiserver_command(self) -> list[str]:
        return [
            kubernetes.binary("kube-apiserver"),
            f"--etcd-servers={self._etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self._dir}",
            f"--tls-cert-file={self._dir / 'server.pem'}",
            f"--tls-private-key-file={self._dir / 'server-key.pem'}",
            f"--client-ca-file={self.ca_file}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._dir / 'accounts.pem'}",
            f"--service-account-signing-key-file={self._dir / 'accounts-key.pem'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",
            # A metrics API of a test is reached at its own address: nothing routes to Services here.
            "--enable-aggregator-routing=true",
            "--authorization-mode=RBAC",
            # Its controller, which makes each namespace's default account, does not run here.
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
            f"--audit-policy-file={self._dir / 'audit-policy.yaml'}",
            f"--audit-log-path={self._dir / 'audit.log'}",
            "--profiling=false",
            "--v=1",
        ]

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the two servers."""
        return {"etcd": self._etcd.pid, "kube-apiserver": self._apiserver.pid}

    def _restart(self, process: Process) -> None:
        process.stop(signal.SIGKILL)
        process.start()
        self._wait_ready()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        context = self.client_context()
        while not self._ready(context):
            for process in (self._etcd, self._apiserver):
                if not process.running():
                    raise RuntimeError(f"{process.log.stem} ended:\n{process.tail()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"kube-apiserver is not ready:\n{self._apiserver.tail()}")
            time.sleep(0.05)

    def _ready(self, context: ssl.SSLContext) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", context=context, timeout=10) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:  # refused, reset, or a status that says not yet
            return False

    def _etcd_call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(self._etcd_url + path, json.dumps(body).encode())  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            result: dict[str, Any] = json.load(answer)
            return result
