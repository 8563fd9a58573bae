"""Starts, ends and examines clusters from the host."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import config, debian, host, operator_image, postgres_versions, slots, tools
from e2e.cluster.components import answers, listens
from e2e.cluster.errors import ClusterError
from e2e.cluster.images import NodeImages, make_layers
from e2e.cluster.state import DATABASE_PORT, FILE, NODE_FOLDER, NODE_NAME, READY, STARTED, Cluster

if TYPE_CHECKING:
    from e2e.cluster.slots import Claim, Owner

REPOSITORY = Path(__file__).parent.parent.parent
START_SECONDS = 180.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02
KERNEL_MODULES = ("overlay", "br_netfilter", "veth", "nf_tables")
UNSHARE = ("unshare", "--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc")


def start(state: Path) -> Cluster:
    """Start a cluster and return when it is ready, or return the one that runs in this folder already."""
    state = state.resolve()
    debian.require_root()
    _refuse_foreign(state)
    debian.install_missing()
    bin_dir, programs = tools.bin_dir(), postgres_versions.chosen()
    make_layers(bin_dir)
    operator_image.build_runner()
    with slots.exclusive():
        if (running := slots.owner(state)) is not None:
            if not (faults := problems(running)):
                return _with_database(Cluster.load(state), programs)
            print(
                f"the cluster in {state} is not well, starting it anew: {'; '.join(faults)}", file=sys.stderr
            )
        _remove(state)
        _load_kernel_modules()
        try:
            return _start(state, bin_dir, programs)
        except BaseException:
            _end(slots.owner(state))
            raise


def stop(state: Path) -> None:
    """End the cluster of this folder, or what is left of it, and remove the folder."""
    state = state.resolve()
    debian.require_root()
    _refuse_foreign(state)
    with slots.exclusive():
        _remove(state)


def problems(running: Owner) -> list[str]:
    """Say what is wrong with a running cluster; an empty list means that it is well."""
    slot, state = running.slot, running.state
    if not (state / "env").exists():
        return ["its start did not finish"]
    checks = {
        "the API server": partial(answers, f"{slot.api_server}/readyz", authority=state / "pki/ca.crt"),
        "the image registry": partial(answers, f"http://{slot.registry}/v2/"),
        "PostgreSQL": partial(listens, slot.node_ip, DATABASE_PORT),
        "the node": partial(_node_is_ready, Cluster.load(state)),
    }
    return [f"{name} does not answer as it should" for name, well in checks.items() if not well()]


def _with_database(running: Cluster, programs: Path) -> Cluster:
    """The running cluster, unless its database is of another version than the one asked for."""
    if postgres_versions.SETTING in os.environ and running.database_programs != programs:
        raise ClusterError(
            f"the cluster in {running.state} runs the PostgreSQL of {running.database_programs}; end it with"
            f" `down --state {running.state}` first"
        )
    return running


def _start(state: Path, bin_dir: Path, programs: Path) -> Cluster:
    reading, writing = os.pipe()
    with slots.claim(state) as claim:
        slot = claim.slot
        password = secrets.token_hex(16)
        cluster = Cluster.plan(state, slot, bin_dir=bin_dir, database_programs=programs, password=password)
        _write_files(cluster)
        pid = _spawn(cluster, claim, writing)
        claim.write(state, pid)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        report = _Report(pipe.fileno(), state / "log" / "node")
        report.expect(STARTED)
        host.connect(slot, pid)
        report.expect(READY)
    cluster.write_env()
    return cluster


def _write_files(cluster: Cluster) -> None:
    cluster.state.mkdir(parents=True, exist_ok=True)
    cluster.save()
    (cluster.state / "log").mkdir()
    config.write_all(
        cluster.state, cluster.slot, pause_image=NodeImages.on(cluster.registry, cluster.bin_dir).pause
    )


def _spawn(cluster: Cluster, claim: Claim, report: int) -> int:
    """Start the node in namespaces of its own; it keeps the slot's lock and the pipe for its report."""
    host.create_cgroups(claim.slot)
    node = (
        sys.executable,
        "-m",
        "e2e.cluster",
        "node",
        "--state",
        str(cluster.state),
        "--report",
        str(report),
    )
    environment = {
        "HOME": str(NODE_FOLDER),
        "LANG": "C.UTF-8",
        # The caller's comes last, for a Go that is elsewhere: which tools are in the cache depends on its version.
        "PATH": f"{cluster.bin_dir}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "DBUPGRADE_CACHE": str(tools.cache_dir()),
    }
    log = str(cluster.state / "log" / "node")
    # Not a Popen object: the process is to outlive the one that starts it.
    return os.posix_spawnp(
        UNSHARE[0],
        [*UNSHARE, "--propagation", "private", *node],
        environment,
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            *_closings(),
            # A descriptor copied onto itself is one that the new process inherits.
            (os.POSIX_SPAWN_DUP2, report, report),
            (os.POSIX_SPAWN_DUP2, claim.file.fileno(), claim.file.fileno()),
        ],
    )


def _closings() -> list[tuple[int, int]]:
    """Actions that close what this process inherited itself: `flock FILE make up` would else lock as long as the cluster lives."""
    open_now = {int(path.name) for path in Path("/proc/self/fd").iterdir()} - {0, 1, 2}
    return [(os.POSIX_SPAWN_CLOSE, number) for number in open_now if _is_inheritable(number)]


def _is_inheritable(number: int) -> bool:
    with contextlib.suppress(OSError):  # the descriptor by which the folder was read has gone
        return os.get_inheritable(number)
    return False


class _Report:
    """What the node says about its start: a JSON string a line."""

    def __init__(self, pipe: int, log: Path) -> None:
        self._pipe = pipe
        self._log = log
        self._deadline = time.monotonic() + START_SECONDS
        self._read = b""

    def expect(self, word: str) -> None:
        """Wait for the next line; anything else than the word is why the start failed."""
        while b"\n" not in self._read:
            left = max(0.0, self._deadline - time.monotonic())
            if not select.select([self._pipe], [], [], left)[0]:
                raise ClusterError(
                    f"the node was not ready after {START_SECONDS:.0f} s; see {self._log.parent}"
                )
            if not (more := os.read(self._pipe, 65536)):
                raise ClusterError(
                    f"the node ended while it started; see {self._log}:\n{self._log.read_text()}"
                )
            self._read += more
        line, self._read = self._read.split(b"\n", 1)
        if (said := json.loads(line)) != word:
            raise ClusterError(said)


def _remove(state: Path) -> None:
    _end(slots.owner(state))
    deadline = time.monotonic() + STOP_SECONDS
    while state.exists():
        # Processes that were killed a moment ago may still write.
        with contextlib.suppress(OSError):
            shutil.rmtree(state)
        if state.exists() and time.monotonic() > deadline:
            raise ClusterError(f"{state} cannot be removed; see `findmnt` and `fuser --mount {state}`")


def _end(running: Owner | None) -> None:
    """Kill a cluster, and remove what the dead ones left outside their namespaces."""
    if running is not None:
        if running.pid is None:
            lock = slots.LOCKS / str(running.slot.number)
            raise ClusterError(f"an unknown process holds {lock}; see `fuser {lock}`")
        _kill(running.pid)
        deadline = time.monotonic() + STOP_SECONDS
        while slots.owner(running.state) is not None:
            if time.monotonic() > deadline:
                raise ClusterError(f"process {running.pid} of the cluster does not end")
            time.sleep(POLL_SECONDS)
    for slot in slots.free():
        host.remove_litter(slot)


def _kill(pid: int) -> None:
    """Kill the node's parent and wait for its child: a namespace's first process ends as its last one."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        inits = [os.pidfd_open(int(child)) for child in children]
        os.kill(pid, signal.SIGKILL)
        for init in inits:
            select.select([init], [], [], STOP_SECONDS)
            os.close(init)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)  # it is our own child when this very process started the cluster


def _refuse_foreign(state: Path) -> None:
    """Keep `up` and `down` away from a folder that is not a cluster's, because they remove it."""
    if state.is_relative_to("/run"):
        raise ClusterError(
            f"{state} cannot hold a cluster: the node has a /run of its own; choose another folder"
        )
    if state.exists() and not (state / FILE).exists() and (not state.is_dir() or any(state.iterdir())):
        raise ClusterError(f"{state} holds something else than a cluster; choose an empty or a new folder")


def _load_kernel_modules() -> None:
    """Load what may be a module; where one is missing, the component that needs it says so."""
    subprocess.run(["modprobe", "--all", "--quiet", *KERNEL_MODULES], check=False)


def _node_is_ready(cluster: Cluster) -> bool:
    try:
        cluster.kubectl("wait", "--for=condition=Ready", f"node/{NODE_NAME}", "--timeout=1s")
    except ClusterError:
        return False
    return True
