"""What is known of expressions: whether they are always true, and whether their value differs for each row."""

from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.definitions import columns_in, walk
from dbupgrade.toolkit.lint.world import Database, Table
from dbupgrade.toolkit.sql.names import strings
from dbupgrade.toolkit.sql.parser import unwrap

# Those of pg_catalog that are not volatile and that people use as defaults; what is not among them is in doubt.
_STEADY = {"now", "transaction_timestamp", "statement_timestamp", "current_setting", "timezone", "date_trunc", "lower",
           "upper", "to_char", "to_date", "to_timestamp", "make_interval", "make_date", "coalesce", "array", "jsonb_build_object",
           "jsonb_build_array", "json_build_object", "current_user", "md5", "length", "concat", "format", "date", "int4range",
           "tstzrange", "daterange", "to_jsonb", "to_json", "age", "abs", "round", "floor", "ceil", "decode", "encode",
           "convert_to", "repeat", "replace", "substring", "trim", "btrim", "date_part", "extract"}  # fmt: skip


def is_null(node: Any) -> bool:
    """Whether an expression is the constant NULL."""
    found = unwrap(node)
    return isinstance(found, pb.A_Const) and found.isnull


def volatile_function(expression: Any, database: Database) -> str:
    """The function in an expression that is volatile, or may be; nothing when none is."""
    for each in walk(expression):
        if isinstance(each, pb.FuncCall):
            words = strings(each.funcname)
            name = ".".join(word for word in words if word != "pg_catalog")
            known = database.volatile.get(name)
            if known is True or (known is None and name not in _STEADY):
                return f"{name}()"
    return ""


def matches_all(tree: Any) -> bool:
    """Whether an UPDATE or a DELETE concerns all rows of its table, as far as can be seen."""
    if isinstance(tree, pb.DeleteStmt) and tree.using_clause:
        return False
    if isinstance(tree, pb.UpdateStmt) and tree.from_clause:
        return False
    return not tree.HasField("where_clause") or is_true(tree.where_clause)


def is_one_row(tree: Any, table: Table) -> bool:
    """Whether the WHERE of an UPDATE or a DELETE names the constants of a key of the table."""
    parts = [unwrap(tree.where_clause)] if tree.HasField("where_clause") else []
    if parts and isinstance(parts[0], pb.BoolExpr) and parts[0].boolop == pb.AND_EXPR:
        parts = [unwrap(each) for each in parts[0].args]
    named = {column for each in parts for column in _compared(each)}
    keys = [each.columns for each in table.constraints.values() if each.kind in ("primary", "unique")]
    return any(key and key <= named for key in keys)


def _compared(node: Any) -> list[str]:
    """The column that a comparison says to be equal to a constant."""
    if not isinstance(node, pb.A_Expr) or node.kind != pb.AEXPR_OP or strings(node.name) != ["="]:
        return []
    sides = [unwrap(node.lexpr), unwrap(node.rexpr)]
    columns = [each for each in sides if isinstance(each, pb.ColumnRef)]
    is_constant = any(isinstance(each, pb.A_Const) for each in sides)
    return list(columns_in(columns[0])) if is_constant and columns else []


def is_true(node: Any) -> bool:
    """Whether a condition always holds, as far as can be seen: TRUE, 1 = 1, x OR TRUE."""
    node = unwrap(node) if isinstance(node, pb.Node) else node
    match node:
        case pb.A_Const():
            return node.WhichOneof("val") == "boolval" and bool(node.boolval.boolval)
        case pb.A_Expr() if node.kind == pb.AEXPR_OP and strings(node.name) == ["="]:
            left, right = unwrap(node.lexpr), unwrap(node.rexpr)
            return (
                isinstance(left, pb.A_Const)
                and isinstance(right, pb.A_Const)
                and _value(left) == _value(right)
            )
        case pb.BoolExpr() if node.boolop == pb.OR_EXPR:
            return any(is_true(each) for each in node.args)
        case pb.BoolExpr() if node.boolop == pb.AND_EXPR:
            return all(is_true(each) for each in node.args)
        case pb.BoolExpr():
            return is_false(unwrap(node.args[0]))
        case _:
            return False


def is_false(node: Any) -> bool:
    """Whether a condition never holds: FALSE, or a comparison of unequal constants."""
    match node:
        case pb.A_Const():
            return node.WhichOneof("val") == "boolval" and not node.boolval.boolval
        case pb.A_Expr() if node.kind == pb.AEXPR_OP and strings(node.name) == ["="]:
            left, right = unwrap(node.lexpr), unwrap(node.rexpr)
            return (
                isinstance(left, pb.A_Const)
                and isinstance(right, pb.A_Const)
                and _value(left) != _value(right)
            )
        case _:
            return False


def _value(node: pb.A_Const) -> tuple[str | None, str]:
    kind = node.WhichOneof("val")
    return kind, str(getattr(node, kind)) if kind else ""
