"""Writes what the node's components read: certificates, kubeconfigs and the filled templates of `files`."""

from __future__ import annotations

import json
import string
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster.pki import Authority, Certificate, KeyPair
from e2e.cluster.state import NODE_FOLDER, NODE_NAME

if TYPE_CHECKING:
    from e2e.cluster.slots import Slot

TEMPLATES = Path(__file__).parent / "files"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
# Name of the file, user, groups. Each component has the identity that Kubernetes' own roles are bound to.
CLIENTS = (
    ("admin", "admin", ("system:masters",)),
    ("controller-manager", "system:kube-controller-manager", ()),
    ("scheduler", "system:kube-scheduler", ()),
    ("kubelet", f"system:node:{NODE_NAME}", ("system:nodes",)),
    ("kube-proxy", "system:kube-proxy", ()),
    ("coredns", "coredns", ()),
)


def write_all(folder: Path, slot: Slot, *, pause_image: str) -> None:
    """Fill the state folder with what the components read."""
    authority = Authority.create(slot.name)
    _write_pki(folder / "pki", authority, slot)
    for file, user, groups in CLIENTS:
        config = _kubeconfig(authority, authority.issue(user, groups), slot.api_server)
        _write_private(folder / f"{file}.kubeconfig", json.dumps(config, indent=1).encode())
    values = {
        "state": str(NODE_FOLDER),
        "containerd_socket": CONTAINERD_SOCKET,
        "pause_image": pause_image,
        "name": slot.name,
        "node_ip": slot.node_ip,
        "pods": slot.pods,
        "dns_ip": slot.dns_ip,
        "registry": slot.registry,
    }
    for template, target in (
        ("containerd.toml", "containerd.toml"),
        ("hosts.toml", f"registries/{slot.registry}/hosts.toml"),
        ("cni.conflist", "cni/10-local.conflist"),
        ("kubelet.yaml", "kubelet.yaml"),
        ("audit.yaml", "audit.yaml"),
        ("Corefile", "Corefile"),
        ("dns.yaml", "dns.yaml"),
    ):
        text = string.Template((TEMPLATES / template).read_text()).substitute(values)
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / target).write_text(text)
    (folder / "resolv.conf").touch()


def _write_pki(folder: Path, authority: Authority, slot: Slot) -> None:
    folder.mkdir()
    tokens = KeyPair.create()
    api_names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    api_names += ["kubernetes.default.svc.cluster.local", "localhost"]
    pairs = {
        "apiserver": authority.issue(
            "kube-apiserver", dns=api_names, ips=["127.0.0.1", slot.api_service_ip, slot.node_ip]
        ),
        "apiserver-kubelet-client": authority.issue("kube-apiserver-kubelet-client", ["system:masters"]),
        "front-proxy": authority.issue("front-proxy"),
        "kubelet": authority.issue(
            f"system:node:{NODE_NAME}", dns=[NODE_NAME], ips=["127.0.0.1", slot.node_ip]
        ),
        "ca": Certificate(authority.cert_pem, authority.key_pem),
        "service-account": Certificate(tokens.public_pem, tokens.private_pem),
    }
    for name, pair in pairs.items():
        (folder / f"{name}.crt").write_bytes(pair.cert_pem)
        _write_private(folder / f"{name}.key", pair.key_pem)


def _kubeconfig(authority: Authority, client: Certificate, server: str) -> dict[str, object]:
    def encoded(pem: bytes) -> str:
        return b64encode(pem).decode()

    user = {
        "client-certificate-data": encoded(client.cert_pem),
        "client-key-data": encoded(client.key_pem),
    }
    cluster = {"server": server, "certificate-authority-data": encoded(authority.cert_pem)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "local", "user": user}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
        "current-context": "local",
    }


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
