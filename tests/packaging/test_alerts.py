"""The alerts, by promtool; and that every series they and the dashboard name exists."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client import REGISTRY

import dbupgrade.telemetry.metrics
import dbupgrade.telemetry.resources  # noqa: F401 - both fill the registry
from dbupgrade import published
from e2e.cluster import debian
from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

FILES = REPOSITORY / "deploy/helm/dbupgrade-operator/files"
ALERTS = FILES / "alerts.yaml"
ALERTS_OF_HOOKS = REPOSITORY / "deploy/helm/dbupgrade-migrate/templates/alerts.yaml"
CASES = REPOSITORY / "tests/packaging/alerts.yaml"
PAGES = REPOSITORY / "docs/alerts"
FROM_PROMETHEUS = {"ALERTS", "process_resident_memory_bytes", "process_cpu_seconds_total"}


@pytest.fixture(scope="session")
def promtool() -> Path:
    return debian.unpacked("prometheus") / "usr/bin/promtool"


def test_each_alert_fires_on_what_it_is_for(promtool: Path, tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    prefix = f"{published.REPOSITORY}/blob/main/docs/alerts/"
    cases.write_text(CASES.read_text().replace("RULES", str(ALERTS)).replace("URL/", prefix))
    for command in (("check", "rules", ALERTS), ("test", "rules", cases)):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = [
        (case["alertname"], bool(case["exp_alerts"]))
        for test in yaml.safe_load(CASES.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
    ]
    for fires in (True, False):
        assert {name for name, fired in cases if fired is fires} == set(alerts())


def test_each_alert_has_a_page_that_it_names_and_each_page_an_alert() -> None:
    pages = {path.stem: path.read_text() for path in PAGES.glob("*.md")}
    of_hooks = re.findall(r"- alert: (\w+)", ALERTS_OF_HOOKS.read_text())
    assert set(pages) == {*alerts(), *of_hooks, "index"}
    for name, alert in alerts().items():
        assert alert["annotations"]["runbook_url"].endswith(f"/docs/alerts/{name}.md")
    for name in set(pages) - {"index"}:
        headings = re.findall(r"^#+ (.*)", pages[name], re.MULTILINE)
        assert headings == [name, "What it means", "Impact", "How to look", "How to fix it"]
        assert f"]({name}.md)" in pages["index"]


def test_the_dashboard_links_to_headings_that_exist() -> None:
    prefix = re.escape(f"{published.REPOSITORY}/blob/main/")
    links = re.findall(rf'"{prefix}([^"$]+\.md)(?:#([^"]*))?"', (FILES / "dashboard.json").read_text())
    assert len(links) >= 8
    for path, anchor in links:
        headings = re.findall(r"^#+ (.*)", (REPOSITORY / path).read_text(), re.MULTILINE)
        assert anchor in {"", *(heading.lower().replace(" ", "-") for heading in headings)}, path


def alerts() -> dict[str, Any]:
    """The alerts by name."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def _series(text: str) -> set[str]:
    """Names of series in expressions: words before a brace or a range, and those that stand alone in a function."""
    text = re.sub(r'"[^"]*"', "", text)
    names = re.findall(r"\b([a-z][a-z0-9]*(?:_[a-z0-9]+)+)\b(?=[{\[)]| ?[<>=]|$)", text, re.MULTILINE)
    return set(names) - {"histogram_quantile", "group_left", "max_over_time"}


def test_every_series_is_one_that_the_operator_writes() -> None:
    known = set(FROM_PROMETHEUS)
    for metric in REGISTRY.collect():
        known |= {
            metric.name,
            f"{metric.name}_total",
            f"{metric.name}_bucket",
            f"{metric.name}_count",
            f"{metric.name}_sum",
        }
    expressions = "\n".join(alert["expr"] for alert in alerts().values())
    dashboard = json.loads((FILES / "dashboard.json").read_text())
    queries = "\n".join(
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())
    )
    assert len(_series(expressions)) >= 5
    assert len(_series(queries)) >= 8
    assert (_series(expressions) | _series(queries)) - known == set()


def test_what_is_looked_at_for_growth_is_there_before_the_first_event() -> None:
    """`increase` sees nothing of a series that begins with 1."""
    for name, labels in (
        ("dbupgrade_webhook_requests_total", {"verdict": "error"}),
        ("dbupgrade_run_duration_seconds_count", {"result": "Failed"}),
        ("dbupgrade_run_duration_seconds_count", {"result": "Succeeded"}),
    ):
        assert REGISTRY.get_sample_value(name, labels) is not None
