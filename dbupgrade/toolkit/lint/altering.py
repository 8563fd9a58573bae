"""What ALTER TABLE locks, writes again and reads, subcommand by subcommand.

The modes are those of `AlterTableGetLockLevel` in PostgreSQL's source; tests compare them with what servers do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.definitions import (
    FOREIGN,
    PRIMARY,
    SERIAL,
    UNIQUE,
    changes_values,
    column_of,
    constraint_of,
)
from dbupgrade.toolkit.lint.expressions import is_null, volatile_function
from dbupgrade.toolkit.lint.lock import LockMode, TableLock
from dbupgrade.toolkit.lint.types import keeps_rows
from dbupgrade.toolkit.lint.world import Column, Constraint, World
from dbupgrade.toolkit.sql.names import Name, name_of, qualified, strings, type_of
from dbupgrade.toolkit.sql.parser import unwrap

_MODES = {
    **dict.fromkeys(
        (
            pb.AT_ValidateConstraint,
            pb.AT_SetStatistics,
            pb.AT_SetOptions,
            pb.AT_ResetOptions,
            pb.AT_ClusterOn,
            pb.AT_DropCluster,
            pb.AT_AttachPartition,
            pb.AT_DetachPartitionFinalize,
        ),
        LockMode.SHARE_UPDATE_EXCLUSIVE,
    ),
    **dict.fromkeys(
        (
            pb.AT_EnableTrig,
            pb.AT_DisableTrig,
            pb.AT_EnableTrigAll,
            pb.AT_DisableTrigAll,
            pb.AT_EnableTrigUser,
            pb.AT_DisableTrigUser,
            pb.AT_EnableAlwaysTrig,
            pb.AT_EnableReplicaTrig,
        ),
        LockMode.SHARE_ROW_EXCLUSIVE,
    ),
}
_STORED = (
    pb.AT_SetLogged,
    pb.AT_SetUnLogged,
    pb.AT_SetTableSpace,
    pb.AT_SetAccessMethod,
    pb.AT_SetExpression,
)
_EXCLUSIVE_OPTIONS = {"user_catalog_table", "security_barrier", "security_invoker", "check_option"}


def altered(tree: pb.AlterTableStmt, world: World) -> Iterator[TableLock]:
    """The locks of ALTER TABLE, ALTER VIEW and the like."""
    table = world.resolve(name_of(tree.relation))[0]
    for command in (each.alter_table_cmd for each in tree.cmds):
        yield from _Command(table, command, world).locks()


class _Command:
    """One subcommand."""

    def __init__(self, table: Name, command: pb.AlterTableCmd, world: World) -> None:
        self._table, self._command, self._world = table, command, world
        self._node: Any = unwrap(getattr(command, "def")) if command.HasField("def") else None
        self._known = world.table(table)

    def locks(self) -> Iterator[TableLock]:
        """On the table first, then on others."""
        subtype = self._command.subtype
        lock = TableLock(self._table, _MODES.get(subtype, LockMode.ACCESS_EXCLUSIVE))
        if found := _BY_SUBTYPE.get(subtype):
            yield from found(self, lock)
        else:
            yield replace(lock, rewrites=subtype in _STORED)

    def add_column(self, lock: TableLock) -> Iterator[TableLock]:
        """ADD COLUMN."""
        constraints = list(map(unwrap, self._node.constraints))
        yield replace(lock, rewrites=self._new_column_rewrites(), scans=self._new_column_scans())
        checks = any(each.contype == pb.CONSTR_DEFAULT for each in constraints)
        yield from self._referred(constraints, checks=checks)

    def change_type(self, lock: TableLock) -> Iterator[TableLock]:
        """ALTER COLUMN … TYPE."""
        rewrites = not self._keeps_rows()
        yield replace(lock, rewrites=rewrites)
        for each in self._kept_together({self._command.name}):
            yield replace(each, scans=rewrites)  # foreign keys are checked again

    def drop_column(self, lock: TableLock) -> Iterator[TableLock]:
        """DROP COLUMN."""
        yield lock
        yield from self._kept_together({self._command.name})

    def set_not_null(self, lock: TableLock) -> Iterator[TableLock]:
        """ALTER COLUMN … SET NOT NULL."""
        yield replace(lock, scans=not self._known.is_not_null(self._command.name))

    def add_constraint(self, lock: TableLock) -> Iterator[TableLock]:
        """ADD CONSTRAINT."""
        mode = LockMode.SHARE_ROW_EXCLUSIVE if self._node.contype == FOREIGN else lock.mode
        scans = self._constraint_scans()
        yield replace(lock, mode=mode, scans=scans)
        yield from self._referred([self._node], checks=scans)

    def drop_constraint(self, lock: TableLock) -> Iterator[TableLock]:
        """DROP CONSTRAINT."""
        yield lock
        if (known := self._known.constraints.get(self._command.name)) and known.refers:
            yield TableLock(known.refers, LockMode.ACCESS_EXCLUSIVE)

    def validate(self, lock: TableLock) -> Iterator[TableLock]:
        """VALIDATE CONSTRAINT."""
        known = self._known.constraints.get(self._command.name)
        scans = known is None or not known.validated
        yield replace(lock, scans=scans)
        if known and known.refers and scans:
            yield TableLock(known.refers, LockMode.ROW_SHARE, scans=True)

    def set_options(self, lock: TableLock) -> Iterator[TableLock]:
        """SET and RESET of storage parameters, and of a view's options."""
        options = {unwrap(each).defname for each in self._node.items}
        yield lock if options & _EXCLUSIVE_OPTIONS else replace(lock, mode=LockMode.SHARE_UPDATE_EXCLUSIVE)

    def inherit(self, lock: TableLock) -> Iterator[TableLock]:
        """INHERIT and NO INHERIT."""
        yield lock
        adds = self._command.subtype == pb.AT_AddInherit
        mode = LockMode.SHARE_UPDATE_EXCLUSIVE if adds else LockMode.ACCESS_SHARE
        yield TableLock(self._resolved(self._node), mode)

    def partition(self, lock: TableLock) -> Iterator[TableLock]:
        """ATTACH and DETACH PARTITION."""
        part = self._resolved(self._node.name)
        if self._node.concurrent:
            mode = LockMode.SHARE_UPDATE_EXCLUSIVE
            yield from (TableLock(self._table, mode), TableLock(part, mode))
            return
        yield lock
        attaches = self._command.subtype == pb.AT_AttachPartition
        scans = attaches and not self._world.table(part).has_proved_check
        yield TableLock(part, LockMode.ACCESS_EXCLUSIVE, scans=scans)

    def _resolved(self, relation: pb.RangeVar) -> Name:
        return self._world.resolve(name_of(relation))[0]

    def _referred(self, constraints: Sequence[Any], *, checks: bool) -> Iterator[TableLock]:
        for each in constraints:
            if isinstance(each, pb.Constraint) and each.contype == FOREIGN:
                mode = LockMode.SHARE_ROW_EXCLUSIVE
                yield TableLock(self._resolved(each.pktable), mode, scans=checks)

    def _kept_together(self, columns: set[str]) -> Iterator[TableLock]:
        """Foreign keys over a column are dropped with it, or made again: that locks both ends."""
        for each in self._known.constraints.values():
            if each.refers and each.columns & columns:
                yield TableLock(each.refers, LockMode.ACCESS_EXCLUSIVE)
        for table, keys in self._world.referring(self._table).items():
            if any(self._is_over(each, columns) for each in keys):
                yield TableLock(table, LockMode.ACCESS_EXCLUSIVE)

    def _is_over(self, key: Constraint, columns: set[str]) -> bool:
        """Whether a foreign key refers to one of the columns; without a list it refers to the primary key."""
        if key.refers_to:
            return bool(key.refers_to & columns)
        primary = [each for each in self._known.constraints.values() if each.kind == "primary"]
        return not primary or any(each.columns & columns for each in primary)

    def _new_column_rewrites(self) -> bool:
        by_kind = {unwrap(each).contype: unwrap(each) for each in self._node.constraints}
        type_ = column_of(self._node).type
        generated, default = by_kind.get(pb.CONSTR_GENERATED), by_kind.get(pb.CONSTR_DEFAULT)
        return bool(
            pb.CONSTR_IDENTITY in by_kind
            or (generated is not None and generated.generated_kind != "v")
            or (default is not None and volatile_function(default.raw_expr, self._world.database))
            or (
                type_
                and (type_.name in SERIAL or self._world.has_constraints(qualified(type_.name.split("."))))
            )
        )

    def _new_column_scans(self) -> bool:
        by_kind = {unwrap(each).contype: unwrap(each) for each in self._node.constraints}
        default = by_kind.get(pb.CONSTR_DEFAULT)
        empty = default is None or is_null(default.raw_expr)
        kinds = set(by_kind)
        generated = {pb.CONSTR_GENERATED, pb.CONSTR_IDENTITY} & kinds
        return bool(
            kinds & {UNIQUE, PRIMARY, pb.CONSTR_CHECK}
            or (pb.CONSTR_NOTNULL in kinds and empty and not generated)
            or (FOREIGN in kinds and default is not None)
        )

    def _constraint_scans(self) -> bool:
        node = self._node
        if node.indexname:
            index = self._world.indexes.get(Name(self._table.schema, node.indexname))
            keys = index.columns if index else ("",)
            return node.contype == PRIMARY and not all(map(self._known.is_not_null, keys))
        if node.contype == pb.CONSTR_NOTNULL and all(map(self._known.is_not_null, strings(node.keys))):
            return False
        return constraint_of(node, 0).validated

    def _keeps_rows(self) -> bool:
        old = self._known.columns.get(self._command.name, Column()).type
        return (
            old is not None
            and not changes_values(self._node, self._command.name)
            and keeps_rows(old, type_of(self._node.type_name))
        )


_BY_SUBTYPE = {
    pb.AT_AddColumn: _Command.add_column,
    pb.AT_DropColumn: _Command.drop_column,
    pb.AT_AlterColumnType: _Command.change_type,
    pb.AT_SetNotNull: _Command.set_not_null,
    pb.AT_AddConstraint: _Command.add_constraint,
    pb.AT_DropConstraint: _Command.drop_constraint,
    pb.AT_ValidateConstraint: _Command.validate,
    pb.AT_SetRelOptions: _Command.set_options,
    pb.AT_ResetRelOptions: _Command.set_options,
    pb.AT_ReplaceRelOptions: _Command.set_options,
    pb.AT_AddInherit: _Command.inherit,
    pb.AT_DropInherit: _Command.inherit,
    pb.AT_AttachPartition: _Command.partition,
    pb.AT_DetachPartition: _Command.partition,
    pb.AT_DetachPartitionFinalize: _Command.partition,
}
