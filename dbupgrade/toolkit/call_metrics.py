"""Metrics of a call, for a Pushgateway or the textfile collector of a node exporter; both optional."""

import time
from dataclasses import dataclass
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway, write_to_textfile

from dbupgrade.toolkit import trouble
from dbupgrade.toolkit.environment import Environment
from dbupgrade.toolkit.output import Output

JOB = "dbupgrade_migrate"
PUSH_SECONDS = 5


@dataclass
class Measured:
    """What a call has seen; None is what it did not come to."""

    connection_seconds: float | None = None
    applied: int | None = None
    pending: int | None = None


def publish(
    settings: Environment, command: str, code: int, seconds: float, measured: Measured, output: Output
) -> None:
    """Write and push, where the settings say so. A failure is a warning: the migration is what counts."""
    if not (settings.metrics_file or settings.pushgateway):
        return
    registry = _registry(command, code, seconds, measured)
    try:
        if settings.metrics_file:
            write_to_textfile(settings.metrics_file, registry)
        if settings.pushgateway:
            key = {"database": _database(settings.url)}
            pushadd_to_gateway(settings.pushgateway, JOB, registry, key, timeout=PUSH_SECONDS)
    except (OSError, ValueError) as error:
        where = "MIGRATE_METRICS_FILE or MIGRATE_PUSHGATEWAY_URL"
        output.event(
            "metrics_failed",
            f"the metrics could not be sent ({_trouble(error)}); see {where}",
            level="warning",
        )


def _trouble(error: Exception) -> str:
    match error:
        case HTTPError():
            return f"the Pushgateway answered with status {error.code}"
        case URLError(reason=OSError() as reason):
            return trouble.words(reason)
        case OSError() if error.strerror:
            return error.strerror.lower()
        case _:
            return "the path or URL cannot be used"


def _registry(command: str, code: int, seconds: float, measured: Measured) -> CollectorRegistry:
    registry = CollectorRegistry()
    values = {
        "dbupgrade_migrate_exit_code": (code, "Exit code of the last call; 0 means success."),
        "dbupgrade_migrate_duration_seconds": (seconds, "How long the last call took."),
        "dbupgrade_migrate_last_run_timestamp_seconds": (time.time(), "When the last call ended."),
        "dbupgrade_migrate_last_success_timestamp_seconds": (
            time.time() if code == 0 else None,
            "When the last successful call ended.",
        ),
        "dbupgrade_migrate_connection_seconds": (
            measured.connection_seconds,
            "How long it took to connect to the database.",
        ),
        "dbupgrade_migrate_applied_files": (measured.applied, "Files that the last call applied."),
        "dbupgrade_migrate_pending_files": (measured.pending, "Files that are still pending."),
    }
    for name, (value, text) in values.items():
        if value is not None:
            Gauge(name, text, ["command"], registry=registry).labels(command).set(value)
    return registry


def _database(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"
