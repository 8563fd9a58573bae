"""Constraints: what is scanned or built while other sessions wait."""

from collections.abc import Iterator
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.checks import At, on
from dbupgrade.toolkit.lint.definitions import constraint_name, constraint_of
from dbupgrade.toolkit.lint.rule import Hit, Level, LintRule
from dbupgrade.toolkit.lint.rules.columns import DROP_NOT_NULL, sets_not_null
from dbupgrade.toolkit.sql.names import Name, name_of, qualified, quote, quoted, sql_of, strings
from dbupgrade.toolkit.sql.parser import unwrap

_NOT_VALID = "add it NOT VALID, and VALIDATE CONSTRAINT in a later file"

CHECK = LintRule(
    "constraint-missing-not-valid",
    "modify_check",
    Level.WARNING,
    "adds a constraint to an existing table",
    "it fails if a row violates it, and reads and writes of {table} wait while all rows are scanned",
    _NOT_VALID,
    "ACCESS EXCLUSIVE, while all rows are scanned",
    ("PG305", "add_check_constraint", "ban-alter-domain-with-add-constraint"),
    by_size=True,
)
FOREIGN_KEY = LintRule(
    "adding-foreign-key-constraint",
    "data_depend",
    Level.WARNING,
    "adds a foreign key to an existing table",
    "it fails if a row violates it, and writes to {table} and to the table it refers to wait while all rows are scanned",
    _NOT_VALID,
    "SHARE ROW EXCLUSIVE on both tables, while all rows are scanned",
    ("PG306", "add_foreign_key", "add_reference"),
    by_size=True,
)
UNIQUE = LintRule(
    "disallowed-unique-constraint",
    "data_depend",
    Level.ERROR,
    "adds a UNIQUE constraint to an existing table",
    "it fails if there are duplicate values, and reads and writes of {table} wait while its index is built",
    "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE USING INDEX",
    "ACCESS EXCLUSIVE, while an index is built",
    ("MF101", "PG105", "add_unique_constraint", "add_index_unique"),
)
PRIMARY_KEY = LintRule(
    "adding-primary-key-constraint",
    "data_depend",
    Level.ERROR,
    "adds a PRIMARY KEY to an existing table",
    "it fails if there are duplicate or NULL values, and reads and writes of {table} wait while its index is built",
    "CREATE UNIQUE INDEX CONCURRENTLY on columns that are NOT NULL, then ADD CONSTRAINT … PRIMARY KEY USING INDEX",
    "ACCESS EXCLUSIVE, while an index is built",
    ("PG104", "PG304"),
)
EXCLUSION = LintRule(
    "adding-exclusion-constraint",
    "data_depend",
    Level.ERROR,
    "adds an EXCLUDE constraint to an existing table",
    "it fails if rows violate it, and reads and writes of {table} wait while its index is built; it cannot be built "
    "concurrently",
    "a new table with the constraint, filled in batches, that the application switches to",
    "ACCESS EXCLUSIVE, while an index is built",
    ("PG311", "add_exclusion_constraint"),
)
SAME_TRANSACTION = LintRule(
    "validate-in-same-transaction",
    "modify_check",
    Level.WARNING,
    "validates a constraint in the transaction that added it",
    "the lock of ADD CONSTRAINT is held until the end, so other sessions that use {table} wait while all rows are scanned",
    "VALIDATE CONSTRAINT in a later file",
    "the lock of ADD CONSTRAINT (ACCESS EXCLUSIVE; for a foreign key, SHARE ROW EXCLUSIVE), while all rows are scanned",
    ("validate_check_constraint", "validate_foreign_key"),
    by_size=True,
)
DROP = LintRule(
    "drop-constraint",
    "incompatible",
    Level.WARNING,
    "drops a constraint",
    "{table} then accepts rows that the constraint rejected, and an ON CONFLICT clause that needs it fails",
    "drop it when no running version relies on it; then suppress this finding with the reason",
    "ACCESS EXCLUSIVE (of a foreign key: on both tables), for a moment",
    ("CD101", "CD102", "CD103"),
)


@on(pb.AlterTableStmt)
def changes_constraints(tree: pb.AlterTableStmt, at: At) -> Iterator[Hit]:
    """ADD, VALIDATE and DROP CONSTRAINT, and constraints of a new column."""
    if tree.objtype != pb.OBJECT_TABLE:
        return
    table = name_of(tree.relation)
    added = {
        unwrap(getattr(each.alter_table_cmd, "def")).conname
        for each in tree.cmds
        if each.alter_table_cmd.subtype == pb.AT_AddConstraint
    }
    for command in (each.alter_table_cmd for each in tree.cmds):
        match command.subtype:
            case pb.AT_AddConstraint:
                yield from _adds(table, unwrap(getattr(command, "def")), at)
            case pb.AT_AddColumn:
                element = unwrap(getattr(command, "def"))
                for constraint in map(unwrap, element.constraints):
                    yield from _adds_with_column(table, element, constraint)
            case pb.AT_ValidateConstraint:
                yield from _validates(table, command.name, at)
            case pb.AT_DropConstraint:
                if not _is_replaced(table, command.name, added, at):
                    yield Hit(DROP, f"drops constraint {command.name} of {table}", table)
            case _:
                pass


def _is_replaced(table: Name, name: str, added: set[str], at: At) -> bool:
    """Whether nothing is lost: made just now, made again here, or a CHECK that SET NOT NULL has made superfluous."""
    known = at.table(table).constraints.get(name)
    if name in added or at.is_remade("constraint", Name(table.schema, f"{table.name}.{name}")):
        return True
    if known is None:
        return False
    if known.kind == "check" and at.table(table).attached == at.world.file:
        return True  # the bounds of the partition say it now
    only_not_null = bool(known.not_null) and known.columns == known.not_null
    columns = at.table(table).columns
    return at.world.is_of_now(known.made) or (
        only_not_null and all(column in columns and columns[column].not_null for column in known.not_null)
    )


def _adds(table: Name, node: pb.Constraint, at: At) -> Iterator[Hit]:
    match node.contype:
        case pb.CONSTR_CHECK if not node.skip_validation:
            yield Hit(CHECK, f"adds {_named(node, 'a CHECK')} to {table}", table, _not_valid(table, node))
        case pb.CONSTR_FOREIGN if not node.skip_validation:
            other = name_of(node.pktable)
            if not at.is_new(table):
                what = f"adds {_named(node, 'a foreign key')} to {table}, which refers to {other}"
                yield Hit(FOREIGN_KEY, what, table, _not_valid(table, node))
        case pb.CONSTR_NOTNULL if not node.skip_validation:
            for column in strings(node.keys):
                yield from sets_not_null(table, column, at, f"sets {table}.{column} NOT NULL")
        case pb.CONSTR_UNIQUE if not node.indexname:
            yield Hit(
                UNIQUE,
                f"adds {_named(node, 'UNIQUE')} to {table}",
                table,
                _using_index(table, node, "UNIQUE"),
            )
        case pb.CONSTR_PRIMARY if not node.indexname:
            steps = _using_index(table, node, "PRIMARY KEY")
            yield Hit(PRIMARY_KEY, f"adds {_named(node, 'a PRIMARY KEY')} to {table}", table, steps)
        case pb.CONSTR_PRIMARY:
            yield from _primary_key_by_index(table, node, at)
        case pb.CONSTR_EXCLUSION:
            yield Hit(EXCLUSION, f"adds {_named(node, 'an EXCLUDE constraint')} to {table}", table)
        case _:
            pass


def _primary_key_by_index(table: Name, node: pb.Constraint, at: At) -> Iterator[Hit]:
    index = at.world.indexes.get(Name(at.world.resolve(table)[0].schema, node.indexname))
    for column in index.columns if index else ():
        yield from sets_not_null(table, column, at, f"makes {table}.{column} NOT NULL with a PRIMARY KEY")


def _named(node: pb.Constraint, kind: str) -> str:
    return f"{kind} {node.conname}" if node.conname else kind


def _not_valid(table: Name, node: pb.Constraint, column: str = "") -> str:
    copy = pb.Constraint()
    copy.CopyFrom(node)
    copy.conname = constraint_name(table, node, column)
    copy.skip_validation, copy.initially_valid = True, False
    command = pb.AlterTableCmd(subtype=pb.AT_AddConstraint, behavior=pb.DROP_RESTRICT)
    getattr(command, "def").constraint.CopyFrom(copy)
    relation = pb.RangeVar(schemaname=table.schema, relname=table.name, inh=True, relpersistence="p")
    cmds = [pb.Node(alter_table_cmd=command)]
    tree = pb.AlterTableStmt(relation=relation, cmds=cmds, objtype=pb.OBJECT_TABLE)
    later = f"ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quote(copy.conname)};"
    return f"{sql_of(tree)}\n-- in a later file: {later}"


def _domain_not_valid(tree: pb.AlterDomainStmt, name: Name) -> str:
    copy = pb.AlterDomainStmt()
    copy.CopyFrom(tree)
    node = getattr(copy, "def").constraint
    node.conname = node.conname or f"{name.name}_check"
    node.skip_validation, node.initially_valid = True, False
    later = f"ALTER DOMAIN {quoted(name)} VALIDATE CONSTRAINT {quote(node.conname)};"
    return f"{sql_of(copy)}\n-- in a later file: {later}"


def _using_index(table: Name, node: pb.Constraint, kind: str) -> str:
    name, columns = quote(constraint_name(table, node)), ", ".join(map(quote, strings(node.keys)))
    return (
        f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {quoted(table)} ({columns});\n"
        f"-- in a later file: ALTER TABLE {quoted(table)} ADD CONSTRAINT {name} {kind} USING INDEX {name};"
    )


def _adds_with_column(table: Name, element: pb.ColumnDef, node: pb.Constraint) -> Iterator[Hit]:
    """Constraints that stand behind a new column are checked for all rows as well."""
    column = f"{table}.{element.colname}"
    keyed = pb.Constraint()
    keyed.CopyFrom(node)
    match node.contype:
        case pb.CONSTR_UNIQUE:
            keyed.keys.append(pb.Node(string=pb.String(sval=element.colname)))
            yield Hit(
                UNIQUE, f"adds column {column} with UNIQUE", table, _using_index(table, keyed, "UNIQUE")
            )
        case pb.CONSTR_PRIMARY:
            keyed.keys.append(pb.Node(string=pb.String(sval=element.colname)))
            yield Hit(
                PRIMARY_KEY,
                f"adds column {column} as PRIMARY KEY",
                table,
                _using_index(table, keyed, "PRIMARY KEY"),
            )
        case pb.CONSTR_FOREIGN:
            keyed.fk_attrs.append(pb.Node(string=pb.String(sval=element.colname)))
            what = f"adds column {column} with a foreign key to {name_of(node.pktable)}"
            yield Hit(FOREIGN_KEY, what, table, _not_valid(table, keyed))
        case pb.CONSTR_CHECK:
            yield Hit(
                CHECK, f"adds column {column} with a CHECK", table, _not_valid(table, node, element.colname)
            )
        case _:
            pass


def _validates(table: Name, name: str, at: At) -> Iterator[Hit]:
    known = at.table(table).constraints.get(name)
    if known and not known.validated and known.made == at.world.file and at.transactional:
        yield Hit(
            SAME_TRANSACTION,
            f"validates constraint {name} of {table} in the transaction that added it",
            table,
            f"-- in a later file: ALTER TABLE {quoted(table)} VALIDATE CONSTRAINT {quote(name)};",
        )


@on(pb.AlterDomainStmt)
def changes_domain(tree: Any, at: At) -> Iterator[Hit]:
    """ALTER DOMAIN: all columns of the domain are scanned."""
    name = qualified(strings(tree.type_name))
    if at.world.is_new_other("domain", name):
        return
    if tree.subtype == "X":
        yield Hit(DROP, f"drops constraint {tree.name} of domain {name}")
    if tree.subtype == "N":
        yield Hit(DROP_NOT_NULL, f"lets columns of domain {name} be NULL")
    what = f"adds a constraint to domain {name}, for which all tables that use it are scanned"
    if tree.subtype == "C" and constraint_of(unwrap(getattr(tree, "def")), 0).validated:
        yield Hit(CHECK, what, None, _domain_not_valid(tree, name))
    elif tree.subtype == "O":
        yield Hit(CHECK, what)
