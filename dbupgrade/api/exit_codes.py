"""The exit codes of `dbupgrade migrate`: scripts and charts distinguish failures by them, so a number never changes its meaning."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How the program ended; the table in docs/toolkit.md has the same rows."""

    OK = 0
    OTHER = 1
    USAGE = 2
    CHECKSUM = 3
    UNREACHABLE = 75
    """EX_TEMPFAIL of sysexits.h: nothing was done, and trying again may help."""
    AUTHENTICATION = 5
    NOT_CLEAN = 6
    SQL = 7
    LOCK = 8
    PENDING = 9
    LINT = 10
    FOLDER = 11
    FILES = 12
    APPROVAL = 13
    PREFLIGHT = 14
