"""The Job of a run: a pure function of the resource, its intent and the operator's settings.

Contract, section 3.5. The pod passes Pod Security "restricted"; user input is data only.
"""

from dataclasses import replace

from dbupgrade.api import names
from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.database import Connection, UrlSecretRef
from dbupgrade.objects import Object
from dbupgrade.pod import identities
from dbupgrade.pod.connection.access import Access, Authority
from dbupgrade.pod.container import UNREACHABLE_EXIT_CODE
from dbupgrade.pod.context import Context, JobSettings, Owner
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.engines import ENGINES
from dbupgrade.pod.identity import KEY_URL
from dbupgrade.pod.step import Step
from dbupgrade.pod.steps import STEPS

# Where a container sees the certificates of spec.database.connection.caSecretRef.
AUTHORITY_PATH, AUTHORITY_FILE = "/etc/dbupgrade-ca", "ca.crt"

_LEFT_BEHIND_SECONDS = 600  # of a Job that nobody has removed


def job(owner: Owner, run: Run, settings: JobSettings) -> Object:
    """The Job object for `run`. Raises ValueError for a resource that must never have come this far."""
    return _job(
        _context(owner, run, settings), {"name": run.job_name, "ownerReferences": [owner_reference(owner)]}
    )


def planning_job(owner: Owner, run: Run, settings: JobSettings) -> Object:
    """A Job of a person's that makes the plan of a run and applies nothing: nothing on it is the operator's. Raises ValueError as `job`."""
    context = replace(_context(owner, run, settings), plans=True)
    rendered = _job(context, {"generateName": f"{run.job_name}-"})
    rendered["spec"]["ttlSecondsAfterFinished"] = _LEFT_BEHIND_SECONDS
    return rendered


def _context(owner: Owner, run: Run, settings: JobSettings) -> Context:
    spec = owner.spec
    if spec is None or not (spec.database.connection or run.token_secret):
        raise ValueError("a run needs a valid spec with a connection or a token")
    return Context(owner, spec, run, settings, _access(spec, run, settings), schemes(spec))


def _job(context: Context, named: Object) -> Object:
    owner, spec = context.owner, context.spec
    metadata = {
        **named,
        "namespace": owner.namespace,
        "labels": _labels(context),
        "annotations": _annotations(context),
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
            "podFailurePolicy": {"rules": _failure_rules(context)},
            "template": _template(context),
        },
    }


def engine(spec: Spec) -> MigrationEngine:
    """What applies the migrations of a pod of this spec."""
    return ENGINES[spec.migrations.engine]


def steps(context: Context) -> list[Step]:
    """What a pod does before it migrates, in order."""
    return [step for step in STEPS.values() if step.wanted(context, engine(context.spec))]


def schemes(spec: Spec) -> tuple[str, ...]:
    """How a database URL may begin for all that runs in a pod of this spec."""
    return engine(spec).schemes


def owner_reference(owner: Owner) -> Object:
    """What makes an object go with the resource."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _failure_rules(context: Context) -> list[Object]:
    """A disruption is no failure. What the Job may try again are failures to connect, and nothing else.

    Each container is named: how a sidecar ends, of ours or of somebody else, says nothing about the run.
    """
    disruption: Object = {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    if not context.spec.runner.backoff_limit:
        return [disruption]
    others = {"operator": "NotIn", "values": [UNREACHABLE_EXIT_CODE]}
    ours = [*(step.name for step in steps(context) if not step.beside), names.CONTAINER_MIGRATE]
    return [
        disruption,
        *({"action": "FailJob", "onExitCodes": {"containerName": name, **others}} for name in ours),
    ]


def _labels(context: Context) -> dict[str, str]:
    if context.plans:
        return {"app.kubernetes.io/managed-by": "kubectl-dbupgrade"}
    return {
        "app.kubernetes.io/managed-by": "dbupgrade",
        names.LABEL_UID: context.owner.uid,
        names.LABEL_DATABASE: context.run.database,
    }


def _annotations(context: Context) -> dict[str, str]:
    if context.plans:
        return {}
    return {
        names.ANNOTATION_RUN_ID: context.run.run_id,
        names.ANNOTATION_SEQUENCE: str(context.run.sequence),
        names.ANNOTATION_RESOURCE: context.owner.name,
    }


def _access(spec: Spec, run: Run, settings: JobSettings) -> Access:
    """A URL in the user's Secret or beside the run's token, or a connection in parts."""
    if run.token_secret:
        identity = identities.of(spec.database)
        if identity is None:
            raise ValueError("a run with a token needs an identity")
        return Access(
            url=UrlSecretRef(name=run.token_secret, key=KEY_URL),
            authority=identity.authority(run.token_secret) if settings.verifies_cloud_databases else None,
            dialect=identity.dialect(spec.database),
        )
    given = spec.database.connection
    if given is None:
        raise ValueError("a run needs a connection")
    if given.url_secret_ref:
        return Access(url=given.url_secret_ref)
    return Access(parts=given, authority=_authority(given, settings))


def _authority(given: Connection, settings: JobSettings) -> Authority | None:
    secret, optional = given.ca_secret_ref, not settings.reads_secrets
    if secret is None:
        return None
    return Authority(secret.name, secret.key, AUTHORITY_PATH, AUTHORITY_FILE, optional)


def _template(context: Context) -> Object:
    runner = context.spec.runner
    labels = {**runner.pod_labels, "sidecar.istio.io/inject": "false", **_labels(context)}
    annotations = {
        **runner.pod_annotations,
        "sidecar.istio.io/inject": "false",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
        **_annotations(context),
    }
    given = {key: value for key, value in _pod(context).items() if value not in (None, [], {})}
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": given}


def _pod(context: Context) -> Object:
    runner, before, migrating = context.spec.runner, steps(context), engine(context.spec)
    volumes = [*migrating.volumes(context), *(volume for step in before for volume in step.volumes(context))]
    authority = context.access.authority
    return {
        "restartPolicy": "Never",
        # Nobody sets it, so that the pod is never ready, and no endpoint of a Service whose selector fits its labels.
        "readinessGates": [{"conditionType": names.CONDITION_SERVES}],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": runner.run_as_user,
            "runAsGroup": runner.run_as_group,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [step.container(context) for step in before],
        "containers": [migrating.container(context)],
        "volumes": [*volumes, authority.volume] if authority else volumes,
        "imagePullSecrets": [{"name": name} for name in context.pull_secrets],
        "serviceAccountName": runner.service_account_name,
        "nodeSelector": runner.node_selector,
        "tolerations": [t.model_dump(by_alias=True, exclude_none=True) for t in runner.tolerations],
        "affinity": runner.affinity,
        "priorityClassName": runner.priority_class_name,
    }
