"""Is a database URL well formed? Said without repeating any of it."""

import re
from urllib.parse import urlsplit

POSTGRESQL = ("postgres", "postgresql")
SCHEMES = (*POSTGRESQL, "mysql", "mariadb")

ONLY_POSTGRESQL = " (engine Psql works with PostgreSQL only)"

# The characters that Go's net/url takes before the `@`; Atlas would print the whole URL in its complaint.
_USERINFO = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")  # a name, or an IPv6 address without its brackets
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def problem(url: str, schemes: tuple[str, ...] = SCHEMES) -> str:
    """What is wrong with `url`, in words that hold none of it; empty when it is well formed and of one of `schemes`."""
    if not url:
        return "it is empty"
    if re.search(r"[\x00-\x20\x7f]", url):
        return "it has white space or a control character (perhaps a line break at the end)"
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in schemes:
        *others, last = (f"{each}://" for each in schemes)
        wanted = f"{', '.join(others)} or {last}" if others else last
        only = "" if set(schemes) - set(POSTGRESQL) else ONLY_POSTGRESQL
        return f"it does not begin with {wanted}{only}"
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    userinfo = authority.rpartition("@")[0]
    if not _USERINFO.fullmatch(userinfo):
        return "user or password contains characters that must be percent-encoded"
    if _BAD_ESCAPE.search(url):
        return "it has a % that does not begin a percent-encoded character"
    if "@" in url.partition("://")[2][len(authority) :].partition("?")[0]:
        return "user or password contains characters that must be percent-encoded"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "its host or port cannot be read"
    if not host:
        return "it has no host"
    return "" if _HOST.fullmatch(host) else "its host contains characters that are not allowed in a host name"
