"""The end of a run: why it failed, what is recorded of it, and what the resource then says. Contract, 3.6 and 3.9."""

from dataclasses import replace

from dbupgrade.api.identity import run_id, runner_hash
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.runner import Runner
from dbupgrade.api.status import Failure, Run, RunResult, Status
from dbupgrade.decide import post_checks
from dbupgrade.decide.decision import Decision, SetTtl
from dbupgrade.decide.failures import KINDS, Retry
from dbupgrade.decide.observed import JobView, Observed, PodView
from dbupgrade.decide.statuses import failure_message, held, with_history
from dbupgrade.pod import engines
from dbupgrade.pod.container import UNREACHABLE_EXIT_CODE
from dbupgrade.pod.report import Report
from dbupgrade.pod.steps import STEPS

_OUT_OF_MEMORY = "OOMKilled"
# A token is no password that somebody could correct: the next run has a new one.
_WITH_TOKEN = {
    Failure.AUTHENTICATION: Failure.TOKEN_REFUSED,
    Failure.CONNECTION_SETTINGS: Failure.TLS_FAILED,
}
_NEVER_RAN = {"StartError", "ContainerCannotRun"}


def finish(observed: Observed, run: Run, current: JobView) -> Decision:
    """Record how the finished Job `current` ended, and let it go."""
    pod = newest(observed.pods, current)
    for name, view in pod.steps.items() if pod else ():
        run = STEPS[name].recorded(run, view)
    ttl = expire(observed, current)
    report = observed.report or Report()
    if current.succeeded and report.failure is None:
        return replace(_succeeded(observed, run, current, report), actions=(ttl,))
    if not current.succeeded:
        report = _or_adopt(observed, run, _why(observed, run, current, pod, report))
    return Decision(failed(observed, run, report), (ttl,))


def _why(observed: Observed, run: Run, current: JobView, pod: PodView | None, report: Report) -> Report:
    """Why a failed Job failed, from the nearest witness."""
    tries_on = pod is not None and pod.terminal and UNREACHABLE_EXIT_CODE in _exit_codes(pod)
    if current.failed_reason == "DeadlineExceeded" and not tries_on:
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
        return Report(failure=Failure.POD_SETTINGS)
    report = _with_token(run, report)
    failure = report.failure or Failure.UNKNOWN
    if failure in {Failure.UNKNOWN, Failure.COMMAND} and pod.deleting:
        return Report(
            failure=Failure.INTERRUPTED
        )  # killed with its pod, before the engine could say anything
    return report if report.failure else Report(failure=failure)


def _exit_codes(pod: PodView) -> set[int | None]:
    return {view.exit_code for view in (*pod.steps.values(), pod.migrate)}


def _why_before(observed: Observed, run: Run, pod: PodView) -> Report | None:
    """Why a step before the migration failed, if one did."""
    for name, view in pod.steps.items():
        if not view.exit_code:
            continue
        # A program that was killed looks to its script as one that found nothing.
        if view.end_reason == _OUT_OF_MEMORY:
            return Report(failure=Failure.OUT_OF_MEMORY)
        return _with_token(run, STEPS[name].why(view, observed.resource.spec))
    return None


def _or_adopt(observed: Observed, run: Run, report: Report) -> Report:
    """`report`, or that the next try is to adopt the database: the engine has said that there is something to adopt."""
    spec = observed.resource.spec
    asked = spec is not None and spec.migrations.baseline is not None and still_wanted(observed, run)
    reported = report.failure is Failure.NOT_CLEAN and engines.named(run.engine).reports_before_adopting
    if reported and asked and not run.adopts:
        return replace(report, failure=Failure.TO_BE_ADOPTED)
    return report


def _with_token(run: Run, report: Report) -> Report:
    """`report` on a run that authenticated with a token."""
    if run.token_secret and report.failure in _WITH_TOKEN:
        return replace(report, failure=_WITH_TOKEN[report.failure])
    return report


def expire(observed: Observed, current: JobView) -> SetTtl:
    """Let the finished Job go, now that its result is recorded."""
    spec = observed.resource.spec
    runner = spec.runner if spec else Runner()
    return SetTtl(current.name, runner.ttl_seconds_after_finished)


def _ended(observed: Observed, run: Run, report: Report, result: RunResult) -> Run:
    return run.model_copy(
        update={
            "finished_at": observed.now,
            "creation_problem": None,
            "result": result,
            "failure": report.failure,
            "from_version": report.from_version,
            "to_version": report.to_version,
            "applied_count": report.applied,
            "failed_file": report.failed_file,
            "failed_statement": report.failed_statement,
            "error": report.error,
        }
    )


def _known_versions(status: Status, report: Report) -> Status:
    """Versions from Atlas's report; without one the last known stay, and what is pending is unknown."""
    current = report.to_version or status.current_version
    return status.model_copy(update={"current_version": current, "pending_count": report.pending})


def _succeeded(observed: Observed, run: Run, current: JobView, report: Report) -> Decision:
    run = _ended(observed, run, report, RunResult.SUCCEEDED)
    status = _known_versions(with_history(observed.resource.status, run), report)
    status = status.model_copy(update={"job_completed_at": current.completed or observed.now})
    return post_checks.settle(as_of(observed, run), status, run)


def failed(observed: Observed, run: Run, report: Report) -> Status:
    """The status with the failed `run` recorded."""
    run = _ended(observed, run, report, RunResult.FAILED)
    status = _known_versions(with_history(observed.resource.status, run), report)
    return failed_status(as_of(observed, run), status, run)


def as_of(observed: Observed, run: Run) -> Observed:
    """The resource at the generation that `run` is about.

    The spec may have changed since. Then the run says nothing about the spec as it is now: whoever waits for that
    (kubectl wait, Flux, Argo CD) must take it neither for done nor for failed.
    """
    if still_wanted(observed, run):
        return observed
    resource = observed.resource
    generation = max(run.generation, resource.status.observed_generation)
    return replace(observed, resource=replace(resource, generation=generation))


def failed_status(observed: Observed, status: Status, run: Run) -> Status:
    """The status after a failed run: stalled when only a person can go on."""
    if run.failure is None:
        raise ValueError("a failed run has a failure")
    kind = KINDS[run.failure]
    message = failure_message(run, observed.resource.uid, _secret_name(observed.resource.spec))
    return held(observed, status, kind.reason, message, stalled=kind.retry is not Retry.BACKOFF)


def _secret_name(spec: Spec | None) -> str | None:
    """The Secret with the credentials of the database, if one is referenced."""
    connection = spec.database.connection if spec else None
    reference = connection and (connection.url_secret_ref or connection.password_secret_ref)
    return reference.name if reference else None


def still_wanted(observed: Observed, run: Run) -> bool:
    """Whether the spec is still the one that the intent was written for."""
    spec = observed.resource.spec
    if spec is None:
        return False
    return run.run_id == run_id(observed.resource.namespace, spec) and run.runner_hash == runner_hash(spec)


def newest(pods: tuple[PodView, ...], current: JobView) -> PodView | None:
    """The last pod of `current`: one before it was replaced after a disruption."""
    return next((pod for pod in reversed(pods) if pod.job_uid == current.uid), None)
