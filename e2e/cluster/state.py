"""What is known about one cluster, as it is kept in its state folder."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from e2e.cluster import operator_image
from e2e.cluster.commands import run
from e2e.cluster.errors import ClusterError
from e2e.cluster.images import PLATFORM, USER, NodeImages, Registry
from e2e.cluster.slots import Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from e2e.cluster.images import Content

FILE = "cluster.json"
# Where the node sees the state folder. Sockets below it have short paths, wherever the folder really is.
NODE_FOLDER = Path("/run/dbupgrade")
NODE_NAME = "local"
# What the node reports to the process that starts it.
STARTED = "started"
READY = "ready"
DATABASE_USER = "dbupgrade"
DATABASE_PORT = 5432
PATHS = ("state", "kubeconfig", "bin_dir", "database_programs")


@dataclass(frozen=True)
class Cluster:
    """A cluster and how to reach its parts. All addresses are the same for pods and for the host."""

    state: Path
    slot_number: int
    kubeconfig: Path
    registry: str
    database_admin_url: str
    host_ip: str
    crane_image: str
    runner_image: str
    atlas_cli_image: str
    psql_image: str
    bin_dir: Path
    database_programs: Path

    @classmethod
    def plan(
        cls, state: Path, slot: Slot, *, bin_dir: Path, database_programs: Path, password: str
    ) -> Cluster:
        """Work out where everything of a new cluster will be."""
        images = NodeImages.on(slot.registry, bin_dir)
        server = f"{DATABASE_USER}:{password}@{slot.node_ip}:{DATABASE_PORT}"
        return cls(
            state=state,
            slot_number=slot.number,
            kubeconfig=state / "admin.kubeconfig",
            registry=slot.registry,
            database_admin_url=f"postgres://{server}/postgres?sslmode=disable",
            host_ip=slot.host_ip,
            crane_image=images.crane,
            runner_image=operator_image.runner_reference(slot.registry),
            atlas_cli_image=images.atlas_cli,
            psql_image=images.psql,
            bin_dir=bin_dir,
            database_programs=database_programs,
        )

    @classmethod
    def load(cls, state: Path) -> Cluster:
        """Read a cluster from its state folder."""
        state = state.resolve()
        try:
            fields = json.loads((state / FILE).read_text())
        except FileNotFoundError:
            raise ClusterError(
                f"there is no cluster in {state}; start one with `up --state {state}`"
            ) from None
        paths = {name: Path(fields[name]) for name in PATHS}
        return cls(**(fields | paths))

    def save(self) -> None:
        """Write it to the state folder."""
        path = self.state / FILE
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self), default=str, indent=1))

    @property
    def slot(self) -> Slot:
        """The cluster's networks and names."""
        return Slot(self.slot_number)

    @property
    def database_password(self) -> str:
        """Password of the superuser."""
        password = urlsplit(self.database_admin_url).password
        assert password is not None
        return password

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that tell programs where the cluster is."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            # Else kubectl keeps what it learns about each cluster in the home folder for ever.
            "KUBECACHEDIR": str(self.state / "kubectl"),
            "REGISTRY": self.registry,
            "DATABASE_ADMIN_URL": self.database_admin_url,
            "HOST_IP": self.host_ip,
            "CRANE_IMAGE": self.crane_image,
            "RUNNER_IMAGE": self.runner_image,
            "PSQL_IMAGE": self.psql_image,
        }

    def write_env(self) -> None:
        """Write the same for a shell to read; its presence means that the cluster was ready."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in self.environment.items()]
        lines.append(f'export PATH={shlex.quote(str(self.bin_dir))}:"$PATH"\n')
        path = self.state / "env"
        path.touch(mode=0o600)
        path.write_text("".join(lines))

    def kubectl(self, *arguments: str | Path) -> str:
        """Run kubectl as the cluster's administrator and return what it printed."""
        files = (f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.state}/kubectl")
        return run(self.bin_dir / "kubectl", *files, *arguments)

    def push_image(
        self,
        name: str,
        layers: Mapping[str, Content],
        base: str | None = None,
        entrypoint: Sequence[str] = (),
        user: str = USER,
        platform: str = PLATFORM,
    ) -> str:
        """Make an image from paths and their contents, push it and return its reference."""
        registry = Registry(self.registry, self.bin_dir)
        return registry.push(name, layers, base=base, entrypoint=entrypoint, user=user, platform=platform)

    def push_index(self, name: str, images: Sequence[str]) -> str:
        """Push an index of images for several platforms and return its reference."""
        return Registry(self.registry, self.bin_dir).push_index(name, images)
