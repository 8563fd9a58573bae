"""The alerts, by promtool; and that every series they and the dashboard name exists."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY

import dbupgrade.telemetry.held
import dbupgrade.telemetry.metrics  # noqa: F401 - fills the registry
from e2e.cluster import debian
from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

FILES = REPOSITORY / "deploy/helm/dbupgrade-operator/files"
ALERTS = FILES / "alerts.yaml"
CASES = REPOSITORY / "tests/packaging/alerts.yaml"
CONDITION = "kube_customresource_dbupgrade_status_condition"
FROM_PROMETHEUS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}


@pytest.fixture(scope="session")
def promtool() -> Path:
    return debian.unpacked("prometheus") / "usr/bin/promtool"


def test_each_alert_fires_on_what_it_is_for(promtool: Path, tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(CASES.read_text().replace("RULES", str(ALERTS)))
    for command in (("check", "rules", ALERTS), ("test", "rules", cases)):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_case_that_fires() -> None:
    alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
    fired = set(re.findall(r"alertname: (\w+)\n    exp_alerts:\n", CASES.read_text()))
    assert fired == set(alerts)


def _series(text: str) -> set[str]:
    """Names of series in expressions: words before a brace or a range, and those that stand alone in a function."""
    names = re.findall(r"\b([a-z][a-z0-9]*(?:_[a-z0-9]+)+)\b(?=[{\[)]| ?[<>=]|$)", text, re.MULTILINE)
    return set(names) - {"histogram_quantile", "group_left"}


def test_every_series_is_one_that_the_operator_or_kube_state_metrics_writes() -> None:
    known = {CONDITION, *FROM_PROMETHEUS}
    for metric in REGISTRY.collect():
        known |= {
            metric.name,
            f"{metric.name}_total",
            f"{metric.name}_bucket",
            f"{metric.name}_count",
            f"{metric.name}_sum",
        }
    alerts = "\n".join(re.findall(r"expr: (?:>-\n)?((?:.+\n)+?)    (?:for|labels)", ALERTS.read_text()))
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    queries = "\n".join(
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())
    )
    assert len(_series(alerts)) >= 5
    assert len(_series(queries)) >= 8
    assert (_series(alerts) | _series(queries)) - known == set()


def test_what_is_looked_at_for_growth_is_there_before_the_first_event() -> None:
    """`increase` sees nothing of a series that begins with 1."""
    for name, labels in (
        ("dbupgrade_webhook_requests_total", {"verdict": "error"}),
        ("dbupgrade_runs_total", {"result": "Failed"}),
        ("dbupgrade_runs_total", {"result": "Succeeded"}),
    ):
        assert REGISTRY.get_sample_value(name, labels) is not None
