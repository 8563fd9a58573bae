"""The engine Command: its container, and what is read of the end of its log."""

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec.policy import ErrorDetail
from dbupgrade.pod.detail import limited
from dbupgrade.pod.engines import ENGINES
from tests.unit.decide.builders import (
    IMAGE_1,
)
from tests.unit.pod.test_engines import COMMAND, IN_PARTS, pod


def test_a_command_runs_in_the_users_image_without_extraction() -> None:
    env = [
        {"name": "A", "value": "$(DB_PASSWORD)"},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
    ]
    spec = pod(migrations={**COMMAND, "env": env}, database=IN_PARTS)["spec"]
    (container,) = spec["containers"]
    assert "fetch-migrations" not in [each["name"] for each in spec["initContainers"]]
    assert (container["image"], container["command"]) == (IMAGE_1, ["npm"])
    assert container["args"] == ["run", "migrate $$(DB_HOST)"]
    assert {entry["name"]: entry for entry in container["env"]}["A"]["value"] == "$$(DB_PASSWORD)"
    names = {
        "HOME",
        "DB_HOST",
        "DB_PORT",
        "DB_DATABASE",
        "DB_USER",
        "DB_PASSWORD",
        "DB_SCHEMA",
        "DB_SSLMODE",
        "A",
        "B",
    }
    assert {entry["name"] for entry in container["env"]} == names
    assert [volume["name"] for volume in spec["volumes"]] == ["tmp", "lock"]
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(
    ("log", "exit_code", "failure", "error"),
    [
        ("all is well", 0, None, None),
        ("", 3, Failure.COMMAND, "exit code 3"),
        ("one\ntwo pw-1 three\n", 3, Failure.COMMAND, "exit code 3: one two *** three"),
        ("at postgres://u:x@h/d", 1, Failure.COMMAND, "exit code 1: at ***"),
        ("insert 'hunter2' failed", 1, Failure.COMMAND, "exit code 1: insert '***' failed"),
        ("anything", 75, Failure.DATABASE_UNREACHABLE, "exit code 75: anything"),
        ("Error: connect ECONNREFUSED 10.0.0.1:5432", 1, Failure.DATABASE_UNREACHABLE, None),
        ("getaddrinfo ENOTFOUND db", 1, Failure.DATABASE_UNREACHABLE, None),
        ("password authentication failed for user", 1, Failure.AUTHENTICATION, None),
        ("error: PAM authentication failed for user", 1, Failure.AUTHENTICATION, None),
        ("read ECONNRESET", 1, Failure.COMMAND, "exit code 1: read ECONNRESET"),
    ],
)
def test_the_end_of_a_command(log: str, exit_code: int, failure: Failure | None, error: str | None) -> None:
    report = limited(ENGINES["Command"].parse(log, exit_code=exit_code, secrets=("pw-1",)), ErrorDetail.FULL)
    assert report.failure is failure
    assert error is None or report.error == error


def test_the_end_of_a_long_log_is_kept_and_a_secret_at_the_cut_is_not_seen() -> None:
    log = "x" * 3000 + "pw-1" * 1000 + "\nthe end"
    report = limited(ENGINES["Command"].parse(log, exit_code=1, secrets=("pw-1",)), ErrorDetail.FULL)
    assert report.error
    assert report.error.endswith("the end")
    assert "pw-1" not in report.error
    assert len(report.error.encode()) <= 1024


@pytest.mark.parametrize(
    ("policy", "options"),
    [
        ({}, None),
        ({"lockTimeout": "500ms"}, "-c lock_timeout=500ms"),
        ({"lockTimeout": "0s", "statementTimeout": "1h"}, "-c lock_timeout=0s -c statement_timeout=1h"),
    ],
)
def test_limits_that_the_spec_asks_for_are_options_of_the_connection(
    policy: dict[str, str], options: str | None
) -> None:
    (container,) = pod(migrations=COMMAND, policy=policy)["spec"]["containers"]
    assert {one["name"]: one.get("value") for one in container["env"]}.get("PGOPTIONS") == options
