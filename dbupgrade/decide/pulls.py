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
# How containerd, CRI-O and Docker report a registry's answer. Each contains a space, so that no name of an image matches.
_NOT_FOUND = (
    r"failed to resolve (?:reference|image)\b.*: not found\b",
    r"manifest unknown",
    r"name unknown",
    r"repository does not exist",
    r"repository name not known",
    r"manifest for \S+ not found",
)
_DENIED = (
    r"\b401 unauthorized",
    r"\b403 forbidden",
    r"unauthorized: ",
    r"\bdenied: ",
    r"authentication required",
    r"authorization failed",
    r"access to the resource is denied",
    r"invalid username/password",
)
_WRONG_PLATFORM = (
    r"no match for platform",
    r"no image found in (?:image index|manifest list)",
    r"no matching manifest for",
)
# A registry that is asked too often may refuse a login in the same breath.
_TOO_MANY = (r"too ?many ?requests", r"\b429\b", r"rate limit")
_NO_ANSWER = (r"\b5\d\d [a-z]", r"timeout", r"timed out", r"connection refused", r"no such host")
_ANSWERS = (
    (_TOO_MANY, "the registry's rate limit is exceeded"),
    (_NO_ANSWER, "the registry does not respond"),
    (_WRONG_PLATFORM, "the image is not available for the node's architecture"),
    (_NOT_FOUND, "the registry does not have this image"),
    (
        _DENIED,
        "the registry denied access: the repository may not exist, or the pull secrets do not grant access to it",
    ),
)
"""Words of the kubelet, and what they mean; the first that fit count."""
_INVALID = "InvalidImageName"
_FINAL_WORDS = re.compile("|".join((*_NOT_FOUND, *_DENIED, *_WRONG_PLATFORM)), re.IGNORECASE)
_PASSING_WORDS = re.compile("|".join((*_TOO_MANY, *_NO_ANSWER)), re.IGNORECASE)


def failing(views: Iterable[ContainerView]) -> list[ContainerView]:
    """The containers whose image cannot be pulled, now or ever."""
    return [view for view in views if view.waiting_reason in _PULL_REASONS]


def is_final(view: ContainerView) -> bool:
    """Whether waiting will not help: the name is invalid, or the registry does not have the image or refuses the login."""
    if view.waiting_reason == _INVALID:
        return True
    said = view.waiting_message
    return bool(_FINAL_WORDS.search(said)) and not _PASSING_WORDS.search(said)


def words(view: ContainerView, mounted: str = "") -> str:
    """Which image cannot be pulled, and what the registry said; `mounted` is an image that is a volume of the container.

    The kubelet reports both as the container's, and does not always name the image.
    """
    images = [image for image in (mounted, view.image) if image]
    image = next((one for one in images if one in view.waiting_message), " or ".join(images))
    if view.waiting_reason == _INVALID:
        why = ": the image name is not valid"
    else:
        said = view.waiting_message
        answers = (told for known, told in _ANSWERS if re.search("|".join(known), said, re.IGNORECASE))
        why = "".join(f": {told}" for told in [next(answers, "")] if told)
    return f"image {image} of container {view.name} cannot be pulled{why}"
