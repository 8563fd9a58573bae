"""Changes of columns that scan or rewrite all rows."""

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.checks import At, on
from dbupgrade.toolkit.lint.definitions import SERIAL, changes_values, column_of
from dbupgrade.toolkit.lint.expressions import is_null, volatile_function
from dbupgrade.toolkit.lint.rule import Hit, Level, LintRule
from dbupgrade.toolkit.lint.types import keeps_rows
from dbupgrade.toolkit.sql.names import Name, Type, name_of, qualified, quote, quoted, type_of
from dbupgrade.toolkit.sql.parser import unwrap

_REWRITTEN = "{table} is rewritten, with all its indexes, while reads and writes wait"
_REWRITE_LOCK = "ACCESS EXCLUSIVE, while all rows are rewritten"

TYPE = LintRule(
    "changing-column-type",
    "incompatible",
    Level.ERROR,
    "changes a column's type",
    f"{_REWRITTEN}, and running versions of the application may not support the type",
    "a new column, filled in batches, that the application switches to",
    _REWRITE_LOCK,
    ("PG301", "change_column"),
)
NOT_NULL = LintRule(
    "adding-not-nullable-field",
    "data_depend",
    Level.ERROR,
    "sets a column NOT NULL",
    "it fails if a row has no value, and reads and writes of {table} wait while all rows are scanned",
    "CHECK (column IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT in a later file, then SET NOT NULL, which needs no scan",
    "ACCESS EXCLUSIVE, while all rows are scanned",
    ("MF104", "PG303", "change_column_null", "change_column_null_postgresql"),
)
REQUIRED = LintRule(
    "adding-required-field",
    "data_depend",
    Level.ERROR,
    "adds a NOT NULL column without a default",
    "it fails if {table} has rows, and inserts of running versions of the application fail",
    "add it with a DEFAULT; or add it nullable, fill it in batches, and then add the constraint",
    "ACCESS EXCLUSIVE, for a moment",
    ("MF103",),
)
DEFAULT = LintRule(
    "adding-field-with-default",
    "incompatible",
    Level.ERROR,
    "adds a column with a default that is computed for each row, or of a domain with constraints",
    _REWRITTEN,
    "add it without the default, set the default afterwards, and fill the column in batches; instead of a domain, its base type",
    _REWRITE_LOCK,
    ("PG302", "add_column", "add_column_default", "add_column_default_callable"),
    by_size=True,
)
SERIAL_FIELD = LintRule(
    "adding-serial-field",
    "incompatible",
    Level.ERROR,
    "adds a serial or identity column to an existing table",
    f"the sequence generates a value for each row: {_REWRITTEN}",
    "a nullable column with a sequence as its default, numbered in batches",
    _REWRITE_LOCK,
    ("adding-serial-primary-key-field", "add_column_auto_incrementing"),
    by_size=True,
)
GENERATED = LintRule(
    "adding-stored-generated-field",
    "incompatible",
    Level.ERROR,
    "adds a stored generated column to an existing table, or gives it another expression",
    _REWRITTEN,
    "a plain column that the application or a trigger fills; fill existing rows in batches",
    _REWRITE_LOCK,
    ("add_column_generated_stored",),
    by_size=True,
)
JSON = LintRule(
    "adding-json-field",
    "incompatible",
    Level.WARNING,
    "adds a column of type json to an existing table",
    "json has no equality operator: SELECT DISTINCT and UNION of whole rows of {table} then fail",
    "jsonb",
    "ACCESS EXCLUSIVE, for a moment",
    ("add_column_json",),
)
DROP_NOT_NULL = LintRule(
    "ban-drop-not-null",
    "incompatible",
    Level.WARNING,
    "makes a NOT NULL column nullable",
    "running versions of the application may not expect NULL",
    "write NULL only when no old version is running any more",
    "ACCESS EXCLUSIVE, for a moment",
)


@on(pb.AlterTableStmt)
def changes_columns(tree: pb.AlterTableStmt, at: At) -> Iterator[Hit]:
    """ADD COLUMN and ALTER COLUMN."""
    if tree.objtype not in (pb.OBJECT_TABLE, pb.OBJECT_FOREIGN_TABLE):
        return
    table = name_of(tree.relation)
    for command in (each.alter_table_cmd for each in tree.cmds):
        match command.subtype:
            case pb.AT_AddColumn:
                yield from _adds(table, unwrap(getattr(command, "def")), at)
            case pb.AT_AlterColumnType:
                yield from _changes_type(table, command, at)
            case pb.AT_SetNotNull:
                yield from sets_not_null(table, command.name, at, f"sets {table}.{command.name} NOT NULL")
            case pb.AT_DropNotNull:
                yield Hit(DROP_NOT_NULL, f"makes {table}.{command.name} nullable", table)
            case pb.AT_SetExpression:
                yield Hit(
                    GENERATED, f"changes the expression of generated column {table}.{command.name}", table
                )
            case _:
                pass


def sets_not_null(table: Name, column: str, at: At, what: str) -> Iterator[Hit]:
    """A column must not be NULL any more."""
    if at.table(table).is_not_null(column):
        return
    name, own = quoted(table), quote(f"{table.name}_{column}_not_null")
    steps = (
        f"ALTER TABLE {name} ADD CONSTRAINT {own} CHECK ({quote(column)} IS NOT NULL) NOT VALID;",
        f"-- in a later file: ALTER TABLE {name} VALIDATE CONSTRAINT {own};",
        f"-- then: ALTER TABLE {name} ALTER COLUMN {quote(column)} SET NOT NULL, DROP CONSTRAINT {own};",
    )
    yield Hit(NOT_NULL, what, table, "\n".join(steps))


def _adds(table: Name, element: pb.ColumnDef, at: At) -> Iterator[Hit]:
    column, known = f"{table}.{element.colname}", column_of(element)
    by_kind = {unwrap(each).contype: unwrap(each) for each in element.constraints}
    type_ = known.type or Type("?")
    nullable = f"ALTER TABLE {quoted(table)} ADD COLUMN {quote(element.colname)} {_plain(type_)};"
    if type_.name in SERIAL or pb.CONSTR_IDENTITY in by_kind:
        kind = type_.name if type_.name in SERIAL else "identity"
        yield Hit(SERIAL_FIELD, f"adds {kind} column {column}", table, nullable)
        return
    generated = by_kind.get(pb.CONSTR_GENERATED)
    if generated is not None and generated.generated_kind != "v":
        yield Hit(GENERATED, f"adds stored generated column {column}", table, nullable)
        return
    default = by_kind.get(pb.CONSTR_DEFAULT)
    null = default is None or is_null(default.raw_expr)
    if null and {pb.CONSTR_NOTNULL, pb.CONSTR_PRIMARY} & set(by_kind):
        yield Hit(REQUIRED, f"adds NOT NULL column {column} without a default", table, nullable)
    if default is not None and (name := volatile_function(default.raw_expr, at.world.database)):
        steps = (
            f"{nullable}\nALTER TABLE {quoted(table)} ALTER COLUMN {quote(element.colname)} SET DEFAULT …;"
        )
        yield Hit(
            DEFAULT, f"adds column {column} with a default that {name} computes for each row", table, steps
        )
    if at.world.has_constraints(qualified(type_.name.split("."))):
        what = f"adds column {column} of domain {type_.name}, whose constraints are checked for each row"
        yield Hit(DEFAULT, what, table)
    if type_.name == "json" and not type_.array:
        yield Hit(JSON, f"adds column {column} of type json", table, nullable.replace(" json;", " jsonb;"))


def _plain(type_: Type) -> str:
    """A type without its own sequence."""
    plain = {"serial": "integer", "serial4": "integer", "bigserial": "bigint", "serial8": "bigint"}
    return plain.get(type_.name, "smallint" if type_.name in SERIAL else str(type_))


def _changes_type(table: Name, command: pb.AlterTableCmd, at: At) -> Iterator[Hit]:
    element = unwrap(getattr(command, "def"))
    new = type_of(element.type_name)
    known = at.table(table).columns.get(command.name)
    old = known.type if known else None
    if old is not None and not changes_values(element, command.name) and keeps_rows(old, new):
        return
    before = f" from {old}" if old else ""
    column = quote(f"{command.name}_new")
    step = f"ALTER TABLE {quoted(table)} ADD COLUMN {column} {new};  -- filled in batches"
    yield Hit(TYPE, f"changes the type of {table}.{command.name}{before} to {new}", table, step)
