"""A plan that waits for approval, as people see it, approve it and reject it with `kubectl dbupgrade`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from dbupgrade.api import names
from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure
from dbupgrade.api.plan import Plan, PlannedFile, PlanNote
from dbupgrade.kube.resources import ResourceClient
from dbupgrade.pod import plan as plans
from tests.integration.harness.accounts import RBAC, ROLE_BINDINGS, ROLES
from tests.integration.harness.scene import NAME, is_ready, run_of
from tests.integration.harness.standin import Ending, reported
from tests.integration.operator.test_commands import answer, begin, command, read, terminal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.harness.scene import Scene

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
ASKS = "spec.policy.approval is Always"
READER = "carol@example.com"


def planned(digest: str = ONE) -> Ending:
    """The end of a run that has made that plan and applied nothing."""
    files = (PlannedFile(name="20250102_two.sql", statement_count=3),)
    plan = Plan(
        digest=digest, asks=ASKS, from_version="20250101", to_version="20250102", file_count=1, statement_count=3,
        files=files,
    )  # fmt: skip
    line = plans.line(plan)
    note = PlanNote(digest=digest, line=plans.sha256(line), asks=ASKS, files=1, statements=3)
    ending = reported(ExitCode.APPROVAL, failure=Failure.APPROVAL_PENDING, pending=1, plan=note)
    return Ending(ending.exit_code, ending.message, f"{line}\n{ending.log}")


def applied(digest: str = ONE) -> Ending:
    """The end of a run that has carried out that plan."""
    note = PlanNote(digest=digest, line="0" * 64)
    return reported(to_version="20250102", applied=1, pending=0, plan=note)


async def waits(scene: Scene) -> None:
    """Bring the resource to wait for an approval of the plan ONE; what is approved is then carried out."""
    await scene.start()
    scene.standin.ending = planned()
    await scene.create(policy={"approval": "Always"})
    await scene.until_reason("ApprovalPending")
    scene.standin.ending = applied()


async def test_what_waits_is_shown_and_what_was_shown_is_approved(scene: Scene) -> None:
    await waits(scene)
    tree = (await command(scene, "status", NAME)).out
    assert "plan  1 file, 3 statements, from 20250101 to 20250102" in tree
    assert f"Plan digest:  {ONE}" in tree
    assert f"Plan {ONE} of 1 file needs approval: {ASKS}." in (await command(scene, "explain", NAME)).out
    approved = await command(scene, "approve", NAME, "--plan", ONE)
    *shown, last = approved.out.splitlines()
    assert f"Plan digest:  {ONE}" in shown
    assert last == (
        f"{scene.namespace}/{NAME}: approved as admin; the run that carries it out starts now, if nothing else prevents it"
    )
    resource = await scene.until(is_ready)
    assert (run_of(resource)["plan"], run_of(resource)["approvedBy"]) == (ONE, "admin")
    assert "plan" not in resource["status"]
    rows = json.loads((await command(scene, "history", NAME, "-o", "json")).out)
    assert [(row["result"], row.get("approvedBy")) for row in rows] == [
        ("Succeeded", "admin"),
        ("Planned", None),
    ]
    again = await command(scene, "approve", NAME, "--plan", ONE)
    assert (again.code, "no plan waits for approval" in again.err) == (1, True)


async def test_without_a_terminal_the_digest_must_be_given_and_be_that_of_the_plan(scene: Scene) -> None:
    await waits(scene)
    for words in ((), ("--yes",)):
        refused = await command(scene, "approve", NAME, *words)
        assert (refused.code, "Give the digest of the plan" in refused.err) == (2, True)
    other = await command(scene, "approve", NAME, "--plan", TWO)
    assert (other.code, f"the plan that waits is {ONE}, not {TWO}" in other.err) == (1, True)
    assert names.ANNOTATION_APPROVAL not in (await scene.get())["metadata"].get("annotations", {})


async def test_on_a_terminal_a_person_is_asked(scene: Scene) -> None:
    await waits(scene)
    code, written = await asked(scene, "n")
    assert (code, "nothing was approved" in written) == (1, True)
    assert names.ANNOTATION_APPROVAL not in (await scene.get())["metadata"].get("annotations", {})
    code, written = await asked(scene, "y")
    assert (code, "approved as admin" in written) == (0, True)
    await scene.until(is_ready)


async def asked(
    scene: Scene, key: str, meanwhile: Callable[[], Awaitable[object]] | None = None
) -> tuple[int, str]:
    """Answer the question of `approve` with that key, after something has happened; the exit code, and what is shown then."""
    async with terminal() as (screen, theirs, keys):
        process = await begin(scene, "approve", NAME, stdin=theirs, stdout=theirs, stderr=theirs)
        await read(screen, until="Approve this plan?")
        if meanwhile:
            await meanwhile()
        os.write(keys, f"{key}\n".encode())
        code = await process.wait()
        os.write(theirs, b"<end>")
        return code, await read(screen, until="<end>")


async def test_another_plan_is_not_approved_by_who_has_seen_this_one(scene: Scene) -> None:
    await waits(scene)
    scene.standin.ending = planned(TWO)

    async def changes() -> None:
        await command(scene, "retry", NAME)
        await scene.until(lambda found: found["status"].get("plan", {}).get("digest") == TWO)

    code, written = await asked(scene, "y", changes)
    assert (code, f"the plan that waits is {TWO}, not {ONE}" in written) == (1, True)
    assert names.ANNOTATION_APPROVAL not in (await scene.get())["metadata"].get("annotations", {})


async def test_what_else_is_written_meanwhile_prevents_no_approval(scene: Scene) -> None:
    await waits(scene)
    code, _ = await asked(
        scene, "y", lambda: scene.patch({"metadata": {"annotations": {"example.com/note": "new"}}})
    )
    assert code == 0
    await scene.until(is_ready)


async def test_a_rejection_is_told_and_an_approval_overrules_it(scene: Scene) -> None:
    await waits(scene)
    rejected = await command(scene, "reject", NAME, "--reason", "after the sale")
    assert rejected.out.splitlines()[-1] == (
        f"{scene.namespace}/{NAME}: rejected as admin; nothing is applied until somebody approves the plan or the spec changes"
    )

    def is_told(found: dict[str, Any]) -> bool:
        return "Rejected by admin: after the sale. " in found["status"]["conditions"][0]["message"]

    await scene.until(is_told)
    assert "Rejected by admin: after the sale." in (await command(scene, "explain", NAME)).out
    assert len(scene.standin.created) == 1
    for reason in ("one\ntwo", "x" * 513):
        refused = await command(scene, "reject", NAME, "--reason", reason)
        assert (refused.code, "one line of at most 512 characters" in refused.err) == (2, True)
    assert (await command(scene, "approve", NAME, "--plan", ONE)).code == 0
    await scene.until(is_ready)


async def test_who_may_not_is_told_what_it_takes_and_whom_to_ask(scene: Scene) -> None:
    await waits(scene)
    rule = {"apiGroups": [names.GROUP], "resources": [names.PLURAL], "verbs": ["get"]}
    metadata = {"name": "reader"}
    await ResourceClient(scene.admin, ROLES).create(scene.namespace, {"metadata": metadata, "rules": [rule]})
    binding = {
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "reader"},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": READER}],
    }
    await ResourceClient(scene.admin, ROLE_BINDINGS).create(scene.namespace, binding)
    refused = await answer(await begin(scene, "approve", NAME, "--plan", ONE, user=READER))
    assert refused.code == 1
    for words in (
        f"{READER} may not approve or reject plans of {scene.namespace}/{NAME}",
        f"the verbs patch and approve on {names.PLURAL}.{names.GROUP}",
        "ClusterRole dbupgrade-approver",
        "The API server says: ",
    ):
        assert words in refused.err
