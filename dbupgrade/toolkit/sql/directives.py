"""Comments that say something to tools. Pure, and without the parser."""

import re
from dataclasses import dataclass

_DIRECTIVE = re.compile(r"--\s*(atlas|dbupgrade):(\S+)[ \t]*(.*?)\s*$")


@dataclass(frozen=True)
class Directive:
    """A comment that says something to tools: `-- atlas:txmode none`."""

    tool: str
    key: str
    value: str
    line: str


def head(text: str) -> list[Directive]:
    """The directives in the comments at the top of a file."""
    found = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("--"):
            break
        if match := _DIRECTIVE.match(line.strip()):
            found.append(Directive(match[1], match[2], match[3], line.strip()))
    return found


def header(text: str) -> list[str]:
    """The comment lines in which Atlas looks for directives of the file: from its first character to an empty line."""
    lines = []
    while text.startswith(("--", "#")):
        line, found, text = text.partition("\n")
        lines.append(line.strip())
        if not found:
            break
    return lines if text.startswith("\n") else []


def has_no_transaction(text: str) -> bool:
    """Whether Atlas runs the file without a transaction."""
    return any(re.fullmatch(r"[ -~]*atlas:txmode +none", line) for line in header(text))


def psql_has_no_transaction(text: str) -> bool:
    """Whether engine Psql runs the file without a transaction."""
    return any((each.tool, each.key, each.value) == ("dbupgrade", "txmode", "none") for each in head(text))


def delimiter(text: str) -> bool:
    """Whether the file says itself where its statements end, to Atlas."""
    return re.match(r"-- *atlas:delimiter\b", text) is not None


def is_checkpoint(data: bytes) -> bool:
    """Whether the file stands for all files before it, in an empty database."""
    return b"atlas:checkpoint" in data[:4096] and any(
        re.fullmatch(r"[ -~]*atlas:checkpoint(?: .*)?", line)
        for line in header(data.decode(errors="replace"))
    )
