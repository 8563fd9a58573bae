"""`kubectl dbupgrade` as one file for each platform, and the manifest for krew.

    python -m deploy.plugin --output dist --releases URL [--platform linux-amd64 ...]

Each file is a zip with a Python program (PEP 441) that holds its packages, for every supported Python: the locked wheels are fetched by pip for the
platform, whatever machine this runs on. At its first start it unpacks itself into the user's cache, since compiled modules
cannot be loaded from a zip. `URL` is where the archives will be downloaded from.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import dbupgrade

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements-plugin.lock"
BOOTSTRAP = Path(__file__).parent / "plugin_bootstrap.py"
MANIFEST = Path(__file__).parent / "krew" / "dbupgrade.yaml"
NAME = "kubectl-dbupgrade"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = {
    "linux-amd64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "linux-arm64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
    "darwin-amd64": ("macosx_13_0_x86_64",),
    "darwin-arm64": ("macosx_14_0_arm64",),
}
PACKAGES = ("api", "cli", "decide", "kube", "pod", "telemetry")
MODULES = ("objects",)
"""What of ours the plugin imports."""
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip knows no earlier time; the same input gives the same file


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.plugin")
    parser.add_argument("--output", type=Path, required=True, help="folder for the archives and the manifest")
    parser.add_argument("--releases", required=True, help="URL of the folder that the archives will be in")
    parser.add_argument("--homepage", default="", help="URL of the project")
    parser.add_argument("--platform", action="append", choices=PLATFORMS, help="all by default")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    sums = {}
    for platform in given.platform or PLATFORMS:
        with tempfile.TemporaryDirectory() as scratch:
            site = Path(scratch)
            fetch(site, platform)
            copy_own(site)
            program = pack(site)
        archive = given.output / f"{NAME}_{platform}.tar.gz"
        archive.write_bytes(archived(program))
        sums[platform] = hashlib.sha256(archive.read_bytes()).hexdigest()
        print(f"{archive}  {archive.stat().st_size >> 20} MiB")
    (given.output / "dbupgrade.yaml").write_text(manifest(sums, given.releases, given.homepage))
    return 0


def fetch(site: Path, platform: str) -> None:
    """Put the locked packages for a platform into `site`, for all versions of Python side by side."""
    tags = [word for tag in PLATFORMS[platform] for word in ("--platform", tag)]
    for version in PYTHONS:
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(
                [
                    sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", scratch,
                    "--python-version", version, "--implementation", "cp", *tags,
                    "--only-binary", ":all:", "--no-compile", "--no-deps", "--require-hashes", "--requirement", str(LOCK),
                ],
                check=True,
            )  # fmt: skip
            shutil.copytree(
                scratch, site, dirs_exist_ok=True, ignore=shutil.ignore_patterns("bin", "__pycache__")
            )


def copy_own(site: Path) -> None:
    """Put our own packages into `site`, as far as the plugin needs them."""
    own = ROOT / "dbupgrade"
    for package in PACKAGES:
        shutil.copytree(
            own / package,
            site / "dbupgrade" / package,
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
    for module in ("__init__", *MODULES):
        shutil.copy(own / f"{module}.py", site / "dbupgrade")


def pack(site: Path) -> bytes:
    """The program: a shebang, then a zip with the bootstrap and, as a zip in it, `site`.

    Python reads the table of contents of the outer one at each start: it has three entries, the inner one thousands.
    """
    files = sorted(path for path in site.rglob("*") if path.is_file())
    identity = hashlib.sha256()
    for path in files:
        identity.update(f"{path.relative_to(site)}\0".encode())
        identity.update(path.read_bytes())
    packages = _zipped(
        {str(path.relative_to(site)): path.read_bytes() for path in files}, zipfile.ZIP_DEFLATED
    )
    parts = {
        "__main__.py": BOOTSTRAP.read_bytes(),
        "identity": identity.hexdigest()[:16].encode(),
        "site.zip": packages,
    }
    return b"#!/usr/bin/env python3\n" + _zipped(parts, zipfile.ZIP_STORED)


def _zipped(contents: dict[str, bytes], compression: int) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, _EARLIEST), content, compression)
    return written.getvalue()


def archived(program: bytes) -> bytes:
    """The tar file that krew unpacks: the program and the license."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz", compresslevel=1) as archive:
        for name, content, mode in (
            (NAME, program, 0o755),
            ("LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def manifest(sums: dict[str, str], releases: str, homepage: str) -> str:
    """The manifest for krew, with a platform for each archive."""
    head, _, platform = MANIFEST.read_text().partition("  # one for each platform\n")
    shown = head.replace("VERSION", dbupgrade.__version__).replace("HOMEPAGE", homepage)
    for name, checksum in sums.items():
        system, _, arch = name.partition("-")
        uri = f"{releases.rstrip('/')}/{NAME}_{name}.tar.gz"
        values = {"SYSTEM": system, "ARCH": arch, "URI": uri, "SHA256": checksum}
        entry = platform
        for word, value in values.items():
            entry = entry.replace(word, value)
        shown += entry
    return shown


if __name__ == "__main__":
    sys.exit(main())
