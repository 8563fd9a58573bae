"""CONCURRENTLY made safe: each such statement alone in a file without a transaction. Pure.

PostgreSQL refuses these statements in a transaction, and Atlas runs a file in one. What was a file becomes several: the
first keeps its version, the others get it with a letter behind, so that they stay between it and the next file, and a
database that was migrated with them is, for whoever has the file in one piece, past that version. Settings (SET) are
repeated for the parts in a transaction; a concurrent statement keeps nobody waiting and goes without a lock_timeout.
"""

import itertools
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pglast import ast, enums

from dbupgrade.toolkit.exits import RefusedError
from dbupgrade.toolkit.sql import statements as sql
from dbupgrade.toolkit.sql.statements import Name, Statement

DIRECTIVE = "-- atlas:txmode none\n"
_MIGRATE_AS = "let the role that owns the tables migrate"
_NOT_SPLIT = {
    "search_path": "write the schema before each name",
    "role": _MIGRATE_AS,
    "session_authorization": _MIGRATE_AS,
}
"""Settings that decide what a statement does, and what to do instead."""


@dataclass(frozen=True)
class File:
    """A migration file."""

    name: str
    text: str

    @property
    def version(self) -> str:
        """What Atlas takes for its version."""
        return self.name.removesuffix(".sql").partition("_")[0]


@dataclass(frozen=True)
class Part(File):
    """A file that came out of another."""

    count: int = 0
    """How many statements it has."""


class ConversionRefusedError(RefusedError):
    """A statement that cannot be made safe; the message says where, why, and what to write instead."""


@dataclass
class _Known:
    """What the files before have made."""

    partitioned: list[Name] = field(default_factory=list)
    partitioned_indexes: list[Name] = field(default_factory=list)

    def learn(self, tree: Any) -> None:
        match tree:
            case ast.CreateStmt() if tree.partspec:
                self.partitioned.append(sql.name_of(tree.relation))
            case ast.IndexStmt() if tree.idxname and _is_among(sql.name_of(tree.relation), self.partitioned):
                self.partitioned_indexes.append(Name(sql.name_of(tree.relation).schema, tree.idxname))
            case ast.DropStmt() if tree.removeType == enums.ObjectType.OBJECT_TABLE:
                for name in sql.names_of_objects(tree):
                    self.partitioned = [known for known in self.partitioned if not known.may_be(name)]


def convert(files: Sequence[File], chosen: set[str], *, plain: bool = False) -> dict[str, list[Part]]:
    """What becomes of each file of `chosen` that changes, by its name; `files` is the whole folder, in order.

    With `plain`, indexes are built without CONCURRENTLY. Raises ConversionRefusedError, and ParseError for a file that has
    the word and cannot be read.
    """
    known, changed = _Known(), {}
    for file in files:
        lowered = file.text.lower()
        if not ("partition" in lowered or (file.name in chosen and "concurrently" in lowered)):
            continue
        try:
            found = sql.statements(file.text)
        except sql.ParseError as error:
            if file.name not in chosen or "concurrently" not in lowered:
                continue
            raise sql.ParseError(f"{file.name}, {error}") from None
        if file.name in chosen and (parts := _convert(file, found, known, plain=plain)):
            changed[file.name] = parts
        for statement in found:
            known.learn(statement.tree)
    _check_order(files, changed)
    return changed


def _convert(file: File, found: list[Statement], known: _Known, *, plain: bool) -> list[Part]:
    """The parts of one file; none when it stays as it is."""
    if not any(sql.is_concurrent(statement.tree) for statement in found):
        return []
    pieces = list(_pieces(file, found, known, plain=plain))
    if sql.has_no_transaction(file.text) and not any(piece.changed for piece in pieces):
        return []
    _check_file(file, found)
    groups: list[list[_Piece]] = []
    for piece in pieces:
        if groups and not piece.alone and not groups[-1][-1].alone:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    copied = [line for d in sql.head(file.text) if d.key != "txmode" for line in [d.line]]
    parts, settings = [], list[str]()
    for number, (group, suffix) in enumerate(zip(groups, _suffixes(len(groups)), strict=True)):
        text = "".join(piece.text for piece in group)
        count = len(group)
        if not group[0].alone:  # each part has a session of its own
            text, count = "".join(settings) + text, count + len(settings)
            settings += [f"{piece.setting}\n" for piece in group if piece.setting]
        if number and copied:
            text = "\n".join(copied) + "\n\n" + text.lstrip("\n")
        if group[0].alone and not sql.has_no_transaction(text):
            text = _without_transaction(text.lstrip("\n"))
        parts.append(Part(_renamed(file, suffix), text, count))
    return [] if [(part.name, part.text) for part in parts] == [(file.name, file.text)] else parts


def _without_transaction(text: str) -> str:
    """`text` with the directive in its header, which begins one where there is none."""
    if sql.has_no_transaction(text):
        return text
    return DIRECTIVE + ("" if sql.header(text) else "\n") + text


@dataclass(frozen=True)
class _Piece:
    """A statement with what belongs to it."""

    text: str
    alone: bool
    changed: bool = False
    setting: str = ""
    """The statement, when it sets something for those behind it."""


def _pieces(file: File, found: list[Statement], known: _Known, *, plain: bool) -> Iterator[_Piece]:
    made: list[Name] = []
    seen = _Known(list(known.partitioned), list(known.partitioned_indexes))
    for statement in found:
        tree, text = statement.tree, file.text[statement.begin : statement.end]
        if created := sql.created_table(tree):
            made.append(created)
        if not sql.is_concurrent(tree):
            setting = text[statement.start - statement.begin :].strip()
            is_setting = isinstance(tree, ast.VariableSetStmt)
            yield _Piece(text, alone=False, setting=setting if is_setting else "")
        elif isinstance(tree, ast.IndexStmt) and (plain or _is_among(sql.name_of(tree.relation), made)):
            place = statement.start - statement.begin
            yield _Piece(text[:place] + sql.without_concurrently(text[place:]), alone=False, changed=True)
        else:
            _check_statement(f"{file.name}, line {statement.line}", tree, seen)
            yield _Piece(text, alone=True)
        seen.learn(tree)


def _check_statement(place: str, tree: object, known: _Known) -> None:
    if isinstance(tree, ast.IndexStmt):
        table = sql.name_of(tree.relation)
        if _is_among(table, known.partitioned):
            raise ConversionRefusedError(f"{place}: {partitioned_advice(str(table))}")
        if not tree.idxname:
            raise ConversionRefusedError(
                f"{place}: the index on {table} has no name, so that what a failed build leaves could not be found; write "
                "CREATE INDEX CONCURRENTLY name ON …"
            )
    if isinstance(tree, ast.DropStmt):
        for name in sql.names_of_objects(tree):
            if _is_among(name, known.partitioned_indexes):
                raise ConversionRefusedError(
                    f"{place}: {name} is the index of a partitioned table, which PostgreSQL drops only without CONCURRENTLY; "
                    "write DROP INDEX, with a lock_timeout before it"
                )
        if len(tree.objects or ()) > 1:
            raise ConversionRefusedError(
                f"{place}: PostgreSQL drops one index at a time concurrently; write a statement for each"
            )


def partitioned_advice(table: str) -> str:
    """What to do instead of CREATE INDEX CONCURRENTLY on a partitioned table."""
    return (
        f"{table} is partitioned, and PostgreSQL builds no index of a partitioned table concurrently; write CREATE INDEX … ON "
        f"ONLY {table}, CREATE INDEX CONCURRENTLY on each partition, and ALTER INDEX … ATTACH PARTITION for each"
    )


def _check_file(file: File, found: list[Statement]) -> None:
    for directive in sql.head(file.text):
        if directive.key == "delimiter":
            raise ConversionRefusedError(f"{file.name}: it has a delimiter of its own; split it by hand")
    # After a crash, the count of a part's statements tells how far it came.
    if line := sql.empty_statement(file.text):
        raise ConversionRefusedError(f"{file.name}, line {line}: a semicolon ends nothing; take it out")
    for statement in found:
        place = f"{file.name}, line {statement.line}"
        if isinstance(statement.tree, ast.TransactionStmt):
            raise ConversionRefusedError(
                f"{place}: BEGIN and COMMIT of one's own cannot be split; Atlas runs a file in a transaction, so leave them out"
            )
        if isinstance(statement.tree, ast.VariableSetStmt) and statement.tree.name in _NOT_SPLIT:
            raise ConversionRefusedError(
                f"{place}: the {statement.tree.name} would not hold for the statement with CONCURRENTLY; "
                f"{_NOT_SPLIT[statement.tree.name]}"
            )


def convert_each(files: Sequence[File]) -> tuple[dict[str, list[Part]], dict[str, str]]:
    """What becomes of every file that changes, and why the others that would have to cannot.

    A file that PostgreSQL's parser cannot read stays as it is: the database will say what is wrong with it.
    """
    changed, refused = {}, {}
    for file in files:
        try:
            changed.update(convert(files, {file.name}))
        except ConversionRefusedError as error:
            refused[file.name] = str(error)
        except sql.ParseError:
            continue
    return changed, refused


@dataclass(frozen=True)
class Revision:
    """A row of the history."""

    version: str
    total: int


def applied_whole(
    files: Sequence[File], changed: dict[str, list[Part]], history: Sequence[Revision]
) -> set[str]:
    """The files of `changed` that the database got in one piece, or is taken to have: their parts are no news to it."""
    totals = {revision.version: revision.total for revision in history}
    whole = set()
    for file in files:
        parts = changed.get(file.name, [])
        if len(parts) < 2 or file.version not in totals:  # noqa: PLR2004
            continue
        in_parts = any(part.version in totals for part in parts[1:])
        if not in_parts and totals[file.version] != parts[0].count:
            whole.add(file.name)
    return whole


@dataclass(frozen=True)
class Build:
    """A concurrent build of an index, or of all of a table: what a failed one before it has left is in the way."""

    index: Name | None
    table: Name | None


def builds(text: str) -> list[Build]:
    """The concurrent builds of a file; none when it cannot be read."""
    if "concurrently" not in text.lower():
        return []
    try:
        trees = [statement.tree for statement in sql.statements(text)]
    except sql.ParseError:
        return []
    found = []
    for tree in filter(sql.is_concurrent, trees):
        if isinstance(tree, ast.IndexStmt) and tree.idxname:
            table = sql.name_of(tree.relation)
            found.append(Build(Name(table.schema, tree.idxname), table))
        if isinstance(tree, ast.ReindexStmt) and tree.relation:
            name = sql.name_of(tree.relation)
            is_index = tree.kind == enums.ReindexObjectType.REINDEX_OBJECT_INDEX
            found.append(Build(name, None) if is_index else Build(None, name))
    return found


def _is_among(name: Name, names: list[Name]) -> bool:
    return any(name.may_be(other) for other in names)


def _suffixes(count: int) -> list[str]:
    """Nothing for the first, then letters that sort in their order."""
    letters = string.ascii_lowercase
    if count <= len(letters) + 1:
        return ["", *letters[: count - 1]]
    return ["", *[first + second for first in letters for second in letters][: count - 1]]


def _renamed(file: File, suffix: str) -> str:
    return file.version + suffix + file.name[len(file.version) :]


def _check_order(files: Sequence[File], changed: dict[str, list[Part]]) -> None:
    """Refuse parts that would come out of their place: Atlas sorts by name, and compares versions."""
    everything: list[File] = []
    for file in sorted(files, key=lambda file: file.name):
        everything += changed.get(file.name, [file])
    for before, after in itertools.pairwise(everything):
        new = isinstance(before, Part) or isinstance(after, Part)
        if new and not (before.name < after.name and before.version < after.version):
            raise ConversionRefusedError(
                f"{before.name} would not come before {after.name}; give the files versions of equal length, without letters, "
                "or split the file by hand"
            )
