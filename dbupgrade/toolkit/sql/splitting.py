"""Where Atlas ends a statement: its rules, which are simpler than PostgreSQL's. Pure, and without the parser."""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """What differs between versions of Atlas."""

    escapes: bool = False
    """A backslash hides the character after it, in every literal."""
    hash_comments: bool = False
    """Everything behind # is a comment."""
    bodies: bool = True
    """BEGIN … END is one statement."""
    swallows: bool = False
    """The character after a minus or a slash is skipped."""


LIBRARY = Rules()
"""Atlas's library 1.2.3: our engine, and Atlas's command line from 1.0."""
BEFORE_1 = Rules(escapes=True, hash_comments=True, bodies=False, swallows=True)
"""Atlas's command line 0.13."""

_NEXT = re.compile(r"[()'\"`;#$/-]|\bbegin\s+", re.IGNORECASE)
_DOLLAR = re.compile(r"\$(?:[A-Za-zÈ-ÿ_][A-Za-z0-9_È-ÿ]*)?\$")
_ATOMIC = re.compile(r"atomic\s+", re.IGNORECASE)
_END = re.compile(r"end\s*", re.IGNORECASE)
_SOME_END = re.compile(r"\bend\s*(?:;|\Z)", re.IGNORECASE)
_SPACE = re.compile(r"\s*")


class UnsplittableError(Exception):
    """Atlas cannot determine where the statements end."""

    def __init__(self, place: int) -> None:
        super().__init__(f"at {place}")
        self.place = place


def split(text: str, rules: Rules = LIBRARY) -> Iterator[tuple[int, int]]:
    """First and last place of each statement that Atlas executes. Raises UnsplittableError."""
    place = 0
    while (found := _Statement(text, rules, place).find()) is not None:
        yield found
        place = found[1]


class _Statement:
    """The search for the end of one statement."""

    def __init__(self, text: str, rules: Rules, place: int) -> None:
        self._text, self._rules = text, rules
        self._start = self._place = _after(_SPACE, text, place)
        self._depth, self._opened, self._ended = 0, 0, False

    def find(self) -> tuple[int, int] | None:
        while not self._ended and (match := _NEXT.search(self._text, self._place)):
            self._place = match.end()
            self._look(match[0], match.start())
        if self._ended:
            return self._start, self._place
        if self._depth:
            raise UnsplittableError(self._opened)
        return (self._start, len(self._text)) if self._start < len(self._text) else None

    def _look(self, mark: str, at: int) -> None:
        match mark:
            case "(":
                self._opened = self._opened if self._depth else at
                self._depth += 1
            case ")" if self._depth:
                self._depth -= 1
            case ")":
                raise UnsplittableError(at)
            case "'" | '"' | "`":
                self._quoted(mark, at)
            case ";":
                self._ended = not self._depth
            case "$":
                self._dollars(at)
            case "#" | "-" | "/":
                self._maybe_comment(mark, at)
            case _ if self._rules.bodies:
                self._body(at)
            case _:
                pass

    def _quoted(self, mark: str, at: int) -> None:
        pattern = rf"(?:[^\\{mark}]|\\.)*{mark}" if self._rules.escapes else f"[^{mark}]*{mark}"
        match = re.compile(pattern, re.DOTALL).match(self._text, self._place)
        if match is None:
            raise UnsplittableError(at)
        self._place = match.end()

    def _dollars(self, at: int) -> None:
        if match := _DOLLAR.match(self._text, at):
            end = self._text.find(match[0], match.end())
            self._place = len(self._text) if end < 0 else end + len(match[0])

    def _maybe_comment(self, mark: str, at: int) -> None:
        ends = {"#": "\n", "--": "\n", "/*": "*/"}
        following = self._text[at : at + 2]
        if mark == "#":
            following = "#" if self._rules.hash_comments else ""
        elif following in ends or self._rules.swallows:
            self._place = at + 2
        if following in ends:
            self._comment(at, ends[following])

    def _comment(self, at: int, end: str) -> None:
        """Without an end it is not a comment; before the statement, it does not belong to it."""
        found = self._text.find(end, self._place)
        if found < 0:
            return
        self._place = found + len(end)
        if at == self._start:
            self._start = self._place = _after(_SPACE, self._text, self._place)

    def _body(self, at: int) -> None:
        """BEGIN ATOMIC … END, or BEGIN … END behind white space; without an end it is a word like others."""
        atomic = _ATOMIC.match(self._text, self._place)
        behind_space = at == self._start or self._text[at - 1].isspace()
        if not atomic and not (behind_space and _SOME_END.search(self._text, self._place)):
            return
        place = atomic.end() if atomic else self._place
        self._place = place
        try:
            while (found := _Statement(self._text, self._rules, place).find()) is not None:
                place = found[1]
                if self._is_end(*found, exact=not atomic):
                    self._place, self._ended = place, True
                    return
        except UnsplittableError:
            return

    def _is_end(self, start: int, end: int, *, exact: bool) -> bool:
        match = _END.match(self._text, start, end)
        return match is not None and (not exact or self._text[match.end() : end].strip() in ("", ";"))


def _after(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return match.end() if match else place
