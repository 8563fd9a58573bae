"""spec.runner: the Job and the pod of a run."""

from typing import Annotated, Any

from pydantic import Field

from dbupgrade.api.spec.base import LocalReference, Model, Quantity, Rule, list_map, rules

_MAX_ID = 2**31 - 1
WAIT_TOO_LONG = "waitForDatabaseSeconds must be below activeDeadlineSeconds, which counts for the whole Job"

Opaque = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
"""An object that goes to the pod as it is; the API server validates it there."""


class Resources(Model):
    """Compute resources of each container of the run's pod."""

    requests: dict[str, Quantity] = Field({})
    limits: dict[str, Quantity] = Field({})


class Toleration(Model):
    """A standard toleration."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None


class Runner(Model):
    """The Job and the pod of a run."""

    model_config = rules(Rule("self.waitForDatabaseSeconds < self.activeDeadlineSeconds", WAIT_TOO_LONG))

    active_deadline_seconds: int = Field(600, ge=1, description="Limit for the whole Job, in seconds.")
    ttl_seconds_after_finished: int = Field(3600, ge=0, description="Seconds that a finished Job is kept.")
    resources: Resources = Resources()
    service_account_name: str | None = Field(None, max_length=253)
    image_pull_secrets: tuple[LocalReference, ...] = Field((), json_schema_extra=list_map("name"))
    node_selector: dict[str, str] = Field({})
    tolerations: tuple[Toleration, ...] = ()
    affinity: Opaque = Field({})
    priority_class_name: str | None = Field(None, max_length=253)
    pod_labels: dict[str, str] = Field({})
    pod_annotations: dict[str, str] = Field({})
    wait_for_database_seconds: int = Field(
        0, ge=0, description="How long to wait for a PostgreSQL that does not accept connections yet."
    )
    backoff_limit: int = Field(
        0, ge=0, le=10, description="How often the Job itself tries again after a failure to connect."
    )
    run_as_user: int = Field(65532, ge=1, le=_MAX_ID, description="User of all containers; never root.")
    run_as_group: int = Field(65532, ge=0, le=_MAX_ID, description="Group of all containers.")
