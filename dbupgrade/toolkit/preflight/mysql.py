"""The preflight of MySQL and MariaDB: what the server says of itself and of the user, and what the pending files need.

Only a read-only server is an error. Missing privileges are warnings: roles, grants to PUBLIC and partial revokes are not in the
information schema, so it is not certain what a user may not do.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError

from dbupgrade.toolkit.lint.mysql import statements_of
from dbupgrade.toolkit.preflight.finding import ERROR, INFO, WARNING, Finding, listed
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.names import Name

Row = Sequence[str | None]

QUERIES = (
    "SELECT CURRENT_USER(), COALESCE(DATABASE(), ''), @@global.read_only",
    "SELECT @@global.super_read_only",  # MySQL only
    "SELECT @@global.innodb_read_only",  # a replica of Aurora
    "SELECT COALESCE(CURRENT_ROLE(), 'NONE')",
    "SELECT '*', '*', privilege_type FROM information_schema.user_privileges"
    " UNION ALL SELECT table_schema, '*', privilege_type FROM information_schema.schema_privileges"
    " UNION ALL SELECT table_schema, table_name, privilege_type FROM information_schema.table_privileges"
    " UNION ALL SELECT table_schema, table_name, privilege_type FROM information_schema.column_privileges",
)
"""What the server is asked."""
_OFF = ("0", "OFF", None)
_EXEMPT = {"SUPER", "READ ONLY ADMIN", "READ_ONLY ADMIN", "CONNECTION_ADMIN", "CONNECTION ADMIN"}
"""Privileges with which a user writes although read_only is on."""
_HISTORY = "the history"


@dataclass(frozen=True)
class Facts:
    """What the server says."""

    user: str
    """With its host: `migrator@%`."""
    database: str
    read_only: bool = False
    nobody_writes: str = ""
    """The setting that keeps everybody from writing, whatever the privileges are."""
    has_role: bool = False
    privileges: tuple[tuple[str, str, str], ...] = ()
    """Schema, table and privilege; `*` stands for all, and a schema is a pattern of LIKE."""
    unread: bool = False
    """Whether the server did not say what it was asked for."""


def facts(answers: Sequence[Sequence[Row] | None]) -> Facts:
    """The facts in the answers to QUERIES; None is one that was refused."""
    server, super_read_only, innodb_read_only, role, privileges = answers
    if not server:
        return Facts("", "", unread=True)
    user, database, read_only = server[0]
    return Facts(
        user or "",
        database or "",
        read_only=read_only not in _OFF,
        nobody_writes=next(
            (
                name
                for name, rows in (
                    ("super_read_only", super_read_only),
                    ("innodb_read_only", innodb_read_only),
                )
                if _first(rows) not in _OFF
            ),
            "",
        ),
        has_role=_first(role) not in ("NONE", None),
        privileges=tuple((row[0] or "", row[1] or "", (row[2] or "").upper()) for row in privileges or ()),
        unread=privileges is None,
    )


def _first(rows: Sequence[Row] | None) -> str | None:
    return rows[0][0] if rows else None


def preflight(known: Facts, files: Iterable[File], history: Name) -> tuple[Finding, ...]:
    """All findings, those first that stop the run; `history` is the table in which the engine records what it applies."""
    if known.unread:
        message = "the run may not read its privileges, so they were not checked"
        return (*_writable(known), Finding(check="facts", severity=INFO, message=message))
    return (*_writable(known), *_privileges(known, files, history))


def _writable(known: Facts) -> Iterator[Finding]:
    exempt = any(privilege in _EXEMPT for _, _, privilege in known.privileges)
    if not known.nobody_writes and (not known.read_only or exempt):
        return
    certain = known.nobody_writes or not (known.has_role or known.unread)
    yield Finding(
        check="primary",
        severity=ERROR if certain else WARNING,
        message=f"the server rejects writes by user {known.user} ({known.nobody_writes or 'read_only'} is on)",
        fix="use the host of the primary in the URL of the database",
    )


def _privileges(known: Facts, files: Iterable[File], history: Name) -> Iterator[Finding]:
    missing: dict[str, dict[str, list[str]]] = {}
    for file, privilege, name in _needs(files, history):
        schema = name.schema or known.database
        if not _has(known, privilege, schema, name.name):
            missing.setdefault(schema, {}).setdefault(privilege, []).append(file)
    for schema, privileges in missing.items():
        names = list(dict.fromkeys(file for files_of_one in privileges.values() for file in files_of_one))
        rights = ", ".join(sorted(privileges))
        role = ", unless a role grants it" if known.has_role else ""
        yield Finding(
            check="privileges",
            severity=WARNING,
            message=f"user {known.user} seems to have no {rights} privilege on {schema} (needed by {listed(names)}{role})",
            fix=f"GRANT {rights} ON {_quote(schema)}.* TO {_account(known.user)};",
        )


def _has(known: Facts, privilege: str, schema: str, table: str) -> bool:
    return any(
        privilege == granted and of in ("*", table) and (where == "*" or _like(where, schema))
        for where, of, granted in known.privileges
    )


def _like(pattern: str, schema: str) -> bool:
    """Whether a pattern of LIKE fits, as it stands in a GRANT; names of schemas may not tell cases apart."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    text = "".join(wild.get(part, re.escape(part[-1])) for part in parts)
    return re.fullmatch(text, schema, re.IGNORECASE | re.DOTALL) is not None


def _needs(files: Iterable[File], history: Name) -> Iterator[tuple[str, str, Name]]:
    """File, privilege and what it is needed on. What is temporary, or cannot be read, needs nothing that is known."""
    yield from ((_HISTORY, privilege, history) for privilege in ("SELECT", "INSERT", "UPDATE"))
    for file in files:
        temporary: set[Name] = set()
        for tree in _trees(file):
            found = _NEEDS.get(type(tree))
            for privilege, name in found(tree) if found else ():
                if privilege == _TEMPORARY:
                    temporary.add(name)
                elif name not in temporary and name.name:
                    yield file.name, privilege, name


def _trees(file: File) -> Iterator[Any]:
    try:
        yield from (statement.tree for statement in statements_of(file.text))
    except SqlglotError:
        return


_TEMPORARY = "TEMPORARY"
"""Not a privilege: from here on, nothing that is known is needed on the table."""
_Needs = Iterator[tuple[str, Name]]


def _name(tree: Any) -> Name:
    table = tree if isinstance(tree, exp.Table) else tree.find(exp.Table)
    return Name(table.db, table.name) if table else Name("", "")


def _create(tree: exp.Create) -> _Needs:
    words = {"TABLE": "CREATE", "VIEW": "CREATE VIEW", "INDEX": "INDEX"}
    properties = tree.args.get("properties")
    if tree.kind == "TABLE" and properties is not None and properties.find(exp.TemporaryProperty):
        yield "CREATE TEMPORARY TABLES", _name(tree)
        yield _TEMPORARY, _name(tree)
    elif tree.kind in words:
        yield words[tree.kind], _name(tree)


def _drop(tree: exp.Drop) -> _Needs:
    if tree.kind in ("TABLE", "VIEW"):
        yield from (("DROP", _name(each)) for each in tree.args.get("tables") or ())


def _truncate(tree: exp.TruncateTable) -> _Needs:
    yield from (("DROP", _name(each)) for each in tree.expressions)


def _on_table(privilege: str) -> Callable[[Any], _Needs]:
    """What a statement needs on its one table."""

    def found(tree: Any) -> _Needs:
        if isinstance(tree.this, exp.Table | exp.Schema):
            yield privilege, _name(tree.this)

    return found


_NEEDS: dict[type, Callable[[Any], _Needs]] = {
    exp.Create: _create,
    exp.Drop: _drop,
    exp.TruncateTable: _truncate,
    exp.Alter: _on_table("ALTER"),
    exp.Insert: _on_table("INSERT"),
    exp.Update: _on_table("UPDATE"),
    exp.Delete: _on_table("DELETE"),
}


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _account(user: str) -> str:
    name, _, host = user.rpartition("@")
    return "@".join("'" + part.replace("'", "''") + "'" for part in (name, host))
