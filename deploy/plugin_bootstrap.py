"""The start of the one-file `kubectl dbupgrade`: unpacks its packages into the user's cache once, and runs them."""

import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

OLDEST = (3, 11)


def main() -> int:
    """Run the plugin; returns the exit code."""
    if sys.version_info < OLDEST:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.stderr.write(f"error: kubectl dbupgrade needs Python 3.11 or newer; python3 is {version}\n")
        return 2
    sys.path.insert(0, str(unpacked(Path(sys.argv[0]))))
    from dbupgrade.cli.main import plugin  # noqa: PLC0415

    return plugin()


def unpacked(program: Path) -> Path:
    """The folder with the packages; one that is there is complete, since it got its name last."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubectl-dbupgrade"
    with zipfile.ZipFile(program) as archive:
        folder = cache / archive.read("identity").decode()
        if not folder.exists():
            cache.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(dir=cache))
            with archive.open("site.zip") as packages, zipfile.ZipFile(packages) as site:
                site.extractall(scratch)
            try:
                scratch.rename(folder)
            except OSError:  # another call was faster
                shutil.rmtree(scratch, ignore_errors=True)
                if not folder.exists():
                    raise
    return folder


if __name__ == "__main__":
    sys.exit(main())
