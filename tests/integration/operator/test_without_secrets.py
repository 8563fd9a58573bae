"""An operator without permission for Secrets: the pod of a run says what is wrong with them, and the operator asks for none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbupgrade.api.failure import Failure
from tests.integration.harness.scene import condition, run_of, summary
from tests.integration.harness.standin import SUCCESS, reported

if TYPE_CHECKING:
    from tests.integration.harness.scene import Scene

MISSED = "Secret database with a key url that contains the database URL was not found"
MISSING = reported(1, failure=Failure.SECRET_NOT_FOUND, error=MISSED)


async def test_a_missing_secret_is_told_by_the_pod_and_looked_for_again(scene: Scene) -> None:
    await scene.secrets.delete(scene.namespace, "database", propagation="Background")
    await scene.start(DBUPGRADE_SECRETS_READ="false")
    await scene.create()
    job = await scene.standin.job()
    before = [each["name"] for each in job["spec"]["template"]["spec"]["initContainers"]]
    assert before == ["check-secrets", "fetch-migrations"]
    await scene.standin.fail_before(job, "check-secrets", MISSING)
    resource = await scene.until_reason("SecretNotFound")
    assert summary(resource)["Stalled"] == ("False", "SecretNotFound")
    assert MISSED in condition(resource, "Ready")["message"]
    assert "Attempt 2 starts at" in condition(resource, "Ready")["message"]
    await scene.until_told("SecretNotFound")
    await scene.create_secret()
    await scene.patch({"metadata": {"annotations": {"dbupgrade.subbug.learning/retry": "1"}}})
    await scene.standin.end(await scene.standin.job(2), SUCCESS)
    resource = await scene.until_ready(sequence=2)
    assert run_of(resource)["attempt"] == 2
    await scene.quiet()
    assert [seen.path for seen in scene.proxy.requests if "/secrets" in seen.path] == []
