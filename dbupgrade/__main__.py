"""The command line: `run` the operator, print what is installed with it, or a command for people (`kubectl dbupgrade`)."""

import argparse
import asyncio
import sys
from typing import Any

from dbupgrade.cli import COMMANDS

USAGE_ERROR = 2


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="dbupgrade", description="Database migrations for Kubernetes applications."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator (its flags: dbupgrade run --help)", add_help=False)
    commands.add_parser("crd", help="print the CustomResourceDefinition as YAML")
    commands.add_parser("policy", help="print the ValidatingAdmissionPolicies as YAML")
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    commands.add_parser(
        "migrate",
        help="migrations of a folder, without the operator (its commands: dbupgrade migrate --help)",
        add_help=False,
    )
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["migrate"]:  # its own commands have flags that this parser must not look at
        return _migrate(words[1:])
    given, rest = parser.parse_known_args(words)
    if given.command in COMMANDS:
        from dbupgrade.cli import commands as for_people  # noqa: PLC0415

        return for_people.main(words)
    if given.command == "run":
        return _run(rest)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    _print(*_manifests(given.command))
    return 0


def _run(arguments: list[str]) -> int:
    from dbupgrade import settings  # noqa: PLC0415 - half a second of imports that `crd` does without
    from dbupgrade.app import operator  # noqa: PLC0415
    from dbupgrade.kube.errors import ConfigurationError  # noqa: PLC0415
    from dbupgrade.telemetry import logs  # noqa: PLC0415
    from dbupgrade.telemetry.endpoints import CannotListenError  # noqa: PLC0415

    try:
        loaded = settings.load(arguments)
        logs.configure(loaded.log_level, for_people=loaded.log_format is settings.LogFormat.CONSOLE)
        return asyncio.run(operator.run(loaded))
    except (settings.BadSettingsError, CannotListenError, ConfigurationError) as error:
        print(f"dbupgrade: {error}", file=sys.stderr)
        return USAGE_ERROR


def _migrate(arguments: list[str]) -> int:
    try:
        from dbupgrade.toolkit.main import main as migrate  # noqa: PLC0415 - its packages are optional
    except ModuleNotFoundError as error:
        print(f"dbupgrade: {error.name} is missing: install requirements-toolkit.lock", file=sys.stderr)
        return USAGE_ERROR
    return migrate(arguments)


def _manifests(command: str) -> list[dict[str, Any]]:
    from dbupgrade.api import admission, confinement  # noqa: PLC0415
    from dbupgrade.api.crd import custom_resource_definition  # noqa: PLC0415

    if command == "policy":
        return [*admission.deletion_policy(), *confinement.operator_policy()]
    return [custom_resource_definition()]


def _print(*manifests: dict[str, Any]) -> None:
    import yaml  # noqa: PLC0415

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            """Write what two objects share twice: people read this."""
            del data
            return True

    yaml.dump_all(manifests, sys.stdout, Dumper, sort_keys=False, width=110)


if __name__ == "__main__":
    sys.exit(main())
