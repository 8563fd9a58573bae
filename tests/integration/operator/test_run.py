"""One run after the other, as users see it, when nothing goes wrong but the migration itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.harness.faultproxy import Answer
from tests.integration.harness.scene import (
    IMAGE,
    condition,
    is_finished,
    run_of,
    summary,
)
from tests.integration.harness.standin import DIGEST, SQL_ERROR, SUCCESS, Ending

if TYPE_CHECKING:
    from tests.integration.harness.scene import Scene

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

NEXT_IMAGE = "registry.example/shop:2.0.0"


async def test_a_resource_runs_through_its_steps_to_ready(scene: Scene) -> None:
    await scene.start()
    await scene.create()
    job = await scene.standin.job()
    resource = await scene.until(lambda resource: "jobUid" in run_of(resource))
    assert summary(resource) == {
        "Ready": ("False", "Initializing"),
        "Progressing": ("True", "JobPending"),
        "Stalled": ("False", "JobPending"),
    }
    assert run_of(resource)["jobName"] == job["metadata"]["name"]
    assert run_of(resource)["jobUid"] == job["metadata"]["uid"]
    await scene.standin.start(job)
    resource = await scene.until_reason("MigrationInProgress")
    assert "jobCompletedAt" not in resource["status"]
    await scene.standin.end(job, SUCCESS)
    resource = await scene.until_ready()
    await scene.quiet()
    assert summary(resource) == {
        "Ready": ("True", "MigrationComplete"),
        "Progressing": ("False", "MigrationComplete"),
        "Stalled": ("False", "MigrationComplete"),
    }
    status, run = resource["status"], run_of(resource)
    assert (status["currentVersion"], status["pendingCount"]) == ("20250102", 0)
    assert status["observedGeneration"] == resource["metadata"]["generation"]
    assert (run["sequence"], run["result"], run["appliedCount"]) == (1, "Succeeded", 2)
    assert (run["toVersion"], run["digest"]) == ("20250102", DIGEST)
    assert status["history"] == [run]
    assert len(scene.standin.created) == 1


async def test_the_intent_is_stored_before_the_job_is_asked_for(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    await scene.start()
    await scene.create()
    await scene.until_ready()
    writes = [
        seen.path.rsplit("/", 1)[-1] for seen in scene.proxy.requests if seen.method in {"PATCH", "POST"}
    ]
    assert [write for write in writes if write != "events"][:2] == ["status", "jobs"]


async def test_another_image_is_a_second_run(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    await scene.start()
    await scene.create()
    await scene.until_ready()
    scene.standin.ending = None
    await scene.set_image(NEXT_IMAGE)
    job = await scene.standin.job(2)
    resource = await scene.until(lambda resource: run_of(resource)["sequence"] == 2)
    assert condition(resource, "Ready")["reason"] == "Initializing"
    assert "jobCompletedAt" not in resource["status"]
    await scene.standin.end(job, SUCCESS)
    resource = await scene.until_ready(sequence=2)
    await scene.quiet()
    assert [run["image"] for run in resource["status"]["history"]] == [
        NEXT_IMAGE,
        "registry.example/shop:1.0.0",
    ]
    assert len(scene.standin.created) == 2


async def test_a_change_that_is_no_other_run_starts_nothing(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    await scene.start()
    await scene.create()
    await scene.until_ready()
    resource = await scene.patch(
        {"spec": {"runner": {"ttlSecondsAfterFinished": 60}, "migrations": {"dir": "/migrations/"}}}
    )
    seen = resource["metadata"]["generation"]
    resource = await scene.until(lambda resource: resource["status"]["observedGeneration"] == seen)
    await scene.quiet()
    assert condition(resource, "Ready")["status"] == "True"
    assert len(scene.standin.created) == 1


async def test_a_failed_statement_is_told_with_its_file(scene: Scene) -> None:
    scene.standin.ending = SQL_ERROR
    await scene.start()
    await scene.create()
    resource = await scene.until(is_finished)
    await scene.until_ttl(resource)
    await scene.quiet()
    assert summary(resource) == {
        "Ready": ("False", "JobFailed"),
        "Progressing": ("False", "JobFailed"),
        "Stalled": ("True", "JobFailed"),
    }
    run = run_of(resource)
    assert (run["result"], run["failure"]) == ("Failed", "SQLError")
    assert run["failedFile"] == "20250102_two.sql"
    assert run["failedStatement"] == "ALTER TABLE cart ADD total int;"
    message = condition(resource, "Progressing")["message"]
    assert "20250102_two.sql" in message
    assert "ALTER TABLE cart" in message
    assert resource["status"]["currentVersion"] == "20250101"
    assert len(scene.standin.created) == 1


async def test_a_corrected_image_follows_a_failure(scene: Scene) -> None:
    scene.standin.ending = SQL_ERROR
    await scene.start()
    await scene.create()
    await scene.until(is_finished)
    scene.standin.ending = SUCCESS
    await scene.set_image(NEXT_IMAGE)
    resource = await scene.until_ready(sequence=2)
    assert [run["result"] for run in resource["status"]["history"]] == ["Succeeded", "Failed"]


async def test_the_retry_annotation_runs_a_failure_again_once(scene: Scene) -> None:
    scene.standin.ending = SQL_ERROR
    await scene.start()
    await scene.create()
    await scene.until(is_finished)
    scene.standin.ending = SUCCESS
    await scene.patch({"metadata": {"annotations": {"dbupgrade.subbug.learning/retry": "1"}}})
    resource = await scene.until_ready(sequence=2)
    await scene.quiet()
    assert resource["status"]["lastHandledRetry"] == "1"
    assert len(scene.standin.created) == 2


async def test_a_missing_secret_holds_the_run_until_it_is_there(scene: Scene) -> None:
    await scene.secrets.delete(scene.namespace, "database", propagation="Background")
    scene.standin.ending = SUCCESS
    await scene.start()
    await scene.create()
    resource = await scene.until_reason("SecretNotFound")
    assert summary(resource)["Ready"] == ("False", "SecretNotFound")
    assert summary(resource)["Stalled"] == ("False", "SecretNotFound")
    assert "database" in condition(resource, "Ready")["message"]
    assert not scene.standin.created
    await scene.create_secret()
    await scene.until_ready()


async def test_a_key_that_the_secret_lacks_is_named(scene: Scene) -> None:
    await scene.start()
    connection = {"urlSecretRef": {"name": "database", "key": "dsn"}}
    await scene.create(database={"type": "selfHosted", "connection": connection})
    resource = await scene.until_reason("SecretNotFound")
    assert "has no key dsn" in condition(resource, "Ready")["message"]


async def test_a_connection_in_parts_needs_each_of_its_secrets(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    await scene.start()
    parts = {
        "host": "db",
        "database": "shop",
        "userSecretRef": {"name": "database", "key": "url"},
        "passwordSecretRef": {"name": "login"},
        "sslMode": "verify-full",
        "caSecretRef": {"name": "authority"},
    }
    await scene.create(database={"type": "selfHosted", "connection": parts})
    resource = await scene.until_reason("SecretNotFound")
    assert "Secret login not found" in condition(resource, "Ready")["message"]
    assert "database password" in condition(resource, "Ready")["message"]
    login = {"metadata": {"name": "login"}, "stringData": {"password": "hunter2\n"}}
    await scene.secrets.create(scene.namespace, login)
    await scene.patch({"metadata": {"annotations": {"dbupgrade.subbug.learning/retry": "1"}}})
    resource = await scene.until_reason("InvalidSpec")
    assert "it ends with a line break" in condition(resource, "Ready")["message"]
    await scene.secrets.patch(scene.namespace, "login", {"stringData": {"password": "hunter2"}})
    await scene.patch({"metadata": {"annotations": {"dbupgrade.subbug.learning/retry": "2"}}})
    resource = await scene.until_reason("SecretNotFound")
    assert "certificates of the database's authority" in condition(resource, "Ready")["message"]
    authority = {"metadata": {"name": "authority"}, "stringData": {"ca.crt": CERTIFICATE}}
    await scene.secrets.create(scene.namespace, authority)
    await scene.patch({"metadata": {"annotations": {"dbupgrade.subbug.learning/retry": "3"}}})
    await scene.until_ready()


async def test_what_works_with_postgresql_only_says_so(scene: Scene) -> None:
    await scene.secrets.patch(scene.namespace, "database", {"stringData": {"url": "mysql://u:p@db/shop"}})
    await scene.start()
    await scene.create(migrations={"image": "a:1", "engine": "Psql"})
    resource = await scene.until_reason("InvalidSpec")
    told = condition(resource, "Ready")["message"]
    assert "postgres:// or postgresql:// (engine Psql works with PostgreSQL only)" in told


COMMAND = {"image": IMAGE, "engine": "Command", "args": ["migrate"]}


@pytest.mark.parametrize("ending", [Ending(0), Ending(1)], ids=["success", "failure"])
async def test_a_report_that_is_missing_is_no_reason_to_run_again(scene: Scene, ending: Ending) -> None:
    scene.standin.ending = ending
    await scene.start()
    await scene.create()
    resource = await scene.until(is_finished)
    await scene.until_ttl(resource)
    await scene.quiet()
    run = run_of(resource)
    assert "toVersion" not in run
    assert "currentVersion" not in resource["status"]
    if ending.succeeded:
        assert (run["result"], condition(resource, "Ready")["status"]) == ("Succeeded", "True")
        assert "versions are unknown" in condition(resource, "Ready")["message"]
    else:
        assert (run["result"], run["failure"]) == ("Failed", "Unknown")
    assert len(scene.standin.created) == 1


@pytest.mark.parametrize("code", [404, 500])
@pytest.mark.parametrize("ending", [Ending(0), Ending(1)], ids=["success", "failure"])
async def test_a_log_that_cannot_be_read_is_no_reason_to_run_again(
    scene: Scene, code: int, ending: Ending
) -> None:
    scene.standin.log = Answer(code, "NotFound" if code == 404 else "InternalError")
    scene.standin.ending = ending
    await scene.start()
    await scene.create(migrations=COMMAND)
    resource = await scene.until(is_finished)
    await scene.until_ttl(resource)
    await scene.quiet()
    run = run_of(resource)
    if ending.succeeded:
        assert (run["result"], condition(resource, "Ready")["status"]) == ("Succeeded", "True")
    else:
        assert (run["result"], run["failure"]) == ("Failed", "CommandFailed")
    assert len(scene.standin.created) == 1


async def test_the_password_is_nowhere_but_in_the_secret(scene: Scene) -> None:
    log = 'Error: password authentication failed for user "u": hunter2\n'
    scene.standin.ending = Ending(1, log=log)
    await scene.start()
    await scene.create(migrations=COMMAND)
    resource = await scene.until(is_finished)
    await scene.quiet()
    assert run_of(resource)["failure"] == "AuthenticationFailed"
    assert "hunter2" not in str(resource)
    assert "hunter2" not in str(scene.standin.created)
    assert "hunter2" not in scene.log.read_text()


async def test_events_tell_the_transitions_once(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    await scene.start()
    await scene.create()
    await scene.until_ready()
    await scene.until_told("MigrationSucceeded")
    await scene.quiet()
    assert await scene.told() == ["MigrationStarted", "MigrationSucceeded"]
