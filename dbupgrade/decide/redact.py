"""Keeps credentials and data out of what the operator reports.

Statements and database errors may hold passwords (`create role x password '…'`) and rows. String literals are
masked, known secrets are replaced, and texts are cut.
"""

import re
from urllib.parse import quote, unquote, urlsplit

MASK = "***"
MAX_BYTES = 1024

_LITERALS = re.compile(
    r"""
    (?P<dollar>\$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z))   # dollar-quoted, or cut before its end
  | (?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z))                 # E'it\'s'
  | (?P<plain>'(?:[^'\\]|\\.|'')*(?:'|\Z))                         # 'it''s', also MySQL's 'it\'s'
    """,
    re.DOTALL | re.VERBOSE,
)
_QUOTED = re.compile(r'"([^"]*)("|\Z)')
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_IDENTIFIER = re.compile(r"[\w.$]+")


def mask_statement(statement: str) -> str:
    """`statement` with every string literal masked; comments go too, since they may hold anything."""
    without_literals = _LITERALS.sub(_masked, statement)
    without_comments = re.sub(r"--[^\n]*|/\*.*?(?:\*/|\Z)", " ", without_literals, flags=re.DOTALL)
    return " ".join(without_comments.split())


def _masked(match: re.Match[str]) -> str:
    if match["dollar"]:
        return f"$${MASK}$$"
    return f"'{MASK}'"


def mask_error(error: str, statement: str) -> str:
    """`error` with literals, URLs and quoted values masked.

    PostgreSQL quotes names and values alike (`invalid input syntax for type integer: "hunter2"`), so a quoted word
    stays only when `statement` uses it as a name, outside of its literals.
    """
    names = set(_IDENTIFIER.findall(mask_statement(statement)))

    def quoted(match: re.Match[str]) -> str:
        return match[0] if match[1] in names and match[2] else f'"{MASK}"'

    text = _URL.sub(MASK, error)
    text = _LITERALS.sub(_masked, text)
    return " ".join(_QUOTED.sub(quoted, text).split())


def url_secrets(url: str) -> tuple[str, ...]:
    """Every part of a database URL that must not be seen: the URL, the password in each spelling, query values."""
    try:
        parts = urlsplit(url)
        password, query = parts.password or "", parts.query
    except ValueError:
        password, query = "", ""
    values = [password, *(pair.partition("=")[2] for pair in query.split("&") if "pass" in pair.lower())]
    spellings = {
        spelling for value in values if value for spelling in (value, unquote(value), quote(unquote(value)))
    }
    return (url, *sorted(spellings, key=len, reverse=True))


def remove_secrets(text: str, secrets: tuple[str, ...]) -> str:
    """`text` with every occurrence of each secret replaced."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    return text


def cut(text: str) -> str:
    """`text` in at most 1 KiB of UTF-8, with a mark where it was cut."""
    data = text.encode()
    if len(data) <= MAX_BYTES:
        return text
    mark = "…"
    return data[: MAX_BYTES - len(mark.encode())].decode(errors="ignore") + mark
