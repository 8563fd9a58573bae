"""The node: first process in the cluster's own namespaces, parent of everything that runs there.

The kernel ends all of it when this process ends. Nothing here reaches the host: network, mounts, processes
and shared memory are the namespaces' own, and what programs write to fixed places like /var/lib/cni goes to
memory.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from e2e.cluster import config, debian, operator_image
from e2e.cluster.commands import run
from e2e.cluster.components import Component, answers, listens_at
from e2e.cluster.errors import ClusterError
from e2e.cluster.images import Registry
from e2e.cluster.state import DATABASE_PORT, DATABASE_USER, NODE_NAME, READY, STARTED, Cluster
from e2e.cluster.state import NODE_FOLDER as STATE

LOGGER = logging.getLogger(__name__)
DATABASE = Path("/run/postgresql-data")
DATABASE_PROGRAMS = Path("/run/postgresql-programs")
BRIDGE_ADDRESS = "02:00:00:00:00:01"
# The kubelet insists on these settings of the whole machine. It is shown that they are as it wants, and the
# machine keeps its own.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


@dataclass
class Node:
    """Starts the components in order."""

    cluster: Cluster
    components: list[Component] = field(default_factory=list)

    def start(self) -> None:
        """Start everything, side by side where nothing has to wait."""
        self._prepare_mounts()
        self._prepare_network()
        pool = ThreadPoolExecutor()
        parts = (self._control_plane, self._images, self._containerd, self._database)
        for part in as_completed([pool.submit(part) for part in parts]):
            part.result()
        self._node_agents()

    def reap(self) -> None:
        """Collect ended processes, as the first one of a namespace must, and note which of our own ended."""
        names = {component.process.pid: component for component in self.components}
        while True:
            pid, status = os.wait()
            if (component := names.get(pid)) is not None:
                code = os.waitstatus_to_exitcode(status)
                print(f"{component.name} ended with code {code}; see {component.log}", flush=True)

    def _prepare_mounts(self) -> None:
        state = self.cluster.state
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        run("mount", "-t", "tmpfs", "tmpfs", "/dev/shm")
        programs = self.cluster.database_programs.parent  # its user may not enter every folder above
        binds = ((STATE, state), (DATABASE, state / "postgresql"), (DATABASE_PROGRAMS, programs))
        for target, source in binds:
            target.mkdir()
            source.mkdir(exist_ok=True)
            run("mount", "--bind", source, target)
        scratch = Path("/run/scratch")
        for folder in ("/var", "/etc", "/opt"):
            upper, work = (scratch / name / folder.strip("/") for name in ("upper", "work"))
            upper.mkdir(parents=True)
            work.mkdir(parents=True)
            layers = f"lowerdir={folder},upperdir={upper},workdir={work}"
            run("mount", "-t", "overlay", "overlay", "-o", layers, folder)
        # The state folder may itself lie below one of those.
        run("mount", "--bind", STATE, state)
        for name, value in KERNEL_SETTINGS.items():
            shown = scratch / name.replace("/", "-")
            shown.write_text(value + "\n")
            run("mount", "--bind", shown, f"/proc/sys/{name}")

    def _prepare_network(self) -> None:
        slot = self.cluster.slot
        run("ip", "link", "set", "lo", "up")
        # Without an address of its own a bridge takes over the lowest one of its ports. It then changes as pods come and
        # go, and those that stay send to the old one until their neighbour entry expires, up to a minute later.
        run("ip", "link", "add", "cni0", "address", BRIDGE_ADDRESS, "type", "bridge")
        run("ip", "address", "add", f"{slot.node_ip}/16", "dev", "cni0")
        run("ip", "link", "set", "cni0", "up")
        # Without a route, programs of the node could not even try to reach a Service.
        run("ip", "route", "add", slot.services, "dev", "cni0")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1")

    def _control_plane(self) -> None:
        etcd = self._run(
            "etcd",
            "--data-dir", STATE / "etcd",
            "--listen-client-urls", "http://127.0.0.1:2379",
            "--advertise-client-urls", "http://127.0.0.1:2379",
            "--listen-peer-urls", "http://127.0.0.1:2380",
            "--unsafe-no-fsync",
            "--log-level", "warn",
        )  # fmt: skip
        etcd.wait(partial(answers, "http://127.0.0.1:2379/readyz"))
        apiserver = self._api_server()
        authority = STATE / "pki/ca.crt"
        apiserver.wait(partial(answers, f"{self.cluster.slot.api_server}/readyz", authority=authority))
        kubeconfig = STATE / "controller-manager.kubeconfig"
        manager = self._run(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--service-account-private-key-file={STATE}/pki/service-account.key",
            f"--root-ca-file={authority}",
            f"--cluster-signing-cert-file={authority}",
            f"--cluster-signing-key-file={STATE}/pki/ca.key",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        )
        kubeconfig = STATE / "scheduler.kubeconfig"
        scheduler = self._run(
            "kube-scheduler",
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        )
        self.cluster.kubectl("create", "--validate=false", "--filename", STATE / "dns.yaml")
        manager.wait(partial(answers, "https://127.0.0.1:10257/healthz"))
        scheduler.wait(partial(answers, "https://127.0.0.1:10259/healthz"))
        # A pod without these two is refused or has no way to trust the API server.
        manager.wait(
            partial(self._exists, "serviceaccount/default", "configmap/kube-root-ca.crt"),
            "make the default service account",
        )

    def _api_server(self) -> Component:
        slot, pki = self.cluster.slot, STATE / "pki"
        return self._run(
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={slot.node_ip}",
            "--secure-port=6443",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--client-ca-file={pki}/ca.crt",
            "--authorization-mode=Node,RBAC",
            # The second is what OpenShift has on: who sets an owner must be allowed to finalize it.
            "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
            f"--service-cluster-ip-range={slot.services}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki}/service-account.crt",
            f"--service-account-signing-key-file={pki}/service-account.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-aggregator-routing=true",
            f"--requestheader-client-ca-file={pki}/ca.crt",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki}/front-proxy.crt",
            f"--proxy-client-key-file={pki}/front-proxy.key",
            f"--audit-policy-file={STATE}/audit.yaml",
            f"--audit-log-path={STATE}/log/audit.log",
        )

    def _images(self) -> None:
        registry = self._run(
            "registry",
            "registry", "serve", "--address", self.cluster.registry, "--disk", STATE / "registry",
            program="crane",
        )  # fmt: skip
        (STATE / "registry").mkdir()
        registry.wait(partial(answers, f"http://{self.cluster.registry}/v2/"))
        Registry(self.cluster.registry, self.cluster.bin_dir).push_node_images()
        runner = self.cluster.runner_image.removeprefix(f"{self.cluster.registry}/")
        operator_image.push(
            self.cluster.bin_dir, self.cluster.registry, runner, operator_image.build_runner()
        )

    def _containerd(self) -> None:
        containerd = self._run("containerd", "--config", STATE / "containerd.toml")
        containerd.wait(partial(listens_at, config.CONTAINERD_SOCKET))

    def _database(self) -> None:
        programs, address = DATABASE_PROGRAMS / "bin", self.cluster.slot.node_ip
        password = Path("/run/postgresql-password")
        password.touch(mode=0o600)
        password.write_text(self.cluster.database_password)
        for path in (DATABASE, password):
            run("chown", "postgres:postgres", path)
        run(
            programs / "initdb",
            "--pgdata", DATABASE,
            "--username", DATABASE_USER,
            "--pwfile", password,
            "--auth", "scram-sha-256",
            "--encoding", "UTF8",
            "--locale", "C.UTF-8",
            "--no-sync",
            user="postgres",
        )  # fmt: skip
        with (DATABASE / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 0.0.0.0/0 scram-sha-256\n")
        # Nothing here has to survive a crash of the machine, so nothing waits for the disk.
        settings = {
            "listen_addresses": address,
            "port": str(DATABASE_PORT),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        server = self._run(
            "postgresql", "-D", DATABASE, *options, program=programs / "postgres", user="postgres"
        )
        server.wait(partial(_accepts, debian.postgresql_bin() / "pg_isready", address))

    def _node_agents(self) -> None:
        """Start what needs the API server and containerd."""
        slot = self.cluster.slot
        kubelet = self._run(
            "kubelet",
            f"--config={STATE}/kubelet.yaml",
            f"--kubeconfig={STATE}/kubelet.kubeconfig",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={slot.node_ip}",
            f"--root-dir={STATE}/kubelet",
            f"--cert-dir={STATE}/kubelet/pki",
        )
        proxy = self._run(
            "kube-proxy",
            f"--kubeconfig={STATE}/kube-proxy.kubeconfig",
            f"--hostname-override={NODE_NAME}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={slot.pods}",
            f"--bind-address={slot.node_ip}",
            "--healthz-bind-address=127.0.0.1:10256",
            "--metrics-bind-address=127.0.0.1:10249",
            "--nodeport-addresses=primary",
            # These would change settings of the whole machine.
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0s",
            "--conntrack-tcp-timeout-close-wait=0s",
        )
        coredns = self._run("coredns", "-conf", STATE / "Corefile")
        # The kubelet comes first: kube-proxy waits for the node that it registers.
        kubelet.wait(self._node_is_ready, "report the node as ready")
        proxy.wait(partial(answers, "http://127.0.0.1:10256/healthz"))
        coredns.wait(partial(answers, "http://127.0.0.1:8181/ready"))

    def _run(
        self, name: str, *arguments: str | Path, program: str | Path = "", user: str | None = None
    ) -> Component:
        path = self.cluster.bin_dir / (program or name)
        component = Component.start(name, self.cluster.state / "log", (path, *arguments), user)
        self.components.append(component)
        return component

    def _exists(self, *things: str) -> bool:
        return len(
            self.cluster.kubectl("get", "--ignore-not-found", "--output=name", *things).split()
        ) == len(things)

    def _node_is_ready(self) -> bool:
        """Say whether the node is ready and pods may go there."""
        text = self.cluster.kubectl("get", "node", NODE_NAME, "--ignore-not-found", "--output=json")
        if not text:
            return False
        node = json.loads(text)
        ready = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}.get("Ready")
        return ready == "True" and not node["spec"].get("taints")


def _accepts(pg_isready: Path, address: str) -> bool:
    command = [str(pg_isready), "--quiet", "--host", address, "--port", str(DATABASE_PORT)]
    return subprocess.run(command, check=False).returncode == 0


def main(state: Path, report: int) -> None:
    """Run the node; tell the descriptor `report` that it has started, then that it is ready or why not."""
    _say(report, STARTED)
    node = Node(Cluster.load(state))
    started = time.monotonic()
    try:
        node.start()
    except ClusterError as error:
        _say(report, str(error))
        os._exit(1)  # at once, not when the threads have waited for their parts
    except Exception:
        LOGGER.exception("this is a mistake in the cluster's own code")
        os._exit(1)
    print(f"ready after {time.monotonic() - started:.1f} s", flush=True)
    _say(report, READY)
    node.reap()


def _say(report: int, text: str) -> None:
    os.write(report, json.dumps(text).encode() + b"\n")
