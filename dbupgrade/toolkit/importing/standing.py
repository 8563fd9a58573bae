"""Which of the imported files a database has, by the history of the other tool. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from dbupgrade.toolkit.importing.model import Applied, HistoryError, Migration

_NAMED = 5


@dataclass(frozen=True)
class Standing:
    """How far a database is."""

    done: int
    """How many of the files it has: the first ones."""
    unknown: tuple[str, ...]
    """What was applied and is not in the folder any more."""


def standing(migrations: Sequence[Migration], applied: Applied) -> Standing:
    """Compare the migrations, in their order, with the history.

    A baseline covers all files before it. So HistoryError is raised where one of these was never applied, where the folder
    is older than the database, and for a file that was changed since.
    """
    has = [_has(migration, applied) for migration in migrations]
    done = max((place for place, there in enumerate(has, 1) if there), default=0)
    if missing := [
        migration.source for migration, there in zip(migrations[:done], has, strict=False) if not there
    ]:
        raise HistoryError(
            f"never applied, although {migrations[done - 1].source} was, which comes later: {_named(missing)}. Apply what is "
            "missing with the tool that you come from, then import again"
        )
    unknown = sorted(set(applied.checksums) - {migration.identity for migration in migrations})
    newest = max((migration.key for migration in migrations if migration.identity), default=())
    if unknown and (done == 0 or (applied.last or ()) > newest):
        raise HistoryError(
            f"applied, but not in the folder: {_named(unknown)}. The next import would apply it again: import the folder that "
            "the database was migrated with"
        )
    if changed := [migration.source for migration in migrations[:done] if _changed(migration, applied)]:
        raise HistoryError(
            f"changed after it was applied: {_named(changed)}. Restore the content, and put the change into a new file"
        )
    return Standing(done, tuple(unknown))


def _has(migration: Migration, applied: Applied) -> bool:
    if not migration.identity:
        return False
    below = applied.up_to is not None and migration.key <= applied.up_to
    return below or migration.identity in applied.checksums


def _changed(migration: Migration, applied: Applied) -> bool:
    known = applied.checksums.get(migration.identity)
    return bool(known and migration.checksum and known != migration.checksum)


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
