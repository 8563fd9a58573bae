"""What a pod of a run may claim: annotations, labels and priority classes that other controllers act on.

Some annotations and labels ask a cluster's webhooks and agents for more than metadata: another security profile, a cloud
identity, a secret, a network. They are refused, unless the operator's settings allow them by a prefix. No list of such names is
complete; a cluster that has others denies them with a policy of its own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dbupgrade.api.spec import Spec
from dbupgrade.decide.validation import Problem

_NODE = (
    "apparmor.security.beta.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
    "v1.cni.cncf.io/",
    "cni.projectcalico.org/",
    "io.kubernetes.cri",
    "io.katacontainers",
)
"""Security profiles, networks and settings of the container runtime."""
_IDENTITIES = (
    "eks.amazonaws.com/",
    "iam.amazonaws.com/",
    "iam.gke.io/",
    "cloud.google.com/",
    "azure.workload.identity/",
    "aadpodidbinding",
    "spiffe.io/",
)
_SECRETS = (
    "vault.hashicorp.com/",
    "vault.security.banzaicloud.io/",
    "secrets-store.csi.x-k8s.io/",
    "conjur.org/",
    "secrets.infisical.com/",
    "operator.1password.io/",
)
_INJECTORS = (
    "istio.io/",
    "linkerd.io/",
    "consul.hashicorp.com/",
    "kuma.io/",
    "dapr.io/",
    "opentelemetry.io/",
    "admission.datadoghq.com/",
)
REFUSED = (*_NODE, *_IDENTITIES, *_SECRETS, *_INJECTORS)
"""Also matched as the end of a longer domain, such as sidecar.istio.io/."""
_REFUSED_CLASSES = "system-"
ANY = "*"


@dataclass(frozen=True)
class Platform:
    """Prefixes that the operator's settings allow though they are refused by default; `*` allows all."""

    annotations: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    priority_classes: tuple[str, ...] = ()


def problems(spec: Spec, platform: Platform) -> Iterator[Problem]:
    """What the spec requests although the operator's settings do not allow it."""
    runner = spec.runner
    yield from _metadata(
        "spec.runner.podAnnotations", runner.pod_annotations, platform.annotations, "pods.allowedAnnotations"
    )
    yield from _metadata("spec.runner.podLabels", runner.pod_labels, platform.labels, "pods.allowedLabels")
    name = runner.priority_class_name or ""
    if name.startswith(_REFUSED_CLASSES) and not _allowed(name, platform.priority_classes):
        yield Problem(
            "spec.runner.priorityClassName",
            f"must not be {name}: the operator's setting pods.allowedPriorityClasses does not allow it",
        )


def _metadata(path: str, keys: Iterable[str], allowed: tuple[str, ...], setting: str) -> Iterator[Problem]:
    for key in keys:
        if _refused(key) and not _allowed(key, allowed):
            yield Problem(
                path,
                f"must not have {key}: other controllers act on it, and the operator's setting {setting} does not allow it",
            )


def _refused(key: str) -> bool:
    key = key.lower()
    return any(key.startswith(prefix) or f".{prefix}" in key for prefix in REFUSED)


def _allowed(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(prefix == ANY or name.startswith(prefix) for prefix in prefixes)
