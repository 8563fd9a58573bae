"""The command line: `run` the operator, print what is installed with it, `migrate` a folder, or a command for people."""

import asyncio
import sys
from typing import Any

USAGE_ERROR = 2
_OTHERS = {
    "run": "Run the operator (its settings: dbupgrade run --help)",
    "crd": "Print the CustomResourceDefinition as YAML",
    "policy": "Print the ValidatingAdmissionPolicies as YAML",
    "migrate": "Migrate a database without the operator (its commands: dbupgrade migrate --help)",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code. Those that need no click do not load it."""
    words = sys.argv[1:] if arguments is None else arguments
    match words:
        case ["run", *rest]:
            return _run(rest)
        case ["migrate", *rest]:
            return _migrate(rest)
        case ["crd" | "policy" as command]:
            _print(*_manifests(command))
            return 0
    from dbupgrade.cli import main as for_people  # noqa: PLC0415

    return for_people.run(words, "dbupgrade", "dbupgrade", _OTHERS)


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

        return migrate(arguments)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "dbupgrade":
            raise
        print(
            f"dbupgrade: `migrate` needs the package {package}: pip install 'dbupgrade[toolkit]'",
            file=sys.stderr,
        )
        return USAGE_ERROR


def _manifests(command: str) -> list[dict[str, Any]]:
    from dbupgrade.api import admission, approval, confinement  # noqa: PLC0415
    from dbupgrade.api.crd import custom_resource_definition  # noqa: PLC0415

    if command == "policy":
        return [*admission.deletion_policy(), *confinement.operator_policy(), *approval.approval_policy()]
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
