"""spec.checks: what must hold before a run starts and after it ended."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dbupgrade.api.spec.base import Model, Quantity, Rule, list_map, rules

_MAX_CHECKS = _MAX_LABELS = 64  # the API server bounds what the rules on a list may cost
_LABEL_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = rf"^([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL_NAME}$"

LabelValue = Annotated[str, Field(max_length=63, json_schema_extra={"pattern": rf"^({_LABEL_NAME})?$"})]

VERSION_PATTERN = (
    r"^[vV]?(?P<major>[0-9]+)(\.(?P<minor>[0-9]+))?(\.(?P<patch>[0-9]+))?(\.[0-9]+)*"
    r"(-(?P<prerelease>[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*))?(\+(?P<build>[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*))?$"
)
"""A version as it is read leniently; see `decide.versions`."""


class LabelSelectorOperator(StrEnum):
    """Operators of a label selector requirement."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelSelectorRequirement(Model):
    """One requirement on one label."""

    model_config = rules(
        Rule(
            '(self.operator in ["In", "NotIn"]) == (has(self.values) && size(self.values) > 0)',
            "In and NotIn need values, Exists and DoesNotExist take none",
        )
    )

    key: str = Field(max_length=317, json_schema_extra={"pattern": _LABEL_KEY})
    operator: LabelSelectorOperator
    values: tuple[LabelValue, ...] = Field((), max_length=_MAX_LABELS)


class LabelSelector(Model):
    """A standard metav1 label selector."""

    match_labels: dict[str, str] = Field({})
    match_expressions: tuple[LabelSelectorRequirement, ...] = Field((), max_length=_MAX_LABELS)


class MinPodVersion(Model):
    """All matching pods run at least a version."""

    selector: LabelSelector
    min_version: str = Field(min_length=1, max_length=256, json_schema_extra={"pattern": VERSION_PATTERN})
    container_name: str | None = None
    strict_mode: bool = True
    disallow_downgrade: bool = False


class MetricSource(StrEnum):
    """Which metrics API is asked."""

    CUSTOM = "Custom"
    EXTERNAL = "External"


class TargetType(StrEnum):
    """What a metric describes."""

    PODS = "Pods"
    OBJECT = "Object"
    EXTERNAL = "External"


class PodsTarget(Model):
    """Pods that a metric describes."""

    selector: LabelSelector


class ObjectReference(Model):
    """An object that a metric describes."""

    api_version: str
    kind: str
    name: str


class ObjectTarget(Model):
    """One object, or the series that a selector picks."""

    ref: ObjectReference
    selector: LabelSelector | None = None


class ExternalTarget(Model):
    """A metric from outside the cluster."""

    selector: LabelSelector | None = None


class MetricTarget(Model):
    """What to ask the metrics API for."""

    model_config = rules(
        Rule(
            '(self.type == "Pods") == has(self.pods)',
            "type Pods needs the block pods, other types must not have it",
        ),
        Rule(
            '(self.type == "Object") == has(self.object)',
            "type Object needs the block object, other types must not have it",
        ),
        Rule(
            'self.type == "External" || !has(self.external)', "only type External can have the block external"
        ),
    )

    type: TargetType
    pods: PodsTarget | None = None
    object: ObjectTarget | None = None
    external: ExternalTarget | None = None


class ThresholdOperator(StrEnum):
    """Comparison of the metric (left) with the threshold (right)."""

    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="


class Threshold(Model):
    """What the value must satisfy."""

    operator: ThresholdOperator
    value: Quantity


class Reduce(StrEnum):
    """How the values of several series become one."""

    MAX = "Max"
    AVG = "Avg"
    SUM = "Sum"
    MIN = "Min"


class MetricCheck(Model):
    """A metric holds a threshold."""

    model_config = rules(
        Rule(
            'self.source != "Custom" || self.target.type != "External"',
            "source Custom does not serve External targets",
        ),
        Rule(
            'self.source != "External" || self.target.type != "Pods"',
            "source External does not serve Pods targets",
        ),
    )

    name: str = Field(min_length=1, max_length=63)
    metric_name: str = Field(min_length=1, max_length=256)
    source: MetricSource = MetricSource.CUSTOM
    target: MetricTarget
    threshold: Threshold
    reduce: Reduce = Reduce.MAX
    bake_seconds: int = Field(0, ge=0)
    interval_seconds: int = Field(15, ge=1)


class PreChecks(Model):
    """What must hold before a run starts."""

    min_pod_versions: tuple[MinPodVersion, ...] = Field((), max_length=_MAX_CHECKS)
    metrics: tuple[MetricCheck, ...] = Field((), max_length=_MAX_CHECKS, json_schema_extra=list_map("name"))


class PostChecks(Model):
    """What must hold after a run."""

    metrics: tuple[MetricCheck, ...] = Field((), max_length=_MAX_CHECKS, json_schema_extra=list_map("name"))


class Checks(Model):
    """Checks before and after a run."""

    pre: PreChecks = PreChecks()
    post: PostChecks = PostChecks()
