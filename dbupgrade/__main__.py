"""The command line: `run` the operator, or print the `crd`."""

import argparse
import asyncio
import sys

USAGE_ERROR = 2


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="dbupgrade", description="Database migrations for Kubernetes applications."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator (its flags: dbupgrade run --help)", add_help=False)
    commands.add_parser("crd", help="print the CustomResourceDefinition as YAML")
    given, rest = parser.parse_known_args(arguments)
    if given.command == "run":
        return _run(rest)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    return _crd()


def _run(arguments: list[str]) -> int:
    from dbupgrade import app, settings  # noqa: PLC0415 - half a second of imports that `crd` does without
    from dbupgrade.kube.errors import ConfigurationError  # noqa: PLC0415
    from dbupgrade.telemetry import logs  # noqa: PLC0415
    from dbupgrade.telemetry.endpoints import CannotListenError  # noqa: PLC0415

    try:
        loaded = settings.load(arguments)
        logs.configure(loaded.log_level, for_people=loaded.log_format is settings.LogFormat.CONSOLE)
        return asyncio.run(app.run(loaded))
    except (settings.BadSettingsError, app.NotAvailableError, CannotListenError, ConfigurationError) as error:
        print(f"dbupgrade: {error}", file=sys.stderr)
        return USAGE_ERROR


def _crd() -> int:
    import yaml  # noqa: PLC0415

    from dbupgrade.api.crd import custom_resource_definition  # noqa: PLC0415

    yaml.safe_dump(custom_resource_definition(), sys.stdout, sort_keys=False, width=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
