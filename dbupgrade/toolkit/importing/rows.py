"""The history of another tool, read from the database."""

import asyncio
from collections.abc import Sequence

import asyncpg

from dbupgrade.toolkit import address
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.history import database
from dbupgrade.toolkit.importing.model import Format, HistoryError, Row

_SCHEMAS = """
SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relname = $1 AND relkind IN ('r', 'p') AND ($2 = '' OR nspname = $2) ORDER BY nspname
"""


def read(call: Call, form: Format, table: str) -> Sequence[Row]:
    """The rows of the tool's table, in their order. `table` is its name if it is not the usual one, with or without a schema.

    Raises AtlasError and HistoryError.
    """
    schema, _, name = (table or form.table).rpartition(".")
    if address.is_postgresql(call.settings.database):
        return asyncio.run(_ask(call.settings.database, form, schema, name))
    where = ".".join(f"`{part.replace('`', '``')}`" for part in (schema, name) if part)
    answer = call.atlas.ask([_select(form, where)])[0]
    if answer is None:
        raise HistoryError(_none(form, name))
    return answer


async def _ask(url: str, form: Format, schema: str, name: str) -> Sequence[Row]:
    connection = await database.connect(url)
    try:
        schemas = [row[0] for row in await connection.fetch(_SCHEMAS, name, schema)]
        if not schemas:
            raise HistoryError(_none(form, name))
        if len(schemas) > 1:
            raise HistoryError(
                f"the schemas {', '.join(schemas)} each have a table {name}: say which one, for example --history {schemas[0]}.{name}"
            )
        where = ".".join('"' + part.replace('"', '""') + '"' for part in (schemas[0], name))
        return [[_text(value) for value in row] for row in await connection.fetch(_select(form, where))]
    except asyncpg.UndefinedColumnError:
        raise HistoryError(f"the table {name} is not one of {form.tool}: it has other columns") from None
    except asyncpg.InsufficientPrivilegeError:
        raise HistoryError(f"the user may not read the table {name}: grant SELECT on it") from None
    finally:
        await connection.close()


def _select(form: Format, table: str) -> str:
    return f"SELECT {form.columns} FROM {table} ORDER BY {form.order}"  # noqa: S608 - names of ours, and a quoted one


def _none(form: Format, name: str) -> str:
    return (
        f"the database has no table {name}: {form.tool} has not migrated it, or keeps its history in another table "
        "(--history NAME)"
    )


def _text(value: object) -> str | None:
    """As the engine has values of MySQL."""
    return None if value is None else str(int(value)) if isinstance(value, bool) else str(value)
