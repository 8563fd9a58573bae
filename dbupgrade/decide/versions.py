"""Which versions pods run, read from their images' tags, and whether they are new enough. Contract, section 4."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from semver import Version

from dbupgrade.api.spec.checks import VERSION, MinPodVersion

_NAMED_PODS = 3  # in a message

_VERSION = re.compile(VERSION.expression)


def parse_version(text: str) -> Version:
    """The semantic version in `text`, read leniently: `v1.24` is 1.24.0, `15-alpine` 15.0.0-alpine, `1.2.3.4` 1.2.3.

    Raises ValueError with words for the user.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a version: write it as 1.2.3, 1.2 or 1.2.3-rc.1")
    major, minor, patch = (int(found[name] or 0) for name in ("major", "minor", "patch"))
    return Version(major, minor, patch, _without_zeros(found["prerelease"]), found["build"])


def _without_zeros(prerelease: str | None) -> str | None:
    """Numbers with leading zeros, which the standard forbids and dates have (`2.0-0412`), as plain numbers."""
    return prerelease and ".".join(str(int(p)) if p.isdecimal() else p for p in prerelease.split("."))


def image_tag(image: str) -> str:
    """The tag of an image reference; empty when it has none (`registry:5000/app`, or a digest alone)."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


@lru_cache(maxsize=4096)
def image_version(image: str) -> Version | None:
    """The version in the image's tag; None if the tag is not a version. In a tag `_` stands for the `+` of a version."""
    try:
        return parse_version(image_tag(image).replace("_", "+", 1))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class AppPod:
    """What a check needs of an application's pod. `images` holds (container, image), init containers too."""

    name: str
    counts: bool
    """Whether it is neither ended nor about to be."""
    images: tuple[tuple[str, str], ...]


def app_pod_from(obj: Mapping[str, Any]) -> AppPod:
    """The view of a Pod object."""
    metadata, spec = obj["metadata"], obj["spec"]
    ended = (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    containers = (*(spec.get("initContainers") or ()), *spec["containers"])
    return AppPod(
        name=metadata["name"],
        counts=not ended and "deletionTimestamp" not in metadata,
        images=tuple((container["name"], container.get("image", "")) for container in containers),
    )


@dataclass(frozen=True)
class PodVersions:
    """Whether all pods run at least the version, and why not.

    `lowest` is the lowest version seen. `highest` is what `disallowDowngrade` compares with once this check has let a run
    start: the highest version of each container, those before included.
    """

    holds: bool
    message: str
    lowest: Version | None = None
    highest: Mapping[str, str] = field(default_factory=dict)


def check_pods(
    check: MinPodVersion, where: str, pods: Iterable[AppPod], passed: Mapping[str, str]
) -> PodVersions:
    """The verdict on `pods`, which match the check's selector; `where` is the selector in words.

    `passed` is the highest version of each container with which the check let a run start before.
    """
    relevant = [pod for pod in pods if pod.counts]
    if not relevant:
        wanted = parse_version(check.min_version)
        return PodVersions(holds=False, message=f"no running pod matches {where}, wanted {wanted} or newer")
    groups = _by_image(check, relevant)
    review = _Review(check, passed, several=len({container for container, _ in groups}) > 1)
    for (container, image), names in groups.items():
        review.look_at(container, image, names)
    return review.verdict(where, len(relevant))


def _by_image(check: MinPodVersion, pods: list[AppPod]) -> dict[tuple[str, str], list[str]]:
    """The names of the pods that run each image in each container: few images, however many pods."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for pod in pods:
        for container, image in pod.images:
            if check.container_name in (None, "", container):
                groups[container, image].append(pod.name)
    return groups


class _Review:
    """What was found so far. Each finding is a pod's name with the version that is wrong."""

    def __init__(self, check: MinPodVersion, passed: Mapping[str, str], *, several: bool) -> None:
        self._check = check
        self._several = several  # containers, so that a finding must name its own
        self._minimum = parse_version(check.min_version)
        self._passed = {container: parse_version(version) for container, version in passed.items()}
        self._highest = dict(self._passed)
        self._versions: list[Version] = []
        self._below: dict[str, str] = {}
        self._lowered: dict[str, str] = {}
        self._unknown: dict[str, str] = {}

    def look_at(self, container: str, image: str, pods: list[str]) -> None:
        """Take in an image and the pods that run it in that container."""
        version = image_version(image)
        if version is None:
            tag = image_tag(image) or ("digest only" if "@" in image else "no tag")
            self._unknown.update((pod, self._word(container, tag)) for pod in pods)
            return
        self._versions.append(version)
        passed = self._passed.get(container, version)
        self._highest[container] = max(self._highest.get(container, version), version)
        if version < self._minimum:
            self._below.update((pod, self._word(container, str(version))) for pod in pods)
        elif self._check.disallow_downgrade and version < passed:
            self._lowered.update((pod, self._word(container, f"{version} after {passed}")) for pod in pods)

    def _word(self, container: str, text: str) -> str:
        return f"{container} {text}" if self._several else text

    def verdict(self, where: str, total: int) -> PodVersions:
        """The verdict on `total` pods."""
        found = [
            (f"below {self._minimum}", self._below),
            ("below the highest version that this check has passed with", self._lowered),
            ("whose image tag is not a version", self._unknown if self._check.strict_mode else {}),
        ]
        problems = [f"{len(pods)} of {total} pods {what}: {_named(pods)}" for what, pods in found if pods]
        if not (problems or self._versions):
            none = f": {_named(self._unknown)}" if self._unknown else ""
            problems = [f"no pod that matches {where} has an image tag that is a version{none}"]
        lowest = min(self._versions, default=None)
        message = (
            "; ".join(problems)
            or f"{total} {'pod runs' if total == 1 else 'pods run'} {self._minimum} or newer; the lowest is {lowest}"
        )
        highest = {container: str(version) for container, version in self._highest.items()}
        return PodVersions(not problems, message, lowest, highest)


def _named(pods: Mapping[str, str]) -> str:
    names = [f"{pod} ({text})" for pod, text in sorted(pods.items())[:_NAMED_PODS]]
    return ", ".join([*names, "…"] if len(pods) > _NAMED_PODS else names)
