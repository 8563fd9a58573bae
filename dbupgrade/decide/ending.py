"""The end of a run: why it failed, what is recorded, and what the resource then reports. Contract, 3.6 and 3.9."""

from dataclasses import replace
from datetime import datetime

from dbupgrade.api.failure import Failure
from dbupgrade.api.plan import Plan
from dbupgrade.api.run import Run, RunResult
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.policy import ErrorDetail
from dbupgrade.api.spec.runner import Runner
from dbupgrade.api.status import Status
from dbupgrade.decide import approvals, post_checks
from dbupgrade.decide.decision import Decision, RemoveToken, SetTtl, WriteStatus
from dbupgrade.decide.failures import KINDS, Retry
from dbupgrade.decide.intent import as_of
from dbupgrade.decide.needs import ReadPlan, ReadReport
from dbupgrade.decide.observed import JobView, Observed, PodView
from dbupgrade.decide.statuses import failure_message, held, with_history
from dbupgrade.decide.task import is_conclusive
from dbupgrade.pod import engines, starts
from dbupgrade.pod.container import UNREACHABLE_EXIT_CODE
from dbupgrade.pod.detail import limited
from dbupgrade.pod.preflight import bounded
from dbupgrade.pod.report import Report
from dbupgrade.pod.runner import with_server
from dbupgrade.pod.steps import STEPS

_OUT_OF_MEMORY = "OOMKilled"
# A token is no password that somebody could correct: the next run has a new one.
_WITH_TOKEN = {
    Failure.AUTHENTICATION: Failure.TOKEN_REFUSED,
    Failure.CONNECTION_SETTINGS: Failure.TLS_FAILED,
}
# An approval is no intervention in something that went wrong: GitOps tools wait for it.
_GO_ON = {Retry.BACKOFF, Retry.APPROVAL}
_NEVER_RAN = {"StartError", "ContainerCannotRun"}


def finish(
    observed: Observed, run: Run, job: JobView, pod: PodView | None
) -> Decision | ReadReport | ReadPlan:
    """Record how `job` ends, its last pod being `pod`, and let it go."""
    report = observed.report or _reported(run, pod)
    if report is None and pod:
        return ReadReport(pod)
    for name, view in pod.steps.items() if pod else ():
        run = STEPS[name].recorded(run, view)
    report = approvals.judged(report or Report(), observed.resource.status, run)
    if pod and report.plan and observed.plan is None and _is_planned(report):
        return ReadPlan(pod, report.plan.line)
    done = pod is not None and is_conclusive(job, pod) and pod.migrate.exit_code == 0
    well = (job.succeeded or done) and not (pod and pod.cut_off)
    if well and report.failure is None:
        ended = pod and pod.migrate.finished
        decision = _succeeded(observed, run, ended or job.completed or observed.now, report)
    elif well:
        decision = failed(observed, run, report)
    else:
        decision = failed(observed, run, _why(observed, run, job, pod, report))
    return replace(decision, actions=(*decision.actions, expire(observed, job)))


def _reported(run: Run, pod: PodView | None) -> Report | None:
    """The report that the last pod has left; None where its log must be read for that."""
    if pod is None or pod.migrate.exit_code is None:
        return Report()
    return engines.named(run.engine).reported(pod.migrate)


def _why(observed: Observed, run: Run, job: JobView, pod: PodView | None, report: Report) -> Report:
    """Why a failed Job failed, from the nearest witness."""
    tries_on = pod is not None and pod.terminal and UNREACHABLE_EXIT_CODE in _exit_codes(pod)
    if job.failed_reason == "DeadlineExceeded" and not tries_on:
        return Report(failure=Failure.DEADLINE if run.migrate_seen else Failure.NOT_STARTED)
    if pod is None:
        return Report(failure=Failure.INTERRUPTED)
    if before := _why_before(observed, run, pod):
        return before
    if pod.migrate.exit_code is None:
        return Report(failure=Failure.INTERRUPTED)
    if pod.migrate.end_reason == _OUT_OF_MEMORY:
        return Report(failure=Failure.OUT_OF_MEMORY)
    if pod.migrate.end_reason in _NEVER_RAN:
        return Report(failure=Failure.POD_SETTINGS, error=starts.words(pod.migrate.message))
    report = _with_token(run, report)
    if engines.named(run.engine).locks:
        report = with_server(report, observed.resource.spec)
    failure = report.failure or Failure.UNKNOWN
    if failure in {Failure.UNKNOWN, Failure.COMMAND} and pod.deleting:
        return Report(
            failure=Failure.INTERRUPTED
        )  # killed with its pod, before the engine could say anything
    return report if report.failure else Report(failure=failure)


def _exit_codes(pod: PodView) -> set[int | None]:
    return {view.exit_code for view in (*pod.steps.values(), pod.migrate)}


def _why_before(observed: Observed, run: Run, pod: PodView) -> Report | None:
    """Why a step before or beside the migration failed, if one did."""
    for name, view in pod.steps.items():
        step = STEPS[name]
        if not (pod.cut_off if step.beside else view.exit_code):
            continue
        # A program that was killed looks to its script as one that found nothing.
        if view.end_reason == _OUT_OF_MEMORY and not step.beside:
            return Report(failure=Failure.OUT_OF_MEMORY)
        return _with_token(run, step.why(view, observed.resource.spec))
    return None


def _with_token(run: Run, report: Report) -> Report:
    """`report` on a run that authenticated with a token."""
    if run.token_secret and report.failure in _WITH_TOKEN:
        return replace(report, failure=_WITH_TOKEN[report.failure])
    return report


def expire(observed: Observed, job: JobView) -> SetTtl:
    """Let the Job go some time after its end, now that its result is recorded."""
    spec = observed.resource.spec
    runner = spec.runner if spec else Runner()
    return SetTtl(job.name, runner.ttl_seconds_after_finished)


def _is_planned(report: Report) -> bool:
    """Whether nothing was applied because the plan must be approved first."""
    return report.failure is not None and KINDS[report.failure].retry is Retry.APPROVAL


def _plan(observed: Observed, run: Run, report: Report) -> Plan | None:
    """The plan for the status; of one that the log has no more, what the report says of it."""
    note = report.plan
    if note is None or not _is_planned(report):
        return observed.resource.status.plan
    seen = observed.plan.plan if observed.plan else None
    if seen is None or seen.digest != note.digest:
        seen = Plan(
            digest=note.digest,
            asks=note.asks,
            from_version=report.from_version,
            file_count=note.files,
            statement_count=note.statements,
        )
    return replace(seen, image=run.image, image_digest=run.digest, made_at=observed.now)


def _with_approval(run: Run, report: Report) -> Run:
    """`run` with the plan that it made or carried out, and who approved that."""
    digest = report.plan.digest if report.plan else None
    by = next((each.by for each in run.approvals if each.plan == digest), None)
    kept = run.approvals if _is_planned(report) else ()
    return replace(
        run, plan=digest, approved_by=by, approved_at=run.started_at if by else None, approvals=kept
    )


def _ended(observed: Observed, run: Run, report: Report, result: RunResult) -> Run:
    spec = observed.resource.spec
    run = _with_approval(run, report)
    report = limited(report, spec.policy.error_detail if spec else ErrorDetail.MASKED)
    return replace(
        run,
        finished_at=observed.now,
        creation_problem=None,
        result=result,
        failure=report.failure,
        from_version=report.from_version,
        to_version=report.to_version,
        applied_count=report.applied,
        failed_file=report.failed_file,
        failed_statement=report.failed_statement,
        sqlstate=report.sqlstate,
        error=report.error,
        lint=report.lint,
    )


def _known_versions(status: Status, report: Report) -> Status:
    """Versions from Atlas's report; without one the last known stay, and what is pending is unknown."""
    current = report.to_version or status.current_version
    return replace(
        status, current_version=current, pending_count=report.pending, preflight=bounded(report.preflight)
    )


def _succeeded(observed: Observed, run: Run, completed: datetime, report: Report) -> Decision:
    run = _ended(observed, run, report, RunResult.SUCCEEDED)
    status = _known_versions(with_history(observed.resource.status, run), report)
    status = replace(status, job_completed_at=completed, plan=None)
    decision = post_checks.settle(as_of(observed, run), status, run)
    return replace(decision, actions=(*remove_token(run), *decision.actions))


def failed(observed: Observed, run: Run, report: Report) -> Decision:
    """Record the failed `run`."""
    plan = _plan(observed, run, report)
    run = _ended(observed, run, report, RunResult.PLANNED if _is_planned(report) else RunResult.FAILED)
    status = replace(observed.resource.status, plan=plan)
    status = _known_versions(with_history(status, run), report)
    status = failed_status(as_of(observed, run), status, run)
    return Decision((*remove_token(run), WriteStatus(status)))


def remove_token(run: Run) -> tuple[RemoveToken, ...]:
    """Remove the token of the ended `run`, if it had one."""
    return (RemoveToken(run.token_secret),) if run.token_secret else ()


def failed_status(observed: Observed, status: Status, run: Run) -> Status:
    """The status after a failed run: stalled when only a person can go on."""
    if run.failure is None:
        raise ValueError("a failed run has a failure")
    kind = KINDS[run.failure]
    message = failure_message(run, observed.resource.uid, _secret_name(observed.resource.spec))
    if kind.retry is Retry.APPROVAL:
        message = f"{approvals.rejection(status.plan, observed.resource.said)}{message}"
    return held(observed, status, kind.reason, message, stalled=kind.retry not in _GO_ON)


def _secret_name(spec: Spec | None) -> str | None:
    """The Secret with the credentials of the database, if one is referenced."""
    connection = spec.database.connection if spec else None
    reference = connection and (connection.url_secret_ref or connection.password_secret_ref)
    return reference.name if reference else None
