"""Which files are new: those that the main branch does not contain. Runs git."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.environment import BadEnvironmentError

_BASES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


@dataclass(frozen=True)
class Selection:
    """The files that a command processes."""

    names: set[str]
    new: bool = False
    """Whether they are known to be new: no database has any of them."""


def chosen(call: Call, names: list[str], latest: int | None = None, base: str | None = None) -> Selection:
    """The files that a command processes; `latest` and `base` apply if the command line does not choose files."""
    given = call.given
    if given.all:
        return Selection(set(names))
    if count := given.latest or (None if given.git_base else latest):
        return Selection(set(names[-count:]))
    new = new_files(call.folder, given.git_base or base)
    if new is None:
        call.output.event(
            "no_git", "the folder is not in a Git repository: all files count as new", files=len(names)
        )
        return Selection(set(names))
    return Selection(new & set(names), new=True)


def new_files(folder: Path, base: str | None) -> set[str] | None:
    """Names of the files that were added or changed since `base`; None when that cannot be known.

    Raises BadEnvironmentError for a base that does not exist.
    """
    if _git(folder, "rev-parse", "--is-inside-work-tree") is None:
        if base:
            raise BadEnvironmentError(
                f"--git-base {base}: {folder} is not in a Git repository, or git is not installed"
            )
        return None
    known = next((name for name in [base] if base), None) or _default_base(folder)
    if known is None:
        return None
    fork = _git(folder, "merge-base", "--", known, "HEAD")
    if fork is None:
        raise BadEnvironmentError(
            f"--git-base {known} is not a commit that shares a history with HEAD in this repository; fetch it with its history"
        )
    changed = (
        _git(folder, "diff", "--name-only", "--relative", "--diff-filter=d", "-z", fork.strip(), "--", ".")
        or ""
    )
    untracked = _git(folder, "ls-files", "--others", "--exclude-standard", "-z", "--", ".") or ""
    return {name for name in (changed + untracked).split("\0") if name}


def _default_base(folder: Path) -> str | None:
    found = (name for name in _BASES if _git(folder, "rev-parse", "--verify", "--quiet", name) is not None)
    return next(found, None)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
