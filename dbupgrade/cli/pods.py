"""What the pods of a run say: pure functions of the objects."""

from dbupgrade.api import names
from dbupgrade.objects import Object
from dbupgrade.pod.steps import STEPS

_ON_THE_WAY = {None, "PodInitializing", "ContainerCreating"}
_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_LENGTH = 400


def phase(pod: Object) -> str:
    """What a pod does; the reason why a container waits says more than `Pending`."""
    for container in _containers(pod):
        if (reason := _waiting(container).get("reason")) not in _ON_THE_WAY:
            return str(reason)
    return str((pod.get("status") or {}).get("phase", "Unknown"))


def problem(pod: Object) -> str | None:
    """Why a pod does not start, in the words of kubelet and scheduler; None when nothing is wrong."""
    for container in _containers(pod):
        waiting = _waiting(container)
        reason, said = waiting.get("reason"), _cut(waiting.get("message"))
        if reason in _PULL:
            images = [
                f"image {container.get('image')} of container {container['name']}",
                *_image_volumes(pod),
            ]
            return f"The pod cannot start: {' or '.join(images)} cannot be pulled: {said or reason}"
        if reason not in _ON_THE_WAY:
            return (
                f"The pod cannot start: container {container['name']}: {reason}{f': {said}' if said else ''}"
            )
    for condition in (pod.get("status") or {}).get("conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"The pod cannot be scheduled: {_cut(condition.get('message')) or condition.get('reason')}"
    return None


def containers(pod: Object) -> list[str]:
    """The names of a pod's containers, in the order in which they start."""
    spec = pod.get("spec") or {}
    return [each["name"] for kind in ("initContainers", "containers") for each in spec.get(kind, ())]


def has_started(pod: Object, name: str) -> bool:
    """Whether the container has a log."""
    states = [one.get("state") or {} for one in _containers(pod) if one["name"] == name]
    return any("running" in state or "terminated" in state for state in states)


def has_ended(pod: Object) -> bool:
    """Whether no container will run any more."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def talkative(pod: Object) -> str:
    """The container whose log says more: `migrate`, or before it the one that failed, or else the one that started last.

    A sidecar goes on when `migrate` starts, so that one that has not failed is passed over.
    """
    before = (pod.get("status") or {}).get("initContainerStatuses")
    if has_started(pod, names.CONTAINER_MIGRATE) or not before:
        return names.CONTAINER_MIGRATE
    steps = [one["name"] for one in before if one["name"] not in STEPS or not STEPS[one["name"]].beside]
    failed = (one["name"] for one in before if _failed(one))
    started = (name for name in reversed(steps) if has_started(pod, name))
    return next(failed, None) or next(started, None) or str(next(iter(steps), names.CONTAINER_MIGRATE))


def _failed(container: Object) -> bool:
    ends = ((container.get(kind) or {}).get("terminated") or {} for kind in ("state", "lastState"))
    return any(end.get("exitCode") for end in ends)


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _image_volumes(pod: Object) -> list[str]:
    """Images that are mounted: the kubelet reports their failure as one of the container's image."""
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    return [
        f"image {volume['image'].get('reference')} of volume {volume['name']}"
        for volume in volumes
        if volume.get("image")
    ]


def _waiting(container: Object) -> Object:
    return (container.get("state") or {}).get("waiting") or {}


def _cut(text: object) -> str:
    return " ".join(str(text or "").split())[:_LENGTH]
