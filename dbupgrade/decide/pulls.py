"""Whether an image that could not be pulled may be pulled by waiting, from the words of the kubelet. Contract, section 3.8."""

import re
from collections.abc import Iterable

from dbupgrade.pod.view import ContainerView

_PULL_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
}
# How containerd, CRI-O and Docker report a registry's final answer. Each contains a space, so that no name of an image matches.
_FINAL = (
    r"failed to resolve (?:reference|image)\b.*: not found\b",
    r"manifest unknown",
    r"name unknown",
    r"repository does not exist",
    r"repository name not known",
    r"manifest for \S+ not found",
    r"\b401 unauthorized",
    r"\b403 forbidden",
    r"unauthorized: ",
    r"\bdenied: ",
    r"authentication required",
    r"authorization failed",
    r"access to the resource is denied",
    r"invalid username/password",
)
# A registry that is asked too often may refuse a login in the same breath.
_MAY_PASS = (r"too ?many ?requests", r"\b429\b", r"rate limit", r"\b5\d\d [a-z]", r"timeout", r"timed out")
_FINAL_WORDS = re.compile("|".join(_FINAL), re.IGNORECASE)
_PASSING_WORDS = re.compile("|".join(_MAY_PASS), re.IGNORECASE)


def failing(views: Iterable[ContainerView]) -> list[ContainerView]:
    """The containers whose image cannot be pulled, now or ever."""
    return [view for view in views if view.waiting_reason in _PULL_REASONS]


def is_final(view: ContainerView) -> bool:
    """Whether waiting will not help: the name is invalid, or the registry does not have the image or refuses the login."""
    if view.waiting_reason == "InvalidImageName":
        return True
    said = view.waiting_message
    return bool(_FINAL_WORDS.search(said)) and not _PASSING_WORDS.search(said)
