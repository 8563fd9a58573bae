"""What a call prints: lines for people, or one JSON object a line with constant event names."""

import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

from dbupgrade.pod.redact import remove_secrets


class Format(StrEnum):
    """How a call answers."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    MARKDOWN = "markdown"


DOCUMENTS = (Format.SARIF, Format.MARKDOWN)
"""One document as a whole, which only `lint` has; what else there is to say goes to standard error."""


def counted(number: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def at(version: str | None) -> str:
    """At which version the database is, in words."""
    return f"the database is at {version}" if version else "the database has no version yet"


@dataclass
class Output:
    """Where a call prints; known secrets are removed from whatever comes this way."""

    form: Format = Format.TEXT
    secrets: tuple[str, ...] = field(default=(), repr=False)
    stream: TextIO = field(default_factory=lambda: sys.stdout)

    def event(self, name: str, text: str, *, level: str = "info", **values: Any) -> None:
        """Say `text` to people, or the event with its values to machines."""
        text, values = self._masked(text), {name: self._masked(value) for name, value in values.items()}
        if self.form in DOCUMENTS:
            sys.stderr.write(f"{level}: {text}\n")
            return
        if self.form is Format.TEXT:
            line = text if level == "info" else f"{level}: {text}"
        else:
            time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            known = {key: value for key, value in values.items() if value is not None}
            line = json.dumps({"event": name, "level": level, "timestamp": time, "message": text, **known})
        self.raw(line)

    def _masked(self, value: Any) -> Any:
        """`value` without secrets: in JSON they may be spelled in another way, and would not be found."""
        match value:
            case str():
                return remove_secrets(value, self.secrets)
            case list() | tuple():
                return [self._masked(each) for each in value]
            case dict():
                return {name: self._masked(each) for name, each in value.items()}
            case _:
                return value

    def raw(self, text: str) -> None:
        """Print a whole document, or a line."""
        print(remove_secrets(text, self.secrets), file=self.stream, flush=True)
