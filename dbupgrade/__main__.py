"""The command line: `run` the operator, or print what is to be installed with it."""

import argparse
import asyncio
import sys
from typing import Any

USAGE_ERROR = 2


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="dbupgrade", description="Database migrations for Kubernetes applications."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator (its flags: dbupgrade run --help)", add_help=False)
    commands.add_parser("crd", help="print the CustomResourceDefinition as YAML")
    commands.add_parser("policy", help="print the ValidatingAdmissionPolicy for deletions as YAML")
    webhook = commands.add_parser("webhook", help="print the ValidatingWebhookConfiguration as YAML")
    webhook.add_argument("--namespace", default="dbupgrade-system", help="namespace of the webhook's Service")
    webhook.add_argument("--service", default="dbupgrade-webhook", help="name of the webhook's Service")
    given, rest = parser.parse_known_args(arguments)
    if given.command == "run":
        return _run(rest)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    _print(*_manifests(given))
    return 0


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


def _manifests(given: argparse.Namespace) -> list[dict[str, Any]]:
    from dbupgrade.api import admission  # noqa: PLC0415
    from dbupgrade.api.crd import custom_resource_definition  # noqa: PLC0415

    match given.command:
        case "crd":
            return [custom_resource_definition()]
        case "policy":
            return admission.deletion_policy()
        case _:
            client = admission.in_cluster_client(given.namespace, given.service)
            return [admission.webhook_configuration(client)]


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
