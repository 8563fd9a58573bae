"""Runs squawk."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.lint.findings import Hit, Text


def look(texts: Sequence[Text], work: Path) -> list[Hit]:
    """What squawk finds in `texts`, which are written to a folder of our own. Raises BadEnvironmentError."""
    if not texts:
        return []
    beside = Path(sys.executable).with_name("squawk")
    program = str(beside) if beside.exists() else shutil.which("squawk")
    if program is None:
        raise BadEnvironmentError("squawk is missing: install requirements-toolkit.lock")
    folder = work / "squawk"
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number}.sql").write_text(text.text, newline="")
    config = folder / ".squawk.toml"
    config.touch()  # not that of the directory we were called in
    command = [program, "--config", str(config), "--reporter", "json", "--assume-in-transaction"]
    done = subprocess.run(
        [*command, *(str(folder / f"{number}.sql") for number in range(len(texts)))],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise BadEnvironmentError(
            f"squawk ended with {done.returncode} and no findings that can be read"
        ) from None
    return [Hit(int(Path(item["file"]).stem), item["line"] + 1, item["rule_name"]) for item in found]
