# ruff: noqa: INP001 - a script
"""Compiles what the commands import of the standard library: Python's images have it as source only.

A container starts with the file system of its image and may not write, so every run would compile it again, which takes as
long as all else that happens before a run connects.
"""

import importlib
import pkgutil
import py_compile
import sys
from pathlib import Path

from dbupgrade import toolkit

OURS = Path("/opt")  # compiled by other layers


def main() -> None:
    """Import every command, and compile the files of what is then loaded."""
    importlib.import_module("runpy")  # which `python -m` is
    for module in pkgutil.walk_packages(toolkit.__path__, f"{toolkit.__name__}."):
        importlib.import_module(module.name)
    files = {Path(found) for module in sys.modules.values() if (found := getattr(module, "__file__", None))}
    for file in sorted(files):
        if file.suffix == ".py" and not file.is_relative_to(OURS) and file != Path(__file__):
            py_compile.compile(
                str(file), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )


if __name__ == "__main__":
    main()
