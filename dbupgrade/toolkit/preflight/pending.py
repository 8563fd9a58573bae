"""The files that a run would apply, taken apart: what each statement needs, and of what the database must be asked. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.folder import sql_files
from dbupgrade.toolkit.folder.problem import decoded
from dbupgrade.toolkit.lint import blocks
from dbupgrade.toolkit.lint.definitions import walk
from dbupgrade.toolkit.lint.learning import set_by_function
from dbupgrade.toolkit.preflight.needs import Need, Right, needs
from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.concurrently import File
from dbupgrade.toolkit.sql.names import Name, sql_of, strings
from dbupgrade.toolkit.sql.parser import ParseError, unwrap

_HARMLESS = ("set_config", "setval", "nextval", "currval")
"""Functions that files call for what they do, and that change no rights; so do those whose names begin with `pg_`."""


@dataclass(frozen=True)
class Step:
    """A statement, or several that need the same and change nothing."""

    source: parser.Statement | None
    """None if it cannot be determined in advance."""
    needs: tuple[Need, ...] = ()
    certain: bool = True
    """Whether it is executed for certain, unlike one in a block."""

    @property
    def tree(self) -> Any:
        """Its tree, parsed again on each call: the trees of many files do not fit into memory."""
        return self.source.tree if self.source else None


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
    def objects(self) -> frozenset[Name]:
        """The types and routines that they change."""
        return frozenset(need.name for need in self._needs if need.right in _OBJECTS)

    @cached_property
    def extensions(self) -> frozenset[str]:
        """The extensions that they create."""
        return frozenset(need.name.name for need in self._needs if need.right is Right.EXTENSION)

    @property
    def _needs(self) -> Iterator[Need]:
        return (need for file in self.files for step in file.steps for need in step.needs)


_OBJECTS = {Right.OWN_TYPE, Right.DROP_TYPE, Right.OWN_ROUTINE, Right.DROP_ROUTINE}
_NO_RELATION = {Right.CREATE_SCHEMA, Right.OWN_SCHEMA, Right.EXTENSION, *_OBJECTS}


_LONGEST = 4 << 20
"""Characters of a file; what is longer is data, and would take more memory and time than a run has for this."""


def read(files: Iterable[File]) -> Pending:
    """Take the files apart; one that PostgreSQL's parser cannot read may do anything, for all that is known."""
    return Pending(tuple(map(_file, files)))


def _file(file: File) -> PendingFile:
    try:
        statements = parser.statements(file.text) if len(file.text) <= _LONGEST else None
    except ParseError:
        statements = None
    if statements is None:
        return PendingFile(file.name, (Step(None, certain=False),), is_read=False)
    return PendingFile(file.name, tuple(_steps(file.text, statements)))


def _steps(text: str, statements: Sequence[parser.Statement]) -> Iterator[Step]:
    inserts: set[str] = set()
    for statement in statements:
        if head := parser.head_of_insert(text, statement.start):
            if head not in inserts:  # thousands of rows need no more than one
                inserts.add(head)
                yield _step(f"{head} (NULL)")
            continue
        inserts.clear()
        if not isinstance(statement.tree, pb.DoStmt):
            yield _step(text[statement.start : statement.stop])
            continue
        yield from map(_in_block, blocks.inner(text, statement))


def _in_block(inner: blocks.Inner) -> Step:
    try:
        text = sql_of(inner.tree) if inner.tree is not None else None
    except postgast.PgQueryError:
        text = None
    return Step(None, certain=False) if text is None else _step(text, certain=False)


def _step(text: str, *, certain: bool = True) -> Step:
    source = parser.Statement(0, 0, len(text), len(text), 1, text)
    return Step(source, tuple(dict.fromkeys(needs(source.tree))), certain)


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


def texts(folder: Path, names: Collection[str], parts: Mapping[str, str]) -> Iterator[File]:
    """The files of `folder` with these names, those that are text; `parts` has the names of what some are parts of."""
    for path in sql_files(folder):
        if path.name in names and (text := decoded(path.read_bytes())) is not None:
            yield File(parts.get(path.name, path.name), text)
