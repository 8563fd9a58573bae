"""Limits of spec.policy that a URL cannot carry: refused, as they would be ignored without a word."""

from urllib.parse import unquote, urlsplit

from dbupgrade.api.spec.migrations import Engine
from dbupgrade.api.spec.policy import Policy
from dbupgrade.pod.connection.url import POSTGRESQL

STATEMENT_ON_MYSQL = "MySQL can limit the time of SELECT statements only (MariaDB is treated like MySQL)"


def problem(url: str, engine: Engine, policy: Policy) -> str:
    """Why the limits have no effect on what `url`, which is well formed, leads to; empty when they have."""
    asked = {"lockTimeout": policy.lock_timeout, "statementTimeout": policy.statement_timeout}
    given = [f"spec.policy.{name}" for name, value in asked.items() if value]
    if not given:
        return ""
    on_mysql = url.partition("://")[0] not in POSTGRESQL
    if on_mysql and policy.statement_timeout:
        return f"{STATEMENT_ON_MYSQL}: remove spec.policy.statementTimeout"
    if engine is not Engine.COMMAND:
        return ""
    fields = " and ".join(given)
    if on_mysql:
        return f"engine Command receives {fields} in PGOPTIONS, which only PostgreSQL clients read: remove {fields}, and set the limit in the command"
    if "options" in map(_name, urlsplit(url).query.split("&")):
        return f"engine Command receives {fields} in PGOPTIONS, which the URL's parameter options overrides: remove {fields}, or that parameter"
    return ""


def _name(pair: str) -> str:
    return unquote(pair.partition("=")[0])
