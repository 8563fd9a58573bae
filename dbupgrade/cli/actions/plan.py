"""`plan`: what a run would do, made by a Job of the person's own."""

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from dbupgrade.api import names
from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.plan import Plan
from dbupgrade.api.record import to_json
from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.cli import pods, session, style
from dbupgrade.cli.errors import CommandError
from dbupgrade.cli.lines import readable
from dbupgrade.cli.options import Target
from dbupgrade.cli.session import Session
from dbupgrade.kube.errors import Forbidden, NotFound
from dbupgrade.kube.resources import JOBS, ResourceClient, ResourceKind, pod_log
from dbupgrade.objects import Object
from dbupgrade.pod import message, plan_text
from dbupgrade.pod import plan as documents
from dbupgrade.pod.context import JobSettings
from dbupgrade.pod.job import planning_job
from dbupgrade.pod.redact import every_text, printable

_CONFIG_MAPS = ResourceKind("", "v1", "configmaps")
_PUBLISHED = "dbupgrade-runner"
_MADE = {ExitCode.OK, ExitCode.APPROVAL}
_BYTES = 1024 * 1024
_LINES = 1000
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Way:
    """How the plan is made and shown."""

    form: str
    operator_namespace: str
    timeout: float


@dataclass(frozen=True)
class Owner:
    """The DBUpgrade that the plan is about."""

    namespace: str
    name: str
    uid: str
    spec: Spec


def plan(target: Target, image: str | None, way: Way) -> None:
    """Create the Job, wait for it, show what it has found, and delete it."""

    async def work(on: Session) -> None:
        owner = await _owner(on, image)
        settings = await _settings(on, way.operator_namespace)
        body = planning_job(owner, _run(owner), settings)
        jobs = ResourceClient(on.client, JOBS)
        try:
            job = await jobs.create(on.namespace, body)
        except Forbidden as error:
            raise CommandError(_denied(on.namespace, "create Jobs", error)) from None
        name = job["metadata"]["name"]
        try:
            found = await _made(on, name, way.timeout)
        finally:
            await _remove(jobs, on.namespace, name)
        _show(found, way.form)

    session.run(target, work)


async def _owner(on: Session, image: str | None) -> Owner:
    """The resource with the image that the plan is about. Raises CommandError for one that cannot be planned."""
    given = (await on.stored()).get("spec") or {}
    if image:
        given = {**given, "migrations": {**(given.get("migrations") or {}), "image": image}}
    try:
        spec = Spec.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise CommandError(
            f"the spec is invalid: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from None
    if spec.migrations.engine is Engine.COMMAND:
        raise CommandError(
            "no plan can be made with engine Command, because what a command does is not known in advance"
        )
    if spec.database.uses_aws:
        raise CommandError(
            "with AWS authentication, only the operator can log in to the database; with spec.policy.approval: Always, it makes the plan "
            "before each run, and waits for approval"
        )
    return Owner(on.namespace, on.name, "", spec)


async def _settings(on: Session, namespace: str) -> JobSettings:
    """What runs are started with. Raises CommandError when the operator has not published it, and KubeError."""
    try:
        data = (await ResourceClient(on.client, _CONFIG_MAPS).get(namespace, _PUBLISHED)).get("data") or {}
        return JobSettings(
            crane_image=data["craneImage"],
            runner_image=data["runnerImage"],
            atlas_image=data.get("atlasImage", ""),
            image_loosens_lint=data.get("imageLoosensLint") == "true",
            insecure_registries=data.get("insecureRegistries") == "true",
            reads_secrets=False,  # nobody has looked at them: the pod does
        )
    except (NotFound, KeyError):
        raise CommandError(
            f"namespace {namespace} has no usable ConfigMap {_PUBLISHED}, which is installed with the operator; "
            "give the operator's namespace: --operator-namespace"
        ) from None
    except Forbidden as error:
        raise CommandError(_denied(namespace, f"get the ConfigMap {_PUBLISHED}", error)) from None


def _run(owner: Owner) -> Run:
    spec = owner.spec
    prefix = names.job_name(f"plan-{owner.name}", owner.namespace, 0)[:50].rstrip("-")
    return Run(
        job_name=prefix,
        sequence=0,
        run_id="",
        image=spec.migrations.image,
        generation=0,
        started_at=session.now(),
    )


async def _made(on: Session, job: str, within: float) -> Plan:
    """Wait for the end of the Job's pod, and read the plan in its log. Raises CommandError and KubeError."""
    end, said = time.monotonic() + within, ""
    while True:
        pod = await _pod(on, job)
        if pod and (ended := _ended(pod)):
            return await _read(on, pod, *ended)
        waiting = (pods.problem(pod) if pod else None) or said
        if waiting != said:
            style.echo(waiting, error=True)
            said = waiting
        if time.monotonic() >= end:
            raise CommandError(f"the plan was not made within {within:.0f} s{f'. {said}' if said else ''}")
        await asyncio.sleep(_POLL_SECONDS)


async def _pod(on: Session, job: str) -> Object | None:
    try:
        found = await on.pods_of(job)
    except Forbidden as error:
        raise CommandError(_denied(on.namespace, "list pods", error)) from None
    return every_text(found[-1], printable) if found else None


def _ended(pod: Object) -> tuple[str, Object] | None:
    """The container that has ended the pod, and how; None as long as it goes on."""
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            end = (container.get("state") or {}).get("terminated")
            if end and (kind == "containerStatuses" or end.get("exitCode")):
                return container["name"], end
    if pods.has_ended(pod):
        raise CommandError(
            f"the pod of the plan has ended: {status.get('reason') or ''} {status.get('message') or ''}".rstrip()
        )
    return None


async def _read(on: Session, pod: Object, container: str, end: Object) -> Plan:
    name = pod["metadata"]["name"]
    try:
        log = await pod_log(on.client, on.namespace, name, container, limit_bytes=_BYTES, tail_lines=_LINES)
    except Forbidden as error:
        raise CommandError(_denied(on.namespace, "get pods/log", error)) from None
    found = documents.last(log) if container == names.CONTAINER_MIGRATE else None
    if found and end.get("exitCode") in _MADE:
        return found
    report = message.read(str(end.get("message") or ""))
    why = [readable(line) for line in log.splitlines()]
    if report and report.error:
        why.append(report.error)
    said = "\n".join(line for line in why if line.strip()) or printable(
        str(end.get("message") or end.get("reason") or "")
    )
    raise CommandError(
        f"no plan was made: container {container} ended with exit code {end.get('exitCode')}:\n{said}"
    )


async def _remove(jobs: ResourceClient, namespace: str, name: str) -> None:
    try:
        await jobs.delete(namespace, name, propagation="Background")
    except NotFound:
        return
    except Forbidden as error:
        style.echo(_denied(namespace, f"delete the Job {name}, which ends automatically", error), error=True)


def _show(found: Plan, form: str) -> None:
    match form:
        case "json":
            style.echo(json.dumps(to_json(found), indent=2))
        case "markdown":
            style.echo(_printed(plan_text.markdown(found)))
        case _:
            style.echo(_printed(plan_text.described(found)))


def _printed(lines: Iterable[str]) -> str:
    """Lines without what a terminal obeys."""
    return "\n".join(map(printable, lines))


def _denied(namespace: str, what: str, error: Forbidden) -> str:
    return (
        f"you may not {what} in namespace {namespace}: a plan takes get on dbupgrades, create and delete on jobs, list on pods and get on "
        f"pods/log. Ask whoever manages the namespace. The API server says: {error}"
    )
