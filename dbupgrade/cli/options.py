"""Options that several commands have; those for the cluster are taken before and after the command."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

Command = Callable[..., Any]

_UNITS = {"s": 1, "m": 60, "h": 3600}
FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


class Output(StrEnum):
    """How a command answers."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@dataclass(frozen=True)
class Target:
    """Which cluster and namespace are meant, and which resource."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    all_namespaces: bool | None = None
    name: str | None = None
    file: Path | None = None


class Duration(click.ParamType[float]):
    """`30s`, `10m`, `1h` or a number of seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+)([smh]?)", value)
        if match is None:
            self.fail(f"{value!r} is not a valid duration: use for example 30s, 10m or 1h", param, ctx)
        return float(match[1]) * _UNITS[match[2] or "s"]


def cluster(function: Command) -> Command:
    """Options that say which cluster is meant; the function gets them as one `target`."""
    for option in (
        click.option("--kubeconfig", type=click.Path(), help="Path of the kubeconfig."),
        click.option("--context", help="Context of the kubeconfig."),
        click.option("-n", "--namespace", help="Namespace; by default that of the kubeconfig's context."),
    ):
        function = option(function)
    return function


all_namespaces = click.option("-A", "--all-namespaces", is_flag=True, default=None, help="All namespaces.")


def targeted(function: Command) -> Command:
    """Collect what says which resource is meant, before and after the command, into the argument `target`."""

    @click.pass_context
    def collected(context: click.Context, /, **given: Any) -> Any:
        names = {field.name for field in fields(Target)}
        own = {name: given.pop(name) for name in names & given.keys()}
        inherited = context.find_object(Target) or Target()
        if inherited.all_namespaces and "all_namespaces" not in own:
            raise click.UsageError(f"--all-namespaces does not apply to {context.info_name}.")
        target = replace(inherited, **{name: value for name, value in own.items() if value is not None})
        return context.invoke(function, target=target, **given)

    return cluster(update_wrapper(collected, function))


def resource(*, required: bool = True, short: bool = True) -> Callable[[Command], Command]:
    """NAME or -f FILE: the resource that is meant."""

    def decorate(function: Command) -> Command:
        def checked(**given: Any) -> Any:
            target = given["target"]
            if target.name and target.file:
                raise click.UsageError("NAME and --filename cannot be combined.")
            if required and not target.name and not target.file:
                raise click.UsageError("Missing argument NAME (or --filename).")
            return function(**given)

        decorated = targeted(update_wrapper(checked, function))
        flags = ["-f", "--filename"] if short else ["--filename"]
        decorated = click.option(
            *flags, "file", type=FILE, help="Manifest of the DBUpgrade, instead of NAME."
        )(decorated)
        return click.argument("name", required=False, shell_complete=_names, callback=_without_kind)(
            decorated
        )

    return decorate


def _without_kind(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """`dbupgrade/shop`, as kubectl prints it, is `shop`."""
    del context, parameter
    kind, slash, name = (value or "").partition("/")
    return name if slash and kind.partition(".")[0] in {"dbupgrade", "dbupgrades", "dbu"} else value


def _names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The resources whose name begins so; nothing when the cluster gives no answer at once."""
    del parameter
    from dbupgrade.cli.actions import completion  # noqa: PLC0415 - loads the client of the API server

    inherited = context.find_object(Target) or Target()
    given = {name: value for name, value in context.params.items() if value is not None}
    target = replace(
        inherited,
        **{name: given[name] for name in ("namespace", "context", "kubeconfig") if name in given},
    )
    return [CompletionItem(name) for name in completion.names(target) if name.startswith(incomplete)]


output = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice([form.value for form in Output]),
    callback=lambda _, __, value: Output(value),
    default=Output.TABLE.value,
    show_default=True,
    help="Output format.",
)
timeout = click.option(
    "--timeout",
    type=Duration(),
    default="10m",
    show_default=True,
    help="How long to wait, for example 30s, 10m or 1h.",
)
