"""Which cluster uses which addresses: a slot is a number with the networks and names that follow from it.

A slot is taken by a file lock that the cluster's own process holds, so the kernel frees it when the process
ends, however it ends. Whatever bears the number of a slot whose lock is free is litter, and whoever finds it
may remove it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from e2e.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 8
LOCKS = Path("/run/lock/dbupgrade-cluster")


@dataclass(frozen=True)
class Slot:
    """The networks and names of one cluster."""

    number: int

    @property
    def name(self) -> str:
        """Name of the network link on the host and of the control groups."""
        return f"dbupgrade{self.number}"

    @property
    def pods(self) -> str:
        """Network of the pods; the node is its first address."""
        return f"10.{100 + self.number}.0.0/16"

    @property
    def node_ip(self) -> str:
        """Address of the node: API server, registry and PostgreSQL listen on it."""
        return f"10.{100 + self.number}.0.1"

    @property
    def services(self) -> str:
        """Network of the Services."""
        return f"10.{110 + self.number}.0.0/16"

    @property
    def api_service_ip(self) -> str:
        """Address of the Service `kubernetes`, by definition the first one."""
        return f"10.{110 + self.number}.0.1"

    @property
    def dns_ip(self) -> str:
        """Address of the Service `kube-dns`."""
        return f"10.{110 + self.number}.0.10"

    @property
    def host_ip(self) -> str:
        """Address under which pods and the API server reach a process on the host."""
        return f"10.120.{self.number}.1"

    @property
    def guest_ip(self) -> str:
        """The node's end of the link to the host."""
        return f"10.120.{self.number}.2"

    @property
    def api_server(self) -> str:
        """URL of the API server, the same for the host, the node and the pods."""
        return f"https://{self.node_ip}:6443"

    @property
    def registry(self) -> str:
        """Host and port of the image registry."""
        return f"{self.node_ip}:5000"


@dataclass(frozen=True)
class Claim:
    """A slot that this process has taken; a child that inherits the file keeps it taken."""

    slot: Slot
    file: IO[str]

    def __enter__(self) -> Self:
        """Keep the slot for a while."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the slot to the child, if there is one."""
        self.file.close()

    def write(self, state: Path, pid: int | None = None) -> None:
        """Note who has the slot, for `owner`."""
        self.file.truncate(0)
        json.dump({"state": str(state), "pid": pid}, self.file)
        self.file.flush()


@dataclass(frozen=True)
class Owner:
    """The cluster that has a slot."""

    slot: Slot
    state: Path
    pid: int | None


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Keep other starts and stops away from the slots for a moment."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    with (LOCKS / "all").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def claim(state: Path) -> Claim:
    """Take a free slot for a cluster."""
    for number in range(COUNT):
        if (file := _take(number)) is not None:
            taken = Claim(Slot(number), file)
            taken.write(state)
            return taken
    states = ", ".join(str(owner.state) for owner in owners())
    raise ClusterError(f"all {COUNT} slots for clusters are taken, by {states}; end one with `down --state`")


def owner(state: Path) -> Owner | None:
    """Say who runs the cluster of this folder, if anyone does."""
    return next((owner for owner in owners() if owner.state == state), None)


def owners() -> list[Owner]:
    """All clusters that run on this machine."""
    return [found for number in range(COUNT) if (found := _read(number)) is not None]


def free() -> list[Slot]:
    """Slots that nobody has; only under `exclusive` does it stay so."""
    taken = {owner.slot for owner in owners()}
    return [slot for slot in map(Slot, range(COUNT)) if slot not in taken]


def _take(number: int) -> IO[str] | None:
    file = (LOCKS / str(number)).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _read(number: int) -> Owner | None:
    if not (LOCKS / str(number)).exists():
        return None
    if (file := _take(number)) is not None:
        file.close()
        return None
    note = json.loads((LOCKS / str(number)).read_text())
    return Owner(Slot(number), Path(note["state"]), note["pid"])
