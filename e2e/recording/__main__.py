"""`python -m e2e.recording --state .local`, or `make recording`: types commands on the local cluster and writes the picture."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import yaml

from dbupgrade.toolkit.history.changes import sums
from e2e.cluster import Cluster
from e2e.cluster.tools import binary
from e2e.demo.database import Database
from e2e.demo.kubectl import Kubectl
from e2e.demo.release import FIRST, SECOND, Release
from e2e.demo.shop import NAME, Shop, manifest
from e2e.recording.svg import Frame, picture
from e2e.recording.terminal import Terminal

PICTURE = Path(__file__).parents[2] / "docs/images/terminal.svg"
COLUMNS = 110
TITLE = "A migration that waits for a lock and succeeds, and one that fails, as kubectl dbupgrade shows them"
PLUGIN = "import sys; from dbupgrade.cli.main import plugin; sys.exit(plugin())"
GIFTS = {
    "20250801090000_add_gift_wrap.sql": "SET lock_timeout = '10min';\nALTER TABLE products ADD COLUMN gift_wrap text;\n"
}
MISTAKE = {
    "20250802090000_label_gifts.sql": "ALTER TABLE orders ADD COLUMN gift_label text;\n\n"
    "UPDATE orders SET gift_label = upper(gift_wrapping);\n"
}
BEFORE_COMMAND, BEFORE_OUTPUT, TICK = 2.0, 1.0, 0.25
"""How long the picture waits at most, in seconds."""
HELD_SECONDS = 6.0
"""How long the lock is held after the status has said who holds it."""


def main() -> int:
    """Record, and write the picture."""
    parser = argparse.ArgumentParser(prog="e2e.recording", description=__doc__)
    parser.add_argument(
        "--state", type=Path, default=Path(".local"), help="state folder of the running cluster"
    )
    cluster = Cluster.load(parser.parse_args().state)
    with tempfile.TemporaryDirectory(prefix="recording-") as folder:
        recorder = Recorder(
            Path(folder), environment(cluster, Path(folder)), {cluster.registry: "registry.example"}
        )
        asyncio.run(record(cluster, recorder))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(recorder.frames, COLUMNS, TITLE))
    print(f"{PICTURE}  {PICTURE.stat().st_size >> 10} KiB")
    return 0


@dataclass
class Recorder:
    """Types commands at a terminal of its own, and keeps what it showed."""

    folder: Path
    environment: dict[str, str]
    names: dict[str, str]
    """What is shown instead of the names of this cluster."""
    frames: list[Frame] = field(default_factory=list)
    terminal: Terminal = field(default_factory=lambda: Terminal(COLUMNS))

    def type(self, command: str, *, code: int = 0) -> None:
        """Run a command line to its end. Raises RuntimeError when it does not end with `code`."""
        time.sleep(BEFORE_COMMAND)
        blank = "\r\n" if self.frames else ""
        self._show(f"{blank}\x1b[1m$ {command}\x1b[0m\r\n", BEFORE_COMMAND)
        reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        with subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=writer,
            stdout=writer,
            stderr=writer,
        ) as running:
            os.close(writer)
            pause = BEFORE_OUTPUT
            while printed := _read(reader):
                self._show(printed, pause)
                pause = TICK
        os.close(reader)
        if running.returncode != code:
            raise RuntimeError(f"{command} ended with {running.returncode}, not with {code}")

    def _show(self, text: str, pause: float) -> None:
        for own, shown in self.names.items():
            text = text.replace(own, shown)
        self.terminal.write(text)
        self.frames.append(Frame(time.monotonic(), self.terminal.shown(), pause))


def _read(reader: int) -> str:
    """Some output; none at its end, which Linux reports as an error."""
    try:
        return os.read(reader, 65536).decode()
    except OSError:
        return ""


def environment(cluster: Cluster, folder: Path) -> dict[str, str]:
    """That of somebody who has installed `kubectl dbupgrade`, and whose kubeconfig names the namespace."""
    plugin = folder / "kubectl-dbupgrade"
    root = shlex.quote(str(Path(__file__).parents[2]))
    plugin.write_text(
        f'#!/bin/sh\nPYTHONPATH={root} exec {shlex.quote(sys.executable)} -c {shlex.quote(PLUGIN)} "$@"\n'
    )
    plugin.chmod(0o755)
    kubeconfig = json.loads(cluster.kubeconfig.read_text())
    for context in kubeconfig["contexts"]:
        context["context"]["namespace"] = NAME
    (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
    path = f"{folder}:{cluster.bin_dir}:{os.environ['PATH']}"
    own = {"PATH": path, "KUBECONFIG": str(folder / "kubeconfig"), "TERM": "xterm-256color"}
    return {**os.environ, **cluster.environment, **own}


async def record(cluster: Cluster, recorder: Recorder) -> None:
    """The shop's first release; its second, which waits for a report; and one with a mistake."""
    shop = Shop(Kubectl(binary("kubectl"), cluster.kubeconfig, NAME))
    database = Database(cluster.database_admin_url, NAME)
    await shop.recreate_namespace()
    url = database.url(await database.recreate())
    images = [
        _push(cluster, FIRST, {}),
        _push(cluster, SECOND, GIFTS),
        _push(cluster, Release("2.1.0", SECOND.last), {**GIFTS, **MISTAKE}),
    ]
    objects = manifest()
    secret, upgrade = objects["Secret"], objects["DBUpgrade"]
    secret["stringData"]["url"] = url
    await shop.kubectl.apply([secret])
    upgrade["spec"]["migrations"]["image"] = images[0]
    (recorder.folder / "shop.yaml").write_text(yaml.safe_dump(upgrade, sort_keys=False))

    recorder.type("kubectl apply -f shop.yaml && kubectl dbupgrade wait shop")
    change = "sed -i s/{}/{}/ shop.yaml && kubectl apply -f shop.yaml && kubectl "
    report = await asyncpg.connect(f"{url}&application_name=monthly-report")
    await report.execute("BEGIN; SELECT count(*) FROM products")
    ended = asyncio.create_task(_end(report, shop))
    await asyncio.to_thread(recorder.type, change.format("1.0.0", "2.0.0") + "dbupgrade wait shop")
    await ended
    recorder.type(
        change.format("2.0.0", "2.1.0") + "wait --for=condition=Stalled dbupgrade/shop --timeout=5m"
    )
    recorder.type("kubectl dbupgrade explain shop")


async def _end(report: asyncpg.Connection, shop: Shop) -> None:
    """End the transaction of a report when the status has named it for a while."""
    waiting = '--for=jsonpath={.status.conditions[?(@.type=="Progressing")].reason}=WaitingForLock'
    try:
        await shop.kubectl.run("wait", "dbupgrade/shop", waiting, "--timeout=180s")
        await asyncio.sleep(HELD_SECONDS)
    finally:
        await report.close()


def _push(cluster: Cluster, release: Release, more: dict[str, str]) -> str:
    """An image of a release, and of more files."""
    files = {path.name: path.read_bytes() for path in release.files} | {
        name: text.encode() for name, text in more.items()
    }
    layer = {f"/migrations/{name}": content for name, content in files.items()}
    layer["/migrations/atlas.sum"] = sums(sorted(files.items()))
    return cluster.push_image(f"{NAME}:{release.tag}", layers=layer)


if __name__ == "__main__":
    sys.exit(main())
