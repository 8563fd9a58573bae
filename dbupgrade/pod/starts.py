"""Why a program in a container could not be started, from the words of container runtimes. Pure."""

import re

_EXEC = re.compile(
    r"exec:? (?P<quote>\"?)(?P<program>[^\"\n:]{1,200})(?P=quote): (?:stat [^\n:]{1,200}: )?"
    r"(?P<why>exec format error|permission denied|no such file or directory|executable file not found)"
)
_WORDS = {
    "exec format error": "it is built for another architecture than that of the node (exec format error)",
    "permission denied": "the user of the pod may not execute it (permission denied)",
    "no such file or directory": "the image does not contain it, or not its interpreter",
    "executable file not found": "the image does not contain it in its PATH",
}


def words(said: str) -> str | None:
    """What runc says before the container exists, or, as the last words of its log, after; None if that is something else."""
    found = _EXEC.search(said)
    return f"the program {found['program']} cannot be started: {_WORDS[found['why']]}" if found else None


def last_words(log: str) -> str | None:
    """The same, where it is the last line of a log and nothing else: a program may print such a line itself, too."""
    lines = log.rstrip().splitlines()
    return words(lines[-1]) if len(lines) == 1 and lines[-1].startswith("exec ") else None
