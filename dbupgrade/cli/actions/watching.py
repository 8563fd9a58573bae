"""`status --watch`: the list, and then each row that changes, until somebody interrupts it; as `kubectl get --watch`."""

import asyncio

from dbupgrade.cli import session, style, view
from dbupgrade.cli.actions.waiting import PASSING
from dbupgrade.cli.options import Target
from dbupgrade.cli.session import Session
from dbupgrade.cli.view import Seen
from dbupgrade.kube.errors import NotFound

_POLL_SECONDS = 1.0
Row = tuple[str, ...]
Rows = dict[tuple[str, str], Row]


def watch(target: Target) -> None:
    """One resource, or all. Raises CommandError where the first look fails."""

    async def work(on: Session) -> None:
        namespace = "" if target.all_namespaces else on.namespace
        shown = _rows([await on.get()] if on.name else await on.all(namespace))
        widths = view.columns((view.LIST_HEADS, *shown.values()))
        for line in view.table(view.LIST_HEADS, list(shown.values())):
            style.echo(line)
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                seen = _rows(await _look(on, namespace))
            except PASSING:
                continue  # as kubectl does: what has changed meanwhile is printed afterwards
            rows = changes(shown, seen)
            widths = view.columns((tuple(" " * width for width in widths), *rows))
            for row in rows:
                style.echo(view.row_line(row, widths))
            shown = seen

    session.run(target, work)


async def _look(on: Session, namespace: str) -> list[Seen]:
    if not on.name:
        return await on.all(namespace)
    try:
        return [await on.find()]
    except NotFound:
        return []


def _rows(found: list[Seen]) -> Rows:
    return {(seen.namespace, seen.name): view.list_row(seen) for seen in found}


def changes(before: Rows, after: Rows) -> list[Row]:
    """The rows that are new or other ones, then those of resources that are gone."""
    changed = [row for key, row in after.items() if before.get(key) != row]
    gone = [(*row[:2], "Deleted", "", *row[4:]) for key, row in before.items() if key not in after]
    return [*changed, *gone]
