"""spec.policy.lint: the container of the Job, and what its report does to the run."""

from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api.conditions import Reason
from dbupgrade.api.identity import run_id, runner_hash
from dbupgrade.api.spec import Spec
from dbupgrade.api.status import Failure, Finding
from dbupgrade.decide import transitions, validation
from dbupgrade.decide.observed import Observed, pod_from
from dbupgrade.pod.job import job, schemes
from dbupgrade.pod.report import Report
from dbupgrade.pod.steps import lint
from dbupgrade.pod.view import ContainerView
from tests.unit.decide.builders import (
    FETCHED,
    NAMESPACE,
    SETTINGS,
    a_job,
    a_pod,
    a_resource,
    a_spec,
    an_ended_pod,
    an_intent,
    conditions,
    decide,
    failed,
    message,
    observe,
    the_run,
)

Object = dict[str, Any]

ERROR = {"lint": "error"}
DROP = Finding(
    file="2_b.sql",
    line=3,
    level="error",
    rule="ban-drop-column",
    what="drops a column",
    safer="stop using it first",
)
CHECK = replace(DROP, line=1, level="warning", rule="constraint-missing-not-valid", what="adds a constraint")


def pod(*, adopts: bool = False, **changes: Any) -> Object:
    spec = a_spec(**changes)
    template: Object = job(a_resource(spec), an_intent(spec, adopts=adopts), SETTINGS)["spec"]["template"][
        "spec"
    ]
    return template


def container(**changes: Any) -> Object:
    return dict(pod(**{"policy": ERROR, **changes})["initContainers"][-1])


# --- the container -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        pytest.param({}, ["fetch-migrations"], id="it is off unless it is asked for"),
        pytest.param({"policy": {"lint": "off"}}, ["fetch-migrations"], id="off is off"),
        pytest.param({"policy": ERROR}, ["fetch-migrations", "lint"], id="it comes after the fetch"),
        pytest.param({"policy": {"lint": "warn"}}, ["fetch-migrations", "lint"], id="warn looks as well"),
        pytest.param(
            {"policy": ERROR, "migrations": {"delivery": "ImageVolume"}}, ["lint"], id="without a fetch"
        ),
        pytest.param(
            {"policy": ERROR, "runner": {"waitForDatabaseSeconds": 5}},
            ["fetch-migrations", "wait-for-database", "lint"],
            id="and after the wait",
        ),
    ],
)
def test_when_new_migrations_are_linted(changes: Object, wanted: list[str]) -> None:
    assert [each["name"] for each in pod(**changes).get("initContainers", ())] == wanted


@pytest.mark.parametrize("delivery", ["Extract", "ImageVolume"])
def test_it_sees_the_files_and_the_database_that_atlas_sees(delivery: str) -> None:
    changes: Object = {"policy": {"lint": "warn"}, "migrations": {"delivery": delivery, "baseline": "7"}}
    linting, migrating = container(adopts=True, **changes), pod(**changes)["containers"][0]
    assert linting["image"] == SETTINGS.toolkit_image
    assert linting["args"][-5:] == ["--pending", "--policy", "warn", "--report", "/dev/termination-log"]
    assert linting["volumeMounts"][0] == migrating["volumeMounts"][0]
    url = [each for each in migrating["env"] if each["name"] == "DATABASE_URL"]
    given = [
        {"name": "MIGRATION_DIR", "value": "/migrations"},
        {"name": "MIGRATE_BASELINE_VERSION", "value": "7"},
    ]
    assert linting["env"][:3] == [*url, *given]
    assert "MIGRATE_BASELINE_VERSION" not in str(container(**changes))  # it is given to Atlas only to adopt
    assert linting["securityContext"] == migrating["securityContext"]
    assert linting["terminationMessagePolicy"] == "File"


def test_it_takes_the_connection_in_parts_as_the_toolkit_names_them() -> None:
    parts = {
        "host": "db",
        "database": "orders",
        "schema": "tenant",
        "userSecretRef": {"name": "login"},
        "passwordSecretRef": {"name": "login"},
    }
    names = [each["name"] for each in container(database={"type": "selfHosted", "connection": parts})["env"]]
    assert names[:6] == ["DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD", "DB_SCHEMA"]


def test_a_policy_starts_no_run_and_retries_a_failed_one() -> None:
    plain, off, error = a_spec(), a_spec(policy={"lint": "off"}), a_spec(policy=ERROR)
    assert run_id(NAMESPACE, plain) == run_id(NAMESPACE, off) == run_id(NAMESPACE, error)
    assert runner_hash(plain) == runner_hash(off) != runner_hash(error)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (a_spec(policy=ERROR), []),
        (a_spec(policy={"lint": "off"}, migrations={"engine": "Psql"}), []),
        (a_spec(policy=ERROR, migrations={"engine": "Psql"}), ["spec.policy.lint"]),
        (
            a_spec(policy=ERROR, migrations={"engine": "Command", "args": ["x"]}),
            ["spec.policy.lint"],
        ),
    ],
)
def test_an_engine_that_tells_no_pending_files_is_refused(spec: Spec, wanted: list[str]) -> None:
    found = [problem.field for problem in validation.problems(spec)]
    assert found == wanted


def test_a_database_that_is_no_postgresql_is_refused_before_a_run() -> None:
    assert "mysql" in schemes(a_spec())
    assert schemes(a_spec(policy=ERROR)) == ("postgres", "postgresql")


# --- the report --------------------------------------------------------------------------------------------------


def test_a_report_is_read_as_it_was_written() -> None:
    told = lint.told(2, [CHECK, DROP], refuse=True)
    assert lint.parse(told.text) == told
    assert told.lint
    assert told.lint.findings == (DROP, CHECK)  # errors first


@pytest.mark.parametrize("count", [5, 100])
def test_a_report_fits_into_a_termination_message(count: int) -> None:
    long = replace(DROP, file="é" * 127, safer="x" * 500)
    text = lint.told(1, [long] * count, refuse=True).text
    assert len(text.encode()) <= lint.MAX_BYTES
    told = lint.parse(text)
    assert told.lint
    assert (told.lint.errors, 0 < len(told.lint.findings) <= 5) == (count, True)


@pytest.mark.parametrize("text", ["", "Traceback: hunter2", "[]", '{"lint":{"files":"hunter2"}}'])
def test_what_is_no_report_says_nothing(text: str) -> None:
    assert lint.parse(text) == lint.Told()


@pytest.mark.parametrize(
    ("refuse", "findings", "failure"),
    [
        (True, [DROP], Failure.LINT),
        (True, [CHECK], None),
        (False, [DROP], None),
        (True, [], None),
    ],
)
def test_only_errors_are_refused_and_only_when_that_is_asked(
    refuse: bool, findings: list[Finding], failure: Failure | None
) -> None:
    assert lint.told(1, findings, refuse=refuse).failure == failure


# --- the run -----------------------------------------------------------------------------------------------------


def linted(exit_code: int, text: str, reason: str = "Error") -> ContainerView:
    return ContainerView(started=True, exit_code=exit_code, end_reason=reason, message=text)


def after(view: ContainerView, **changes: Any) -> Observed:
    """The Job has failed in its container `lint`."""
    spec = a_spec(policy=ERROR)
    intent = an_intent(spec, job_uid="job-uid", **changes)
    ended = a_pod(fetch=FETCHED, lint=view, terminal=True)
    return observe(
        a_resource(spec, run=intent), job=a_job(intent, failed_reason="x"), pods=(ended,), aws_enabled=True
    )


@pytest.mark.parametrize(
    ("view", "token", "wanted"),
    [
        (linted(10, lint.told(1, [DROP], refuse=True).text), None, Failure.LINT),
        (linted(2, lint.Told(failure=Failure.LINT_UNUSABLE, error="bad").text), None, Failure.LINT_UNUSABLE),
        (linted(4, lint.Told(failure=Failure.DATABASE_UNREACHABLE).text), None, Failure.DATABASE_UNREACHABLE),
        (linted(5, lint.Told(failure=Failure.AUTHENTICATION).text), None, Failure.AUTHENTICATION),
        (linted(5, lint.Told(failure=Failure.AUTHENTICATION).text), "token", Failure.TOKEN_REFUSED),
        (linted(137, "", "OOMKilled"), None, Failure.OUT_OF_MEMORY),
        (linted(143, ""), None, Failure.LINT_NOT_DONE),
        (linted(2, "usage: hunter2"), None, Failure.LINT_NOT_DONE),
    ],
)
def test_why_a_lint_fails_a_run(view: ContainerView, token: str | None, wanted: Failure) -> None:
    decision = decide(after(view, token_secret=token))
    assert the_run(decision).failure is wanted
    assert "hunter2" not in str(decision.status)


def test_a_refusal_names_file_line_rule_and_the_safer_way() -> None:
    findings = [replace(DROP, line=line) for line in (3, 4, 5, 6, 7, 8)]
    findings[2] = replace(DROP, file="3_c.sql")
    decision = decide(after(linted(10, lint.told(1, findings, refuse=True).text)))
    status, run = decision.status, the_run(decision)
    assert conditions(status) == ("False", "False", Reason.LINT_FAILED, True)
    assert message(status).startswith(
        "LintFailed in 2_b.sql: nothing was applied, because spec.policy.lint found errors: "
        "line 3 drops a column (ban-drop-column); safer: stop using it first; line 4 drops"
    )
    assert "3_c.sql line 3 drops" in message(status)
    assert "and 3 more. Change the migrations" in message(status)
    assert run.lint
    assert (run.failed_file, run.lint.errors, len(run.lint.findings)) == ("2_b.sql", 6, 5)


def test_warnings_let_the_run_go_on_and_are_told() -> None:
    spec = a_spec(policy=ERROR)
    intent = an_intent(spec, job_uid="job-uid")
    view = linted(0, lint.told(1, [CHECK], refuse=True).text, "Completed")
    before = a_resource(spec, run=intent)
    ended = an_ended_pod(0, lint=view)
    report = Report(from_version="1", to_version="2", applied=1, pending=0)
    status = decide(observe(before, job=a_job(intent, succeeded=True), pods=(ended,), report=report)).status
    assert conditions(status)[:2] == ("True", "False")
    assert message(status).endswith("the database is at 2; the lint found 1 warning: see status.run.lint")
    event, then = transitions.events(before.status, status)
    assert (event.type, event.reason) == ("Warning", "LintFindings")
    assert event.message == "1 warning: 2_b.sql:1 constraint-missing-not-valid"
    assert then.reason == "MigrationSucceeded"


def test_a_lint_without_findings_says_nothing() -> None:
    told = lint.told(3, [], refuse=True)
    run = failed(Failure.SQL, lint=told.lint)
    assert [
        event.reason for event in transitions.events(a_resource().status, a_resource(run=run).status)
    ] == ["MigrationFailed"]


def test_the_step_is_told_while_it_lints() -> None:
    intent = an_intent(a_spec(policy=ERROR), job_uid="job-uid")
    resource = a_resource(a_spec(policy=ERROR), run=intent)
    pods = (a_pod(fetch=FETCHED, lint=ContainerView(started=True)),)
    assert message(decide(observe(resource, job=a_job(intent), pods=pods)).status).endswith(
        "lints the new migrations"
    )


def test_an_image_that_cannot_be_pulled_is_seen() -> None:
    status = {"initContainerStatuses": [{"name": "lint", "state": {"waiting": {"reason": "ErrImagePull"}}}]}
    view = pod_from({"metadata": {"name": "p", "uid": "u"}, "status": status})
    assert view.steps["lint"].waiting_reason == "ErrImagePull"
    intent = an_intent(a_spec(policy=ERROR), job_uid="job-uid")
    pods = (a_pod(lint=view.steps["lint"]),)
    resource = a_resource(a_spec(policy=ERROR), run=intent)
    assert "cannot start (ImagePull)" in message(
        decide(observe(resource, job=a_job(intent), pods=pods)).status
    )
