"""The command line of the commands for people."""

import argparse
import re
from enum import StrEnum
from pathlib import Path

from dbupgrade.cli import COMMANDS

_UNITS = {"s": 1, "m": 60, "h": 3600}
_NAME_IS_OPTIONAL = {"status"}
_WAITS = {"wait", "apply"}
_PRINTS_OBJECTS = {"status", "history", "explain"}


class Output(StrEnum):
    """How a command answers."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; ends the program as argparse does when it is wrong."""
    parser = argparse.ArgumentParser(prog="kubectl dbupgrade")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in COMMANDS.items():
        _add(commands.add_parser(name, help=text, description=text.capitalize()), name)
    given = parser.parse_args(arguments)
    if getattr(given, "all_namespaces", False) and given.name:
        parser.error("a name and --all-namespaces exclude each other")
    return given


def _add(parser: argparse.ArgumentParser, command: str) -> None:
    optional = command in _NAME_IS_OPTIONAL
    if command == "apply":
        parser.add_argument("file", type=Path, help="YAML or JSON of one DBUpgrade")
    else:
        parser.add_argument("name", nargs="?" if optional else None, help="name of the DBUpgrade")
    parser.add_argument("-n", "--namespace", help="namespace; that of the kubeconfig's context by default")
    parser.add_argument("--kubeconfig", help="path of the kubeconfig")
    parser.add_argument("--context", help="context of the kubeconfig")
    if command in _PRINTS_OBJECTS:
        parser.add_argument("-o", "--output", type=Output, default=Output.TABLE, choices=list(Output))
    if optional:
        parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    if command in _WAITS:
        parser.add_argument(
            "--timeout", type=seconds, default=600.0, help="how long, as 30s, 10m or 1h; default 10m"
        )
    if command == "wait":
        parser.add_argument("--image", help="wait for the migrations of this image, not of an earlier one")
    if command == "logs":
        parser.add_argument(
            "-f", "--follow", action="store_true", help="go on with what is written until the pod ends"
        )
        parser.add_argument(
            "-c", "--container", help="migrate or fetch-migrations; the one that tells more by default"
        )


def seconds(text: str) -> float:
    """`30s`, `10m`, `1h` or a number of seconds."""
    match = re.fullmatch(r"(\d+)([smh]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write 30s, 10m or 1h")
    return float(match[1]) * _UNITS[match[2] or "s"]
