"""Images that hold migrations, as an application team would build them."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from e2e.cluster import Cluster
    from e2e.cluster.images import Content

FIRST = {"20250101000000_users.sql": "CREATE TABLE users (id int PRIMARY KEY);"}
SECOND = {"20250102000000_orders.sql": "CREATE TABLE orders (id int PRIMARY KEY);"}
THIRD = {"20250103000000_rows.sql": "INSERT INTO users SELECT generate_series(1, 10);"}
FOURTH = {"20250104000000_items.sql": "CREATE TABLE items (id int PRIMARY KEY);"}
THREE = {**FIRST, **SECOND, **THIRD}


def checksums(cluster: Cluster, files: Mapping[str, str]) -> bytes:
    """What `atlas migrate hash` writes for these files."""
    with tempfile.TemporaryDirectory(prefix="e2e-migrations-") as scratch:
        for name, text in files.items():
            (Path(scratch) / name).write_text(text)
        subprocess.run(
            [cluster.bin_dir / "engine", "migrate", "hash", "--dir", f"file://{scratch}"],
            check=True,
            capture_output=True,
        )
        return (Path(scratch) / "atlas.sum").read_bytes()


def folder(cluster: Cluster, files: Mapping[str, str], at: str = "/migrations") -> dict[str, Content]:
    """The contents of an image with these files and their atlas.sum in the folder `at`."""
    contents: dict[str, Content] = {f"{at}/{name}": text.encode() for name, text in files.items()}
    return {**contents, f"{at}/atlas.sum": checksums(cluster, files)}


def crane(cluster: Cluster, *arguments: str) -> str:
    """What crane prints."""
    done = subprocess.run([cluster.bin_dir / "crane", *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()
