"""The verdicts on pod versions, as the status keeps them. Contract, section 4."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dbupgrade.api.check_status import CheckKind, CheckPhase, CheckStatus, Verdict
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.checks import MinPodVersion
from dbupgrade.decide.observed import Observed, PodsSeen
from dbupgrade.decide.selectors import selector_text
from dbupgrade.decide.versions import PodVersions, check_pods

_MESSAGE_LENGTH = 1024


def selectors(spec: Spec) -> frozenset[str]:
    """The selectors, as text, of all pods that the checks are about."""
    return frozenset(selector_text(check.selector) for check in spec.checks.pre.min_pod_versions)


@dataclass(frozen=True)
class PodLook:
    """The result of one evaluation of the pods of a check.

    `status` is None if the pods were not listed yet. `highest` is the highest version of each container with which the
    check has let a run start, those of now included.
    """

    name: str
    status: CheckStatus | None
    highest: Mapping[str, str]


def look(observed: Observed, spec: Spec) -> list[PodLook]:
    """The verdict on each check in the spec's order.

    Checks with the same selector and container are one: `disallowDowngrade` remembers by these.
    """
    return [_look(observed, name, checks) for name, checks in _by_name(spec).items()]


def _by_name(spec: Spec) -> dict[str, list[MinPodVersion]]:
    checks: dict[str, list[MinPodVersion]] = {}
    for check in spec.checks.pre.min_pod_versions:
        container = f", container {check.container_name}" if check.container_name else ""
        checks.setdefault(_where(check) + container, []).append(check)
    return checks


def _where(check: MinPodVersion) -> str:
    return selector_text(check.selector) or "all pods"


def _seen(observed: Observed, check: MinPodVersion) -> PodsSeen | None:
    return observed.pods_seen.get(selector_text(check.selector))


def _versions(observed: Observed, name: str, check: MinPodVersion, seen: PodsSeen) -> PodVersions:
    if seen.problem:
        words = f"pods that match {_where(check)} cannot be listed: {seen.problem}"
        return PodVersions(holds=False, message=words)
    last = observed.last_check(CheckPhase.PRE, CheckKind.POD_VERSION, name)
    return check_pods(check, _where(check), seen.pods, last.highest if last else {})


def _look(observed: Observed, name: str, checks: list[MinPodVersion]) -> PodLook:
    seen = _seen(observed, checks[0])
    if seen is None:
        return PodLook(name, None, {})
    found = [_versions(observed, name, check, seen) for check in checks]
    return PodLook(name, _verdict(observed, name, found), found[0].highest)


def _verdict(observed: Observed, name: str, found: list[PodVersions]) -> CheckStatus:
    failing = [versions for versions in found if not versions.holds]
    last = observed.last_check(CheckPhase.PRE, CheckKind.POD_VERSION, name)
    verdict = Verdict.FAILS if failing else Verdict.HOLDS
    lowest = found[0].lowest
    status = CheckStatus(
        phase=CheckPhase.PRE,
        kind=CheckKind.POD_VERSION,
        name=name,
        verdict=verdict,
        last_value=str(lowest) if lowest else None,
        message="; ".join(versions.message for versions in failing or found[:1])[:_MESSAGE_LENGTH],
        since=last.since if last and last.verdict is verdict else observed.now,
        observed_at=last.observed_at if last else None,
        highest=last.highest if last else {},
    )
    # Looked at without end, and mostly nothing is new: then the status stays as it is.
    return status if status == last else replace(status, observed_at=observed.now)
