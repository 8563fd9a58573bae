"""The Job of a run: a pure function of the resource, its intent and the operator's settings.

Contract, section 3.5. The pod passes Pod Security "restricted"; user input is data only.
"""

from dataclasses import dataclass
from typing import Any

from dbupgrade.api import names
from dbupgrade.api.models import Delivery, Spec, UrlSecretRef
from dbupgrade.api.status import Run
from dbupgrade.decide import fetch, iam
from dbupgrade.decide.observed import Resource
from dbupgrade.decide.report import TEMPLATE

Object = dict[str, Any]

MIGRATIONS_PATH = "/migrations"
CONFIG_PATH = "/etc/dbupgrade"
CONFIG_FILE = "atlas.hcl"
URL_VARIABLE = "DATABASE_URL"
# The URL must not be an argument, which every process of the node could read: Atlas takes it from its environment.
ATLAS_CONFIG = f'env "run" {{\n  url = getenv("{URL_VARIABLE}")\n}}\n'
LOCK_TIMEOUT = "10s"

_USER = 65532  # the customary "nonroot"; numeric, so that the kubelet can tell that it is not root
_WORK_SIZE = "512Mi"
_TEMPORARY_SIZE = "64Mi"


@dataclass(frozen=True)
class JobSettings:
    """What the operator's settings say about Jobs."""

    crane_image: str
    atlas_image: str
    insecure_registries: bool = False
    aws_authority: bool = False
    """The Secret with a token holds the certificates by which to know an AWS database."""


def job(resource: Resource, run: Run, settings: JobSettings) -> Object:
    """The Job object for `run`. Raises ValueError for a resource that must never have come this far."""
    spec = resource.spec
    if spec is None or not (spec.database.connection or run.token_secret):
        raise ValueError("a run needs a valid spec with a connection or a token")
    metadata = {
        "name": run.job_name,
        "namespace": resource.namespace,
        "labels": _labels(resource, run),
        "annotations": _annotations(resource, run),
        "ownerReferences": [owner_reference(resource)],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": spec.runner.active_deadline_seconds,
            # A replacement only when the pod before it has ended: never two that are alive.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
                ]
            },
            "template": _pod(resource, spec, run, settings),
        },
    }


def owner_reference(resource: Resource) -> Object:
    """What makes an object go with the resource."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": resource.name,
        "uid": resource.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _labels(resource: Resource, run: Run) -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "dbupgrade",
        names.LABEL_UID: resource.uid,
        names.LABEL_DATABASE: run.database,
    }


def _annotations(resource: Resource, run: Run) -> dict[str, str]:
    return {
        names.ANNOTATION_RUN_ID: run.run_id,
        names.ANNOTATION_SEQUENCE: str(run.sequence),
        names.ANNOTATION_RESOURCE: resource.name,
    }


def _pod(resource: Resource, spec: Spec, run: Run, settings: JobSettings) -> Object:
    runner = spec.runner
    verify = settings.aws_authority and run.token_secret is not None
    extract = spec.migrations.delivery is Delivery.EXTRACT
    pull_secrets = _pull_secrets(spec)
    labels = {**runner.pod_labels, "sidecar.istio.io/inject": "false", **_labels(resource, run)}
    annotations = {
        **runner.pod_annotations,
        "sidecar.istio.io/inject": "false",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
        names.ANNOTATION_ATLAS_CONFIG: ATLAS_CONFIG,
        **_annotations(resource, run),
    }
    pod: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_fetch(spec, settings, pull_secrets)] if extract else [],
        "containers": [_migrate(spec, _url_reference(spec, run), settings, extract=extract, verify=verify)],
        "volumes": [*_volumes(spec, pull_secrets, extract=extract), *_authority(run, verify=verify)],
        "imagePullSecrets": [{"name": name} for name in pull_secrets],
        "serviceAccountName": runner.service_account_name,
        "nodeSelector": runner.node_selector,
        "tolerations": [t.model_dump(by_alias=True, exclude_none=True) for t in runner.tolerations],
        "affinity": runner.affinity,
        "priorityClassName": runner.priority_class_name,
    }
    given = {key: value for key, value in pod.items() if value not in (None, [], {})}
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": given}


def _url_reference(spec: Spec, run: Run) -> UrlSecretRef:
    """Where the database URL is: in the user's Secret, or beside the run's token."""
    if run.token_secret:
        return UrlSecretRef(name=run.token_secret, key=iam.KEY_URL)
    if spec.database.connection is None:
        raise ValueError("a run needs a connection")
    return spec.database.connection.url_secret_ref


def _pull_secrets(spec: Spec) -> list[str]:
    """Names without repetition, in the user's order: the migrations' own first."""
    references = (*spec.migrations.image_pull_secrets, *spec.runner.image_pull_secrets)
    return list(dict.fromkeys(reference.name for reference in references))


def _fetch(spec: Spec, settings: JobSettings, pull_secrets: list[str]) -> Object:
    mounts = [{"name": "work", "mountPath": fetch.WORK_PATH}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    if pull_secrets:
        mounts.append({"name": "pull-secrets", "mountPath": fetch.PULL_SECRETS_PATH})
    return {
        "name": names.CONTAINER_FETCH,
        "image": settings.crane_image,
        "command": ["sh", "-c", _escape(fetch.SCRIPT)],
        "env": [
            {"name": "IMAGE", "value": _escape(spec.migrations.image)},
            {"name": "FOLDER", "value": _escape(_folder(spec))},
            {"name": "INSECURE", "value": "true" if settings.insecure_registries else "false"},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
        ],
        "volumeMounts": mounts,
        **_container_defaults(spec),
    }


def _migrate(
    spec: Spec, reference: UrlSecretRef, settings: JobSettings, *, extract: bool, verify: bool
) -> Object:
    arguments = ["migrate", "apply", "--config", f"file://{CONFIG_PATH}/{CONFIG_FILE}", "--env", "run"]
    arguments += ["--dir", f"file://{MIGRATIONS_PATH}", "--lock-timeout", LOCK_TIMEOUT]
    arguments += ["--format", TEMPLATE]
    if spec.migrations.baseline:
        arguments += ["--baseline", spec.migrations.baseline]
    folder = _folder(spec).lstrip("/")
    source = (
        {"name": "work", "subPath": f"{fetch.FILES}/{folder}"}
        if extract
        else {"name": "work", "subPath": folder}
    )
    return {
        "name": names.CONTAINER_MIGRATE,
        "image": settings.atlas_image,
        "args": [_escape(argument) for argument in arguments],
        "env": [
            {
                "name": URL_VARIABLE,
                "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}},
            },
            {"name": "HOME", "value": "/tmp"},  # noqa: S108
            *(
                [{"name": "SSL_CERT_FILE", "value": f"{iam.AUTHORITY_PATH}/{iam.KEY_AUTHORITY}"}]
                if verify
                else ()
            ),
        ],
        "volumeMounts": [
            {**source, "mountPath": MIGRATIONS_PATH, "readOnly": True},
            {"name": "config", "mountPath": CONFIG_PATH, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            *([{"name": "authority", "mountPath": iam.AUTHORITY_PATH, "readOnly": True}] if verify else ()),
        ],
        **_container_defaults(spec),
    }


def _container_defaults(spec: Spec) -> Object:
    return {
        # The default policy, said aloud: the log of a failed run must not be copied into the pod's status.
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "resources": spec.runner.resources.model_dump(exclude_defaults=True),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _volumes(spec: Spec, pull_secrets: list[str], *, extract: bool) -> list[Object]:
    config = {
        "path": CONFIG_FILE,
        "fieldRef": {"fieldPath": f"metadata.annotations['{names.ANNOTATION_ATLAS_CONFIG}']"},
    }
    image = {"reference": spec.migrations.image, "pullPolicy": "IfNotPresent"}
    volumes: list[Object] = [
        {"name": "work", "emptyDir": {"sizeLimit": _WORK_SIZE}}
        if extract
        else {"name": "work", "image": image},
        {"name": "tmp", "emptyDir": {"sizeLimit": _TEMPORARY_SIZE}},
        {"name": "config", "downwardAPI": {"items": [config]}},
    ]
    if extract and pull_secrets:
        sources = [_pull_secret(index, name) for index, name in enumerate(pull_secrets)]
        volumes.append({"name": "pull-secrets", "projected": {"sources": sources}})
    return volumes


def _authority(run: Run, *, verify: bool) -> list[Object]:
    """The certificates alone, not the URL that is beside them."""
    item = {"key": iam.KEY_AUTHORITY, "path": iam.KEY_AUTHORITY}
    return (
        [{"name": "authority", "secret": {"secretName": run.token_secret, "items": [item]}}] if verify else []
    )


def _pull_secret(index: int, name: str) -> Object:
    """The Secret as a Docker configuration folder; a missing one is passed over, as the kubelet does."""
    item = {"key": ".dockerconfigjson", "path": f"{index:03d}/config.json"}
    return {"secret": {"name": name, "optional": True, "items": [item]}}


def _folder(spec: Spec) -> str:
    return spec.migrations.dir.rstrip("/")


def _escape(text: str) -> str:
    """`text` as it must stand in arguments and values, where Kubernetes expands `$(VAR)`."""
    return text.replace("$", "$$")
