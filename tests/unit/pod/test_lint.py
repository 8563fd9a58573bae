"""spec.policy.lint: what it finds, and what that does to the run."""

from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api.conditions import Reason
from dbupgrade.api.failure import Failure
from dbupgrade.api.findings import Finding
from dbupgrade.api.identity import run_id, runner_hash
from dbupgrade.api.spec import Spec
from dbupgrade.decide import transitions, validation
from dbupgrade.decide.observed import Observed
from dbupgrade.pod import lint
from dbupgrade.pod.message import text
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView
from tests.unit.decide.builders import (
    FETCHED,
    NAMESPACE,
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


def test_a_policy_starts_no_run_and_retries_a_failed_one() -> None:
    plain, off, error = a_spec(), a_spec(policy={"lint": "off"}), a_spec(policy=ERROR)
    assert run_id(NAMESPACE, plain) == run_id(NAMESPACE, off) == run_id(NAMESPACE, error)
    assert runner_hash(plain) == runner_hash(off) != runner_hash(error)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (a_spec(policy=ERROR), []),
        (a_spec(policy={"lint": "off"}, migrations={"engine": "Psql"}), []),
        (a_spec(policy=ERROR, migrations={"engine": "Psql"}), []),
        (
            a_spec(policy=ERROR, migrations={"engine": "Command", "args": ["x"]}),
            ["spec.policy.lint"],
        ),
    ],
)
def test_an_engine_whose_sql_is_not_known_is_refused(spec: Spec, wanted: list[str]) -> None:
    found = [problem.field for problem in validation.problems(spec)]
    assert found == wanted


# --- what was found ----------------------------------------------------------------------------------------------


def test_errors_come_first_and_only_some_are_kept() -> None:
    found = lint.lint_of(2, [CHECK, DROP])
    assert found.findings == (DROP, CHECK)
    many = lint.lint_of(1, [DROP] * 100)
    assert (many.errors, len(many.findings)) == (100, 5)


# --- the run -----------------------------------------------------------------------------------------------------


def after(report: Report) -> Observed:
    """The Job has failed because of what the lint found."""
    spec = a_spec(policy=ERROR)
    intent = an_intent(spec, job_uid="job-uid")
    view = ContainerView(started=True, exit_code=10, end_reason="Error", message=text(report))
    ended = a_pod(fetch=FETCHED, migrate=view, terminal=True)
    return observe(a_resource(spec, run=intent), job=a_job(intent, failed_reason="x"), pods=(ended,))


def refused(*findings: Finding) -> Report:
    found = lint.lint_of(1, findings)
    error = lint.where(found)
    return Report(failure=Failure.LINT, failed_file=found.findings[0].file, error=error, lint=found)


def test_a_refusal_names_file_line_rule_and_the_safer_way() -> None:
    findings = [replace(DROP, line=line) for line in (3, 4, 5, 6, 7, 8)]
    findings[2] = replace(DROP, file="3_c.sql")
    decision = decide(after(refused(*findings)))
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
    before = a_resource(spec, run=intent)
    report = Report(from_version="1", to_version="2", applied=1, pending=0, lint=lint.lint_of(1, [CHECK]))
    ended = an_ended_pod(0, message=text(report))
    status = decide(observe(before, job=a_job(intent, succeeded=True), pods=(ended,))).status
    assert conditions(status)[:2] == ("True", "False")
    assert message(status).endswith("the database is at 2; lint found 1 warning: see status.run.lint")
    event, then = transitions.events(before.status, status)
    assert (event.type, event.reason) == ("Warning", "LintFindings")
    assert event.message == "1 warning: 2_b.sql:1 constraint-missing-not-valid"
    assert then.reason == "MigrationSucceeded"


def test_a_lint_without_findings_says_nothing() -> None:
    run = failed(Failure.SQL, lint=lint.lint_of(3, []))
    assert [
        event.reason for event in transitions.events(a_resource().status, a_resource(run=run).status)
    ] == ["MigrationFailed"]
