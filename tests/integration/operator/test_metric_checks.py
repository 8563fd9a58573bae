"""Metric checks of the whole operator against a real aggregator: what holds a run, what is told, and what survives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.harness.metricsapi import MetricsApi, metrics_api
from tests.integration.harness.scene import (
    condition,
    has_nothing_to_do,
    is_ready,
    run_of,
    summary,
)
from tests.integration.harness.standin import SUCCESS
from tests.integration.harness.waiting import eventually
from tests.integration.operator.test_clock import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from dbupgrade.kube.client import Client
    from e2e.operator import Operator
    from tests.integration.harness.scene import Scene

Object = dict[str, Any]
BAKING = "PostCheckBakeTimeWaiting"


def a_metric(value: str | int = "5", **changes: Any) -> Object:
    return {
        "name": "errors",
        "metricName": "http_errors",
        "target": {"type": "Pods", "pods": {"selector": {"matchLabels": {"app": "web"}}}},
        "threshold": {"operator": "<", "value": value},
        "intervalSeconds": 1,
        **changes,
    }


def before(*metrics: Object) -> Object:
    return {"pre": {"metrics": list(metrics)}}


def after(*metrics: Object) -> Object:
    return {"post": {"metrics": list(metrics)}}


def check(resource: Object, name: str = "errors") -> Object:
    checks: list[Object] = resource["status"].get("checks", [])
    return next((check for check in checks if check["name"] == name), {})


def is_holding(resource: Object) -> bool:
    """Whether the condition of the check holds, but not long enough yet."""
    return bool("checks" in resource.get("status", {}) and check(resource)["verdict"] == "Waiting")


def message(resource: Object) -> str:
    return str(condition(resource, "Progressing")["message"])


def is_told(words: str) -> Callable[[Object], bool]:
    return lambda resource: message(resource).startswith(words)


def a_clock(directory: Path, ahead: int) -> Mapping[str, str]:
    """The environment of an operator whose clock is ahead by so many seconds."""
    clock = Clock(directory)
    clock.jump(ahead)
    return clock.environment


@pytest.fixture
async def served(admin: Client, namespace: str, tmp_path: Path) -> AsyncIterator[MetricsApi]:
    async with metrics_api(admin, namespace, tmp_path) as served:
        served.series = {"http_errors": ["1", "7"]}
        yield served


async def test_a_metric_holds_the_run_until_it_is_below_the_threshold(
    scene: Scene, served: MetricsApi
) -> None:
    scene.standin.ending = SUCCESS
    operator = await scene.start()
    await scene.create(checks=before(a_metric()))
    resource = await scene.until_reason("PreCheckMetricFailed")
    words = "metric http_errors of pods app=web is 7 (Max of 2 series), wanted < 5"
    assert message(resource) == f"errors: {words}"
    seen = check(resource)
    assert (seen["verdict"], seen["lastValue"], seen["message"]) == ("Fails", "7", words)
    # It is counted when the write of the status has been answered, and the watch may be faster.
    counted = 'dbupgrade_check_failures_total{check="errors"} '  # at 0 for a while
    await eventually(lambda: counted in operator.metrics(), what="the failure is counted")
    served.series = {"http_errors": ["1", "4999m"]}
    resource = await scene.until_ready()
    assert (check(resource)["verdict"], check(resource)["lastValue"]) == ("Holds", "4.999")
    await scene.until_told("MigrationSucceeded")
    await scene.quiet()
    assert await scene.told() == ["MigrationStarted", "MigrationSucceeded", "PreCheckFailed"]


@pytest.mark.parametrize(
    ("values", "threshold", "reduce", "starts"),
    [
        (["1e3"], "1k", "Max", False),
        (["999999m"], "1e3", "Max", True),
        (["-5"], "0", "Max", True),
        (["0"], "0", "Max", False),
        (["1Ki"], 1025, "Max", True),
        (["1"] * 199 + ["2"], "201", "Sum", False),
        (["1"] * 200, "201", "Sum", True),
    ],
    ids=str,
)
async def test_odd_quantities_and_many_series(
    scene: Scene, served: MetricsApi, values: list[str], threshold: str | int, reduce: str, starts: bool
) -> None:
    served.series = {"http_errors": values}
    scene.standin.ending = SUCCESS
    await scene.start()
    await scene.create(checks=before(a_metric(threshold, reduce=reduce)))
    if starts:
        await scene.until_ready()
    else:
        await scene.until_reason("PreCheckMetricFailed")
        assert not scene.standin.created


FAULTS: list[tuple[dict[str, list[str]], int | None, str]] = [
    ({"http_errors": []}, None, "the metrics API has no such series"),
    ({"http_errors": ["NaN"]}, None, "the value of Pod web-0 is 'NaN', which is not a number"),
    ({}, 503, "custom.metrics.k8s.io does not answer: "),
]


async def test_each_fault_is_told_with_its_cause_and_the_query(scene: Scene, served: MetricsApi) -> None:
    scene.standin.ending = SUCCESS
    await scene.start()
    asked = "errors: metric http_errors of pods app=web: "
    served.series = {}
    await scene.create(checks=before(a_metric()))
    resource = await scene.until_reason("PreCheckMetricFailed")
    assert message(resource).startswith(f"{asked}there is no such series: GET /apis/custom.metrics.k8s.io/")
    for number, (series, failure, words) in enumerate(FAULTS):
        served.series, served.failure = series, failure
        # Words alone wait a minute to be written; those of an edited check do not.
        await scene.patch({"spec": {"checks": before(a_metric(bakeSeconds=number + 1))}})
        await scene.until(is_told(asked + words), what=words)
    served.failure, served.series = None, {"http_errors": ["0"]}
    await scene.patch({"spec": {"checks": before(a_metric())}})
    await scene.until_ready()


async def test_a_metrics_api_that_is_not_installed_is_named(scene: Scene) -> None:
    await scene.start()
    await scene.create(checks=before(a_metric(source="External", target={"type": "External"})))
    resource = await scene.until_reason("PreCheckMetricFailed")
    words = "external metric http_errors: the metrics API external.metrics.k8s.io is not installed"
    assert words in message(resource)


async def test_a_metrics_api_that_hangs_holds_up_nobody_else(scene: Scene, served: MetricsApi) -> None:
    served.hangs = True
    scene.standin.ending = SUCCESS
    operator = await scene.start()
    names = [f"held-{number}" for number in range(10)]  # more than there are workers
    for name in names:
        await scene.create(name, checks=before(a_metric()))
    await eventually(lambda: len(served.asked) >= len(names))
    await scene.create()
    await scene.until_ready()
    resource = await scene.until_reason("PreCheckMetricFailed", name=names[0])
    assert "no answer in time" in message(resource)
    assert reconciles(operator, "+Inf") == reconciles(operator, "5.0")  # no worker waited for an answer


def reconciles(operator: Operator, seconds: str) -> float:
    """How many reconciliations took no longer than that."""
    name = f'controller_runtime_reconcile_time_seconds_bucket{{controller="dbupgrade",le="{seconds}"}} '
    return next(
        float(line.removeprefix(name)) for line in operator.metrics().splitlines() if line.startswith(name)
    )


async def test_values_are_written_at_most_once_a_minute(scene: Scene, served: MetricsApi) -> None:
    await scene.start()
    await scene.create(checks=before(a_metric()))
    resource = await scene.until_reason("PreCheckMetricFailed")
    asked = len(served.asked)
    served.series = {"http_errors": ["8"]}
    await eventually(lambda: len(served.asked) >= asked + 3)
    again = await scene.get()
    assert again["metadata"]["resourceVersion"] == resource["metadata"]["resourceVersion"]


async def test_the_bake_time_survives_a_crash(scene: Scene, served: MetricsApi, tmp_path: Path) -> None:
    served.series = {"http_errors": ["1"]}
    operator = await scene.start()
    await scene.create(checks=before(a_metric(bakeSeconds=3600, intervalSeconds=600)))
    began = check(await scene.until(is_holding))["since"]
    operator.kill()
    await scene.start(**a_clock(tmp_path, ahead=300))
    seen = check(await scene.until(lambda resource: check(resource)["observedAt"] > began))
    assert (seen["since"], seen["verdict"]) == (began, "Waiting")


async def test_an_adapter_that_restarts_breaks_the_bake_time(scene: Scene, served: MetricsApi) -> None:
    served.series = {"http_errors": ["1"]}
    await scene.start()
    await scene.create(checks=before(a_metric(bakeSeconds=60)))
    began = check(await scene.until(is_holding))["since"]
    served.failure = 503
    resource = await scene.until(lambda resource: check(resource)["verdict"] == "Fails")
    assert "custom.metrics.k8s.io does not answer" in message(resource)
    served.failure = None
    assert check(await scene.until(is_holding))["since"] > began
    assert not scene.standin.created


async def test_an_edit_while_it_waits_counts_at_once(scene: Scene, served: MetricsApi) -> None:
    scene.standin.ending = SUCCESS
    await scene.start()
    await scene.create(checks=before(a_metric(intervalSeconds=600)))
    await scene.until_reason("PreCheckMetricFailed")
    await scene.patch({"spec": {"checks": before(a_metric("8", intervalSeconds=600))}})
    await scene.until_ready()


async def test_a_check_after_the_run_bakes_fails_and_recovers_and_runs_nothing_again(
    scene: Scene, served: MetricsApi, tmp_path: Path
) -> None:
    scene.standin.ending = SUCCESS
    operator = await scene.start()
    await scene.create(checks=after(a_metric(bakeSeconds=3600)))
    resource = await scene.until_reason(BAKING)
    assert summary(resource)["Ready"] == ("False", "Initializing")
    assert summary(resource)["Progressing"] == ("True", BAKING)
    assert "finishedAt" in run_of(resource)
    assert re.search(r"errors: .* is evaluated from \d\d:\d\d:\d\d UTC", message(resource))
    assert not served.asked

    await scene.until_told("MigrationSucceeded")  # it is lost when the operator dies before it is sent
    operator.kill()
    operator = await scene.start(**a_clock(tmp_path, ahead=3600))
    resource = await scene.until_reason("PostCheckFailed")
    assert summary(resource) == dict.fromkeys(
        ("Ready", "Progressing", "Stalled"), ("False", "PostCheckFailed")
    )
    assert "is 7 (Max of 2 series), wanted < 5" in message(resource)
    served.series = {"http_errors": ["1"]}
    await scene.until(is_ready)
    asked = len(served.asked)
    await eventually(lambda: has_nothing_to_do(operator))
    served.series = {"http_errors": ["9"]}
    await scene.patch({"metadata": {"labels": {"looked": "at"}}})
    await scene.until_told("PostCheckFailed")
    await scene.quiet()
    assert len(served.asked) == asked
    assert is_ready(await scene.get())
    assert len(scene.standin.created) == 1
    assert await scene.told() == ["MigrationStarted", "MigrationSucceeded", "PostCheckFailed"]


async def test_a_new_run_starts_the_checks_after_it_anew(scene: Scene, served: MetricsApi) -> None:
    served.series = {"http_errors": ["1"]}
    scene.standin.ending = SUCCESS
    await scene.start()
    await scene.create(checks=after(a_metric()))
    await scene.until_ready()
    served.series = {"http_errors": ["9"]}
    await scene.set_image("registry.example/shop:2.0.0")
    resource = await scene.until_reason("PostCheckFailed")
    assert run_of(resource)["sequence"] == 2
    await scene.patch({"spec": {"checks": after(a_metric("10"))}})
    await scene.until_ready(sequence=2)
    assert len(scene.standin.created) == 2


async def test_checks_that_make_no_sense_are_invalid_where_admission_did_not_stop_them(scene: Scene) -> None:
    await scene.start()
    await scene.create(
        checks=before(a_metric(target={"type": "Pods", "pods": {"selector": {"matchLabels": {"a": "b c"}}}}))
    )
    resource = await scene.until_reason("InvalidSpec")
    assert summary(resource)["Stalled"][0] == "True"
    assert message(resource).startswith(
        "spec.checks.pre.metrics[0].target.pods.selector.matchLabels must contain valid label keys and values"
    )
