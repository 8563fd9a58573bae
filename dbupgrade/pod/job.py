"""The Job of a run: a pure function of the resource, its intent and the operator's settings.

Contract, section 3.5. The pod passes Pod Security "restricted"; user input is data only.
"""

from dataclasses import dataclass
from typing import Any

from dbupgrade.api import names
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.database import Connection, Dialect, UrlSecretRef
from dbupgrade.api.spec.migrations import Delivery, Engine, KeyReference, Variable
from dbupgrade.api.spec.policy import LintMode
from dbupgrade.api.spec.runner import Runner
from dbupgrade.api.status import Run
from dbupgrade.pod.connection import libpq
from dbupgrade.pod.connection import parts as connection
from dbupgrade.pod.connection.parts import escape
from dbupgrade.pod.context import Owner
from dbupgrade.pod.engines import psql
from dbupgrade.pod.identities import aws as iam
from dbupgrade.pod.report import TEMPLATE
from dbupgrade.pod.steps import fetch

Object = dict[str, Any]

MIGRATIONS_PATH = "/migrations"
CONFIG_PATH = "/etc/dbupgrade"
CONFIG_FILE = "atlas.hcl"
LOCK_TIMEOUT = "10s"
TERMINATION_LOG = "/dev/termination-log"

_WORK_SIZE = "512Mi"
_TEMPORARY_SIZE = "64Mi"
_HOME = {"name": "HOME", "value": "/tmp"}  # noqa: S108 - an emptyDir of the pod's own
_TEMPORARY = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108
_COMMAND_TEMPORARY_SIZE = "512Mi"  # caches of package managers, for example


@dataclass(frozen=True)
class JobSettings:
    """What the operator's settings say about Jobs."""

    crane_image: str
    atlas_image: str
    psql_image: str
    toolkit_image: str
    insecure_registries: bool = False
    aws_authority: bool = False
    """The Secret with a token holds the certificates by which to know an AWS database."""


def job(resource: Owner, run: Run, settings: JobSettings) -> Object:
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
            "backoffLimit": spec.runner.backoff_limit,
            "activeDeadlineSeconds": spec.runner.active_deadline_seconds,
            # A replacement only when the pod before it has ended: never two that are alive.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _failure_rules(spec.runner)},
            "template": _pod(resource, spec, run, settings),
        },
    }


def owner_reference(resource: Owner) -> Object:
    """What makes an object go with the resource."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": resource.name,
        "uid": resource.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _failure_rules(runner: Runner) -> list[Object]:
    """A disruption is no failure. What the Job may try again are failures to connect, and nothing else."""
    disruption = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    others = {"operator": "NotIn", "values": [libpq.UNREACHABLE_EXIT_CODE]}
    return (
        [disruption, {"action": "FailJob", "onExitCodes": others}] if runner.backoff_limit else [disruption]
    )


def _labels(resource: Owner, run: Run) -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "dbupgrade",
        names.LABEL_UID: resource.uid,
        names.LABEL_DATABASE: run.database,
    }


def _annotations(resource: Owner, run: Run) -> dict[str, str]:
    return {
        names.ANNOTATION_RUN_ID: run.run_id,
        names.ANNOTATION_SEQUENCE: str(run.sequence),
        names.ANNOTATION_RESOURCE: resource.name,
    }


def _pod(resource: Owner, spec: Spec, run: Run, settings: JobSettings) -> Object:
    runner, url = spec.runner, _url_reference(spec, run)
    fetched = spec.migrations.engine is not Engine.COMMAND and spec.migrations.delivery is Delivery.EXTRACT
    verify = settings.aws_authority and run.token_secret is not None
    pull_secrets = _pull_secrets(spec)
    labels = {**runner.pod_labels, "sidecar.istio.io/inject": "false", **_labels(resource, run)}
    annotations = {
        **runner.pod_annotations,
        "sidecar.istio.io/inject": "false",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
        **_atlas_config(spec, url),
        **_annotations(resource, run),
    }
    pod: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": runner.run_as_user,
            "runAsGroup": runner.run_as_group,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [
            *([_fetch(spec, settings, pull_secrets)] if fetched else ()),
            *(
                [_trusting(_wait(spec, url, settings), spec, verify=verify)]
                if runner.wait_for_database_seconds
                else ()
            ),
            *(
                [_trusting(_lint(spec, run, url, settings), spec, verify=verify)]
                if spec.policy.lint is not LintMode.OFF
                else ()
            ),
        ],
        "containers": [
            _trusting(_ENGINES[spec.migrations.engine](spec, run, url, settings), spec, verify=verify)
        ],
        "volumes": [*_volumes(spec, pull_secrets), *_authority(spec, run, verify=verify)],
        "imagePullSecrets": [{"name": name} for name in pull_secrets],
        "serviceAccountName": runner.service_account_name,
        "nodeSelector": runner.node_selector,
        "tolerations": [t.model_dump(by_alias=True, exclude_none=True) for t in runner.tolerations],
        "affinity": runner.affinity,
        "priorityClassName": runner.priority_class_name,
    }
    given = {key: value for key, value in pod.items() if value not in (None, [], {})}
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": given}


def _url_reference(spec: Spec, run: Run) -> UrlSecretRef | None:
    """Where the database URL is: in the user's Secret, or beside the run's token; None with a connection in parts."""
    if run.token_secret:
        return UrlSecretRef(name=run.token_secret, key=iam.KEY_URL)
    if spec.database.connection is None:
        raise ValueError("a run needs a connection")
    return spec.database.connection.url_secret_ref


def _atlas_config(spec: Spec, url: UrlSecretRef | None) -> dict[str, str]:
    if spec.migrations.engine is not Engine.ATLAS:
        return {}
    return {names.ANNOTATION_ATLAS_CONFIG: connection.atlas_config(None if url else spec.database.connection)}


def _pull_secrets(spec: Spec) -> list[str]:
    """Names without repetition, in the user's order: the migrations' own first."""
    references = (*spec.migrations.image_pull_secrets, *spec.runner.image_pull_secrets)
    return list(dict.fromkeys(reference.name for reference in references))


def _fetch(spec: Spec, settings: JobSettings, pull_secrets: list[str]) -> Object:
    mounts = [{"name": "work", "mountPath": fetch.WORK_PATH}, _TEMPORARY]
    if pull_secrets:
        mounts.append({"name": "pull-secrets", "mountPath": fetch.PULL_SECRETS_PATH})
    return {
        "name": names.CONTAINER_FETCH,
        "image": settings.crane_image,
        "command": ["sh", "-c", escape(fetch.SCRIPT)],
        "env": [
            {"name": "IMAGE", "value": escape(spec.migrations.image)},
            {"name": "FOLDER", "value": escape(_folder(spec))},
            {"name": "INSECURE", "value": "true" if settings.insecure_registries else "false"},
            _HOME,
        ],
        "volumeMounts": mounts,
        **_container_defaults(spec),
    }


def _wait(spec: Spec, url: UrlSecretRef | None, settings: JobSettings) -> Object:
    seconds = str(spec.runner.wait_for_database_seconds)
    return {
        "name": names.CONTAINER_WAIT,
        "image": settings.psql_image,
        "command": ["sh", "-c", escape(libpq.WAIT)],
        "env": [
            *connection.server(spec.database.connection, url),
            {"name": "WAIT_SECONDS", "value": seconds},
            _HOME,
        ],
        "volumeMounts": [_TEMPORARY],
        **_container_defaults(spec),
    }


def _lint(spec: Spec, run: Run, url: UrlSecretRef | None, settings: JobSettings) -> Object:
    """Looks at the files that Atlas is about to apply, with the connection and the history that Atlas has."""
    arguments = ["migrate", "lint", "--pending", "--policy", spec.policy.lint, "--report", TERMINATION_LOG]
    given = {
        "MIGRATION_DIR": MIGRATIONS_PATH,
        "MIGRATE_BASELINE_VERSION": spec.migrations.baseline if run.adopts else None,
        "MIGRATE_LOCK_TIMEOUT": "0",  # no setting of the session's that a pooler would refuse
    }
    values = [{"name": name, "value": escape(value)} for name, value in given.items() if value]
    return {
        "name": names.CONTAINER_LINT,
        "image": settings.toolkit_image,
        "args": [escape(argument) for argument in arguments],
        "env": [*connection.toolkit(spec.database.connection, url), *values, _HOME],
        "volumeMounts": [_migrations(spec), _TEMPORARY],
        **_container_defaults(spec),
    }


def _trusting(container: Object, spec: Spec, *, verify: bool) -> Object:
    """`container` with the certificates that its URL names.

    Atlas's URL for MySQL has no parameter for them: there they stand in the place of those of the image, of which Go
    reads a file and a folder. A command may need these for other servers.
    """
    if not verify:
        return container if spec.database.uses_aws else _knowing(container, spec.database.connection)
    mount = {"name": "authority", "mountPath": iam.AUTHORITY_PATH, "readOnly": True}
    aws, engine = spec.database.aws, spec.migrations.engine
    unnamed = engine is Engine.ATLAS and aws is not None and aws.dialect is Dialect.MYSQL
    authority = [
        {"name": "SSL_CERT_FILE", "value": f"{iam.AUTHORITY_PATH}/{iam.KEY_AUTHORITY}"},
        {"name": "SSL_CERT_DIR", "value": iam.AUTHORITY_PATH},
    ]
    return {
        **container,
        "env": [*container["env"], *(authority if unnamed else ())],
        "volumeMounts": [*container["volumeMounts"], mount],
    }


def _knowing(container: Object, given: Connection | None) -> Object:
    """`container` with the certificates of a connection in parts, if there are any."""
    if given is None or given.ca_secret_ref is None or container["name"] == names.CONTAINER_WAIT:
        return container
    mount = {"name": "authority", "mountPath": connection.AUTHORITY_PATH, "readOnly": True}
    return {**container, "volumeMounts": [*container["volumeMounts"], mount]}


def _atlas(spec: Spec, run: Run, url: UrlSecretRef | None, settings: JobSettings) -> Object:
    arguments = ["migrate", "apply", "--config", f"file://{CONFIG_PATH}/{CONFIG_FILE}", "--env", "run"]
    arguments += ["--dir", f"file://{MIGRATIONS_PATH}", "--lock-timeout", LOCK_TIMEOUT]
    arguments += ["--format", TEMPLATE]
    # Atlas would pass the baselined files over in a new database, too.
    if spec.migrations.baseline and run.adopts:
        arguments += ["--baseline", spec.migrations.baseline]
    return {
        "name": names.CONTAINER_MIGRATE,
        "image": settings.atlas_image,
        "args": [escape(argument) for argument in arguments],
        "env": [*connection.variables(spec.database.connection, url, Engine.ATLAS), _HOME],
        "volumeMounts": [
            _migrations(spec),
            {"name": "config", "mountPath": CONFIG_PATH, "readOnly": True},
            _TEMPORARY,
        ],
        **_container_defaults(spec),
    }


def _psql(spec: Spec, run: Run, url: UrlSecretRef | None, settings: JobSettings) -> Object:
    del run
    given = {"MIGRATIONS": MIGRATIONS_PATH, "BASELINE": spec.migrations.baseline}
    values = [{"name": name, "value": escape(value)} for name, value in given.items() if value]
    return {
        "name": names.CONTAINER_MIGRATE,
        "image": settings.psql_image,
        "command": ["sh", "-c", escape(psql.SCRIPT)],
        "env": [*connection.variables(spec.database.connection, url, Engine.PSQL), *values, _HOME],
        "volumeMounts": [_migrations(spec), _TEMPORARY],
        **_container_defaults(spec),
    }


def _command(spec: Spec, run: Run, url: UrlSecretRef | None, settings: JobSettings) -> Object:
    del run, settings
    migrations = spec.migrations
    words = {"command": migrations.command, "args": migrations.args}
    return {
        "name": names.CONTAINER_MIGRATE,
        "image": migrations.image,
        **{name: [escape(word) for word in given] for name, given in words.items() if given},
        # The user's HOME wins over ours, since the last of one name does.
        "env": [
            _HOME,
            *connection.variables(spec.database.connection, url, Engine.COMMAND),
            *map(_variable, migrations.env),
        ],
        "volumeMounts": [_TEMPORARY],
        **_container_defaults(spec),
    }


_ENGINES = {Engine.ATLAS: _atlas, Engine.PSQL: _psql, Engine.COMMAND: _command}


def _variable(variable: Variable) -> Object:
    source = variable.value_from
    if source is None:
        return {"name": variable.name, "value": escape(variable.value or "")}
    known = {"secretKeyRef": source.secret_key_ref, "configMapKeyRef": source.config_map_key_ref}
    return {"name": variable.name, "valueFrom": {kind: _key(ref) for kind, ref in known.items() if ref}}


def _key(reference: KeyReference) -> dict[str, str]:
    return {"name": reference.name, "key": reference.key}


def _migrations(spec: Spec) -> Object:
    """The folder, wherever it was put."""
    folder = _folder(spec).lstrip("/")
    path = f"{fetch.FILES}/{folder}" if spec.migrations.delivery is Delivery.EXTRACT else folder
    return {"name": "work", "subPath": path, "mountPath": MIGRATIONS_PATH, "readOnly": True}


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


def _volumes(spec: Spec, pull_secrets: list[str]) -> list[Object]:
    engine, extract = spec.migrations.engine, spec.migrations.delivery is Delivery.EXTRACT
    if engine is Engine.COMMAND:
        return [{"name": "tmp", "emptyDir": {"sizeLimit": _COMMAND_TEMPORARY_SIZE}}]
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
    ]
    if engine is Engine.ATLAS:
        volumes.append({"name": "config", "downwardAPI": {"items": [config]}})
    if extract and pull_secrets:
        sources = [_pull_secret(index, name) for index, name in enumerate(pull_secrets)]
        volumes.append({"name": "pull-secrets", "projected": {"sources": sources}})
    return volumes


def _authority(spec: Spec, run: Run, *, verify: bool) -> list[Object]:
    """The certificates alone, not what is beside them."""
    given = (
        None if run.token_secret or not spec.database.connection else spec.database.connection.ca_secret_ref
    )
    if verify:
        secret, key, file = run.token_secret, iam.KEY_AUTHORITY, iam.KEY_AUTHORITY
    elif given:
        secret, key, file = given.name, given.key, connection.AUTHORITY_FILE
    else:
        return []
    return [{"name": "authority", "secret": {"secretName": secret, "items": [{"key": key, "path": file}]}}]


def _pull_secret(index: int, name: str) -> Object:
    """The Secret as a Docker configuration folder; a missing one is passed over, as the kubelet does."""
    item = {"key": ".dockerconfigjson", "path": f"{index:03d}/config.json"}
    return {"secret": {"name": name, "optional": True, "items": [item]}}


def _folder(spec: Spec) -> str:
    return spec.migrations.dir.rstrip("/")
