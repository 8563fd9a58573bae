"""What is wrong with the checks of a spec beyond their schema; the same rules for admission and for a run."""

from collections.abc import Callable, Iterator

from dbupgrade.api.spec.checks import Checks, MetricCheck, MinPodVersion
from dbupgrade.decide.metrics import parse_quantity, query
from dbupgrade.decide.selectors import selector_text
from dbupgrade.decide.versions import parse_version


def problems(checks: Checks) -> Iterator[tuple[str, str]]:
    """(path of the field below `spec.checks`, what is wrong with it) of everything that could not be evaluated.

    Admission denies a spec for each of them; where it did not, the resource is InvalidSpec.
    """
    for index, pods in enumerate(checks.pre.min_pod_versions):
        yield from _pod_problems(f"pre.minPodVersions[{index}]", pods)
    for phase, metrics in (("pre", checks.pre.metrics), ("post", checks.post.metrics)):
        for index, metric in enumerate(metrics):
            yield from _metric_problems(f"{phase}.metrics[{index}]", metric)


def _pod_problems(path: str, check: MinPodVersion) -> Iterator[tuple[str, str]]:
    yield from _refusal(f"{path}.selector", lambda: selector_text(check.selector))
    yield from _refusal(f"{path}.minVersion", lambda: parse_version(check.min_version))


def _metric_problems(path: str, check: MetricCheck) -> Iterator[tuple[str, str]]:
    yield from _refusal(f"{path}.target", lambda: query(check))
    yield from _refusal(f"{path}.threshold.value", lambda: parse_quantity(check.threshold.value))


def _refusal(path: str, look: Callable[[], object]) -> Iterator[tuple[str, str]]:
    try:
        look()
    except ValueError as error:
        yield path, str(error)
