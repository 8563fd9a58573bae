"""Comments that suppress findings.

`-- dbupgrade:lint-ignore RULE, …: reason`, `-- atlas:nolint …` and `-- squawk-ignore …`, before a statement or at the top
of the file, followed by an empty line. Rules have the names of squawk, Atlas and strong_migrations too.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dbupgrade.toolkit.lint.rule import LintRule
from dbupgrade.toolkit.lint.rules import RULES
from dbupgrade.toolkit.sql.parser import Place, line_of

_COMMENT = re.compile(
    r"^[ \t]*--[ \t]*(?:(dbupgrade:lint-ignore)|(atlas:nolint)|(squawk-ignore(?:-file)?))\b[ \t]*(.*?)[ \t]*$",
    re.MULTILINE,
)
_WORDS = re.compile(r"[\w-]+")
NAMES: dict[str, str] = {name: rule.name for rule in RULES.values() for name in (rule.name, *rule.aliases)}
"""Every name of a rule."""
CATEGORIES = frozenset(rule.category for rule in RULES.values())


@dataclass
class Comment:
    """One such comment."""

    line: int
    statement: int | None
    """The statement that it stands before; None for the whole file."""
    names: frozenset[str]
    """Rules and categories; none means everything."""
    own: bool
    """Whether it is of our own kind: what it names must be ours."""
    reason: str = ""
    """What it says behind a colon; only our own kind has one."""
    used: set[str] = field(default_factory=set)

    def covers(self, rule: LintRule) -> bool:
        """Whether it suppresses findings of a rule; remembers that it did."""
        if not self.names:
            self.used.add("")
            return True
        found = {name for name in self.names if NAMES.get(name, name) in (rule.name, rule.category)}
        self.used |= found
        return bool(found)

    def unused(self) -> Iterator[str]:
        """What to report about it after all statements were checked."""
        if not self.names and not self.used:
            yield "suppresses nothing here"
        for name in sorted(self.names - self.used):
            if name in NAMES or name in CATEGORIES:
                yield f"suppresses {name}, which is not found here"
            elif self.own:
                yield f"suppresses {name}, which is not the name of a rule"


class Suppressions:
    """Those of one file."""

    def __init__(self, text: str, statements: Sequence[Place], *, reasons: bool = False) -> None:
        self._reasons = reasons
        top = text.replace("\r\n", "\n").partition("\n\n")
        alone = top[1] and all(
            not line.strip() or line.lstrip().startswith("--") for line in top[0].splitlines()
        )
        head = len(top[0]) if alone else 0
        self.comments: list[Comment] = []
        line, counted = 1, 0
        for number, each in enumerate(statements):
            gap = text[each.begin : each.start]
            if "ignore" not in gap and "nolint" not in gap:
                continue
            line, counted = line + text.count("\n", counted, each.begin), each.begin
            for match in _COMMENT.finditer(gap):
                whole = each.begin + match.start() < head or (match[3] or "").endswith("-file")
                place = line + line_of(gap, match.start()) - 1
                self._enter(match, place, None if whole else number)

    def _enter(self, match: re.Match[str], line: int, statement: int | None) -> None:
        own, rest = bool(match[1]), match[4]
        names = frozenset(_WORDS.findall(rest.partition(":")[0] if own or match[3] else rest))
        reason = rest.partition(":")[2].strip() if own else ""
        if (names or not own) and (reason or not self._reasons):
            self.comments.append(Comment(line, statement, names, own, reason))

    def covers(self, statement: int, rule: LintRule) -> bool:
        """Whether a finding in a statement is suppressed."""
        return bool(self.covering(statement, rule))

    def covering(self, statement: int, rule: LintRule) -> list[Comment]:
        """The comments that suppress a finding in a statement."""
        here = [each for each in self.comments if each.statement in (None, statement)]
        return [each for each in here if each.covers(rule)]
