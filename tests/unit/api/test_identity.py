"""What makes a run the same run."""

from typing import Any

import pytest

from dbupgrade.api.identity import database_identity, run_id, runner_hash
from dbupgrade.api.spec import Spec
from tests.unit.api.specs import CONNECTION, METRIC, a_spec, rds

FIRST = run_id("shop", a_spec())

SAME = [
    pytest.param(a_spec({"dir": "/migrations"}), id="the default folder written out"),
    pytest.param(a_spec({"dir": "/migrations/"}), id="a slash at the end of the folder"),
    pytest.param(a_spec({"baseline": None}), id="a baseline of null"),
    pytest.param(a_spec({"delivery": "ImageVolume"}), id="another delivery"),
    pytest.param(a_spec({"imagePullSecrets": [{"name": "registry"}]}), id="a pull secret"),
    pytest.param(a_spec({"execOrder": "NonLinear"}), id="another order"),
    pytest.param(a_spec({"revisionsSchema": "public"}), id="a history elsewhere"),
    pytest.param(a_spec({"fieldOfTheFuture": 1}), id="a field of a newer version"),
    pytest.param(
        a_spec(
            database={
                "type": "selfHosted",
                "connection": {"urlSecretRef": {"name": "orders-db", "key": "url"}},
            }
        ),
        id="the default key written out",
    ),
    pytest.param(
        a_spec(
            database={
                "type": "selfHosted",
                "connection": {"urlSecretRef": {"name": "orders-db", "optional": True}},
            }
        ),
        id="optional, which is ignored",
    ),
    pytest.param(
        a_spec(database={"type": "awsRds", "connection": CONNECTION}), id="the same Secret by another type"
    ),
    pytest.param(a_spec(checks={"post": {"metrics": [METRIC]}}), id="another check"),
    pytest.param(a_spec(runner={"activeDeadlineSeconds": 5}), id="another runner"),
    pytest.param(a_spec(suspend=True), id="suspended"),
]


@pytest.mark.parametrize("spec", SAME)
def test_the_run_is_the_same(spec: Spec) -> None:
    assert run_id("shop", spec) == FIRST


OTHER = [
    pytest.param("shop", a_spec({"image": "registry.test/orders:2.0"}), id="another image"),
    pytest.param("shop", a_spec({"dir": "/sql"}), id="another folder"),
    pytest.param("shop", a_spec({"baseline": "1"}), id="a baseline"),
    pytest.param("other", a_spec(), id="the Secret of another namespace"),
    pytest.param(
        "shop",
        a_spec(database={"type": "selfHosted", "connection": {"urlSecretRef": {"name": "other-db"}}}),
        id="another Secret",
    ),
    pytest.param(
        "shop",
        a_spec(
            database={"type": "selfHosted", "connection": {"urlSecretRef": {"name": "orders-db", "key": "x"}}}
        ),
        id="another key",
    ),
    pytest.param("shop", a_spec(database=rds()), id="an AWS database"),
    pytest.param("shop", a_spec(database={"type": "selfHosted"}), id="no database"),
]


@pytest.mark.parametrize(("namespace", "spec"), OTHER)
def test_the_run_is_another_one(namespace: str, spec: Spec) -> None:
    assert run_id(namespace, spec) != FIRST


def test_a_run_id_is_the_same_in_every_version() -> None:
    assert run_id("shop", a_spec()) == "7fa93a8af3d82f13"
    assert runner_hash(a_spec()) == "88d73a71539dcb2b"


def test_an_aws_database_is_its_host_port_and_name_whoever_connects() -> None:
    first = database_identity("shop", a_spec(database=rds()).database)
    assert first == ("aws", "db.example", "5432", "orders")
    assert database_identity("other", a_spec(database=rds(username="x", roleArn="y")).database) == first
    assert database_identity("shop", a_spec(database=rds(port=3306)).database) != first
    both = {**rds(), "connection": CONNECTION}
    assert database_identity("shop", a_spec(database=both).database) == first
    self_hosted = {**both, "type": "selfHosted"}
    assert database_identity("shop", a_spec(database=self_hosted).database)[0] == "secret"


RUNNERS = [
    pytest.param({"runner": {}}, True, id="an empty runner"),
    pytest.param({"runner": {"activeDeadlineSeconds": 600}}, True, id="a default written out"),
    pytest.param({"runner": {"resources": {"limits": {}}}}, True, id="empty resources"),
    pytest.param({"migrations": {"delivery": "Extract"}}, True, id="the default delivery"),
    pytest.param({"runner": {"fieldOfTheFuture": 1}}, True, id="a field of a newer version"),
    pytest.param({"migrations": {"image": "x:2", "dir": "/sql"}}, True, id="what is part of the run id"),
    pytest.param({"migrations": {"execOrder": "Linear"}}, True, id="the default order"),
    pytest.param({"migrations": {"execOrder": "NonLinear"}}, False, id="another order"),
    pytest.param({"migrations": {"revisionsSchema": "public"}}, False, id="a history elsewhere"),
    pytest.param({"migrations": {"delivery": "ImageVolume"}}, False, id="another delivery"),
    pytest.param(
        {"migrations": {"imagePullSecrets": [{"name": "x"}]}}, False, id="a pull secret for the migrations"
    ),
    pytest.param({"runner": {"imagePullSecrets": [{"name": "x"}]}}, False, id="a pull secret for the runner"),
    pytest.param({"runner": {"resources": {"limits": {"memory": "1Gi"}}}}, False, id="more memory"),
    pytest.param({"runner": {"affinity": {"x": 1}}}, False, id="an affinity"),
]


@pytest.mark.parametrize(("changes", "same"), RUNNERS)
def test_how_a_run_is_carried_out(changes: dict[str, Any], same: bool) -> None:
    assert (runner_hash(a_spec(**changes)) == runner_hash(a_spec())) is same
