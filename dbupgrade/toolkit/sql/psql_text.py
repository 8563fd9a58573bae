"""A file for psql as PostgreSQL's parser can read it: without psql's commands, variables and data. Pure.

Nothing else moves: what is taken out becomes spaces, so that lines and places stay.
"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*)
    |(?P<block>/\*)
    |(?P<escaped>\b[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z))
    |(?P<quoted>'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z))
    |(?P<dollar>(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$)
    |(?P<variable>(?<![:\w\]])::?(?P<name>'\w+'|"\w+"|\w+))
    |(?P<separator>\\[;\\])
    |(?P<command>\\(?P<word>[^\s\\]*)[^\n\\]*)
    |(?P<end>;)""",
    re.VERBOSE | re.DOTALL,
)
_MARK = re.compile(r"/\*|\*/")
_COPY = re.compile(r"\s*copy\b.*\bfrom\s+(?:stdin|pstdin)\b", re.IGNORECASE | re.DOTALL)
_DATA_END = re.compile(r"^\\\.[ \t\r]*$", re.MULTILINE)
_SENDS = {"g", "gexec", "gset", "gx", "gdesc", "crosstabview", "watch"}
"""Commands that send what stands before them, as a semicolon does."""
_HARMLESS = {"g", "gset", "gx", "gdesc", "crosstabview", "watch", "restrict", "unrestrict", "else", "elif", "endif", "echo", "qecho", "warn", "set", "unset",
             "timing", "pset", "x", "a", "t", "encoding", "errverbose", "C", "f", "H", "T"}  # fmt: skip
"""Commands that run no SQL but that which stands before them."""


@dataclass(frozen=True)
class Plain:
    """A file without what only psql understands."""

    text: str
    unread: tuple[tuple[int, str], ...] = ()
    """Lines, from 1, of commands that may run SQL which is not in the text, with the command: `\\i`."""


def plain(text: str) -> Plain:
    """What PostgreSQL would see of the file, as far as that is written there."""
    reader = _Reader(text)
    return Plain(reader.read(), tuple(reader.unread))


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._parts, self._done = text, list[str](), 0
        self._statement = 0  # where what is not sent yet begins
        self.unread: list[tuple[int, str]] = []

    def read(self) -> str:
        place = 0
        while match := _TOKEN.search(self._text, place):
            place = self._take(match)
        self._parts.append(self._text[self._done :])
        return "".join(self._parts)

    def _take(self, match: re.Match[str]) -> int:
        """Look at a token; returns the place behind it."""
        if match["block"]:
            return self._behind_block(match.start())
        if match["dollar"]:
            end = self._text.find(match[0], match.end())
            return len(self._text) if end < 0 else end + len(match[0])
        if match["variable"] and not match[0].startswith("::"):
            self._replace(match.start(), match.end(), _unknown(match["name"]))
        if match["separator"]:
            self._replace(match.start(), match.end(), match[0].replace("\\", " "))
        if match["command"]:
            return self._command(match)
        return self._end_of_statement(match.end()) if match["end"] else match.end()

    def _behind_block(self, place: int) -> int:
        depth = 0
        for mark in _MARK.finditer(self._text, place):
            depth += 1 if mark[0] == "/*" else -1
            if depth == 0:
                return mark.end()
        return len(self._text)

    def _command(self, match: re.Match[str]) -> int:
        word = match["word"]
        sends = word in _SENDS
        blank = " " * (match.end() - match.start() - 1)
        self._replace(match.start(), match.end(), (";" if sends else " ") + blank)
        if word not in _HARMLESS:
            self.unread.append((self._text.count("\n", 0, match.start()) + 1, f"\\{word}"))
        if sends:
            return self._end_of_statement(match.end())
        return match.end()

    def _end_of_statement(self, end: int) -> int:
        """The place where the next statement begins: behind the data of a COPY."""
        statement, self._statement = self._text[self._statement : end], end
        if not _COPY.match(_without_comments(statement)):
            return end
        start = self._text.find("\n", end)
        if start < 0:
            return end
        found = _DATA_END.search(self._text, start)
        stop = found.end() if found else len(self._text)
        self._replace(start, stop, re.sub(r"[^\n]", " ", self._text[start:stop]))
        self._statement = stop
        return stop

    def _replace(self, start: int, stop: int, new: str) -> None:
        self._parts += (self._text[self._done : start], new)
        self._done = stop


def _unknown(name: str) -> str:
    """What stands for a variable, as long as `:name` was."""
    if name.startswith("'"):
        return f" {name}"
    return ('"…"' if name.startswith('"') else "…").ljust(len(name) + 1)


def _without_comments(statement: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/", " ", statement, flags=re.DOTALL)
