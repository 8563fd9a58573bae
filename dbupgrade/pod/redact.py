"""Keeps credentials and data out of what the operator reports.

Statements and database errors may hold passwords (`create role x password '…'`) and rows. String literals are
masked, known secrets are replaced, and texts are cut. The dialect is not known here: where PostgreSQL and MySQL read
a text differently, so that the code of one is a literal of the other, all that follows is masked.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

MASK = "***"
MAX_BYTES = 1024

_TOKENS = re.compile(
    r"""
    # Read differently: a comment in a comment, code in a comment, a comment that only one dialect knows, and a
    # backslash before the quote.
    (?P<rest> (?: /\*! | /\* (?:(?!\*/|/\*).)* /\* | (?:\#|--+(?![\s-])) (?=[^\n]*['"`$*])
                | '(?:[^'\\]|\\[^']|'')*\\' | "(?:[^"\\]|\\[^"]|"")*\\" ) .* )
  | (?P<comment> (?:--|\#)[^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<dollar> (?<![\w$]) \$(?P<tag>[^\W\d]\w*|)\$ .*? (?:\$(?P=tag)\$|\Z) )
  | (?P<name> `[\w.$ ]*`                             # in double quotes only where MySQL takes no literal either
            | \b(?:table|into|update|exists|column|references|index|constraint|only|join|view|schema|type)
              \s+ "\w+" (?:\."\w+")* )
  | (?P<escaped> \b[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z) )
  | (?P<literal> '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | `(?:[^`]|``)*(?:`|\Z) )
    """,
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s'\"]*(?:['\"].*)?", re.IGNORECASE | re.DOTALL)
_AWS_TOKEN = re.compile(
    r"(?<!\S)\S*X-Amz-\S*", re.IGNORECASE
)  # also one that was renewed since, and is not known any more
_NEAR = re.compile(r"near '.*", re.DOTALL)
_QUOTE = re.compile(r"\"|(?<!n)'|'(?!t\b)")  # not that of "doesn't"
_MARKS = re.compile(r"""['"`]|\$\w*\$""")
_PUNCTUATION = re.compile(r"[^\w\s'\"$]{1,3}")
_SYNTAX = "syntax error at or near "
_SHORTEST_LITERAL = 4  # shorter ones would mask half of the words
_IDENTIFIER = re.compile(r"\b[^\W\d][\w.$]*")
_NUMBER = re.compile(r"\b\d{6,}\b")  # may be anybody's number; a version inside a name is no word of its own
_SHORTEST_SECRET = 4
_LONGEST = 8192  # characters that are looked at: patterns take longer than the text is long


def mask_statement(statement: str) -> str:
    """`statement` with every string literal masked; comments go too, since they may hold anything.

    Of names in double quotes, which MySQL reads as literals, those stay that follow a word like `table`.
    """
    masked = _TOKENS.sub(_masked, statement[:_LONGEST])
    return " ".join(_NUMBER.sub(MASK, masked).split())


def _masked(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "comment":
            return " "
        case "name":
            return match[0]
        case "dollar":
            return f"$${MASK}$$"
        case "rest":
            return f" {MASK}"
        case _:
            return f"'{MASK}'"


def mask_error(error: str, statement: str) -> str:
    """`error` with URLs and quoted values masked.

    Databases quote names and values alike (`invalid input syntax for type integer: "hunter2"`), so a quoted word
    stays only when `statement` uses it as a name, outside of its literals. A value is quoted as it is, with whatever
    quotes it holds, so from the first one on all is masked to the last quote.
    """
    names = set(_IDENTIFIER.findall(mask_statement(statement)))
    statement = statement[:_LONGEST]
    text = _AWS_TOKEN.sub(MASK, _URL.sub(MASK, error[:_LONGEST]))
    text = _NEAR.sub(f"near '{MASK}'", text)
    text = _mask_quoted(text, names)
    # `raise exception 'no hunter2'` gives the literal back without quotes. Whatever stands between two marks is taken
    # for one, so that no mark in a comment hides the next literal.
    for literal in sorted(set(_MARKS.split(statement)) - names, key=len, reverse=True):
        if len(literal.strip()) >= _SHORTEST_LITERAL:
            text = text.replace(literal, MASK)
    return " ".join(_NUMBER.sub(MASK, text).split())


def _mask_quoted(text: str, names: set[str]) -> str:
    """`text` up to its first quoted word that is no name, and what follows the last quote of either kind."""
    begin = _next_quote(text, 0)
    while begin < len(text):
        mark = text[begin]
        end = text.find(mark, begin + 1)
        if end < 0:
            return text[:begin] + mark + MASK + mark
        if not _is_name(text, begin, end, names) or text[:begin].endswith(": "):
            last = max(text.rfind('"'), text.rfind("'"))
            return text[:begin] + mark + MASK + mark + text[last + 1 :]
        begin = _next_quote(text, end + 1)
    return text


def _is_name(text: str, begin: int, end: int, names: set[str]) -> bool:
    """Whether what is quoted there is one of `names`; MySQL puts the database before the name of a table."""
    quoted = text[begin + 1 : end]
    table = quoted.rpartition(".")[2] if text[:begin].endswith("Table ") else ""
    is_punctuation = text[:begin].endswith(_SYNTAX) and _PUNCTUATION.fullmatch(quoted)
    return bool(is_punctuation) or quoted in names or table in names


def _next_quote(text: str, start: int) -> int:
    found = _QUOTE.search(text, start)
    return found.start() if found else len(text)


def url_secrets(url: str) -> tuple[str, ...]:
    """Every part of a database URL that must not be seen: the URL, the password in each spelling, query values."""
    try:
        parts = urlsplit(url)
        password, query = parts.password or "", parts.query
    except ValueError:
        password, query = "", ""
    values = [password, *(pair.partition("=")[2] for pair in query.split("&") if "pass" in pair.lower())]
    spelt = {spelling for value in values for spelling in spellings(value)}
    return (url, *sorted(spelt, key=len, reverse=True))


def spellings(value: str) -> tuple[str, ...]:
    """A secret as it is, and as it stands in a URL."""
    return (value, unquote(value), quote(unquote(value))) if value else ()


def remove_secrets(text: str, secrets: tuple[str, ...]) -> str:
    """`text` with every occurrence of each secret replaced; of a very short one, where it stands as a value (contract, 3.6).

    Within words, a letter would mask half of what there is to read.
    """
    for secret in filter(None, secrets):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
        else:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    return text


def cut(text: str) -> str:
    """`text` in at most 1 KiB of UTF-8, with a mark where it was cut."""
    return shortened(text, MAX_BYTES)


def shortened(text: str, size: int) -> str:
    """`text` in at most `size` bytes of UTF-8, with a mark where it was cut."""
    data = text.encode(errors="replace")
    if len(data) <= size:
        return data.decode()
    mark = "…"
    return data[: size - len(mark.encode())].decode(errors="ignore") + mark


def clean(text: str, size: int) -> str:
    """`text` from outside as it may be stored and shown: without what a terminal obeys, and in at most `size` bytes of UTF-8."""
    return shortened(printable(text), size)


def printable(text: str) -> str:
    """`text` without characters that a terminal obeys or that hide or reorder others; white space becomes a space."""
    if text.isprintable():  # as nearly all are: of white space, only the space is
        return text
    return "".join(" " if each.isspace() else each for each in text if each.isspace() or each.isprintable())


def every_text(value: Any, change: Callable[[str], str]) -> Any:
    """JSON in which each text, names of fields included, is changed."""
    match value:
        case str():
            return change(value)
        case list():
            return [every_text(each, change) for each in value]
        case dict():
            return {change(name): every_text(each, change) for name, each in value.items()}
        case _:
            return value
