"""The files that a run would apply, taken apart: what each statement needs, and of what the database must be asked. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.folder import sql_files
from dbupgrade.toolkit.folder.problem import decoded
from dbupgrade.toolkit.lint import blocks
from dbupgrade.toolkit.lint.definitions import walk
from dbupgrade.toolkit.lint.learning import set_by_function
from dbupgrade.toolkit.preflight.needs import Need, Right, needs
from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.names import Name, strings
from dbupgrade.toolkit.sql.parser import ParseError, unwrap

_HARMLESS = ("set_config", "setval", "nextval", "currval")
"""Functions that files call for what they do, and that change no rights; so do those whose names begin with `pg_`."""


@dataclass(frozen=True)
class Step:
    """A statement."""

    tree: Any
    needs: tuple[Need, ...]
    certain: bool = True
    """Whether it is executed for certain, unlike one in a block."""


@dataclass(frozen=True)
class PendingFile:
    """A file."""

    name: str
    steps: tuple[Step, ...]
    is_read: bool = True
    """Whether it is known what it does; with psql, a file may have commands that are not SQL."""


@dataclass(frozen=True)
class Pending:
    """The files, in their order."""

    files: tuple[PendingFile, ...] = ()

    @cached_property
    def relations(self) -> frozenset[Name]:
        """What the statements name, as they name it."""
        return frozenset(need.name for need in self._needs if need.right not in _NO_RELATION)

    @cached_property
    def extensions(self) -> frozenset[str]:
        """The extensions that they create."""
        return frozenset(need.name.name for need in self._needs if need.right is Right.EXTENSION)

    @property
    def _needs(self) -> Iterator[Need]:
        return (need for file in self.files for step in file.steps for need in step.needs)


_NO_RELATION = {Right.CREATE_SCHEMA, Right.OWN_SCHEMA, Right.EXTENSION}


def read(files: Sequence[File]) -> Pending:
    """Take the files apart; one that PostgreSQL's parser cannot read may do anything, for all that is known."""
    return Pending(tuple(map(_file, files)))


def _file(file: File) -> PendingFile:
    try:
        statements = parser.statements(file.text)
    except ParseError:
        return PendingFile(file.name, (Step(None, (), certain=False),), is_read=False)
    return PendingFile(file.name, tuple(_steps(file.text, statements)))


def _steps(text: str, statements: Sequence[parser.Statement]) -> Iterator[Step]:
    for statement in statements:
        if not isinstance(statement.tree, pb.DoStmt):
            yield Step(statement.tree, tuple(dict.fromkeys(needs(statement.tree))))
            continue
        for inner in blocks.inner(text, statement):
            found = tuple(dict.fromkeys(needs(inner.tree))) if inner.tree is not None else ()
            yield Step(inner.tree, found, certain=False)


def role_of(tree: Any) -> str | None:
    """The role that a statement takes on; empty where it is that of the login again, None where it is none of these."""
    match tree:
        case pb.VariableSetStmt() if tree.name in ("role", "session_authorization"):
            words = [unwrap(each) for each in tree.args]
            given = words[0].sval.sval if words and isinstance(words[0], pb.A_Const) else ""
            return "" if given.lower() in ("none", "default") else given
        case pb.VariableSetStmt() if tree.kind == pb.VAR_RESET_ALL:
            return ""
        case pb.DiscardStmt() if tree.target == pb.DISCARD_ALL:
            return ""
        case pb.SelectStmt():
            return set_by_function(tree, "role")
        case _:
            return None


def may_change_rights(tree: Any) -> bool:
    """Whether what follows may be allowed only because of a statement: it grants a role, or calls what nobody can see into."""
    match tree:
        case None | pb.GrantRoleStmt() | pb.CallStmt() | pb.AlterRoleStmt() | pb.ReassignOwnedStmt():
            return True
        case pb.SelectStmt():
            called = (strings(each.funcname) for each in walk(tree) if isinstance(each, pb.FuncCall))
            return not tree.from_clause and any(not _is_harmless(words) for words in called)
        case _:
            return False


def _is_harmless(words: Sequence[str]) -> bool:
    return words[-1] in _HARMLESS or words[-1].startswith("pg_") or words[0] == "pg_catalog"


def granted(tree: Any) -> Iterator[Name]:
    """What a GRANT is about: a relation, or a schema, whose name stands in the place of one."""
    if not isinstance(tree, pb.GrantStmt) or not tree.is_grant:
        return
    for node in map(unwrap, tree.objects):
        if isinstance(node, pb.RangeVar):
            yield Name(node.schemaname, node.relname)
        elif isinstance(node, pb.String):
            yield Name(node.sval, "")


def texts(folder: Path, names: Collection[str], parts: Mapping[str, str]) -> list[File]:
    """The files of `folder` with these names, those that are text; `parts` has the names of what some are parts of."""
    found = ((path.name, path.read_bytes()) for path in sql_files(folder) if path.name in names)
    return [File(parts.get(name, name), text) for name, data in found if (text := decoded(data)) is not None]
