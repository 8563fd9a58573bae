"""Whether a file can be executed again after a lock has ended it. Pure."""

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.sql import concurrently, directives, parser

_ENDS = {
    pb.TRANS_STMT_COMMIT,
    pb.TRANS_STMT_ROLLBACK,
    pb.TRANS_STMT_PREPARE,
    pb.TRANS_STMT_COMMIT_PREPARED,
    pb.TRANS_STMT_ROLLBACK_PREPARED,
}


def may_be_repeated(text: str) -> bool:
    """Whether all of a file was undone, or each of its statements may be executed again."""
    if directives.has_no_transaction(text):
        return concurrently.may_be_repeated(text)
    try:
        trees = [statement.tree for statement in parser.statements(text)]
    except parser.ParseError:
        return False
    return not any(isinstance(tree, pb.TransactionStmt) and tree.kind in _ENDS for tree in trees)
