"""What the containers of a run's pod have in common."""

from dbupgrade.api.quantity import parse_quantity
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.runner import Resources
from dbupgrade.objects import Object

UNREACHABLE_EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: no connection was made and nothing was done, so the Job may try again."""
TERMINATION_LOG = "/dev/termination-log"
HOME = {"name": "HOME", "value": "/tmp"}  # noqa: S108 - an emptyDir of the pod's own
TEMPORARY = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108
_TEMPORARY_SIZE = "64Mi"
_LITTLE = {"cpu": "10m", "memory": "64Mi", "ephemeral-storage": "16Mi"}


def defaults(spec: Spec) -> Object:
    """The fields of a container that are the same in all of them."""
    return {
        # The default policy, written out: the log of a failed run must not be copied into the pod's status.
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "resources": spec.runner.resources.model_dump(exclude_defaults=True),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def resources_beside(given: Resources) -> Object:
    """The resources of a small container that runs beside the migration.

    It requests little, but specifies the same resources (CPU, memory, storage) as the user, because a quota may require them.
    """
    named = [name for name in _LITTLE if name in {*given.requests, *given.limits}]
    limits = {name: given.limits[name] for name in named if name in given.limits}
    requests = {name: _least(_LITTLE[name], given.requests.get(name), limits.get(name)) for name in named}
    return {kind: values for kind, values in (("requests", requests), ("limits", limits)) if values}


def _least(*quantities: int | str | None) -> int | str:
    return min((each for each in quantities if each is not None), key=parse_quantity)


def temporary_volume(size: str = _TEMPORARY_SIZE) -> Object:
    """Where HOME is and temporary files are, limited to `size`."""
    return {"name": "tmp", "emptyDir": {"sizeLimit": size}}


def values(given: dict[str, str | None]) -> list[Object]:
    """Environment variables with these values, without those that have none."""
    return [{"name": name, "value": escape(value)} for name, value in given.items() if value]


def escape(text: str) -> str:
    """`text` as it must stand in arguments and values, where Kubernetes expands `$(VAR)`."""
    return text.replace("$", "$$")
