"""Plans that somebody must approve, in real pods on a real PostgreSQL: nothing is applied that was not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from e2e.scenarios.support.api import RefusedError
from e2e.scenarios.support.images import FIRST, SECOND, crane, folder
from e2e.scenarios.support.upgrade import DONE, Upgrade, Verdict, held

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

APPROVAL = "dbupgrade.subbug.learning/approval"
ALWAYS = {"approval": "Always"}
FINDINGS = {"approval": "OnFindings"}
ADD = {"20250105000000_note.sql": "ALTER TABLE users ADD COLUMN note text;"}
DROP = {"20250106000000_drop.sql": "ALTER TABLE users DROP COLUMN note;"}
PENDING = held("ApprovalPending")
CHANGED = held("PlanChanged")


def user(world: World) -> str:
    return world.kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}").strip()


def digest(upgrade: Upgrade) -> str:
    return str(upgrade.status["plan"]["digest"])


def approve(world: World, plan: str) -> None:
    world.annotate("app", APPROVAL, f"approve {plan} {user(world)}")


def wait_planned(world: World, sequence: int, wanted: Verdict = PENDING) -> Upgrade:
    upgrade = world.wait_run(sequence)
    assert upgrade.verdict == wanted, upgrade.message
    return upgrade


def test_nothing_is_applied_before_the_plan_is_approved(world: World) -> None:
    world.secret()
    image = world.image({**FIRST, **SECOND})
    world.upgrade(image, policy=ALWAYS)
    upgrade = wait_planned(world, 1)
    plan = upgrade.status["plan"]
    assert world.database.tables == []
    assert (plan["fileCount"], plan["statementCount"], plan["toVersion"]) == (2, 2, "20250102000000")
    assert (plan["image"], plan["imageDigest"]) == (image, upgrade.run["digest"])
    assert [file["name"] for file in plan["files"]] == [*FIRST, *SECOND]
    assert (upgrade.run["result"], upgrade.run["plan"]) == ("Planned", plan["digest"])
    assert "appliedCount" not in upgrade.run or upgrade.run["appliedCount"] == 0

    with pytest.raises(RefusedError, match="your own user name"):
        world.annotate("app", APPROVAL, f"approve {plan['digest']} somebody-else")
    other = "sha256:" + "0" * 64
    approve(world, other)
    approve(world, plan["digest"])
    upgrade = world.wait_for(DONE)
    assert (upgrade.run["sequence"], upgrade.run["plan"]) == (2, plan["digest"])
    assert upgrade.run["approvedBy"] == user(world)
    assert upgrade.run["approvedAt"] >= plan["madeAt"]
    assert "plan" not in upgrade.status
    assert [run["result"] for run in upgrade.history] == ["Succeeded", "Planned"]
    assert (
        world.database.tables == ["atlas_schema_revisions", "orders", "users"]
        or "users" in world.database.tables
    )
    asked = {"ApprovalPending": 1, "PlanApproved": 1}
    world.wait_events({**asked, "MigrationStarted": 2, "MigrationSucceeded": 1})


def test_an_approval_in_git_and_one_that_came_too_late(world: World) -> None:
    """A table, the image and the files may change between plan and approval: each makes it another plan."""
    world.secret()
    world.upgrade(world.image(FIRST))
    world.wait_for(DONE)
    image = world.image({**FIRST, **ADD})
    world.upgrade(image, policy=ALWAYS)
    first = digest(wait_planned(world, 2))

    world.database.rows("ALTER TABLE users ADD COLUMN by_hand text")
    approve(world, first)
    second = digest(wait_planned(world, 3, CHANGED))
    assert second != first

    other = world.push({**folder(world.cluster, {**FIRST, **ADD}), "/migrations/README": b"not a migration"})
    crane(world.cluster, "copy", "--insecure", other, image)
    approve(world, second)
    third = digest(wait_planned(world, 4, CHANGED))
    assert third not in (first, second)
    assert columns(world) == ["by_hand", "id"]

    world.upgrade(image, policy={**ALWAYS, "approvedPlan": third})
    upgrade = world.wait_for(DONE)
    assert (upgrade.run["sequence"], upgrade.run["approvedBy"]) == (5, "spec.policy.approvedPlan")
    assert columns(world) == ["by_hand", "id", "note"]


def test_only_a_plan_with_findings_asks(world: World) -> None:
    world.secret()
    world.upgrade(world.image(FIRST), policy=FINDINGS)
    world.wait_for(DONE)
    world.upgrade(world.image({**FIRST, **ADD}), policy=FINDINGS)
    world.wait_for(DONE)
    dangerous = world.image({**FIRST, **ADD, **DROP})
    world.upgrade(dangerous, policy=FINDINGS)
    upgrade = wait_planned(world, 3)
    assert "drops column users.note" in upgrade.message
    assert upgrade.status["plan"]["errors"] == 1
    world.annotate("app", APPROVAL, f"reject {digest(upgrade)} {user(world)}")
    world.wait_for(lambda seen: seen.message.startswith(f"Rejected by {user(world)}. "))
    assert columns(world) == ["id", "note"]
    approve(world, digest(upgrade))
    world.wait_for(DONE)
    assert columns(world) == ["id"]


def columns(world: World) -> list[Any]:
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'users' ORDER BY 1"
    return world.database.rows(query)
