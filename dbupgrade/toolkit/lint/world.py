"""What is known of the database before each statement: from the files before it, and from the database where it is asked.

Doubt is danger: what may be an old table is an old table, and what may not be there is not there.
"""

from dataclasses import dataclass, field, replace

from dbupgrade.pod import sizes
from dbupgrade.toolkit.sql.names import Name, Type

OLD = None
"""The file in which something was made that may have been there before the folder."""
DEFAULT_PATH = ("public",)


@dataclass(frozen=True)
class Column:
    """A column."""

    type: Type | None = None
    not_null: bool = False
    made: int | None = OLD
    """The file that added it to a table that was there."""


@dataclass(frozen=True)
class Constraint:
    """A constraint of a table."""

    kind: str
    validated: bool = True
    columns: frozenset[str] = frozenset()
    """Those that it mentions."""
    not_null: frozenset[str] = frozenset()
    """Those that cannot be NULL while it holds."""
    made: int | None = OLD
    refers: Name | None = None
    """The table that a foreign key refers to."""
    refers_to: frozenset[str] = frozenset()
    """Its columns there, where the key lists them."""


@dataclass(frozen=True)
class Table:
    """A table, a materialized view or a partition."""

    made: int | None = OLD
    """The file that made it."""
    columns: dict[str, Column] = field(default_factory=dict)
    constraints: dict[str, Constraint] = field(default_factory=dict)
    partitioned: bool | None = None
    """None when that is not known."""
    attached: int | None = None
    """The file that made it a partition."""

    def is_not_null(self, column: str) -> bool:
        """Whether the column certainly contains no NULL, so that no scan is needed."""
        if (known := self.columns.get(column)) and known.not_null:
            return True
        return any(each.validated and column in each.not_null for each in self.constraints.values())

    @property
    def has_proved_check(self) -> bool:
        """Whether a CHECK was validated, which may prove to PostgreSQL that the rows belong into a partition."""
        return any(each.kind == "check" and each.validated for each in self.constraints.values())


@dataclass(frozen=True)
class Index:
    """An index."""

    table: Name
    made: int | None = OLD
    columns: tuple[str, ...] = ()
    partitioned: bool = False


@dataclass(frozen=True)
class Size:
    """How large a table is, as the database says."""

    bytes: int
    rows: int

    def __str__(self) -> str:
        """For people."""
        return f"{sizes.in_bytes(self.bytes)}, {sizes.in_rows(self.rows)}"


@dataclass(frozen=True)
class Database:
    """What the database says of the names in the files."""

    path: tuple[str, ...] = DEFAULT_PATH
    absent: frozenset[Name] = frozenset()
    tables: dict[Name, Table] = field(default_factory=dict)
    indexes: dict[Name, Index] = field(default_factory=dict)
    sizes: dict[Name, Size] = field(default_factory=dict)
    locked: dict[Name, str] = field(default_factory=dict)
    """Tables that are locked by other sessions, and by which."""
    volatile: dict[str, bool] = field(default_factory=dict)
    """Functions, by their name as it is written, and whether one of that name is volatile."""
    domains: frozenset[Name] = frozenset()
    """Domains with constraints: a new column of theirs is checked row by row."""


@dataclass
class World:
    """Knowledge, statement by statement."""

    database: Database = field(default_factory=Database)
    tables: dict[Name, Table] = field(default_factory=dict)
    indexes: dict[Name, Index] = field(default_factory=dict)
    others: dict[tuple[str, Name], int | None] = field(default_factory=dict)
    """Views, types, functions, …, by kind and name: the file that made them."""
    absent: set[Name] = field(default_factory=set)
    """Tables that are certainly not there."""
    closed: set[str] = field(default_factory=set)
    """Schemas of which all is known, since the folder made them."""
    constrained: set[Name] = field(default_factory=set)
    """Domains with constraints."""
    path: tuple[str, ...] = DEFAULT_PATH
    file: int = 0
    together: frozenset[int] = frozenset()
    """Files that are applied together: what one of them creates is new to the others."""

    def __post_init__(self) -> None:
        """Start with what the database says."""
        self.path = self.database.path
        self.tables |= self.database.tables
        self.indexes |= self.database.indexes
        self.absent |= self.database.absent
        self.others |= {("domain", name): OLD for name in self.database.domains}
        self.constrained |= self.database.domains

    def begin(self, file: int) -> None:
        """A new file, in a session of its own."""
        self.file, self.path = file, self.database.path
        for name in [name for name in self.tables if name.schema == "pg_temp"]:
            del self.tables[name]

    def resolve(self, name: Name) -> tuple[Name, bool]:
        """What a name means, and whether that is certain."""
        if name.schema:
            return name, True
        certain = True
        for schema in ("pg_temp", *self.path):
            candidate = Name(schema, name.name)
            if self._knows(candidate):
                return candidate, certain
            certain = certain and (schema == "pg_temp" or schema in self.closed or candidate in self.absent)
        return self.home(name), False

    def home(self, name: Name, *, temporary: bool = False) -> Name:
        """The name of what is made under `name`."""
        if temporary:
            return Name("pg_temp", name.name)
        return name if name.schema else Name(self.path[0] if self.path else "", name.name)

    def _knows(self, name: Name) -> bool:
        return (
            name in self.tables
            or name in self.indexes
            or any((kind, name) in self.others for kind in _RELATIONS)
        )

    def is_new(self, name: Name) -> bool:
        """Whether a table or an index is new: created in this file, or in one that is applied together with it."""
        found, certain = self.resolve(name)
        known = self.tables.get(found) or self.indexes.get(found)
        return certain and known is not None and self.is_of_now(known.made)

    def is_new_other(self, kind: str, name: Name) -> bool:
        """The same, of a view, a type, a function and the like."""
        if kind == "schema":
            return self.is_of_now(self.others.get((kind, name)))
        return self.is_of_now(self.others.get((kind, self.resolve_other(kind, name))))

    def resolve_other(self, kind: str, name: Name) -> Name:
        """What the name of a type, a function, … means."""
        if name.schema:
            return name
        found = (
            Name(schema, name.name) for schema in self.path if (kind, Name(schema, name.name)) in self.others
        )
        return next(found, self.home(name))

    def has_constraints(self, type_: Name) -> bool:
        """Whether a type is known to be a domain with constraints."""
        return self.resolve_other("domain", type_) in self.constrained

    def is_of_now(self, made: int | None) -> bool:
        """Whether what was created in that file is new."""
        return made is not None and (made == self.file or {made, self.file} <= self.together)

    def table(self, name: Name) -> Table:
        """What is known of a table."""
        return self.tables.get(self.resolve(name)[0], Table())

    def referring(self, name: Name) -> dict[Name, list[Constraint]]:
        """The tables that are known to have a foreign key to this one, with these keys."""
        found = self.resolve(name)[0]
        keys = {
            table: [each for each in known.constraints.values() if each.refers == found]
            for table, known in self.tables.items()
        }
        return {table: each for table, each in keys.items() if each}

    def change(self, name: Name, **changes: object) -> None:
        """Learn something of a table."""
        found, _ = self.resolve(name)
        self.tables[found] = replace(self.tables.get(found, Table()), **changes)  # type: ignore[arg-type]

    def remove(self, name: Name, *, certain: bool = True) -> None:
        """Forget a table, with its indexes."""
        found, _ = self.resolve(name)
        self.tables.pop(found, None)
        self.indexes = {index: known for index, known in self.indexes.items() if known.table != found}
        if certain:
            self.absent.add(found)

    def rename(self, name: Name, new: Name) -> None:
        """A table has another name."""
        found, _ = self.resolve(name)
        self.tables[new] = self.tables.pop(found, Table())
        self.absent.discard(new)
        self.absent.add(found)
        self.indexes = {
            index: replace(known, table=new) if known.table == found else known
            for index, known in self.indexes.items()
        }


_RELATIONS = ("view", "sequence")
