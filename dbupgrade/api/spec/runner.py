"""spec.runner: the Job and the pod of a run."""

import json
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import Field

from dbupgrade.api.spec.base import (
    MAX_PULL_SECRETS,
    MAX_TEXT,
    LocalReference,
    Model,
    Quantity,
    Rule,
    list_map,
)

_MAX_ID = 2**31 - 1

_MAX_ENTRIES = 64
_MAX_KEY = 317  # a domain, a slash and a name
_MAX_AFFINITY_BYTES = 16 * 1024

LabelValue = Annotated[str, Field(max_length=63)]
Word = Annotated[str, Field(max_length=_MAX_KEY)]
Opaque = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
"""An object that goes to the pod as it is; the API server validates it there."""


def _short_keys(path: str, entries: Callable[[Any], dict[str, Any]]) -> Rule[Any]:
    """A rule that the keys of a map are no longer than Kubernetes allows."""
    return Rule(
        path,
        f"must have keys of at most {_MAX_KEY} characters",
        f"!has(self.{path}) || self.{path}.all(key, size(key) <= {_MAX_KEY})",
        lambda model: all(len(key) <= _MAX_KEY for key in entries(model)),
    )


class Resources(Model):
    """Compute resources of each container of the run's pod."""

    RULES: ClassVar["tuple[Rule[Resources], ...]"] = (
        _short_keys("requests", lambda resources: resources.requests),
        _short_keys("limits", lambda resources: resources.limits),
    )

    requests: dict[str, Quantity] = Field(
        {},
        max_length=_MAX_ENTRIES,
        description="Resources that each container is guaranteed, for example cpu: 100m, memory: 64Mi.",
    )
    limits: dict[str, Quantity] = Field(
        {},
        max_length=_MAX_ENTRIES,
        description="Resources that each container may use at most, for example memory: 256Mi.",
    )


class Toleration(Model):
    """A toleration, as in the spec of a pod."""

    key: Word | None = Field(
        None,
        description="Key of the taint. If it is not set and operator is Exists, all taints are tolerated.",
    )
    operator: Word | None = Field(
        None,
        description="How the taint is matched: Equal (by key and value) or Exists (by key only). Defaults to Equal.",
    )
    value: Word | None = Field(None, description="Value of the taint. Only with operator Equal.")
    effect: Word | None = Field(
        None,
        description="Effect of the taint: NoSchedule, PreferNoSchedule or NoExecute. By default, all effects are tolerated.",
    )
    toleration_seconds: int | None = Field(
        None,
        description="Seconds for which a taint with the effect NoExecute is tolerated. By default, it is tolerated forever.",
    )


class Runner(Model):
    """The Job and the pod of a run."""

    RULES: ClassVar["tuple[Rule[Runner], ...]"] = (
        Rule(
            "waitForDatabaseSeconds",
            "must be less than activeDeadlineSeconds, which limits the whole Job",
            "self.waitForDatabaseSeconds < self.activeDeadlineSeconds",
            lambda runner: runner.wait_for_database_seconds < runner.active_deadline_seconds,
        ),
        _short_keys("nodeSelector", lambda runner: runner.node_selector),
        _short_keys("podLabels", lambda runner: runner.pod_labels),
        _short_keys("podAnnotations", lambda runner: runner.pod_annotations),
        Rule(
            "affinity",
            f"must have at most {_MAX_AFFINITY_BYTES} bytes",
            None,  # CEL does not see fields that the schema does not know
            lambda runner: len(json.dumps(runner.affinity)) <= _MAX_AFFINITY_BYTES,
        ),
    )

    active_deadline_seconds: int = Field(
        600,
        ge=1,
        description="Seconds that the whole Job may take, including image pulls and waiting. After that, the run fails. Defaults to 600.",
    )
    ttl_seconds_after_finished: int = Field(
        3600,
        ge=0,
        description="Seconds for which a finished Job is kept, with its pods and their logs. Defaults to 3600.",
    )
    resources: Resources = Field(
        Resources(),
        description="Compute resources of each container of the pod. By default, there are no requests and no limits.",
    )
    service_account_name: str | None = Field(
        None,
        max_length=253,
        description="Service account of the pod. Its token is not mounted. Defaults to the namespace's default service account.",
    )
    image_pull_secrets: tuple[LocalReference, ...] = Field(
        (),
        max_length=MAX_PULL_SECRETS,
        description="Secrets with the credentials of private registries, in addition to spec.migrations.imagePullSecrets.",
        json_schema_extra=list_map("name"),
    )
    node_selector: dict[str, LabelValue] = Field(
        {}, max_length=_MAX_ENTRIES, description="Labels that a node must have to run the pod."
    )
    tolerations: tuple[Toleration, ...] = Field(
        (), max_length=_MAX_ENTRIES, description="Taints of nodes that the pod tolerates."
    )
    affinity: Opaque = Field(
        {},
        description="Affinity of the pod, as in the spec of a pod (nodeAffinity, podAffinity, podAntiAffinity).",
    )
    priority_class_name: str | None = Field(
        None,
        max_length=253,
        description="Priority class of the pod. Defaults to that of the cluster.",
    )
    pod_labels: dict[str, LabelValue] = Field(
        {},
        max_length=_MAX_ENTRIES,
        description="Labels of the pod, in addition to those set by the operator.",
    )
    pod_annotations: dict[str, Annotated[str, Field(max_length=MAX_TEXT)]] = Field(
        {},
        max_length=_MAX_ENTRIES,
        description="Annotations of the pod, in addition to those set by the operator.",
    )
    wait_for_database_seconds: int = Field(
        0,
        ge=0,
        description="Seconds to wait for a database that does not accept connections yet. On MySQL and MariaDB, until its port is open. "
        "Defaults to 0 (no waiting).",
    )
    backoff_limit: int = Field(
        0,
        ge=0,
        le=10,
        description="How often the Job itself starts another pod if the database cannot be reached. Defaults to 0.",
    )
    run_as_user: int = Field(
        65532,
        ge=1,
        le=_MAX_ID,
        description="User ID with which all containers run. It cannot be 0 (root). Defaults to 65532.",
    )
    run_as_group: int = Field(
        65532, ge=0, le=_MAX_ID, description="Group ID with which all containers run. Defaults to 65532."
    )
