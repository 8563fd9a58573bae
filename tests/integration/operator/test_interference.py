"""What other people and controllers do to a resource, its Job and its status while the operator works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api import names
from dbupgrade.kube.errors import Forbidden, NotFound
from dbupgrade.kube.resources import ResourceClient, ResourceKind
from tests.integration.harness.faultproxy import Answer
from tests.integration.harness.namespaces import clear_namespace, create_namespace
from tests.integration.harness.scene import (
    IMAGE,
    NAME,
    STATUS_WRITE,
    condition,
    is_finished,
    run_of,
    spec,
    summary,
)
from tests.integration.harness.standin import SUCCESS
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.harness.scene import Scene

QUOTAS = ResourceKind("", "v1", "resourcequotas")
NEXT_IMAGE = "registry.example/shop:2.0.0"


def foreign_job(name: str) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"suspend": True, "template": template}}


class TestJobs:
    async def test_a_foreign_job_of_the_name_is_left_alone_and_the_next_number_taken(
        self, scene: Scene
    ) -> None:
        scene.standin.ending = SUCCESS
        resource = await scene.create()
        name = names.job_name(NAME, resource["metadata"]["uid"], 1)
        foreign = await scene.jobs.create(scene.namespace, foreign_job(name))
        await scene.start()
        resource = await scene.until_ready(sequence=2)
        await scene.quiet()
        assert await scene.jobs.get(scene.namespace, name) == foreign
        assert len(scene.standin.created) == 1
        assert [run["sequence"] for run in resource["status"]["history"]] == [2]

    async def test_a_deleted_job_is_a_cancelled_run_and_not_made_again(self, scene: Scene) -> None:
        await scene.start()
        await scene.create()
        job = await scene.standin.job()
        await scene.standin.start(job)
        await scene.until_reason("MigrationInProgress")
        await scene.jobs.delete(scene.namespace, job["metadata"]["name"], propagation="Foreground")
        resource = await scene.until(is_finished)
        await scene.quiet()
        assert run_of(resource)["failure"] == "Cancelled"
        assert condition(resource, "Stalled")["status"] == "True"
        assert len(scene.standin.created) == 1

    async def test_a_finished_job_that_goes_is_not_missed(self, scene: Scene) -> None:
        scene.standin.ending = SUCCESS
        await scene.start()
        await scene.create()
        resource = await scene.until_ready()
        await scene.jobs.delete(scene.namespace, run_of(resource)["jobName"], propagation="Foreground")
        await scene.quiet()
        await scene.start()
        await scene.quiet()
        assert (await scene.get())["status"] == resource["status"]
        assert len(scene.standin.created) == 1

    async def test_an_image_that_the_registry_does_not_have_frees_the_spec_at_once(
        self, scene: Scene
    ) -> None:
        await scene.start()
        await scene.create()
        job = await scene.standin.job()
        await scene.standin.refuse_image(
            job, "failed to resolve image: registry.example/shop:1.0.0: not found"
        )
        # Less than the minute for what may pass.
        resource = await scene.until(is_finished, within=30)
        assert run_of(resource)["failure"] == "ImagePull"
        assert summary(resource)["Stalled"] == ("False", "JobFailed")
        with pytest.raises(NotFound):
            await scene.jobs.get(scene.namespace, job["metadata"]["name"])
        scene.standin.ending = SUCCESS
        await scene.set_image(NEXT_IMAGE)
        await scene.until_ready(sequence=2)

    async def test_a_refused_job_is_tried_again_until_the_quota_is_lifted(self, scene: Scene) -> None:
        scene.standin.ending = SUCCESS
        quota = await forbid_jobs(scene)
        await scene.start()
        await scene.create()
        resource = await scene.until_reason("JobFailed")
        assert summary(resource)["Stalled"] == ("False", "JobFailed")
        assert run_of(resource)["failure"] == "JobRefused"
        assert "exceeded quota" in condition(resource, "Ready")["message"]
        await ResourceClient(scene.admin, QUOTAS).delete(scene.namespace, quota, propagation="Background")
        resource = await scene.until_ready(sequence=2)
        await scene.quiet()
        assert [run["result"] for run in resource["status"]["history"]] == ["Succeeded", "Failed"]
        assert len(scene.standin.created) == 1


async def forbid_jobs(scene: Scene) -> str:
    """Set a quota of no Jobs, and say for the quota controller, which does not run here, that none are used."""
    quotas = ResourceClient(scene.admin, QUOTAS)
    none = {"count/jobs.batch": "0"}
    name = "no-jobs"
    await quotas.create(scene.namespace, {"metadata": {"name": name}, "spec": {"hard": none}})
    await quotas.patch(scene.namespace, name, {"status": {"hard": none, "used": none}}, subresource="status")

    async def refused() -> bool:
        """Whether admission, which reads quotas from a cache, knows it."""
        path = scene.jobs.resource.collection(scene.namespace)
        try:
            await scene.admin.request("POST", path, query={"dryRun": "All"}, body=foreign_job("probe"))
        except Forbidden as error:
            return "exceeded quota" in str(error)
        return False

    await eventually(refused)
    return name


class TestResource:
    async def test_a_resource_that_is_deleted_during_its_run_waits_for_the_old_pod_when_it_comes_back(
        self, scene: Scene
    ) -> None:
        await scene.start()
        await scene.create()
        first = await scene.standin.job()
        pod = await scene.standin.start(first)
        await scene.until_reason("MigrationInProgress")
        await scene.resources.delete(scene.namespace, NAME, propagation="Background")
        await scene.create()
        resource = await scene.until_reason("DatabaseBusy")
        assert first["metadata"]["name"] in condition(resource, "Ready")["message"]
        assert condition(resource, "Progressing")["status"] == "False"
        assert len(scene.standin.created) == 1
        await scene.standin.end_pod(pod, SUCCESS)
        await scene.standin.end_job(first, SUCCESS)
        second = await scene.standin.job(2)
        assert second["metadata"]["name"] != first["metadata"]["name"]
        await scene.standin.end(second, SUCCESS)
        await scene.until_ready()

    async def test_a_resource_that_is_deleted_during_its_run_leaves_the_operator_well(
        self, scene: Scene
    ) -> None:
        await scene.start()
        await scene.create()
        job = await scene.standin.job()
        await scene.resources.delete(scene.namespace, NAME, propagation="Background")
        await scene.standin.end(job, SUCCESS)
        await scene.quiet()
        assert len(scene.standin.created) == 1
        assert "reconcile_failed" not in scene.log.read_text()

    async def test_a_write_to_what_has_just_gone_is_no_error(self, scene: Scene) -> None:
        scene.standin.ending = SUCCESS
        gone = scene.inject(STATUS_WRITE, Answer(404, "NotFound"))
        await scene.start()
        await scene.create()
        await scene.until_ready()
        assert gone.used == 1
        assert "reconcile_failed" not in scene.log.read_text()

    @pytest.mark.usefixtures("without_rules")
    async def test_a_spec_that_changes_during_a_run_runs_after_it(self, scene: Scene) -> None:
        await scene.start()
        await scene.create()
        first = await scene.standin.job()
        await scene.standin.start(first)
        await scene.until_reason("MigrationInProgress")
        await scene.set_image(NEXT_IMAGE)
        resource = await scene.get()
        assert run_of(resource)["image"] == IMAGE
        assert resource["status"]["observedGeneration"] < resource["metadata"]["generation"]
        assert len(scene.standin.created) == 1
        await scene.standin.end(first, SUCCESS)
        await scene.standin.end(await scene.standin.job(2), SUCCESS)
        resource = await scene.until_ready(sequence=2)
        await scene.quiet()
        history = [(run["image"], run["result"]) for run in resource["status"]["history"]]
        assert history == [(NEXT_IMAGE, "Succeeded"), (IMAGE, "Succeeded")]

    async def test_two_resources_on_one_database_run_one_after_the_other(self, scene: Scene) -> None:
        await scene.start()
        await scene.create("a")
        first = await scene.standin.job()
        await scene.create("b")
        resource = await scene.until_reason("DatabaseBusy", name="b")
        told = condition(resource, "Ready")["message"]
        assert told.startswith("waiting for the database: a is migrating it")
        assert scene.namespace not in told
        assert len(scene.standin.created) == 1
        await scene.standin.end(first, SUCCESS)
        await scene.standin.end(await scene.standin.job(2), SUCCESS)
        await scene.until(is_finished, name="b")

    async def test_a_suspended_resource_waits_until_it_is_released(self, scene: Scene) -> None:
        scene.standin.ending = SUCCESS
        await scene.start()
        await scene.create(suspend=True)
        await scene.until_reason("Suspended")
        assert not scene.standin.created
        await scene.patch({"spec": {"suspend": False}})
        await scene.until_ready()


class TestStatus:
    async def test_a_status_lost_during_a_run_waits_for_its_end_and_runs_again(self, scene: Scene) -> None:
        await scene.start()
        await scene.create()
        job = await scene.standin.job()
        pod = await scene.standin.start(job)
        await scene.until_reason("MigrationInProgress")
        await wipe(scene)
        resource = await scene.until_reason("DatabaseBusy")
        assert job["metadata"]["name"] in condition(resource, "Ready")["message"]
        assert len(scene.standin.created) == 1
        await scene.standin.end_pod(pod, SUCCESS)
        await scene.standin.end_job(job, SUCCESS)
        await scene.standin.end(await scene.standin.job(2), SUCCESS)
        await scene.until_ready(sequence=2)
        await scene.quiet()
        assert len(scene.standin.created) == 2

    async def test_a_status_lost_after_a_run_runs_again_under_the_next_number(self, scene: Scene) -> None:
        scene.standin.ending = SUCCESS
        await scene.start()
        await scene.create()
        await scene.until_ready()
        await wipe(scene)
        resource = await scene.until_ready(sequence=2)
        await scene.quiet()
        assert run_of(resource)["toVersion"] == "20250102"
        assert len(scene.standin.created) == 2

    async def test_a_status_lost_while_no_operator_runs_after_the_jobs_have_gone_runs_again(
        self, scene: Scene
    ) -> None:
        scene.standin.ending = SUCCESS
        await scene.start()
        await scene.create()
        resource = await scene.until_ready()
        await scene.quiet()
        await scene.jobs.delete(scene.namespace, run_of(resource)["jobName"], propagation="Background")
        await wipe(scene)
        await scene.start()
        await scene.until_ready()
        await scene.quiet()
        assert len(scene.standin.created) == 2

    async def test_a_status_lost_after_two_runs_takes_the_number_after_theirs(self, scene: Scene) -> None:
        scene.standin.ending = SUCCESS
        await scene.start()
        await scene.create()
        await scene.until_ready()
        await scene.set_image(NEXT_IMAGE)
        await scene.until_ready(sequence=2)
        await wipe(scene)
        resource = await scene.until_ready(sequence=3)
        await scene.quiet()
        assert run_of(resource)["image"] == NEXT_IMAGE
        assert len(scene.standin.created) == 3


async def wipe(scene: Scene) -> None:
    """Replace the status by nothing, as a restore from a backup does."""
    resource = await scene.get()
    patch = [{"op": "replace", "path": "/status", "value": {}}]
    await scene.resources.patch(
        scene.namespace,
        resource["metadata"]["name"],
        patch,
        subresource="status",
        content_type="application/json-patch+json",
    )


async def test_only_resources_of_the_watched_namespaces_are_looked_at(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    watched, elsewhere = await create_namespace(scene.admin), await create_namespace(scene.admin)
    try:
        await scene.start(DBUPGRADE_WATCH_NAMESPACES=f"{scene.namespace},{watched}")
        for namespace in (elsewhere, watched):
            await scene.resources.create(namespace, {**await body_of(scene), "spec": spec()})
        await scene.create()
        await scene.until_ready()

        async def looked_at(namespace: str) -> bool:
            resource = await scene.resources.get(namespace, NAME)
            return bool(condition(resource, "Progressing")["reason"] == "SecretNotFound")

        await eventually(lambda: looked_at(watched))
        await scene.quiet()
        assert (await scene.resources.get(elsewhere, NAME))["status"] == {"observedGeneration": -1}
        assert not any(elsewhere in seen.path for seen in scene.proxy.requests)
    finally:
        for namespace in (watched, elsewhere):
            await clear_namespace(scene.admin, namespace)


async def body_of(scene: Scene) -> dict[str, Any]:
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": NAME}}
