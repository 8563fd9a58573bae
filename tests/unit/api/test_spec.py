"""How manifests are read: defaults, and values that stay as they were written."""

import pytest
from pydantic import ValidationError

from dbupgrade.api.spec.base import Model
from tests.unit.api.specs import METRIC, a_spec, rds


def test_defaults_are_those_of_the_contract() -> None:
    spec = a_spec(checks={"post": {"metrics": [METRIC]}})
    assert spec.migrations.dir == "/migrations"
    assert spec.migrations.delivery == "Extract"
    assert spec.database.connection
    assert spec.database.connection.url_secret_ref
    assert spec.database.connection.url_secret_ref.key == "url"
    assert (spec.runner.active_deadline_seconds, spec.runner.ttl_seconds_after_finished) == (600, 3600)
    assert spec.suspend is False
    (metric,) = spec.checks.post.metrics
    assert (metric.source, metric.reduce) == ("Custom", "Max")
    assert (metric.bake_seconds, metric.interval_seconds) == (0, 15)
    aws = a_spec(database=rds()).database.aws
    assert aws
    assert (aws.port, aws.dialect) == (5432, "postgres")
    version = {"selector": {}, "minVersion": "1"}
    (pod_version,) = a_spec(checks={"pre": {"minPodVersions": [version]}}).checks.pre.min_pod_versions
    assert (pod_version.strict_mode, pod_version.disallow_downgrade) == (True, False)


@pytest.mark.parametrize("value", ["0", "250m", "0.05", 5, "1Ki", "-3", "1e3"])
def test_a_threshold_is_kept_as_it_was_written(value: int | str) -> None:
    metric = {**METRIC, "threshold": {"operator": ">=", "value": value}}
    (found,) = a_spec(checks={"pre": {"metrics": [metric]}}).checks.pre.metrics
    assert found.threshold.value == value
    assert type(found.threshold.value) is type(value)


def models(base: type[Model] = Model) -> list[type[Model]]:
    return [base, *(model for child in base.__subclasses__() for model in models(child))]


def test_models_are_frozen_and_written_in_camel_case() -> None:
    spec = a_spec()
    with pytest.raises(ValidationError, match="frozen"):
        spec.suspend = True  # type: ignore[misc]
    assert len(models()) > 20
    assert all(model.model_config.get("frozen") for model in models())
    assert "activeDeadlineSeconds" in spec.runner.model_dump(by_alias=True)
