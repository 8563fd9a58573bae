"""A database that golang-migrate has migrated is taken over as docs/guides/switching.md says: nothing is applied twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.scenarios.support.upgrade import DONE, held
from e2e.scenarios.test_plan_command import command

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

HISTORIES = Path(__file__).parents[2] / "tests/integration/toolkit/histories"
NEW = "000004_note.sql"


def imported(world: World, target: Path) -> str:
    """Convert the folder of golang-migrate; returns the baseline that its history stands for."""
    done = subprocess.run(
        [sys.executable, "-m", "dbupgrade", "migrate", "import", "--from", "golang-migrate", str(HISTORIES / "golang-migrate"),
         "--dir", str(target), "--format", "json"],
        env={**os.environ, "DATABASE_URL": world.database.url()}, stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return str(next(event["baseline"] for event in events if event["event"] == "baseline"))


def test_a_database_of_golang_migrate_is_taken_over(world: World, tmp_path: Path) -> None:
    for statement in (HISTORIES / "golang-migrate.sql").read_text().split(";\n"):
        world.database.rows(statement)
    baseline = imported(world, tmp_path)
    (tmp_path / NEW).write_text("ALTER TABLE orders ADD COLUMN note text;\n")
    image = world.image({path.name: path.read_text() for path in tmp_path.glob("*.sql")})
    world.secret()
    world.upgrade(image, migrations={"baseline": baseline}, policy={"approval": "Always"})
    plan = world.wait_for(held("ApprovalPending")).status["plan"]
    assert [file["name"] for file in plan["files"]] == [NEW]
    assert NEW in command(world, "status", "app")
    assert "approved as" in command(world, "approve", "app", "--plan", plan["digest"])
    assert world.wait_for(DONE).run["appliedCount"] == 1
    assert world.database.rows("SELECT version FROM schema_migrations WHERE NOT dirty") == [3]
    assert "note" in world.database.rows("SELECT column_name FROM information_schema.columns")
