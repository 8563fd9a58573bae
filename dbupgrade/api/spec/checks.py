"""spec.checks: what must hold before a run starts and after it has ended."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from dbupgrade.api.quantity import is_quantity
from dbupgrade.api.spec.base import Model, Pattern, Quantity, Rule, list_map

_MAX_CHECKS = _MAX_LABELS = 64  # the API server bounds what the rules on a list may cost

_LABEL_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
LABEL_KEY = Pattern(
    rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL_NAME}",
    "must be a label key, for example app.kubernetes.io/name",
    cel=False,
)
LABEL_VALUE = Pattern(rf"({_LABEL_NAME})?", "must be a label value, for example web", cel=False)
VERSION = Pattern(
    r"[vV]?(?P<major>[0-9]+)(\.(?P<minor>[0-9]+))?(\.(?P<patch>[0-9]+))?(\.[0-9]+)*"
    r"(-(?P<prerelease>[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*))?(\+(?P<build>[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*))?",
    "must be a version, for example 1.2.3, 1.2 or 1.2.3-rc.1",
)
"""A version as it is read leniently; see `decide.versions`."""


_API_VERSION = Pattern(
    r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[a-z0-9]+",
    "must be the API version of an object, for example apps/v1",
    cel=False,
)
_KIND = Pattern(r"[A-Za-z][A-Za-z0-9]*", "must be a kind, for example Deployment", cel=False)
_SEGMENT = Pattern(
    r"[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?", "must be the name of an object, for example web", cel=False
)


class LabelSelectorOperator(StrEnum):
    """Operators of a label selector requirement."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


_WITH_VALUES = (LabelSelectorOperator.IN, LabelSelectorOperator.NOT_IN)


class LabelSelectorRequirement(Model):
    """A requirement on a label."""

    RULES: ClassVar["tuple[Rule[LabelSelectorRequirement], ...]"] = (
        Rule(
            "values",
            "must have at least one item with operator In or NotIn, and none with Exists or DoesNotExist",
            '(self.operator in ["In", "NotIn"]) == (has(self.values) && size(self.values) > 0)',
            lambda requirement: (requirement.operator in _WITH_VALUES) == bool(requirement.values),
        ),
    )

    key: Annotated[str, Field(max_length=317), LABEL_KEY] = Field(description="Key of the label.")
    operator: LabelSelectorOperator = Field(
        description="How the label is compared with the values: In, NotIn, Exists or DoesNotExist."
    )
    values: tuple[Annotated[str, Field(max_length=63), LABEL_VALUE], ...] = Field(
        (),
        max_length=_MAX_LABELS,
        description="Values of the label. Required with In and NotIn, not allowed with Exists and DoesNotExist.",
    )


class LabelSelector(Model):
    """A label selector: all of matchLabels and matchExpressions must be satisfied. An empty one matches everything."""

    RULES: ClassVar["tuple[Rule[LabelSelector], ...]"] = (
        Rule(
            "matchLabels",
            "must contain valid label keys and values, for example app.kubernetes.io/name: web",
            None,  # a map without a limit, as in Kubernetes' own selectors, costs too much
            lambda selector: all(
                LABEL_KEY.matches(key) and LABEL_VALUE.matches(value)
                for key, value in selector.match_labels.items()
            ),
        ),
    )

    match_labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        {}, max_length=_MAX_LABELS, description="Labels that an object must have, with exactly these values."
    )
    match_expressions: tuple[LabelSelectorRequirement, ...] = Field(
        (), max_length=_MAX_LABELS, description="Requirements on labels, all of which must be satisfied."
    )


class MinPodVersion(Model):
    """A check that all matching pods run at least a minimum version."""

    selector: LabelSelector = Field(
        description="Selects the pods, in the namespace of the DBUpgrade. At least one pod must match."
    )
    min_version: Annotated[str, Field(min_length=1, max_length=256), VERSION] = Field(
        description="Minimum version in the tags of the pods' images, for example 1.2.3, 1.2 or 1.2.3-rc.1."
    )
    container_name: Annotated[str, Field(max_length=63)] | None = Field(
        None,
        description="Name of the container whose image is checked. By default, the images of all containers are checked.",
    )
    strict_mode: bool = Field(
        True,
        description="Whether a tag that is not a version makes the check fail. If false, such a pod is skipped. Defaults to true.",
    )
    disallow_downgrade: bool = Field(
        False,
        description="Whether the check fails for a pod with a lower version than the highest one with which it has passed before. Defaults to false.",
    )


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

    selector: LabelSelector = Field(
        description="Selects the pods, in the namespace of the DBUpgrade. The metric is read for each of them."
    )


class ObjectReference(Model):
    """An object that a metric describes."""

    api_version: Annotated[str, Field(max_length=317), _API_VERSION] = Field(
        description="API version of the object, for example apps/v1."
    )
    kind: Annotated[str, Field(max_length=63), _KIND] = Field(
        description="Kind of the object, for example Deployment."
    )
    name: Annotated[str, Field(max_length=253), _SEGMENT] = Field(
        description="Name of the object. It must be in the namespace of the DBUpgrade, or cluster-scoped."
    )


class ObjectTarget(Model):
    """One object, or the series that a selector picks."""

    ref: ObjectReference = Field(description="The object that the metric describes.")
    selector: LabelSelector | None = Field(
        None, description="Selects series of the metric by their labels. By default, all are read."
    )


class ExternalTarget(Model):
    """A metric from outside the cluster."""

    selector: LabelSelector | None = Field(
        None, description="Selects series of the metric by their labels. By default, all are read."
    )


class MetricTarget(Model):
    """What the metric describes, and which series are read."""

    RULES: ClassVar["tuple[Rule[MetricTarget], ...]"] = (
        Rule(
            "pods",
            "is required with type Pods, and must not be set with other types",
            '(self.type == "Pods") == has(self.pods)',
            lambda target: (target.type is TargetType.PODS) == (target.pods is not None),
        ),
        Rule(
            "object",
            "is required with type Object, and must not be set with other types",
            '(self.type == "Object") == has(self.object)',
            lambda target: (target.type is TargetType.OBJECT) == (target.object is not None),
        ),
        Rule(
            "external",
            "must not be set with types other than External",
            'self.type == "External" || !has(self.external)',
            lambda target: target.type is TargetType.EXTERNAL or target.external is None,
        ),
    )

    type: TargetType = Field(
        description="What the metric describes: Pods, Object or External. The details are in the field with the same name."
    )
    pods: PodsTarget | None = Field(
        None, description="Pods that the metric describes. Required with type Pods."
    )
    object: ObjectTarget | None = Field(
        None, description="Object that the metric describes. Required with type Object."
    )
    external: ExternalTarget | None = Field(
        None,
        description="Series of a metric from outside the cluster. Only with type External. By default, all series are read.",
    )


class ThresholdOperator(StrEnum):
    """Comparison of the metric (left) with the threshold (right)."""

    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="


class Threshold(Model):
    """Threshold that the value must satisfy."""

    RULES: ClassVar["tuple[Rule[Threshold], ...]"] = (
        Rule(
            "value",
            "must be a quantity, for example 5, 0.05, 250m or 1Gi, with an exponent of at most 100",
            None,  # the schema's pattern is that of Kubernetes, which lets more pass
            lambda threshold: is_quantity(threshold.value),
        ),
    )

    operator: ThresholdOperator = Field(
        description="How the value of the metric is compared with the threshold: >, >=, < or <=."
    )
    value: Quantity = Field(
        description="The threshold, a number or a Kubernetes quantity, for example 5, 0.05, 250m or 1Gi."
    )


class Reduce(StrEnum):
    """How the values of several series become one."""

    MAX = "Max"
    AVG = "Avg"
    SUM = "Sum"
    MIN = "Min"


class MetricCheck(Model):
    """A check that a metric satisfies a threshold."""

    RULES: ClassVar["tuple[Rule[MetricCheck], ...]"] = (
        Rule(
            "target.type",
            "must be Pods or Object with source Custom",
            'self.source != "Custom" || self.target.type != "External"',
            lambda check: (
                check.source is not MetricSource.CUSTOM or check.target.type is not TargetType.EXTERNAL
            ),
        ),
        Rule(
            "target.type",
            "must be External or Object with source External",
            'self.source != "External" || self.target.type != "Pods"',
            lambda check: (
                check.source is not MetricSource.EXTERNAL or check.target.type is not TargetType.PODS
            ),
        ),
    )

    name: str = Field(
        min_length=1, max_length=63, description="Name of the check, unique among the checks of its list."
    )
    metric_name: str = Field(
        min_length=1, max_length=256, description="Name of the metric in the metrics API."
    )
    source: MetricSource = Field(
        MetricSource.CUSTOM,
        description="Metrics API that is queried: Custom (custom.metrics.k8s.io) or External (external.metrics.k8s.io). "
        "Defaults to Custom.",
    )
    target: MetricTarget = Field(description="What the metric describes.")
    threshold: Threshold = Field(description="Threshold that the value of the metric must satisfy.")
    reduce: Reduce = Field(
        Reduce.MAX,
        description="How the values of several series are combined: Max, Avg, Sum or Min. Defaults to Max.",
    )
    bake_seconds: int = Field(
        0,
        ge=0,
        description="Before a run: seconds for which the threshold must be satisfied without interruption. After a run: seconds "
        "between the end of the Job and the first reading. Defaults to 0.",
    )
    interval_seconds: int = Field(
        15, ge=1, description="Seconds between two readings of the metric. Defaults to 15."
    )


class PreChecks(Model):
    """Checks that must hold before a run starts."""

    min_pod_versions: tuple[MinPodVersion, ...] = Field(
        (),
        max_length=_MAX_CHECKS,
        description="Minimum versions that the pods of applications must run before the migration starts.",
    )
    metrics: tuple[MetricCheck, ...] = Field(
        (),
        max_length=_MAX_CHECKS,
        description="Thresholds that metrics must satisfy.",
        json_schema_extra=list_map("name"),
    )


class PostChecks(Model):
    """Checks that must hold after a run."""

    metrics: tuple[MetricCheck, ...] = Field(
        (),
        max_length=_MAX_CHECKS,
        description="Thresholds that metrics must satisfy.",
        json_schema_extra=list_map("name"),
    )


class Checks(Model):
    """Checks before and after a run."""

    pre: PreChecks = Field(
        PreChecks(),
        description="Checks that must hold before a run starts. Until then, the run is held back.",
    )
    post: PostChecks = Field(
        PostChecks(),
        description="Checks that must hold after a run has succeeded. Until then, the DBUpgrade is not ready.",
    )
