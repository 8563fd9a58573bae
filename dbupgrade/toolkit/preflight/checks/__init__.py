"""The checks before a run. A check is one module here, and one row of CHECKS."""

from collections.abc import Callable, Iterator

from dbupgrade.toolkit.preflight.checks import connections, history, pooler, primary, privileges, transactions
from dbupgrade.toolkit.preflight.facts import Facts
from dbupgrade.toolkit.preflight.finding import Finding
from dbupgrade.toolkit.preflight.pending import Pending

Check = Callable[[Facts, Pending], Iterator[Finding]]
"""Evaluates the facts, without any I/O."""

CHECKS: tuple[Check, ...] = (
    primary.look,
    history.look,
    privileges.look,
    transactions.look,
    connections.look,
    pooler.look,
)
