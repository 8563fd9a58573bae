"""What the kernel knows of a process."""

from __future__ import annotations

import os
import re
from pathlib import Path

_UTIME, _STIME = 11, 12  # in /proc/PID/stat, counted after the command's name


def cpu_seconds(pid: int) -> float:
    """CPU time that the process has used, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory."""
    return _mib(pid, "VmRSS")


def peak_mib(pid: int) -> float:
    """The most resident memory that the process ever had."""
    return _mib(pid, "VmHWM")


def _mib(pid: int, field: str) -> float:
    match = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return round(int(match[1]) / 1024, 1) if match else 0.0
