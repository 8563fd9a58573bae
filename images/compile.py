# ruff: noqa: INP001 - a script
"""Compiles what packages of ours import of the standard library: Python's images have it as source only.

A container starts with the file system of its image and may not write, so each would compile it again, which takes as long as
all else that happens before the first connection.

python compile.py TARGET PACKAGE...    (TARGET: the folder that gets the compiled files, at their paths)
"""

import importlib
import pkgutil
import py_compile
import sys
from importlib.util import cache_from_source
from pathlib import Path

PACKAGES = Path("/opt")  # compiled already


def main(target: Path, packages: list[str]) -> None:
    """Import all of the packages, and compile the files of what is then loaded."""
    importlib.import_module("runpy")  # which `python -m` is
    for package in map(importlib.import_module, packages):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    files = {Path(found) for module in sys.modules.values() if (found := getattr(module, "__file__", None))}
    others = (PACKAGES, target, Path(__file__))
    for file in sorted(files):
        if file.suffix == ".py" and not any(file.is_relative_to(other) for other in others):
            compiled = target / cache_from_source(str(file)).lstrip("/")
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(file), str(compiled), doraise=True, invalidation_mode=mode)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
