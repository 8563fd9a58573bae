"""The container `migrate` where it is the runner, `dbupgrade migrate apply`: its variables, and how its end is read."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from enum import StrEnum

from dbupgrade.api import names
from dbupgrade.api.failure import Failure
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.database import Dialect
from dbupgrade.api.spec.migrations import Delivery, Engine, ExecOrder
from dbupgrade.api.spec.policy import Approval, LintMode
from dbupgrade.objects import Object
from dbupgrade.pod import folder, message
from dbupgrade.pod.connection import asked, environment
from dbupgrade.pod.connection.access import Access
from dbupgrade.pod.connection.secrets import described
from dbupgrade.pod.container import (
    HOME,
    TEMPORARY,
    TERMINATION_LOG,
    defaults,
    escape,
    resources_beside,
    temporary_volume,
    values,
)
from dbupgrade.pod.context import Context
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView

ATLAS_PATH = "/atlas"
"""Where a container has what the image of the setting atlasImage holds."""
_ATLAS_SIZE = "256Mi"
_TEMPORARY_SIZE = "512Mi"  # room for a second folder of migrations, in which CONCURRENTLY is safe
LOCK_VOLUME: Object = {"name": "lock", "emptyDir": {"sizeLimit": "1Mi"}}
"""Where the container that holds the lock of a run says that it does."""
_LOCK_MOUNT = {"name": "lock", "mountPath": "/lock"}
_SIGNALLED = 128  # an exit code above is that of a process that a signal ended


def container(context: Context) -> Object:
    """The container `migrate`; what it found and did is in its termination message."""
    spec = context.spec
    brought = brings_atlas(context)
    atlas = [{"name": "atlas", "mountPath": ATLAS_PATH, "readOnly": True}] if brought else []
    given = {
        "MIGRATION_DIR": folder.MIGRATIONS_PATH,
        "MIGRATE_ENGINE": spec.migrations.engine.value,
        "MIGRATE_BASELINE_VERSION": spec.migrations.baseline,
        "MIGRATE_EXEC_ORDER": _unless_default(spec.migrations.exec_order, ExecOrder.LINEAR),
        "ATLAS_REVISIONS_SCHEMA": spec.migrations.revisions_schema,
        "MIGRATE_LINT": _unless_default(spec.policy.lint, LintMode.OFF),
        "MIGRATE_LINT_FLOOR": "true" if _has_floor(context) else None,
        "MIGRATE_LOCK_TIMEOUT": spec.policy.lock_timeout,
        "MIGRATE_STATEMENT_TIMEOUT": spec.policy.statement_timeout,
        "MIGRATE_DEADLINE": _deadline(context),
        "ATLAS_BIN": ATLAS_PATH if brought else None,
        **_approval(context),
    }
    digest = folder.digest_mount(spec) if _needs_plan(context) else []
    return {
        "name": names.CONTAINER_MIGRATE,
        "args": ["migrate", "plan"] if context.plans else ["migrate", "apply", "--report", TERMINATION_LOG],
        "volumeMounts": [folder.mount(spec), *digest, TEMPORARY, *atlas, *context.access.mounts],
        **_program(context, given),
    }


def _needs_plan(context: Context) -> bool:
    return context.plans or context.spec.policy.approval is not Approval.NEVER


def _approval(context: Context) -> dict[str, str | None]:
    """What the runner needs to know of approvals: whether, of which plans, and what a plan is about."""
    spec, owner = context.spec, context.owner
    if not _needs_plan(context):
        return {}
    extracted = spec.migrations.delivery is Delivery.EXTRACT
    return {
        "MIGRATE_APPROVAL": spec.policy.approval.value,
        "MIGRATE_APPROVAL_ABOVE": spec.policy.approval_above,
        "MIGRATE_APPROVED_PLANS": " ".join(each.plan for each in context.run.approvals) or None,
        "MIGRATE_PLAN_FOR": f"{owner.namespace}/{owner.name}",
        "MIGRATE_IMAGE_DIGEST_FILE": folder.DIGEST_PATH if extracted else None,
    }


def _deadline(context: Context) -> str:
    """When the Job is ended at the earliest: its own clock begins a little after the run was intended."""
    limit = timedelta(seconds=context.spec.runner.active_deadline_seconds)
    return (context.run.started_at + limit).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _has_floor(context: Context) -> bool:
    policy = context.spec.policy
    matters = policy.lint is LintMode.ERROR or policy.approval is Approval.ON_FINDINGS
    return matters and not context.settings.image_loosens_lint


def _unless_default(value: StrEnum, default: StrEnum) -> str | None:
    return None if value is default else value.value


def holding(context: Context, name: str) -> Object:
    """A native sidecar that waits for the database and holds the lock of the run."""
    parts = context.access.parts
    # Without a mode, an application's own command takes a server without TLS, too.
    mode = "prefer" if parts and not parts.ssl_mode else None
    given = {"DB_SSLMODE": mode, "MIGRATE_DEADLINE": _deadline(context)}
    return {
        **_program(context, given),
        "name": name,
        "restartPolicy": "Always",
        "args": ["migrate", "hold", "--report", f"{_LOCK_MOUNT['mountPath']}/report"],
        "volumeMounts": [TEMPORARY, _LOCK_MOUNT, *context.access.mounts],
        "resources": resources_beside(context.spec.runner.resources),
    }


def checking(context: Context, name: str) -> Object:
    """A container that checks the Secrets of the connection, and does not connect."""
    return {
        "name": name,
        "image": context.settings.runner_image,
        "args": ["migrate", "secrets", "--report", TERMINATION_LOG],
        "env": [
            *asked.variables(context.spec, context.access, context.schemes),
            *values({"MIGRATE_FORMAT": "json"}),
            HOME,
        ],
        "volumeMounts": [TEMPORARY, *context.access.mounts],
        **defaults(context.spec),
    }


def waiting(context: Context, name: str, script: str) -> Object:
    """A container that waits for what the one before has to say."""
    return {
        "name": name,
        "image": context.settings.runner_image,
        "command": ["sh", "-c", escape(script)],
        "volumeMounts": [{**_LOCK_MOUNT, "readOnly": True}],
        **defaults(context.spec),
    }


def _program(context: Context, given: Mapping[str, str | None]) -> Object:
    seconds = context.spec.runner.wait_for_database_seconds
    common: dict[str, str | None] = {"MIGRATE_FORMAT": "json", "MIGRATE_WAIT_TIMEOUT": f"{seconds}s"}
    access = context.access
    return {
        "image": context.settings.runner_image,
        "env": [*environment.toolkit(access), *values({**given, **common}), HOME, *_authority(access)],
        **defaults(context.spec),
    }


def brings_atlas(context: Context) -> bool:
    """Whether the platform has an `atlas` of its own for the pod."""
    return bool(context.settings.atlas_image) and context.spec.migrations.engine is Engine.ATLAS


def volumes(context: Context) -> list[Object]:
    """The folder, room for temporary files, and the `atlas` that the platform brings."""
    common = [folder.volume(context.spec), temporary_volume(_TEMPORARY_SIZE)]
    if not brings_atlas(context):
        return common
    image = context.settings.atlas_image
    if context.spec.migrations.delivery is Delivery.EXTRACT:
        return [*common, {"name": "atlas", "emptyDir": {"sizeLimit": _ATLAS_SIZE}}]
    return [*common, {"name": "atlas", "image": {"reference": image, "pullPolicy": "IfNotPresent"}}]


def reported(view: ContainerView) -> Report:
    """The report of a runner that has ended.

    A success whose report is lost stays a success with unknown versions: what ran must not run again because of it. A
    report of success counts only with the exit code of one, as others in the container could have left it.
    """
    report = message.read(view.message)
    if view.exit_code == 0:
        return report or Report()
    if report and report.failure:
        return report
    signalled = view.exit_code is not None and view.exit_code > _SIGNALLED
    return Report(failure=Failure.INTERRUPTED if signalled else Failure.UNKNOWN)


def with_server(report: Report, spec: Spec | None) -> Report:
    """`report` with the server that was not reached: the runner cannot know which part of its address is from a Secret."""
    if report.failure is not Failure.DATABASE_UNREACHABLE or spec is None:
        return report
    parts = (described(spec.database), report.error)
    return replace(report, error=": ".join(part for part in parts if part))


def _authority(access: Access) -> list[Object]:
    """The certificates where the URL has no parameter for them: Go reads a file and a folder instead of the image's."""
    if access.authority is None or access.dialect is not Dialect.MYSQL:
        return []
    return [
        {"name": "SSL_CERT_FILE", "value": access.authority.path},
        {"name": "SSL_CERT_DIR", "value": access.authority.folder},
    ]
