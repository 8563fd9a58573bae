"""Series about single resources: bounded, at zero at first, and gone with their resource."""

from __future__ import annotations

from dbupgrade.decide.state import State
from dbupgrade.objects import Key
from dbupgrade.telemetry.resources import AT_ZERO_SECONDS, MOST, Outcome, Resources, Standing

READY = Standing(State.READY, "MigrationComplete")
FAILED = Standing(State.FAILED, "JobFailed", "SQLError")
SUCCEEDED = Outcome("Succeeded")
SQL = Outcome("Failed", "SQLError")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def key(number: int) -> Key:
    return Key("shop", f"r{number}")


def samples(resources: Resources, metric: str) -> dict[tuple[str, ...], float]:
    """Values by the labels of one metric."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in resources.collect()
        for sample in family.samples
        if sample.name == metric
    }


def test_a_new_series_stands_at_zero_until_every_prometheus_has_seen_it() -> None:
    clock = Clock()
    resources = Resources(clock=clock)
    resources.stands(key(1), FAILED)
    resources.ended(key(1), SQL, 3)
    labels = ("shop", "r1", "Failed", "SQLError")
    for metric in ("dbupgrade_runs_total", "dbupgrade_runs_seconds_total"):
        assert samples(resources, metric) == {labels: 0}
    clock.seconds += AT_ZERO_SECONDS - 1
    resources.ended(key(1), SQL, 4)
    assert samples(resources, "dbupgrade_runs_total") == {labels: 0}
    clock.seconds += 1
    assert samples(resources, "dbupgrade_runs_total") == {labels: 2}
    assert samples(resources, "dbupgrade_runs_seconds_total") == {labels: 7}
    resources.ended(key(1), SQL, 1)
    assert samples(resources, "dbupgrade_runs_total") == {labels: 3}


def test_beyond_the_bound_runs_are_counted_together_until_a_resource_goes() -> None:
    clock = Clock()
    resources = Resources(most=2, clock=clock)
    for number in range(4):
        resources.stands(key(number), READY)
        resources.ended(key(number), SUCCEEDED, 1)
    resources.ended(key(0), SUCCEEDED, 1)
    resources.forget(key(1))
    resources.ended(key(2), SUCCEEDED, 1)
    clock.seconds += AT_ZERO_SECONDS
    assert samples(resources, "dbupgrade_runs_total") == {
        ("", "others", "Succeeded", ""): 2,
        ("shop", "r0", "Succeeded", ""): 2,
        ("shop", "r2", "Succeeded", ""): 1,
    }


def test_a_resource_of_the_same_name_begins_again() -> None:
    clock = Clock()
    resources = Resources(clock=clock)
    for standing in (FAILED, READY):
        resources.stands(key(1), standing)
        resources.ended(key(1), SQL, 1)
        clock.seconds += AT_ZERO_SECONDS
        assert samples(resources, "dbupgrade_runs_total") == {("shop", "r1", "Failed", "SQLError"): 1}
        resources.forget(key(1))
        assert not any(family.samples for family in resources.collect())


def test_beyond_the_bound_states_are_counted_and_ready_resources_give_way() -> None:
    resources = Resources(most=2)
    for number in range(3):
        resources.stands(key(number), READY)
    resources.stands(key(3), FAILED)
    assert samples(resources, "dbupgrade_state") == {
        ("shop", "r3", *FAILED): 1,
        ("shop", "r0", *READY): 1,
        ("", "others", *READY): 2,
    }
    for number in range(3):
        resources.stands(key(number), FAILED)
    assert samples(resources, "dbupgrade_state") == {
        ("shop", "r3", *FAILED): 1,
        ("shop", "r0", *FAILED): 1,
        ("", "others", *FAILED): 2,
    }


def test_beyond_the_bound_slow_runs_namespaces_and_checks_are_counted_together() -> None:
    clock = Clock()
    resources = Resources(most=2, clock=clock)
    for number in range(4):
        resources.stands(Key(f"n{number}", "app"), FAILED, pending=number, slow=True)
        resources.check_failed(f"check{number}")
    assert samples(resources, "dbupgrade_run_slow") == {("n0", "app"): 1, ("n1", "app"): 1, ("", "others"): 2}
    assert samples(resources, "dbupgrade_pending_migrations") == {("n0",): 0, ("n1",): 1, ("",): 5}
    assert set(samples(resources, "dbupgrade_check_failures_total").values()) == {0}
    clock.seconds += AT_ZERO_SECONDS
    assert samples(resources, "dbupgrade_check_failures_total") == {
        ("check0",): 1,
        ("check1",): 1,
        ("others",): 2,
    }


def test_thousands_of_resources_do_not_make_thousands_of_series() -> None:
    resources = Resources()
    for number in range(MOST + 500):
        resources.stands(Key(f"n{number}", "app"), FAILED, pending=1, slow=True)
        resources.ended(Key(f"n{number}", "app"), SQL, 1)
        resources.check_failed(f"check{number}")
    assert [len(family.samples) for family in resources.collect()] == [MOST + 1] * 6
