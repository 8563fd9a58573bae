"""Our images: their real Dockerfiles, built by buildah on a Python base that is made of Debian packages.

No container engine and no image registry is needed. Base and image are kept in the cache of the tools under names that
follow from all that goes into them.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import tempfile
from pathlib import Path

from dbupgrade import published
from e2e.cluster import debian, tools
from e2e.cluster.commands import run
from e2e.cluster.images import CERTIFICATES, programs

REPOSITORY = Path(__file__).parent.parent.parent
_COMMON = (".dockerignore", "images/compile.py", "dbupgrade")
SOURCES = ("Dockerfile", "requirements.lock", "webhook", *_COMMON)
RUNNER_SOURCES = ("images/migrate/Dockerfile", "requirements-toolkit.lock", *_COMMON)
RUNNER_NAME = published.image("migrate")
# What the Dockerfile asks of a base. Without libraries that only package management needs.
BASE_PACKAGES = (
    "python3",
    "python3-venv",
    "python3-pip",
    "ca-certificates",
    "dash",
    "coreutils",
    "base-files",
)
UNWANTED = (
    "debconf",
    "cdebconf",
    "perl",
    "libperl",
    "dpkg",
    "tar",
    "install-info",
    "openssl",
    "sensible-utils",
)
LITTER = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")
BASE = "localhost/dbupgrade-base"
_HIGHEST = 32768


def build() -> Path:
    """Return the operator's image of this checkout as an OCI layout, built first when the cache does not have it."""
    kept = tools.cache_dir() / "images" / f"operator-{_key(SOURCES)}"
    tools.install(kept, lambda target: _bud("Dockerfile", target))
    return kept


def build_runner() -> Path:
    """Return the runner's image in the same way."""
    atlas, psql = tools.binary(tools.ENGINE.name).resolve(), debian.postgresql_bin() / "psql"
    version = psql.parent.parent.name
    kept = tools.cache_dir() / "images" / f"migrate-{atlas.name}-{version}-{_key(RUNNER_SOURCES)}"

    def made(target: Path) -> None:
        others = (f"ATLAS_IMAGE={_atlas_image(atlas)}", f"POSTGRES_IMAGE={_postgres_image(psql)}")
        _bud("images/migrate/Dockerfile", target, *others)

    tools.install(kept, made)
    return kept


def runner_reference(registry: str) -> str:
    """What the runner's image of this checkout is called in a registry: its code changes without its version."""
    return f"{registry}/{RUNNER_NAME}:{build_runner().name.rpartition('-')[2]}"


def push(bin_dir: Path, registry: str, name: str, layout: Path | None = None) -> str:
    """Push an image, the operator's by default, as `name` (with its tag) to a registry and return its reference."""
    reference = f"{registry}/{name}"
    run(bin_dir / "crane", "push", "--insecure", layout or build(), reference)
    return reference


def _key(sources: tuple[str, ...]) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for source in sources:
        path = REPOSITORY / source
        files = sorted(path.rglob("*.*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and file.suffix != ".pyc":
                digest.update(f"{file.relative_to(REPOSITORY)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _bud(dockerfile: str, target: Path, *build_arguments: str) -> None:
    """Build a Dockerfile into an OCI layout."""
    arguments = [
        word for given in (f"BASE_IMAGE={_base()}", *build_arguments) for word in ("--build-arg", given)
    ]
    # Where a proxy that reads TLS stands before the package registry, the host trusts it and the base does not.
    trust = f"{CERTIFICATES}:{CERTIFICATES}:ro"
    name = f"localhost/{target.name}"
    _buildah(
        "bud", "--quiet", "--layers", "--isolation", "chroot", "--network", "host", "--timestamp", "0",
        "--volume", trust, *_limits(), "--file", str(REPOSITORY / dockerfile), *arguments, "--tag", name, str(REPOSITORY),
    )  # fmt: skip
    _buildah("push", "--quiet", name, f"oci:{target}")


def _limits() -> list[str]:
    """The limits that this process has, and at most those that buildah of Debian 12 sets first.

    Raising a limit is not for root everywhere: newer versions of buildah would raise these, and the older one has
    already lowered them when it comes to ours.
    """
    names = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    own = {
        name: [_HIGHEST if each < 0 else min(each, _HIGHEST) for each in resource.getrlimit(limit)]
        for name, limit in names.items()
    }
    return [f"--ulimit={name}={soft}:{hard}" for name, (soft, hard) in own.items()]


def _atlas_image(atlas: Path) -> str:
    """What images/atlas/Dockerfile makes: the binary at its place."""
    container = _buildah("from", "scratch")
    _buildah("copy", "--quiet", "--chmod", "755", container, str(atlas), "/usr/local/bin/atlas")
    name = f"localhost/dbupgrade-atlas:{atlas.name.rpartition('-')[2]}"
    _buildah("commit", "--quiet", "--rm", "--timestamp", "0", container, name)
    return name


def _postgres_image(psql: Path) -> str:
    """What the Dockerfile takes of PostgreSQL's image: psql, and the libraries that it loads, at their places there."""
    version = psql.parent.parent.name
    with tempfile.TemporaryDirectory(prefix="dbupgrade-psql-") as scratch:
        for path, content in programs(psql).items():
            if path.startswith("/lib64"):
                continue  # the loader
            library = f"usr/lib/{Path(path).parent.name}/{Path(path).name}"
            target = Path(scratch) / (
                library if content != psql.resolve() else f"usr/lib/postgresql/{version}/bin/psql"
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(content), target)
        container = _buildah("from", "scratch")
        _buildah("add", "--quiet", container, scratch, "/")
        name = f"localhost/dbupgrade-postgres:{version}"
        _buildah("commit", "--quiet", "--rm", "--timestamp", "0", container, name)
    return name


def _base() -> str:
    """Make the base image unless buildah's store has it."""
    recipe = f"{BASE_PACKAGES} {UNWANTED} {LITTER}"
    name = f"{BASE}:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if _buildah("images", "--quiet", "--filter", f"reference={name}"):
        return name
    with tempfile.TemporaryDirectory(prefix="dbupgrade-base-") as scratch:
        root = Path(scratch) / "root"
        _unpack_packages(Path(scratch), root)
        container = _buildah("from", "scratch")
        _buildah("add", "--quiet", container, str(root), "/")
        _buildah("commit", "--quiet", "--rm", "--timestamp", "0", container, name)
    return name


def _unpack_packages(scratch: Path, root: Path) -> None:
    """Unpack the packages and all that they depend on; what their install scripts would do is done here."""
    options = [
        f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    ]
    lines = run("apt-cache", "depends", "--recurse", *options, *BASE_PACKAGES, "base-passwd", "libc-bin")
    found = {line for line in lines.splitlines() if line[0].isalnum() and ":" not in line}
    wanted = sorted(name for name in found if not name.startswith(UNWANTED))
    for package in debian.download(wanted, scratch):
        run("dpkg-deb", "--extract", package, root)
    for folder in LITTER:
        shutil.rmtree(root / folder, ignore_errors=True)
    shell = root / "bin" / "sh"
    if not shell.exists():
        shell.symlink_to("dash")
    for managed in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        managed.unlink()
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    bundle = root / str(CERTIFICATES).lstrip("/")
    bundle.parent.mkdir(parents=True, exist_ok=True)
    authorities = sorted(root.glob("usr/share/ca-certificates/mozilla/*.crt"))
    bundle.write_bytes(b"".join(authority.read_bytes() for authority in authorities))
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


def _buildah(*arguments: str) -> str:
    """Run buildah on a store of its own in the cache."""
    debian.install(debian.BUILDAH)
    store = tools.cache_dir() / "buildah"
    return run(
        "buildah", "--root", store / "root", "--runroot", f"/run/dbupgrade-buildah-{os.getuid()}", *arguments
    ).strip()
