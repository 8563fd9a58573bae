"""What the files before a statement say of columns in MySQL and MariaDB, and which changes of a column keep the rows as they are."""

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from dbupgrade.toolkit.sql.names import Name

_NARROW, _WIDE = 63, 256  # MariaDB crosses it without a copy, MySQL does not
"""A VARCHAR has one byte for its length up to 255 bytes, two above: in any character set, up to 63 characters and from 256 on."""
_ENUM_SMALL = 255


@dataclass(frozen=True)
class Column:
    """A column as it was defined."""

    type: Any
    charset: str
    not_null: bool


@dataclass
class Columns:
    """The columns that are known."""

    known: dict[tuple[Name, str], Column] = field(default_factory=dict)

    def learn(self, tree: Any) -> None:
        """Take in a statement."""
        if isinstance(tree, exp.Create) and tree.kind == "TABLE" and isinstance(tree.this, exp.Schema):
            table = table_of(tree)
            self._forget(table)
            if not tree.args.get("exists"):  # with IF NOT EXISTS, it may be another table
                self._define(table, tree.this.expressions)
        elif isinstance(tree, exp.Drop):
            for each in tree.args.get("tables") or ():
                self._forget(table_of(each))
        elif isinstance(tree, exp.Alter):
            self._alter(table_of(tree), tree.args.get("actions") or ())
        elif isinstance(tree, exp.Use | exp.Command) or tree is None:
            self.known.clear()  # names may mean something else, or anything was done

    def keeps_rows(self, table: Name, action: exp.ModifyColumn) -> bool:
        """Whether the server certainly takes the values as they are, without a copy of the table."""
        new, old = action.this, self.known.get((table, _old_name(action)))
        if old is None or old.type is None or new.kind is None or old.charset != _charset(new):
            return False
        return bool(old.type == new.kind) or _is_wider(old.type, new.kind)

    def is_nullable(self, table: Name, action: exp.ModifyColumn) -> bool:
        """Whether the column may hold NULL before."""
        old = self.known.get((table, _old_name(action)))
        return old is None or not old.not_null

    def _alter(self, table: Name, actions: Any) -> None:
        for action in actions:
            match action:
                case exp.ColumnDef():
                    self._define(table, [action])
                case exp.ModifyColumn():
                    self.known.pop((table, _old_name(action)), None)
                    self._define(table, [action.this])
                case exp.RenameColumn():
                    if found := self.known.pop((table, action.this.name.lower()), None):
                        self.known[table, action.args["to"].name.lower()] = found
                case exp.AddConstraint() | exp.AlterColumn() | exp.DropPrimaryKey():
                    pass
                case _:
                    self._forget(table)

    def _define(self, table: Name, elements: Any) -> None:
        keys = {
            key.name.lower()
            for each in elements
            if isinstance(each, exp.PrimaryKey)
            for key in each.expressions
        }
        for each in elements:
            if isinstance(each, exp.ColumnDef):
                name = each.name.lower()
                self.known[table, name] = Column(each.kind, _charset(each), is_not_null(each) or name in keys)

    def _forget(self, table: Name) -> None:
        self.known = {key: column for key, column in self.known.items() if key[0] != table}


def table_of(tree: Any) -> Name:
    """The table of a statement."""
    table = tree if isinstance(tree, exp.Table) else tree.find(exp.Table)
    return Name(table.db, table.name) if table else Name("", "?")


def is_not_null(column: exp.ColumnDef) -> bool:
    """Whether a definition excludes NULL."""
    kinds = [each.kind for each in column.args.get("constraints") or ()]
    return any(
        isinstance(kind, exp.PrimaryKeyColumnConstraint)
        or (isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null"))
        for kind in kinds
    )


def _old_name(action: exp.ModifyColumn) -> str:
    old = action.args.get("rename_from")
    return str((old or action.this).name).lower()


def _charset(column: exp.ColumnDef) -> str:
    kinds = [each.kind for each in column.args.get("constraints") or ()]
    named = exp.CharacterSetColumnConstraint | exp.CollateColumnConstraint
    return " ".join(sorted(kind.sql("mysql").lower() for kind in kinds if isinstance(kind, named)))


def _is_wider(old: Any, new: Any) -> bool:
    if old.this != new.this:
        return False
    if old.this == exp.DataType.Type.VARCHAR:
        short, long = _length(old), _length(new)
        return short <= long and (long <= _NARROW or short >= _WIDE)
    if old.this == exp.DataType.Type.ENUM:
        before = [each.name for each in old.expressions]
        after = [each.name for each in new.expressions]
        return after[: len(before)] == before and (len(after) <= _ENUM_SMALL or len(before) > _ENUM_SMALL)
    return False


def _length(type_: Any) -> int:
    return int(type_.expressions[0].this.name) if type_.expressions else 0
