"""Folders for the data of servers that live as long as the tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30


def make_folder(prefix: str) -> Path:
    """Make a folder, in memory where there is room: a disk takes most of a minute to forget a hundred databases."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if _serves(_MEMORY) else None))


def _serves(folder: Path) -> bool:
    """Whether the folder has room, and programs in it can be run."""
    if not folder.is_dir():
        return False
    return shutil.disk_usage(folder).free > _ROOM and not os.statvfs(folder).f_flag & os.ST_NOEXEC
