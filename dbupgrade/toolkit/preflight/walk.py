"""What the user of a run lacks for the pending files, statement by statement. Pure.

What an earlier one of them has made, dropped, renamed or handed over is not what the database says any more, and is passed over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.definitions import created
from dbupgrade.toolkit.lint.learning import learn
from dbupgrade.toolkit.lint.world import Database, Table, World
from dbupgrade.toolkit.preflight.facts import Facts, Owner, Relation, Schema
from dbupgrade.toolkit.preflight.needs import Need, Right, needs
from dbupgrade.toolkit.preflight.pending import Pending, Step, granted, may_change_rights, role_of
from dbupgrade.toolkit.sql.names import Name, created_table, name_of, names_of_objects
from dbupgrade.toolkit.sql.parser import unwrap

_OWNERSHIP = (Right.OWN, Right.DROP, Right.MAINTAIN)
_OBJECTS = (Right.OWN_TYPE, Right.DROP_TYPE, Right.OWN_ROUTINE, Right.DROP_ROUTINE)
_ROWS = frozenset({"UPDATE", "DELETE", "TRUNCATE", "MAINTAIN"})


@dataclass(frozen=True)
class Missing:
    """A right that the user has not."""

    right: Right
    on: Name
    """A relation, or a schema, which stands alone."""
    file: str
    certain: bool
    """Whether the file fails without it."""
    owner: Owner | None = None
    """Who owns it, where that is what is missing."""


@dataclass(frozen=True)
class TakesRole:
    """A file that continues as another role."""

    role: str
    file: str


@dataclass(frozen=True)
class Unread:
    """A file that cannot be checked in advance."""

    file: str


def walk(facts: Facts, pending: Pending) -> Iterator[Missing | TakesRole | Unread]:
    """What is missing, in the order of the statements; the same may come twice."""
    here = _Walk(facts, pending)
    for number, file in enumerate(pending.files):
        here.begin(number, file.name)
        if not file.is_read:
            yield Unread(file.name)
        for step in file.steps:
            yield from here.look(step)


_Lacking = tuple[Right, Name, Owner | None]


class _Walk:
    """What is known at a statement."""

    def __init__(self, facts: Facts, pending: Pending) -> None:
        self._facts = facts
        self._world = World(_database(facts, pending))
        self._changed: set[Name] = set()
        self._changed_schemas: set[str] = set()
        self._granted: set[Name] = set()
        self._is_in_doubt = False
        self._has_other_role = False
        self._file = ""

    def begin(self, number: int, name: str) -> None:
        """A new file, in a session of its own."""
        self._world.begin(number)
        self._file, self._has_other_role = name, False

    def look(self, step: Step) -> Iterator[Missing | TakesRole]:
        """Judge a statement, and take it in."""
        if not self._has_other_role:
            yield from filter(None, (self._missing(need, step) for need in step.needs))
        role = role_of(step.tree)
        if role is not None:
            self._has_other_role = bool(role)
            if role:
                yield TakesRole(role, self._file)
        self._is_in_doubt = self._is_in_doubt or may_change_rights(step.tree)
        self._granted |= {self._world.resolve(name)[0] if name.name else name for name in granted(step.tree)}
        if step.tree is not None:
            self._note(step.tree)
            learn(self._world, step.tree, certain=step.certain)

    def _missing(self, need: Need, step: Step) -> Missing | None:
        found = self._lacking(need)
        if found is None:
            return None
        right, on, owner = found
        is_granted = on in self._granted or Name(on.schema, "") in self._granted
        certain = need.certain and step.certain and not self._is_in_doubt and not is_granted
        return Missing(right, on, self._file, certain, owner)

    def _lacking(self, need: Need) -> _Lacking | None:
        """The right that is missing, on what, and who owns that."""
        match need.right:
            case Right.CREATE:
                return self._in_schema(need.name.schema or self._home())
            case Right.CREATE_SCHEMA:
                return None if self._facts.server.may_create_schemas else (need.right, need.name, None)
            case Right.OWN_SCHEMA:
                known = self._schema(need.name.name)
                if known is None or known.owner.is_us:
                    return None
                return need.right, Name(need.name.name, ""), known.owner
            case Right.EXTENSION:
                return self._extension(need)
            case Right.OWN_TYPE | Right.DROP_TYPE:
                return self._on_object(need, self._facts.types)
            case Right.OWN_ROUTINE | Right.DROP_ROUTINE:
                return self._on_object(need, self._facts.routines)
            case _:
                return self._on_relation(need)

    def _home(self) -> str:
        """The schema in which something without a schema is made: the first of the path that is there."""
        there = (each for each in self._world.path if each in {*self._facts.schemas, *self._changed_schemas})
        return next(there, "")

    def _schema(self, name: str) -> Schema | None:
        return None if name in self._changed_schemas else self._facts.schemas.get(name)

    def _in_schema(self, name: str) -> _Lacking | None:
        known = self._schema(name)
        return None if known is None or known.may_create else (Right.CREATE, Name(name, ""), None)

    def _extension(self, need: Need) -> _Lacking | None:
        server, known = self._facts.server, self._facts.extensions.get(need.name.name)
        if server.is_superuser or (known and known.is_installed):
            return None
        may = known and known.is_trusted and server.may_create_schemas
        return None if may else (need.right, need.name, None)

    def _on_object(self, need: Need, known: Mapping[Name, Owner]) -> _Lacking | None:
        """A type or a routine: the first of its name in the search path."""
        schemas = (need.name.schema,) if need.name.schema else self._world.path
        names = [Name(schema, need.name.name) for schema in schemas]
        if any(name in self._changed or name.schema in self._changed_schemas for name in names):
            return None
        found = next((name for name in names if name in known), None)
        if found is None or known[found].is_us:
            return None
        above = self._facts.schemas.get(found.schema)
        if need.right in (Right.DROP_TYPE, Right.DROP_ROUTINE) and above and above.owner.is_us:
            return None
        return need.right, found, known[found]

    def _on_relation(self, need: Need) -> _Lacking | None:
        name, is_certain = self._world.resolve(need.name)
        known = self._facts.relations.get(name)
        if known is None or not is_certain or name in self._changed or name.schema in self._changed_schemas:
            return None
        schema = self._facts.schemas.get(name.schema)
        if schema and not schema.may_use:
            return Right.USAGE, Name(name.schema, ""), None
        if need.right is Right.BESIDE:
            return self._in_schema(name.schema)
        if self._has(known, need.right, name.schema):
            return None
        return need.right, known.of or name, known.owner

    def _has(self, relation: Relation, right: Right, schema: str) -> bool:
        if right in _OWNERSHIP:
            owned = relation.owner.is_us or (right is Right.MAINTAIN and right.value in relation.privileges)
            above = self._facts.schemas.get(schema)
            return owned or (right is Right.DROP and above is not None and above.owner.is_us)
        wanted = _ROWS if right is Right.LOCK else {right.value}
        return bool(relation.privileges & wanted)

    def _note(self, tree: Any) -> None:
        """Remember of what the database says nothing that holds after a statement."""
        match tree:
            case pb.DropStmt() if tree.remove_type == pb.OBJECT_SCHEMA:
                self._changed_schemas |= {unwrap(item).sval for item in tree.objects}
            case pb.DropStmt() if tree.remove_type in _DROPPED:
                self._changed |= {self._world.resolve(name)[0] for name in names_of_objects(tree)}
            case pb.RenameStmt() if tree.rename_type == pb.OBJECT_SCHEMA:
                self._changed_schemas |= {tree.subname, tree.newname}
            case pb.RenameStmt() if tree.HasField("relation") and tree.rename_type in _DROPPED:
                self._moved(tree.relation, "", tree.newname)
            case pb.AlterObjectSchemaStmt() if tree.HasField("relation"):
                self._moved(tree.relation, tree.newschema, tree.relation.relname)
            case pb.AlterTableStmt() if any(
                each.alter_table_cmd.subtype == pb.AT_ChangeOwner for each in tree.cmds
            ):
                self._changed.add(self._world.resolve(name_of(tree.relation))[0])
            case pb.AlterOwnerStmt() if tree.object_type == pb.OBJECT_SCHEMA:
                self._changed_schemas.add(unwrap(tree.object).sval)
            case pb.AlterOwnerStmt() | pb.RenameStmt() | pb.AlterObjectSchemaStmt() | pb.DropStmt():
                self._changed |= {self._first(need.name) for need in needs(tree) if need.right in _OBJECTS}
            case _:
                self._made(tree)

    def _first(self, name: Name) -> Name:
        """The type or routine of a name."""
        schemas = (name.schema,) if name.schema else self._world.path
        known = {*self._facts.types, *self._facts.routines}
        return next((one for schema in schemas if (one := Name(schema, name.name)) in known), name)

    def _moved(self, relation: pb.RangeVar, schema: str, name: str) -> None:
        before = self._world.resolve(name_of(relation))[0]
        self._changed |= {before, Name(schema or before.schema, name)}

    def _made(self, tree: Any) -> None:
        may_exist = getattr(tree, "if_not_exists", False)
        names = [(kind, name) for kind, name in created(tree) if kind != "extension"]
        if table := created_table(tree):
            names.append(("table", table))
        for kind, name in names:
            home = name if name.schema else Name(self._home(), name.name)
            if kind == "schema" and not (may_exist and name.name in self._facts.schemas):
                self._changed_schemas.add(name.name)
            elif kind != "schema" and not (may_exist and home in self._facts.relations):
                self._changed.add(home)


_DROPPED = {
    pb.OBJECT_TABLE,
    pb.OBJECT_VIEW,
    pb.OBJECT_MATVIEW,
    pb.OBJECT_SEQUENCE,
    pb.OBJECT_INDEX,
    pb.OBJECT_FOREIGN_TABLE,
}


def _database(facts: Facts, pending: Pending) -> Database:
    """The facts as what resolves names takes them; every relation is a table to it."""
    schemas = {*facts.path, *(name.schema for name in pending.relations if name.schema)}
    words = {name.name for name in pending.relations}
    absent = {Name(schema, word) for schema in schemas for word in words} - set(facts.relations)
    return Database(facts.path, frozenset(absent), {name: Table() for name in facts.relations})
