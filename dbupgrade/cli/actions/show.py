"""`status`, `history`, `explain`: read and print."""

import json
from typing import Any

import yaml

from dbupgrade.api.record import to_json
from dbupgrade.cli import explain as explanations
from dbupgrade.cli import session, style, view
from dbupgrade.cli.options import Output, Target
from dbupgrade.cli.session import Session


def status(target: Target, form: Output) -> None:
    """One resource as a tree, or all as a table."""

    async def one(on: Session) -> None:
        seen = await on.get()
        pods = await on.pods(seen)
        _print(form, view.summary(seen, pods), view.tree(seen, pods, session.now()))

    async def several(on: Session) -> None:
        namespace = "" if target.all_namespaces else on.namespace
        found = await on.all(namespace)
        nothing = f"No DBUpgrades found in {f'namespace {namespace}' if namespace else 'any namespace'}."
        lines = view.table(view.LIST_HEADS, [view.list_row(seen) for seen in found]) if found else [nothing]
        _print(form, [view.summary(seen, []) for seen in found], lines)

    session.run(target, one if target.name or target.file else several)


def history(target: Target, form: Output) -> None:
    """The runs that have ended."""

    async def show(on: Session) -> None:
        runs = (await on.get()).status.history
        data = [to_json(run) for run in runs]
        rows = [view.history_row(run, session.now()) for run in runs]
        _print(form, data, view.table(view.HISTORY_HEADS, rows) if rows else ["No run has ended yet."])

    session.run(target, show)


def explain(target: Target, form: Output) -> None:
    """Why, and what to do."""

    async def show(on: Session) -> None:
        seen = await on.get()
        found = explanations.explain(seen, await on.pods(seen))
        data = [{"kind": finding.kind.value, "text": finding.text} for finding in found]
        _print(form, data, explanations.lines(found))

    session.run(target, show)


def _print(form: Output, data: Any, lines: list[str]) -> None:
    match form:
        case Output.JSON:
            style.echo(json.dumps(data, indent=2))
        case Output.YAML:
            style.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True).rstrip("\n"))
        case Output.TABLE:
            for line in lines:
                style.echo(line)
