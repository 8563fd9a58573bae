"""The releases of the example shop: which migrations each one ships, and the layer of its image."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from e2e.demo.errors import DemoError

EXAMPLE = Path(__file__).parents[2] / "examples" / "shop"
MIGRATIONS = EXAMPLE / "migrations"
CHECKSUMS = "atlas.sum"


@dataclass(frozen=True)
class Release:
    """A version of the shop: all migrations up to the version `last`."""

    tag: str
    last: str

    @property
    def files(self) -> tuple[Path, ...]:
        """The migrations that this release ships, oldest first."""
        return tuple(path for path in sorted(MIGRATIONS.glob("*.sql")) if version(path) <= self.last)

    @property
    def versions(self) -> list[str]:
        """The versions of its migrations, as Atlas names them."""
        return [version(path) for path in self.files]

    def layer(self, atlas: Path) -> dict[str, bytes]:
        """Return what the image holds, by path.

        The folder as committed brings its own checksums. An older release had fewer files, and Atlas says what its
        checksums were.
        """
        everything = len(self.files) == len(list(MIGRATIONS.glob("*.sql")))
        checksums = (MIGRATIONS / CHECKSUMS).read_bytes() if everything else _checksums(self.files, atlas)
        layer = {f"/migrations/{path.name}": path.read_bytes() for path in self.files}
        return {**layer, f"/migrations/{CHECKSUMS}": checksums}


FIRST = Release("1.0.0", last="20250602091000")
SECOND = Release("2.0.0", last="20250704090000")


def version(migration: Path) -> str:
    """Take the version from a migration's file name: what stands before the first underscore."""
    return migration.stem.partition("_")[0]


def _checksums(files: tuple[Path, ...], atlas: Path) -> bytes:
    """Have `atlas migrate hash` write its file for these migrations."""
    with tempfile.TemporaryDirectory(prefix="shop-migrations-") as scratch:
        for path in files:
            shutil.copy(path, scratch)
        command = [str(atlas), "migrate", "hash", "--dir", f"file://{scratch}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DemoError(f"atlas migrate hash failed: {done.stderr.strip()}")
        return (Path(scratch) / CHECKSUMS).read_bytes()
