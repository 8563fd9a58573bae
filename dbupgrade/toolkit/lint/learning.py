"""How a statement changes what is known."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from postgast import pg_query_pb2 as pb

from dbupgrade.toolkit.lint.definitions import (
    CHECK,
    FOREIGN,
    NOT_NULL,
    PRIMARY,
    column_of,
    constraint_name,
    constraint_of,
    created,
    dropped,
)
from dbupgrade.toolkit.lint.world import OLD, Column, Constraint, Index, Table, World
from dbupgrade.toolkit.sql.names import Name, name_of, names_of_objects, qualified, strings, type_of
from dbupgrade.toolkit.sql.parser import unwrap


def learn(world: World, tree: Any, *, certain: bool = True) -> None:
    """Take in a statement; `certain` is false for one in a block, which may or may not be run."""
    if found := _LEARNERS.get(type(tree)):
        found(world, tree, certain)
        return
    for kind, name in created(tree):
        key = (kind, world.home(name))
        may_exist = getattr(tree, "replace", False) or getattr(tree, "if_not_exists", False)
        if key not in world.others:
            world.others[key] = OLD if may_exist else _now(world, certain)


def _create_as(world: World, tree: pb.CreateTableAsStmt, certain: bool) -> None:
    _made(world, tree.into.rel, Table(_now(world, certain)), may_exist=tree.if_not_exists)


def _select(world: World, tree: pb.SelectStmt, certain: bool) -> None:
    if tree.HasField("into_clause"):
        _made(world, tree.into_clause.rel, Table(_now(world, certain)), may_exist=False)
    elif (path := set_by_function(tree, "search_path")) is not None:
        world.path = _path([word.strip().strip('"') for word in path.split(",")])


def _set(world: World, tree: pb.VariableSetStmt, _: bool) -> None:
    if tree.name == "search_path":
        words = [unwrap(each).sval.sval for each in tree.args]
        world.path = _path(words) if words else world.database.path


def _alter_table(world: World, tree: pb.AlterTableStmt, certain: bool) -> None:
    if tree.objtype not in (pb.OBJECT_TABLE, pb.OBJECT_MATVIEW):
        return
    for command in (each.alter_table_cmd for each in tree.cmds):
        _alter(world, name_of(tree.relation), command, certain)
        if command.subtype == pb.AT_AttachPartition:
            world.change(name_of(unwrap(getattr(command, "def")).name), attached=world.file)


def _move(world: World, tree: pb.AlterObjectSchemaStmt, _: bool) -> None:
    if tree.HasField("relation"):
        name, _certain = world.resolve(name_of(tree.relation))
        world.rename(name, Name(tree.newschema, name.name))


def set_by_function(tree: pb.SelectStmt, setting: str) -> str | None:
    """The value that `SELECT set_config(…)` gives a setting, if that is what it does."""
    for target in tree.target_list:
        call = unwrap(unwrap(target).val)
        if isinstance(call, pb.FuncCall) and strings(call.funcname)[-1] == "set_config":
            values = [unwrap(each) for each in call.args]
            if len(values) > 1 and isinstance(values[0], pb.A_Const) and values[0].sval.sval == setting:
                return values[1].sval.sval if isinstance(values[1], pb.A_Const) else "?"
    return None


def _path(words: list[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word and word != "$user")


def _now(world: World, certain: bool) -> int | None:
    return world.file if certain else OLD


def _made(world: World, relation: pb.RangeVar, table: Table, *, may_exist: bool) -> None:
    name = world.home(name_of(relation), temporary=relation.relpersistence == "t")
    if may_exist and name not in world.absent and name.schema not in world.closed:
        if name not in world.tables:
            world.tables[name] = Table(partitioned=table.partitioned)
        return
    if may_exist and name in world.tables:
        return
    world.tables[name] = table
    world.absent.discard(name)


def _create(world: World, tree: pb.CreateStmt, certain: bool) -> None:
    table = name_of(tree.relation)
    columns: dict[str, Column] = {}
    constraints: dict[str, Constraint] = {}
    for element in map(unwrap, tree.table_elts):
        if isinstance(element, pb.ColumnDef):
            columns[element.colname] = column_of(element)
            for constraint in map(unwrap, element.constraints):
                _note(world, table, constraints, constraint, element.colname)
        elif isinstance(element, pb.Constraint):
            _note(world, table, constraints, element)
    for key in [each for each in constraints.values() if each.kind == "primary"]:
        columns |= {name: replace(columns.get(name, Column()), not_null=True) for name in key.columns}
    made = Table(_now(world, certain), columns, constraints, tree.HasField("partspec"))
    _made(world, tree.relation, made, may_exist=tree.if_not_exists)
    home = world.home(table, temporary=tree.relation.relpersistence == "t")
    if world.tables[home] is made:
        for own, each in constraints.items():
            _index_of(world, home, own, each)


def _index_of(world: World, table: Name, key: str, constraint: Constraint) -> None:
    """A key has an index of its name."""
    if constraint.kind in ("primary", "unique", "exclusion"):
        world.indexes[Name(table.schema, key)] = Index(table, constraint.made, tuple(constraint.columns))


def _note(
    world: World, table: Name, constraints: dict[str, Constraint], node: pb.Constraint, column: str = ""
) -> str:
    """Enter a constraint; returns its name, or what stands for it."""
    constraint = constraint_of(node, world.file, column)
    if node.contype == FOREIGN:
        refers_to = frozenset(strings(node.pk_attrs))
        constraint = replace(constraint, refers=world.resolve(name_of(node.pktable))[0], refers_to=refers_to)
    name = constraint_name(table, node, column)
    name = name if name not in constraints else f"#{len(constraints)}"
    constraints[name] = constraint
    return name


def _index(world: World, tree: pb.IndexStmt, certain: bool) -> None:
    table, _ = world.resolve(name_of(tree.relation))
    if not tree.idxname:
        return
    name = Name(table.schema, tree.idxname)
    if tree.if_not_exists and name not in world.absent and not world.is_new(table):
        world.indexes.setdefault(name, Index(table))
        return
    columns = tuple(unwrap(each).name for each in tree.index_params)
    world.indexes[name] = Index(table, _now(world, certain), columns, bool(world.table(table).partitioned))


def _alter(world: World, name: Name, command: pb.AlterTableCmd, certain: bool) -> None:
    known = world.table(name)
    columns = _altered_columns(known.columns, command, world.file, certain)
    constraints = dict(known.constraints)
    match command.subtype:
        case pb.AT_AddConstraint if certain:
            keys = _add_constraint(world, name, unwrap(getattr(command, "def")), constraints)
            columns |= {key: replace(columns.get(key, Column()), not_null=True) for key in keys}
        case pb.AT_AddColumn if certain and not command.missing_ok:
            element = unwrap(getattr(command, "def"))
            for node in map(unwrap, element.constraints):
                _note(world, name, constraints, node, element.colname)
        case pb.AT_DropColumn:
            constraints = {key: each for key, each in constraints.items() if command.name not in each.columns}
        case pb.AT_ValidateConstraint if certain and command.name in constraints:
            constraints[command.name] = replace(constraints[command.name], validated=True)
        case pb.AT_DropConstraint:
            constraints.pop(command.name, None)
        case pb.AT_DropNotNull:
            gone = {
                key
                for key, each in constraints.items()
                if each.kind == "not null" and command.name in each.columns
            }
            constraints = {key: each for key, each in constraints.items() if key not in gone}
        case _:
            pass
    if (columns, constraints) != (known.columns, known.constraints):
        world.change(name, columns=columns, constraints=constraints)


def _altered_columns(
    before: dict[str, Column], command: pb.AlterTableCmd, file: int, certain: bool
) -> dict[str, Column]:
    columns, column = dict(before), before.get(command.name, Column())
    match command.subtype:
        case pb.AT_AddColumn:
            element = unwrap(getattr(command, "def"))
            # With IF NOT EXISTS it may have been there, as something else.
            known = certain and not command.missing_ok
            columns.setdefault(element.colname, replace(column_of(element), made=file) if known else Column())
        case pb.AT_DropColumn:
            columns.pop(command.name, None)
        case pb.AT_AlterColumnType:
            element = unwrap(getattr(command, "def"))
            columns[command.name] = replace(column, type=type_of(element.type_name) if certain else None)
        case pb.AT_SetNotNull if certain:
            columns[command.name] = replace(column, not_null=True)
        case pb.AT_DropNotNull:
            columns[command.name] = replace(column, not_null=False)
        case _:
            pass
    return columns


def _add_constraint(
    world: World, name: Name, node: pb.Constraint, constraints: dict[str, Constraint]
) -> tuple[str, ...]:
    """Enter a constraint, with its index; returns the columns that cannot be NULL any more."""
    table = world.resolve(name)[0]
    index = world.indexes.pop(Name(table.schema, node.indexname), None) if node.indexname else None
    key = _note(world, name, constraints, node)
    if index:
        world.indexes[Name(table.schema, key)] = index
    else:
        _index_of(world, table, key, constraints[key])
    if node.contype != PRIMARY:
        return ()
    return tuple(strings(node.keys)) or (index.columns if index else ())


def _drop(world: World, tree: pb.DropStmt, certain: bool) -> None:
    match tree.remove_type:
        case pb.OBJECT_TABLE | pb.OBJECT_MATVIEW | pb.OBJECT_FOREIGN_TABLE:
            for name in names_of_objects(tree):
                world.remove(name, certain=certain)
        case pb.OBJECT_INDEX:
            for name in names_of_objects(tree):
                world.indexes.pop(world.resolve(name)[0], None)
        case pb.OBJECT_SCHEMA:
            for _, schema in dropped(tree):
                _forget_schema(world, schema.name)
        case _:
            for kind, name in dropped(tree):
                world.others.pop((kind, world.resolve_other(kind, name)), None)


def _forget_schema(world: World, schema: str) -> None:
    world.others.pop(("schema", Name("", schema)), None)
    world.closed.discard(schema)
    world.tables = {name: table for name, table in world.tables.items() if name.schema != schema}
    world.indexes = {name: index for name, index in world.indexes.items() if name.schema != schema}
    world.others = {key: made for key, made in world.others.items() if key[1].schema != schema}


def _rename(world: World, tree: pb.RenameStmt, _: bool) -> None:
    if not tree.HasField("relation"):
        return
    name = world.resolve(name_of(tree.relation))[0]
    known = world.table(name)
    match tree.rename_type:
        case pb.OBJECT_TABLE | pb.OBJECT_MATVIEW:
            world.rename(name, Name(name.schema, tree.newname))
        case pb.OBJECT_COLUMN if tree.subname in known.columns:
            columns = dict(known.columns)
            columns[tree.newname] = columns.pop(tree.subname)
            kept = {key: each for key, each in known.constraints.items() if tree.subname not in each.columns}
            world.change(name, columns=columns, constraints=kept)
        case pb.OBJECT_TABCONSTRAINT if tree.subname in known.constraints:
            constraints = dict(known.constraints)
            constraints[tree.newname] = constraints.pop(tree.subname)
            world.change(name, constraints=constraints)
        case pb.OBJECT_INDEX if name in world.indexes:
            world.indexes[Name(name.schema, tree.newname)] = world.indexes.pop(name)
        case _:
            pass


def _schema(world: World, tree: pb.CreateSchemaStmt, certain: bool) -> None:
    key = ("schema", Name("", tree.schemaname))
    if not tree.if_not_exists and certain:
        world.others[key] = world.file
        world.closed.add(tree.schemaname)
    before, world.path = world.path, (tree.schemaname,)
    for element in tree.schema_elts:
        learn(world, unwrap(element), certain=certain)
    world.path = before


def _create_domain(world: World, tree: pb.CreateDomainStmt, certain: bool) -> None:
    name = world.home(qualified(strings(tree.domainname)))
    world.others[("domain", name)] = _now(world, certain)
    if {unwrap(each).contype for each in tree.constraints} & {CHECK, NOT_NULL}:
        world.constrained.add(name)


def _alter_domain(world: World, tree: pb.AlterDomainStmt, _: bool) -> None:
    if tree.subtype in ("C", "O"):  # ADD CONSTRAINT, SET NOT NULL
        world.constrained.add(world.resolve_other("domain", qualified(strings(tree.type_name))))


_LEARNERS: dict[type, Callable[[World, Any, bool], None]] = {
    pb.CreateStmt: _create,
    pb.CreateTableAsStmt: _create_as,
    pb.SelectStmt: _select,
    pb.VariableSetStmt: _set,
    pb.IndexStmt: _index,
    pb.AlterTableStmt: _alter_table,
    pb.DropStmt: _drop,
    pb.RenameStmt: _rename,
    pb.AlterObjectSchemaStmt: _move,
    pb.CreateSchemaStmt: _schema,
    pb.CreateDomainStmt: _create_domain,
    pb.AlterDomainStmt: _alter_domain,
}
