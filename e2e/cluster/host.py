"""What a cluster has outside its namespaces: a network link with its routes, and control groups."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster.commands import run
from e2e.cluster.errors import ClusterError

if TYPE_CHECKING:
    from e2e.cluster.slots import Slot

CGROUPS = Path("/sys/fs/cgroup")
CLEANING_SECONDS = 20.0


def connect(slot: Slot, pid: int) -> None:
    """Link the host with a process' network namespace, and route the cluster's addresses through the link."""
    run("ip", "link", "add", slot.name, "type", "veth", "peer", "name", "host", "netns", str(pid))
    run("ip", "address", "add", f"{slot.host_ip}/30", "dev", slot.name)
    run("ip", "link", "set", slot.name, "up")
    inside = ("nsenter", "--target", str(pid), "--net", "ip")
    run(*inside, "address", "add", f"{slot.guest_ip}/30", "dev", "host")
    run(*inside, "link", "set", "host", "up")
    for network in (slot.pods, slot.services):
        run("ip", "route", "add", network, "via", slot.guest_ip)


def create_cgroups(slot: Slot) -> None:
    """Make the parent of all pods' control groups in every hierarchy."""
    for hierarchy in _hierarchies():
        group = hierarchy / slot.name
        group.mkdir(exist_ok=True)
        # The old cpuset hierarchy starts a group without processors, and then nothing can run in it.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if hierarchy.name == "cpuset" and (hierarchy / name).exists():
                (group / name).write_text((hierarchy / name).read_text())


def remove_litter(slot: Slot) -> None:
    """Remove what a dead cluster left; the caller knows that nobody has the slot."""
    if Path("/sys/class/net", slot.name).exists():
        # The kernel takes the link away by itself once the last process is gone, perhaps right now.
        with contextlib.suppress(ClusterError):
            run("ip", "link", "delete", slot.name)
    for hierarchy in _hierarchies():
        _remove_cgroup(hierarchy / slot.name)


def _hierarchies() -> list[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        _delegate_controllers()
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def _delegate_controllers() -> None:
    """Let groups below the root of the unified hierarchy use the controllers that the kubelet asks for."""
    available = (CGROUPS / "cgroup.controllers").read_text().split()
    wanted = [name for name in ("cpu", "cpuset", "memory", "pids", "io", "hugetlb") if name in available]
    with contextlib.suppress(
        OSError
    ):  # refused inside a container, where they are delegated already or never
        (CGROUPS / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))


def _remove_cgroup(group: Path) -> None:
    """Remove a group and all below it, waiting for killed processes to be gone."""
    deadline = time.monotonic() + CLEANING_SECONDS
    while group.exists():
        below = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
        for path in (*below, group):
            with contextlib.suppress(OSError):
                path.rmdir()
        if time.monotonic() > deadline:
            raise ClusterError(f"{group} still has processes of an ended cluster; see its cgroup.procs")
        if group.exists():
            time.sleep(0.02)
