"""What teams that share an operator try against each other: nobody waits for, or hears of, what is not theirs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dbupgrade.api import names
from dbupgrade.api.identity import database_identity
from dbupgrade.api.spec import Spec
from dbupgrade.kube.resources import JOBS, SECRETS, ResourceClient
from tests.integration.harness.namespaces import clear_namespace, create_namespace
from tests.integration.harness.scene import is_finished, is_ready, run_of, spec
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
