"""`kubectl dbupgrade plan`: a Job of the person's own, which the operator does not see, and of which nothing remains."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api import names
from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.plan import Plan, PlannedFile
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import JOBS, ResourceClient, ResourceKind
from dbupgrade.pod import plan as plans
from tests.integration.harness.accounts import RBAC, ROLE_BINDINGS, ROLES
from tests.integration.harness.scene import NAME
from tests.integration.harness.standin import SUCCESS, Ending
from tests.integration.harness.waiting import eventually
from tests.integration.operator.test_commands import Answer, answer, begin

if TYPE_CHECKING:
    from tests.integration.harness.scene import Scene

Object = dict[str, Any]

NEXT = "registry.example/shop:2.0.0"
READER = "carol@example.com"
PLAN = Plan(
    digest=f"sha256:{'1' * 64}", from_version="20250101", to_version="20250102", file_count=1, statement_count=3,
    files=(PlannedFile(name="20250102_two.sql", statement_count=3),),
)  # fmt: skip
MADE = Ending(0, "", f'{{"event": "waiting", "message": "waiting"}}\n{plans.line(PLAN)}\n')


async def publish(scene: Scene) -> None:
    """What the chart installs beside the operator; here in the namespace of the scene."""
    data = {
        "craneImage": "crane:1",
        "runnerImage": "runner:1",
        "atlasImage": "",
        "insecureRegistries": "false",
    }
    kind = ResourceKind("", "v1", "configmaps")
    await ResourceClient(scene.admin, kind).create(
        scene.namespace, {"metadata": {"name": "dbupgrade-runner"}, "data": data}
    )


async def plan(scene: Scene, *words: str, ending: Ending = MADE, user: str = "") -> tuple[Answer, Object]:
    """Call it, and let its pod end like that; what it answers, and its Job."""
    process = await begin(scene, "plan", NAME, "--operator-namespace", scene.namespace, *words, user=user)
    job: Object = {}

    async def is_there() -> bool:
        nonlocal job
        job = await plan_job(scene) or {}
        return bool(job)

    await eventually(is_there, what="the Job is there")
    await scene.standin.play(job, ending)
    return await answer(process), job


async def plan_job(scene: Scene) -> Object | None:
    page = await ListWatcher(scene.admin, JOBS, scene.namespace).list_page(limit=0)
    found = [job for job in page.items if names.LABEL_UID not in job["metadata"].get("labels", {})]
    return dict(found[0]) if found else None


async def test_the_next_image_is_planned_and_nothing_is_changed(scene: Scene) -> None:
    await publish(scene)
    scene.standin.ending = SUCCESS
    operator = await scene.start()
    await scene.create()
    before = await scene.until_ready()
    shown, job = await plan(scene, "--image", NEXT)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.splitlines() == [
        "1 file, 3 statements, from 20250101 to 20250102; lint finds nothing",
        "  20250102_two.sql (3 statements)",
        f"Plan digest:  {PLAN.digest}",
    ]
    assert NEXT in json.dumps(job["spec"])
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate", "plan"]
    assert await plan_job(scene) is None
    await scene.quiet()
    del operator
    assert len(scene.standin.created) == 1
    assert (await scene.get())["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_a_plan_that_asks_for_approval_is_shown_as_data_and_as_a_document(scene: Scene) -> None:
    await publish(scene)
    await scene.create()
    ending = Ending(ExitCode.APPROVAL, MADE.message, MADE.log)
    shown, _ = await plan(scene, "-o", "json", ending=ending)
    assert json.loads(shown.out)["digest"] == PLAN.digest
    shown, _ = await plan(scene, "-o", "markdown", ending=ending)
    assert shown.out.startswith("## Migration plan\n")
    assert f"Plan digest: `{PLAN.digest}`" in shown.out


async def test_a_plan_that_cannot_be_made_says_why_and_leaves_nothing(scene: Scene) -> None:
    await publish(scene)
    await scene.create()
    log = '{"event": "error", "level": "error", "message": "the database cannot be reached"}\n'
    shown, _ = await plan(scene, ending=Ending(ExitCode.UNREACHABLE, "", log))
    assert shown.code == 1
    assert "no plan was made: container migrate ended with exit code" in shown.err
    assert "error: the database cannot be reached" in shown.err
    assert await plan_job(scene) is None


async def test_time_that_is_over_leaves_nothing(scene: Scene) -> None:
    await publish(scene)
    await scene.create()
    process = await begin(scene, "plan", NAME, "--operator-namespace", scene.namespace, "--timeout", "0")
    shown = await answer(process)
    assert (shown.code, "the plan was not made within 0 s" in shown.err) == (1, True)
    assert await plan_job(scene) is None


AWS = {
    "type": "awsRds",
    "aws": {
        "roleArn": "arn:aws:iam::123456789012:role/shop", "region": "eu-west-1", "host": "db.example", "dbName": "shop",
        "username": "shop",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"database": AWS}, "with AWS authentication, only the operator can log in"),
        (
            {"migrations": {"image": NEXT, "engine": "Command", "args": ["up"]}},
            "what a command does is not known in advance",
        ),
    ],
    ids=["AWS", "Command"],
)
async def test_what_cannot_be_planned_is_refused_in_words(scene: Scene, given: Object, words: str) -> None:
    await publish(scene)
    await scene.create(**given)
    refused = await answer(await begin(scene, "plan", NAME, "--operator-namespace", scene.namespace))
    assert (refused.code, words in refused.err) == (1, True), refused.err


async def test_an_operator_that_is_elsewhere_has_to_be_named(scene: Scene) -> None:
    await scene.create()
    refused = await answer(await begin(scene, "plan", NAME, "--operator-namespace", scene.namespace))
    assert f"namespace {scene.namespace} has no usable ConfigMap dbupgrade-runner" in refused.err
    assert "--operator-namespace" in refused.err


async def test_who_may_not_create_jobs_is_told_so(scene: Scene) -> None:
    await publish(scene)
    await scene.create()
    metadata = {"name": "reader"}
    rules = [
        {"apiGroups": [names.GROUP], "resources": [names.PLURAL], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    ]
    await ResourceClient(scene.admin, ROLES).create(scene.namespace, {"metadata": metadata, "rules": rules})
    binding = {
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "reader"},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": READER}],
    }
    await ResourceClient(scene.admin, ROLE_BINDINGS).create(scene.namespace, binding)

    async def refused() -> bool:
        words = ("plan", NAME, "--operator-namespace", scene.namespace)
        shown = await answer(await begin(scene, *words, user=READER))
        return f"you may not create Jobs in namespace {scene.namespace}: a plan takes" in shown.err

    await eventually(refused, what="the reader is told that Jobs may not be created")
