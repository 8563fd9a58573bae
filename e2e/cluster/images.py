"""Container images without a container engine: a layer is a tar file, and crane makes an image of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from e2e.cluster import debian, tools
from e2e.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLATFORM = "linux/arm64" if os.uname().machine == "aarch64" else "linux/amd64"
USER = "65532:65532"
BUSYBOX = Path("/bin/busybox")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PASSWD = b"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
GROUP = b"root:x:0:\nnonroot:x:65532:\n"


@dataclass(frozen=True)
class Link:
    """A link in an image; a hard one points to another path of the same image."""

    target: str
    hard: bool = False


@dataclass(frozen=True)
class Folder:
    """A folder in an image that nothing else mentions, for example an empty one."""

    mode: int = 0o755


@dataclass(frozen=True)
class Special:
    """What is neither file, folder nor link; a pipe, unless `device` has the numbers of a character device."""

    device: tuple[int, int] | None = None


# Bytes are a plain file; a path is copied, a whole folder with all that is in it.
Content = bytes | Path | Link | Folder | Special


@dataclass(frozen=True)
class Registry:
    """Where images are pushed to, over plain HTTP."""

    address: str
    bin_dir: Path

    def push(
        self,
        name: str,
        contents: Mapping[str, Content],
        *,
        base: str | None = None,
        entrypoint: Sequence[str] = (),
        user: str = USER,
        platform: str = PLATFORM,
    ) -> str:
        """Make an image of one layer (on top of `base`), push it as `name` and return its reference."""
        return self.push_layer(
            name, layer(contents), base=base, entrypoint=entrypoint, user=user, platform=platform
        )

    def push_layer(
        self,
        name: str,
        data: bytes,
        *,
        base: str | None = None,
        entrypoint: Sequence[str] = (),
        user: str = USER,
        platform: str = PLATFORM,
    ) -> str:
        """Push an image whose layer is made already."""
        reference = f"{self.address}/{name}"
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as file:
            file.write(data)
            file.flush()
            on_base = ("--base", base) if base else ()
            self._crane("append", *on_base, "--new_layer", file.name, "--new_tag", reference)
        # crane reads each of these flags as a row of comma separated values
        start = [f'--entrypoint="{word.replace(chr(34), chr(34) * 2)}"' for word in entrypoint]
        self._crane(
            "mutate", "--user", user, "--set-platform", platform, *start, "--tag", reference, reference
        )
        return reference

    def push_index(self, name: str, images: Sequence[str]) -> str:
        """Push an index of images for several platforms, each of which is there already, and return its reference."""
        reference = f"{self.address}/{name}"
        manifests = [word for image in images for word in ("--manifest", image)]
        self._crane("index", "append", *manifests, "--tag", reference)
        return reference

    def push_node_images(self) -> None:
        """Push what every pod needs (pause) and what the operator's Jobs use (crane, engines)."""
        images, layers = NodeImages.on(self.address, self.bin_dir), make_layers(self.bin_dir)
        for reference, entrypoint in (
            (images.pause, ("/bin/busybox", "sleep", "infinity")),
            (images.crane, ("crane",)),
            (images.atlas_cli, ("atlas",)),
            (images.psql, ("psql",)),
        ):
            name = reference.removeprefix(f"{self.address}/")
            image = name.rpartition("/")[2].partition(":")[0]
            self.push_layer(name, layers[image].read_bytes(), entrypoint=entrypoint)

    def _crane(self, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.bin_dir / "crane"), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise ClusterError(f"crane {' '.join(arguments)} failed: {done.stderr.strip()}")


@dataclass(frozen=True)
class NodeImages:
    """References of the images that are there in every cluster."""

    pause: str
    crane: str
    atlas_cli: str
    """Atlas's own command line, which users may bring."""
    psql: str

    @classmethod
    def on(cls, registry: str, bin_dir: Path) -> NodeImages:
        """Name them after the versions that `e2e/tools` pins."""
        return cls(
            pause=f"{registry}/pause:1",
            crane=f"{registry}/dbupgrade/crane:{tools.CRANE.version}",
            atlas_cli=f"{registry}/dbupgrade/atlas-cli:{tools.ATLAS.version}",
            psql=f"{registry}/dbupgrade/psql:{debian.postgresql_bin().parent.name}",
        )


def layer(contents: Mapping[str, Content]) -> bytes:
    """Make a layer that is the same, byte for byte, whenever its contents are."""
    entries: dict[str, Content] = {}
    for path, content in contents.items():
        entries |= _expand(path.strip("/"), content)
    folders = {str(parent) for path in entries for parent in PurePosixPath(path).parents} - {"."}
    for folder in folders:
        entries.setdefault(folder, Folder())
    data = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=data, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        # A hard link has to follow what it points to.
        for path in sorted(entries, key=lambda path: (_is_hard_link(entries[path]), path)):
            _add(tar, path, entries[path])
    return data.getvalue()


def _is_hard_link(content: Content) -> bool:
    return isinstance(content, Link) and content.hard


def _expand(path: str, content: Content) -> dict[str, Content]:
    """Replace a folder of this machine by what is in it."""
    if not isinstance(content, Path) or not content.is_dir():
        return {path: content}
    entries: dict[str, Content] = {path: Folder()}
    for child in content.iterdir():
        entries |= _expand(f"{path}/{child.name}", child)
    return entries


def _add(tar: tarfile.TarFile, path: str, content: Content) -> None:
    entry = tarfile.TarInfo(path)
    entry.mode = 0o644
    match content:
        case Folder(mode=mode):
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        case Link(target=target, hard=hard):
            entry.type = tarfile.LNKTYPE if hard else tarfile.SYMTYPE
            entry.linkname = target.strip("/") if hard else target
            tar.addfile(entry)
        case Special(device=device):
            entry.type = tarfile.CHRTYPE if device else tarfile.FIFOTYPE
            entry.devmajor, entry.devminor = device or (0, 0)
            tar.addfile(entry)
        case bytes():
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        case Path():
            status = content.stat()
            entry.size = status.st_size
            entry.mode = 0o755 if status.st_mode & 0o100 else 0o644
            with content.open("rb") as file:
                tar.addfile(entry, file)


def make_layers(bin_dir: Path) -> dict[str, Path]:
    """Make the layers of the node's images, once for all clusters: compressing the tools takes seconds.

    They are what the Dockerfiles in `images` build: a tool, and for crane busybox around it.
    """
    return {
        "pause": _kept("pause", {"/bin/busybox": BUSYBOX}),
        "crane": _kept("crane", _base() | _busybox() | _tool(bin_dir, "crane")),
        "atlas-cli": _kept("atlas-cli", _base() | _tool(bin_dir, "atlas")),
        "psql": _kept(
            "psql",
            _base() | _busybox() | programs(*(debian.postgresql_bin() / n for n in ("psql", "pg_isready"))),
        ),
    }


def _kept(name: str, contents: Mapping[str, Content]) -> Path:
    """Make a layer unless the cache has it; its name there follows from its contents and this code."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path, content in sorted(contents.items()):
        digest.update(f"{path} {content!r}\n".encode())
        if isinstance(content, Path):
            digest.update(content.read_bytes())
    kept = tools.cache_dir() / "layers" / f"{name}-{digest.hexdigest()[:12]}.tar.gz"
    tools.install(kept, lambda new: new.write_bytes(layer(contents)))
    return kept


def _tool(bin_dir: Path, name: str, program: str = "") -> dict[str, Content]:
    return {f"/usr/local/bin/{program or name}": (bin_dir / name).resolve()}


def programs(*paths: Path) -> dict[str, Content]:
    """Programs of this machine with the libraries that they load, all where they are here."""
    found: dict[str, Content] = {}
    for path in paths:
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        libraries = (Path(word) for word in listed.split() if word.startswith("/"))
        found |= {f"/usr/local/bin/{path.name}": path.resolve()}
        found |= {str(library): library.resolve() for library in libraries}
    return found


def _busybox() -> dict[str, Content]:
    applets = subprocess.run(
        [str(BUSYBOX), "--list"], capture_output=True, text=True, check=True
    ).stdout.split()
    links: dict[str, Content] = {f"/bin/{name}": Link("busybox") for name in applets}
    return links | {"/bin/busybox": BUSYBOX}


def _base() -> dict[str, Content]:
    """Return what a static binary expects to find."""
    certificates: dict[str, Content] = {str(CERTIFICATES): CERTIFICATES} if CERTIFICATES.exists() else {}
    return {"/etc/passwd": PASSWD, "/etc/group": GROUP, "/tmp": Folder(0o1777), **certificates}
