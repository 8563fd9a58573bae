"""Folder and database compared, whatever the engine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """Where the database is, and what is left to apply."""

    current: str | None
    """The version of the database; None where nothing was applied."""
    pending: tuple[str, ...]
    """Names of files, in their order."""
