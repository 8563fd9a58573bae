"""A benchmark of this checkout and of another commit, in turns on the same machine.

python -m bench.against COMMIT bench.burst N=500

The other commit runs from a worktree of its own, with this checkout's packages. Prints one JSON object: the figures of each turn, and
for each figure the ratio of the medians, this checkout's to the commit's.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[1]
TURNS = 2


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A worktree of `commit`, which goes with the context. Raises CalledProcessError when there is no such commit."""
    with tempfile.TemporaryDirectory(prefix="dbupgrade-against-") as name:
        tree = Path(name) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def measure(tree: Path, words: Sequence[str]) -> dict[str, Any]:
    """The figures that a benchmark prints in `tree`. Raises CalledProcessError when it fails."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=tree, stdout=subprocess.PIPE, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def ratios(now: Sequence[Any], then: Sequence[Any]) -> Any:
    """The ratio of the medians of each figure that both have; None where there is none."""
    if all(isinstance(value, dict) for value in (*now, *then)):
        names = [name for name in now[0] if all(name in each for each in (*now, *then))]
        found = {name: ratios([each[name] for each in now], [each[name] for each in then]) for name in names}
        return {name: value for name, value in found.items() if value is not None} or None
    if not all(isinstance(value, int | float) for value in (*now, *then)):
        return None
    below = statistics.median(then)
    return round(statistics.median(now) / below, 2) if below else None


def main(arguments: list[str]) -> None:
    """Measure in turns and print."""
    commit, *words = arguments
    now, then = [], []
    with checkout(commit) as tree:
        for _ in range(TURNS):
            then.append(measure(tree, words))
            now.append(measure(ROOT, words))
    print(json.dumps({"against": {commit: then}, "now": now, "ratio": ratios(now, then)}))


if __name__ == "__main__":
    main(sys.argv[1:])
