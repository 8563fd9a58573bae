"""What is not to be run is held with a reason, and no Job is ever made for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from e2e.scenarios.support.images import THREE
from e2e.scenarios.support.upgrade import DONE, held, refused

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

METRIC = {
    "name": "lag",
    "metricName": "replication_lag",
    "target": {"type": "Pods", "pods": {"selector": {"matchLabels": {"app": "web"}}}},
    "threshold": {"operator": "<", "value": "0.05"},
}
REFERENCE = {"urlSecretRef": {"name": "database"}}
AWS = {
    "roleArn": "arn:aws:iam::123456789012:role/migrate",
    "region": "eu-central-1",
    "host": "db.example",
    "dbName": "app",
    "username": "app",
}


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"database": {"type": "awsRds", "aws": AWS}}, "AWSNotSupported", "spec.database.aws"),
        ({"database": {"type": "awsAurora", "aws": AWS, "connection": REFERENCE}}, "AWSNotSupported", "aws"),
    ],
)
def test_what_this_version_cannot_do_is_never_run_unchecked(
    world: World, spec: dict[str, Any], reason: str, words: str
) -> None:
    world.secret()
    image = world.image(THREE)
    world.upgrade(image, **spec)
    upgrade = world.wait_for(refused(reason))
    assert words in upgrade.message
    # It is looked at again, and still held.
    world.upgrade(image, **spec, runner={"activeDeadlineSeconds": 300})
    upgrade = world.wait_for(refused(reason))
    assert upgrade.run == {}
    assert world.created_jobs() == []
    assert world.database.tables == []


def test_an_aws_type_with_a_connection_works_like_a_self_hosted_one(world: World) -> None:
    world.secret()
    world.upgrade(world.image(THREE), database={"type": "awsRds", "connection": REFERENCE})
    world.wait_for(DONE)


def test_a_removed_check_lets_the_run_start(world: World) -> None:
    world.secret()
    image = world.image(THREE)
    world.upgrade(image, checks={"pre": {"metrics": [METRIC]}})
    world.wait_for(held("PreCheckMetricFailed"))
    world.upgrade(image)
    world.wait_for(DONE)
    world.wait_events({"PreCheckFailed": 1, "MigrationStarted": 1, "MigrationSucceeded": 1})


def test_a_suspended_resource_starts_nothing_until_it_is_released(world: World) -> None:
    world.secret()
    image = world.image(THREE)
    world.upgrade(image, suspend=True)
    upgrade = world.wait_for(held("Suspended"))
    assert "spec.suspend is true" in upgrade.message
    assert world.created_jobs() == []
    world.upgrade(image, suspend=False)
    world.wait_for(DONE)


def test_suspending_a_finished_resource_leaves_it_done_and_holds_the_next_image(world: World) -> None:
    world.secret()
    first = world.image(THREE)
    world.upgrade(first)
    world.wait_for(DONE)
    world.upgrade(first, suspend=True)
    upgrade = world.wait_for(lambda upgrade: True, what="suspend is seen")
    assert upgrade.verdict == DONE
    second = world.image({**THREE, "20250104000000_x.sql": "CREATE TABLE x (id int);"})
    world.upgrade(second, suspend=True)
    world.wait_for(held("Suspended"))
    assert len(world.created_jobs()) == 1
    world.upgrade(second)
    world.wait_for(DONE)
    assert "x" in world.database.tables
