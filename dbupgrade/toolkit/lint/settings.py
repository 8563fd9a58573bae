"""The `lint` block of an `.atlas.hcl`."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import hcl2
import regex

from dbupgrade.toolkit.environment import BadEnvironmentError

FILES = (".atlas.hcl", "atlas.hcl")
RESOURCES = ("table", "column", "index", "foreign_key", "check")


_MAX_BYTES = 64 * 1024
_MAX_EXPRESSION = 1000
_MATCH_SECONDS = 0.5


@dataclass(frozen=True)
class Naming:
    """What a name has to match."""

    expression: str
    message: str

    def allows(self, name: str) -> bool:
        """Whether the name matches. Raises BadEnvironmentError for an expression that does not come to an end."""
        try:
            return regex.search(self.expression, name, timeout=_MATCH_SECONDS) is not None
        except TimeoutError:
            raise BadEnvironmentError(
                f"the regular expression {self.expression!r} takes too long: write it without nested repetitions"
            ) from None


@dataclass(frozen=True)
class LintSettings:
    """What a repository asks for."""

    errors: dict[str, bool] = field(default_factory=dict)
    """By category: whether its findings are errors."""
    naming: dict[str, Naming] = field(default_factory=dict)
    """By resource; the rule for all that have none of their own is in each."""
    latest: int | None = None
    git_base: str | None = None
    threshold: int | None = None
    """Bytes: on a table below it, what hurts only large tables is a warning."""
    unread: tuple[str, ...] = ()
    """What the file says and is not followed, in words."""
    reasons: bool = False
    """Whether a comment suppresses a finding only if it gives a reason."""

    def stricter(self) -> "LintSettings":
        """As much of the settings as makes the lint stricter: under the operator's floor, an image may not loosen it."""
        errors = {category: True for category, error in self.errors.items() if error}
        ignored = [f"lint.{category}.error = false" for category in self.errors if category not in errors]
        ignored += ["lint.threshold"] if self.threshold is not None else []
        told = f"{', '.join(ignored)} in the image would loosen the lint, which the operator's settings do not allow"
        unread = (*self.unread, told) if ignored else self.unread
        return replace(self, errors=errors, threshold=None, unread=unread, reasons=True)


def _place(error: Exception) -> str:
    """Where the parser gave up; what it found there is not quoted."""
    line, column = getattr(error, "line", 0), getattr(error, "column", 0)
    return f": line {line}, column {column}" if line > 0 and column > 0 else ""


def read(text: str, name: str) -> LintSettings:
    """The settings in `text`, the content of the file `name`. Raises BadEnvironmentError."""
    try:
        document = hcl2.loads(text)
    except Exception as error:  # noqa: BLE001 - the parser has no exception of its own
        raise BadEnvironmentError(f"{name} cannot be read as HCL{_place(error)}") from None
    blocks = document.get("lint", [])
    errors: dict[str, bool] = {}
    naming: dict[str, Naming] = {}
    latest, base, threshold = None, None, None
    for block in blocks:
        threshold = _size(block["threshold"], name) if "threshold" in block else threshold
        latest = block.get("latest", latest)
        base = next((_text(git["base"]) for git in block.get("git", ()) if "base" in git), base)
        for key, values in block.items():
            for value in values if isinstance(values, list) else ():
                if isinstance(value.get("error"), bool):
                    errors[key] = value["error"]
        for block_of_names in block.get("naming", ()):
            naming |= _naming(block_of_names, name)
    if latest is not None and not (isinstance(latest, int) and latest > 0):
        raise BadEnvironmentError(f"{name}: lint.latest must be a number of files")
    return LintSettings(errors, naming, latest, base, threshold, tuple(_unread(document, name)))


def _unread(document: dict[str, Any], name: str) -> Iterator[str]:
    """Lint blocks of environments: no environment is chosen here, so which one is meant is not known."""
    for block in document.get("env", []):
        for environment, body in block.items():
            if isinstance(body, dict) and "lint" in body:
                yield (
                    f"{name}: the lint block in env {environment} is not read: move it out of the env block"
                )


_SIZE = re.compile(r"(\d+) *(B|kB|MB|GB|TB)", re.IGNORECASE)
_UNITS = ("b", "kb", "mb", "gb", "tb")


def _size(value: Any, name: str) -> int:
    match = _SIZE.fullmatch(_text(value))
    if match is None:
        raise BadEnvironmentError(f'{name}: lint.threshold must be a size, for example "100MB"')
    return int(match[1]) << 10 * _UNITS.index(match[2].lower())


def _naming(block: dict[str, Any], name: str) -> dict[str, Naming]:
    found = {}
    for resource in RESOURCES:
        for own in [*block.get(resource, ()), block]:
            if "match" not in own:
                continue
            pattern = _text(own["match"])
            if len(pattern) > _MAX_EXPRESSION:
                raise BadEnvironmentError(
                    f"{name}: a regular expression must have at most {_MAX_EXPRESSION} characters"
                )
            try:
                regex.compile(pattern)
            except regex.error:
                raise BadEnvironmentError(f"{name}: {pattern!r} is not a valid regular expression") from None
            found[resource] = Naming(pattern, _text(own.get("message", "")) or f"must match {pattern}")
            break
    return found


def _text(value: Any) -> str:
    """A string as it is meant: the parser leaves the quotes on it."""
    text = str(value)
    if text.startswith('"'):
        try:
            return str(json.loads(text))
        except ValueError:
            return text.strip('"')
    return text


def find(explicit: Path | None, places: Sequence[Path]) -> LintSettings:
    """The settings of a file, by default the first that is in one of `places`. Raises BadEnvironmentError."""
    candidates = [explicit] if explicit else [place / name for place in places for name in FILES]
    for path in candidates:
        if path.is_file():
            if path.stat().st_size > _MAX_BYTES:
                raise BadEnvironmentError(f"{path} is larger than {_MAX_BYTES // 1024} KiB")
            return read(path.read_text(), str(path))
    if explicit:
        raise BadEnvironmentError(f"there is no such file: {explicit}")
    return LintSettings()
