"""What teams that share an operator try against each other: nobody waits for, or hears of, what is not theirs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dbupgrade.api import names
from dbupgrade.api.identity import database_identity, run_id
from dbupgrade.api.spec import Spec
from dbupgrade.kube.resources import JOBS, SECRETS, ResourceClient
from tests.integration.harness.faultproxy import Reset
from tests.integration.harness.namespaces import clear_namespace, create_namespace
from tests.integration.harness.scene import JOB_CREATION, is_finished, is_ready, run_of, spec
from tests.integration.harness.standin import SUCCESS
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.harness.scene import Scene

DATABASE = {
    "type": "selfHosted",
    "connection": {
        "host": "db.shop.svc",
        "database": "shop",
        "userSecretRef": {"name": "login", "key": "user"},
        "passwordSecretRef": {"name": "login", "key": "password"},
    },
}


def a_resource(name: str, **more: Any) -> dict[str, Any]:
    kind = {"apiVersion": names.API_VERSION, "kind": names.KIND}
    return {**kind, "metadata": {"name": name}, "spec": {**spec(), "database": DATABASE, **more}}


async def test_a_namespace_that_names_the_database_of_another_does_not_hold_it(scene: Scene) -> None:
    attacker = await create_namespace(scene.admin)
    login = {"metadata": {"name": "login"}, "stringData": {"user": "u", "password": "p"}}
    for namespace in (attacker, scene.namespace):
        await ResourceClient(scene.admin, SECRETS).create(namespace, login)
    operator = await scene.start(DBUPGRADE_WATCH_NAMESPACES=f"{attacker},{scene.namespace}")
    try:
        # Nothing ends the attacker's Job.
        await scene.resources.create(attacker, a_resource("sleeper"))

        async def sleeps() -> bool:
            return "jobUid" in run_of(await scene.resources.get(attacker, "sleeper"))

        await eventually(sleeps, within=30)
        scene.standin.ending = SUCCESS
        await scene.resources.create(scene.namespace, a_resource("victim"))
        resource = await scene.until(is_ready, name="victim")
        assert attacker not in json.dumps(resource)
    finally:
        await scene.stop(operator)
        await clear_namespace(scene.admin, attacker)


async def test_a_resource_that_a_finalizer_holds_frees_its_database_with_its_job(scene: Scene) -> None:
    await scene.start()
    await scene.create("held")
    job = await scene.standin.job()
    await scene.create("next")
    await scene.until_reason("DatabaseBusy", name="next")
    await scene.patch({"metadata": {"finalizers": ["example.com/holds"]}}, "held")
    await scene.resources.delete(scene.namespace, "held", propagation="Background")
    await scene.until(lambda resource: "deletionTimestamp" in resource["metadata"], name="held")
    await scene.standin.end(job, SUCCESS)
    second = await scene.standin.job(2)
    assert second["metadata"]["annotations"][names.ANNOTATION_RESOURCE] == "next"
    await scene.standin.end(second, SUCCESS)
    await scene.until(is_finished, name="next")


async def test_a_run_that_only_a_status_tells_of_makes_nobody_wait(scene: Scene) -> None:
    """The attacker may write statuses: one that names the database of others, and a Job of others."""
    scene.standin.ending = SUCCESS
    await scene.start()
    victim = await scene.create()
    victim = await scene.until_ready()
    identity = database_identity(scene.namespace, Spec.model_validate(victim["spec"]).database)
    await scene.create("liar", suspend=True)
    await scene.until_reason("Suspended", name="liar")
    forged = {
        **run_of(victim),
        "database": names.database_label(identity),
        "finishedAt": None,
        "result": None,
        "tokenSecret": "database",
    }
    patch = {"status": {"run": forged}}
    await scene.patch(patch, "liar", subresource="status")
    await scene.patch({"spec": {"migrations": {"image": "registry.example/shop:2.0.0"}}})
    await scene.until_ready(sequence=2)
    jobs = ResourceClient(scene.admin, JOBS)
    assert await jobs.get(scene.namespace, run_of(victim)["jobName"]), "the liar's status names it"
    assert await scene.secrets.get(scene.namespace, "database")


class TestAForgedJob:
    """Name, uid, run id and owner of a run's Job are no secrets: whoever may create Jobs can copy them."""

    async def test_one_that_the_operator_does_not_watch_is_not_taken_for_the_runs(self, scene: Scene) -> None:
        scene.standin.ending = SUCCESS
        resource = await scene.create()
        forged = await forge(scene, resource, labelled=False)
        await scene.start()
        resource = await scene.until_ready(sequence=2)
        await scene.quiet()
        assert [job["metadata"]["name"] for job in scene.standin.created] == [run_of(resource)["jobName"]]
        assert (await scene.jobs.get(scene.namespace, forged))["spec"].get("ttlSecondsAfterFinished") is None

    async def test_one_that_was_made_after_a_crash_is_not_taken_for_the_runs(self, scene: Scene) -> None:
        trouble = scene.inject(JOB_CREATION, Reset(), times=None)
        operator = await scene.start()
        resource = await scene.create()
        await scene.until(lambda found: "jobName" in run_of(found))
        operator.kill()
        forged = await forge(scene, resource, labelled=True)
        scene.proxy.faults.remove(trouble)
        await scene.start()

        def is_next(found: dict[str, Any]) -> bool:
            return bool(run_of(found).get("sequence") == 2)

        await scene.until(is_next, within=60)
        ours = await scene.standin.job(2)
        assert ours["metadata"]["name"] != forged
        await scene.standin.end(ours, SUCCESS)
        resource = await scene.until_ready(sequence=2)
        assert run_of(resource)["toVersion"] == "20250102"

    async def test_ours_is_known_again_after_its_answer_was_lost(self, scene: Scene) -> None:
        scene.inject(JOB_CREATION, Reset(applied=True))
        scene.standin.ending = SUCCESS
        await scene.start()
        await scene.create()
        await scene.until_ready(sequence=1)
        await scene.quiet()
        assert len(scene.standin.created) == 1


async def forge(scene: Scene, resource: dict[str, Any], *, labelled: bool) -> str:
    """A Job that looks like the one of the first run, does nothing and has succeeded; returns its name."""
    metadata, found = resource["metadata"], Spec.model_validate(resource["spec"])
    name = names.job_name(metadata["name"], metadata["uid"], 1)
    owner = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
    annotations = {
        names.ANNOTATION_RUN_ID: run_id(scene.namespace, found),
        names.ANNOTATION_SEQUENCE: "1",
        names.ANNOTATION_RESOURCE: metadata["name"],
    }
    labels = {names.LABEL_UID: metadata["uid"]} if labelled else {}
    container = {"name": "migrate", "image": "busybox", "command": ["true"]}
    body = {
        "metadata": {"name": name, "labels": labels, "annotations": annotations, "ownerReferences": [owner]},
        "spec": {
            "backoffLimit": 0,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }
    job = await scene.jobs.create(scene.namespace, body)
    if labelled:
        await scene.standin.end(await scene.standin.job(), SUCCESS)
    else:
        await scene.standin.end_job(job, SUCCESS)
    return name
