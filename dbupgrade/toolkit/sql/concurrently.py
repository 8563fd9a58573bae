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

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.exits import RefusedError
from dbupgrade.toolkit.sql import directives, names, parser
from dbupgrade.toolkit.sql.names import Name
from dbupgrade.toolkit.sql.parser import Statement

DIRECTIVE = "-- atlas:txmode none\n"
_MIGRATE_AS = "run the migration as the role that owns the tables"
_NOT_SPLIT = {
    "search_path": "qualify each name with its schema",
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


class UnreadableFileError(ConversionRefusedError):
    """A file with such statements that PostgreSQL's parser cannot read."""


@dataclass
class _Known:
    """What the files before have made."""

    partitioned: list[Name] = field(default_factory=list)
    partitioned_indexes: list[Name] = field(default_factory=list)

    def learn(self, tree: Any) -> None:
        match tree:
            case pb.CreateStmt() if tree.HasField("partspec"):
                self.partitioned.append(names.name_of(tree.relation))
            case pb.IndexStmt() if tree.idxname and _is_among(names.name_of(tree.relation), self.partitioned):
                self.partitioned_indexes.append(Name(names.name_of(tree.relation).schema, tree.idxname))
            case pb.DropStmt() if tree.remove_type == pb.OBJECT_TABLE:
                for name in names.names_of_objects(tree):
                    self.partitioned = [known for known in self.partitioned if not known.may_be(name)]


def convert(files: Sequence[File], chosen: set[str], *, plain: bool = False) -> dict[str, list[Part]]:
    """What becomes of each file of `chosen` that changes, by its name; `files` is the whole folder, in order.

    With `plain`, indexes are built without CONCURRENTLY. Raises ConversionRefusedError, also for a file that has the word
    and cannot be read.
    """
    changed = {}
    for name, outcome in _outcomes(files, chosen, plain=plain):
        if isinstance(outcome, ConversionRefusedError):
            raise outcome
        changed[name] = outcome
    for reason in _disorder(files, changed).values():
        raise ConversionRefusedError(reason)
    return changed


def convert_each(files: Sequence[File]) -> tuple[dict[str, list[Part]], dict[str, str]]:
    """What becomes of every file that changes, and why the others that would have to cannot.

    A file that PostgreSQL's parser cannot read stays as it is: the database will say what is wrong with it.
    """
    changed, refused = {}, {}
    for name, outcome in _outcomes(files, {file.name for file in files}):
        if isinstance(outcome, ConversionRefusedError):
            refused[name] = outcome
        else:
            changed[name] = outcome
    reasons = {
        name: str(error) for name, error in refused.items() if not isinstance(error, UnreadableFileError)
    }
    reasons |= _disorder(files, changed)
    return {name: parts for name, parts in changed.items() if name not in reasons}, reasons


def _outcomes(
    files: Sequence[File], chosen: set[str], *, plain: bool = False
) -> Iterator[tuple[str, list[Part] | ConversionRefusedError]]:
    """The parts of each file of `chosen` that changes, or why it cannot."""
    known = _Known()
    for file in files:
        lowered = file.text.lower()
        wanted = file.name in chosen and "concurrently" in lowered
        if not (wanted or "partition" in lowered):
            continue
        try:
            found = parser.statements(file.text)
            if wanted and (parts := _convert(file, found, known, plain=plain)):
                yield file.name, parts
        except parser.ParseError as error:
            if wanted:
                yield file.name, UnreadableFileError(f"{file.name}, {error}")
            continue
        except ConversionRefusedError as error:
            yield file.name, error
        for statement in found:
            known.learn(statement.tree)


def _convert(file: File, found: list[Statement], known: _Known, *, plain: bool) -> list[Part]:
    """The parts of one file; none when it stays as it is."""
    if not any(names.is_concurrent(statement.tree) for statement in found):
        return []
    pieces = list(_pieces(file, found, known, plain=plain))
    if directives.has_no_transaction(file.text) and not any(piece.changed for piece in pieces):
        return []
    _check_file(file, found)
    groups: list[list[_Piece]] = []
    for piece in pieces:
        if groups and not piece.alone and not groups[-1][-1].alone:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    copied = [line for d in directives.head(file.text) if d.key != "txmode" for line in [d.line]]
    parts, settings = [], list[str]()
    for number, (group, suffix) in enumerate(zip(groups, _suffixes(len(groups)), strict=True)):
        text = "".join(piece.text for piece in group)
        count = len(group)
        if not group[0].alone:  # each part has a session of its own
            text, count = "".join(settings) + text, count + len(settings)
            settings += [f"{piece.setting}\n" for piece in group if piece.setting]
        if number and copied:
            text = "\n".join(copied) + "\n\n" + text.lstrip("\n")
        if group[0].alone and not directives.has_no_transaction(text):
            text = _without_transaction(text.lstrip("\n"))
        parts.append(Part(_renamed(file, suffix), text, count))
    return [] if [(part.name, part.text) for part in parts] == [(file.name, file.text)] else parts


def _without_transaction(text: str) -> str:
    """`text` with the directive in its header, which begins one where there is none."""
    if directives.has_no_transaction(text):
        return text
    return DIRECTIVE + ("" if directives.header(text) else "\n") + text


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
    """Tables that were not there before the file. By the very words that made them: what else may mean an older table."""
    seen = _Known(list(known.partitioned), list(known.partitioned_indexes))
    for statement in found:
        tree, text = statement.tree, file.text[statement.begin : statement.end]
        made = _still_new(made, tree, text)
        if not names.is_concurrent(tree):
            setting = text[statement.start - statement.begin :].strip()
            is_setting = isinstance(tree, pb.VariableSetStmt)
            yield _Piece(text, alone=False, setting=setting if is_setting else "")
        elif isinstance(tree, pb.IndexStmt) and (plain or names.name_of(tree.relation) in made):
            place = statement.start - statement.begin
            yield _Piece(text[:place] + names.without_concurrently(text[place:]), alone=False, changed=True)
        else:
            _check_statement(f"{file.name}, line {statement.line}", tree, seen)
            yield _Piece(text, alone=True)
        seen.learn(tree)


def _still_new(made: list[Name], tree: Any, text: str) -> list[Name]:
    """The tables that are new after a statement; wherever that can be doubted, a table counts as old."""
    if created := names.certainly_created(tree):
        return [*made, created]
    match tree:
        case pb.DropStmt() if tree.remove_type == pb.OBJECT_TABLE:
            gone = names.names_of_objects(tree)
        case pb.RenameStmt() | pb.AlterObjectSchemaStmt() if tree.HasField("relation"):
            gone = [names.name_of(tree.relation)]
        case _:
            return [] if "search_path" in text.lower() else made
    return [name for name in made if not _is_among(name, gone)]


def _check_statement(place: str, tree: object, known: _Known) -> None:
    if isinstance(tree, pb.IndexStmt):
        table = names.name_of(tree.relation)
        if _is_among(table, known.partitioned):
            raise ConversionRefusedError(f"{place}: {partitioned_advice(str(table))}")
        if not tree.idxname:
            raise ConversionRefusedError(
                f"{place}: the index on {table} has no name, so the remains of a failed build could not be found; write "
                "CREATE INDEX CONCURRENTLY name ON …"
            )
    if isinstance(tree, pb.DropStmt):
        for name in names.names_of_objects(tree):
            if _is_among(name, known.partitioned_indexes):
                raise ConversionRefusedError(
                    f"{place}: {name} is the index of a partitioned table, which PostgreSQL can drop only without CONCURRENTLY; "
                    "write DROP INDEX, with a lock_timeout before it"
                )
        if len(tree.objects) > 1:
            raise ConversionRefusedError(
                f"{place}: PostgreSQL drops only one index at a time concurrently; write a statement for each of them"
            )


def partitioned_advice(table: str) -> str:
    """What to do instead of CREATE INDEX CONCURRENTLY on a partitioned table."""
    return (
        f"{table} is partitioned, and PostgreSQL builds no index of a partitioned table concurrently; write CREATE INDEX … ON "
        f"ONLY {table}, CREATE INDEX CONCURRENTLY on each partition, and ALTER INDEX … ATTACH PARTITION for each"
    )


def _check_file(file: File, found: list[Statement]) -> None:
    for directive in directives.head(file.text):
        if directive.key == "delimiter":
            raise ConversionRefusedError(f"{file.name}: it sets its own delimiter; split it by hand")
    # After a crash, the count of a part's statements tells how far it came.
    if line := parser.empty_statement(file.text):
        raise ConversionRefusedError(f"{file.name}, line {line}: a semicolon without a statement; remove it")
    for statement in found:
        place = f"{file.name}, line {statement.line}"
        if isinstance(statement.tree, pb.TransactionStmt):
            raise ConversionRefusedError(
                f"{place}: a file with BEGIN or COMMIT cannot be split; Atlas runs each file in a transaction, so remove them"
            )
        if isinstance(statement.tree, pb.VariableSetStmt) and statement.tree.name in _NOT_SPLIT:
            raise ConversionRefusedError(
                f"{place}: the {statement.tree.name} would not apply to the statement with CONCURRENTLY; "
                f"{_NOT_SPLIT[statement.tree.name]}"
            )


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
        trees = [statement.tree for statement in parser.statements(text)]
    except parser.ParseError:
        return []
    found = []
    for tree in filter(names.is_concurrent, trees):
        if isinstance(tree, pb.IndexStmt) and tree.idxname:
            table = names.name_of(tree.relation)
            found.append(Build(Name(table.schema, tree.idxname), table))
        if isinstance(tree, pb.ReindexStmt) and tree.HasField("relation"):
            name = names.name_of(tree.relation)
            is_index = tree.kind == pb.REINDEX_OBJECT_INDEX
            found.append(Build(name, None) if is_index else Build(None, name))
    return found


def may_be_repeated(text: str) -> bool:
    """Whether each statement of a file can be executed again if its outcome is unknown.

    What an interrupted build leaves is dropped before.
    """
    try:
        trees = [statement.tree for statement in parser.statements(text)]
    except parser.ParseError:
        return False
    return all(map(_may_be_repeated, trees))


def _may_be_repeated(tree: Any) -> bool:
    if isinstance(tree, pb.VariableSetStmt):
        return True
    match tree:
        case pb.IndexStmt():
            done_before = bool(tree.idxname)
        case pb.DropStmt():
            done_before = tree.missing_ok
        case _:
            done_before = True
    return done_before and names.is_concurrent(tree)


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


def _disorder(files: Sequence[File], changed: dict[str, list[Part]]) -> dict[str, str]:
    """The files whose parts would come out of their place, and why: Atlas sorts by name, and compares versions."""
    everything = [(file.name, part) for file in files for part in changed.get(file.name, [file])]
    everything = sorted(everything, key=lambda item: item[0])
    found = {}
    for (one, before), (other, after) in itertools.pairwise(everything):
        if not (before.name < after.name and before.version < after.version):
            for name in {one, other} & set(changed):
                found[name] = (
                    f"{before.name} would not sort before {after.name}; give the files versions of equal length, without "
                    "letters, or split the file by hand"
                )
    return found
