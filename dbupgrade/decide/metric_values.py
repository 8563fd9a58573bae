"""Values of a metrics API: read exactly, made one, and compared with a threshold. Contract, section 5."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from fractions import Fraction

from dbupgrade.api.quantity import parse_quantity
from dbupgrade.api.spec.checks import (
    LabelSelector,
    MetricCheck,
    MetricSource,
    ObjectReference,
    Reduce,
    TargetType,
    Threshold,
    ThresholdOperator,
)
from dbupgrade.decide.selectors import selector_text

_SHOWN = Context(prec=12)


# --- what to ask -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """A query for a metrics API. Selectors are in the text form of a query; an empty one matches everything."""

    metric: str
    external: bool
    selector: str = ""
    """Of the pods, or of the external metric's labels."""
    reference: ObjectReference | None = None
    """The object that the metric describes; None for pods and external metrics."""
    metric_selector: str = ""
    """Of the labels of an object's series."""

    @property
    def words(self) -> str:
        """The query in words, for messages."""
        if self.external:
            return f"external metric {self.metric}" + (f" with {self.selector}" if self.selector else "")
        if self.reference is None:
            return f"metric {self.metric} of " + (f"pods {self.selector}" if self.selector else "all pods")
        series = f" with {self.metric_selector}" if self.metric_selector else ""
        return f"metric {self.metric} of {self.reference.kind} {self.reference.name}{series}"


def query(check: MetricCheck) -> Query:
    """What `check`, which the rules let pass, asks for.

    An external metric with an Object target, which manifests for the Go operator have, is picked by that target's selector.
    """
    target, external = check.target, check.source is MetricSource.EXTERNAL
    match target.type:
        case TargetType.PODS if target.pods:
            return Query(check.metric_name, external=False, selector=selector_text(target.pods.selector))
        case TargetType.OBJECT if target.object and not external:
            series = _selector(target.object.selector)
            return Query(
                check.metric_name, external=False, reference=target.object.ref, metric_selector=series
            )
        case TargetType.OBJECT if target.object:
            return Query(check.metric_name, external=True, selector=_selector(target.object.selector))
        case TargetType.EXTERNAL:
            series = _selector(target.external.selector if target.external else None)
            return Query(check.metric_name, external=True, selector=series)
    raise ValueError(f"{check.name}: a target of type {target.type} without its block was not stopped")


def _selector(selector: LabelSelector | None) -> str:
    return selector_text(selector) if selector else ""


# --- what the answer means ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """An answer of a metrics API: (series, value as text) of each series, or the problem that there was instead.

    `at` is when it came, in UTC and whole seconds.
    """

    at: datetime
    values: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Reading:
    """Whether a sample satisfies the threshold; the value for people, empty when there is none."""

    holds: bool
    value: str
    message: str


def read(check: MetricCheck, sample: Sample) -> Reading:
    """What `sample` means for `check`. A sample without a value never holds."""
    asked = query(check).words
    if sample.problem:
        return Reading(holds=False, value="", message=f"{asked}: {sample.problem}")
    if not sample.values:
        return Reading(holds=False, value="", message=f"{asked}: the metrics API has no such series")
    values = []
    for series, text in sample.values:
        try:
            values.append(parse_quantity(text))
        except ValueError:
            return Reading(
                holds=False,
                value="",
                message=f"{asked}: the value of {series} is {text[:40]!r}, which is not a number",
            )
    value = reduced(values, check.reduce)
    shown, count = show(value), len(values)
    several = f" ({check.reduce} of {count} series)" if count > 1 else ""
    wanted = f"{check.threshold.operator} {check.threshold.value}"
    return Reading(satisfies(value, check.threshold), shown, f"{asked} is {shown}{several}, wanted {wanted}")


def reduced(values: Sequence[Decimal], how: Reduce) -> Fraction:
    """The values, at least one, as a single exact number."""
    exact = [Fraction(value) for value in values]
    match how:
        case Reduce.MAX:
            return max(exact)
        case Reduce.MIN:
            return min(exact)
        case Reduce.SUM:
            return sum(exact, Fraction())
        case Reduce.AVG:
            return sum(exact, Fraction()) / len(exact)


_COMPARE: dict[ThresholdOperator, Callable[[Fraction, Fraction], bool]] = {
    ThresholdOperator.GREATER: operator.gt,
    ThresholdOperator.GREATER_OR_EQUAL: operator.ge,
    ThresholdOperator.LESS: operator.lt,
    ThresholdOperator.LESS_OR_EQUAL: operator.le,
}


def satisfies(value: Fraction, threshold: Threshold) -> bool:
    """Whether `value` satisfies the threshold. Raises ValueError if the threshold is not a quantity."""
    return _COMPARE[threshold.operator](value, Fraction(parse_quantity(threshold.value)))


def show(value: Fraction) -> str:
    """The value in at most twelve digits, for people."""
    decimal = _SHOWN.divide(Decimal(value.numerator), Decimal(value.denominator))
    return f"{decimal.normalize(_SHOWN):f}" if abs(decimal.adjusted()) < _SHOWN.prec else str(decimal)
