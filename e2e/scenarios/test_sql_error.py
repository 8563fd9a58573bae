"""A statement that fails: what was done before it stays, and a person is told where and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from e2e.scenarios.support.images import FIRST, SECOND, THIRD, THREE
from e2e.scenarios.support.upgrade import DONE, STALLED

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

BAD_FILE = "20250103000000_rows.sql"
LITERAL = "private-row-5f2a"
BROKEN = {**FIRST, **SECOND, BAD_FILE: f"INSERT INTO people (name) VALUES ('{LITERAL}');"}  # noqa: S608


def test_the_files_before_the_failing_one_stay_and_the_correction_goes_on_from_there(world: World) -> None:
    world.secrets.add(LITERAL)
    world.secret()
    broken = world.image(BROKEN)
    world.upgrade(broken)
    upgrade = world.wait_run(1)
    assert upgrade.verdict == STALLED
    assert upgrade.run["failure"] == "SQLError"
    assert upgrade.run["failedFile"] == BAD_FILE
    assert upgrade.run["failedStatement"] == "INSERT INTO people (name) VALUES ('***');"
    assert 'relation "people" does not exist' in upgrade.run["error"]
    assert (upgrade.run["appliedCount"], upgrade.run["toVersion"]) == (2, "20250102000000")
    for words in (
        BAD_FILE,
        "VALUES ('***')",
        "does not exist",
        "2 files were applied before it",
        "Correct the migration",
    ):
        assert words in upgrade.message
    assert upgrade.status["currentVersion"] == "20250102000000"
    assert upgrade.status["pendingCount"] == 1
    assert "jobCompletedAt" not in upgrade.status
    assert world.database.tables == ["orders", "users"]
    world.wait_events({"MigrationStarted": 1, "MigrationFailed": 1})

    corrected = world.image(THREE)
    world.upgrade(corrected)
    upgrade = world.wait_for(DONE)
    assert [run["result"] for run in upgrade.history] == ["Succeeded", "Failed"]
    assert upgrade.run["appliedCount"] == 1
    assert world.database.rows("SELECT count(*) FROM users") == [10]
    world.wait_events(
        {"MigrationStarted": 2, "MigrationFailed": 1, "SpecChanged": 1, "MigrationSucceeded": 1}
    )


def test_a_failed_migration_is_not_repeated_without_a_person(world: World) -> None:
    world.secret()
    image = world.image(BROKEN)
    world.upgrade(image)
    world.wait_run(1)
    # A change of suspend asks for nothing; that it was seen shows that the operator had reason to look again.
    world.upgrade(image, suspend=True)
    world.wait_for(lambda upgrade: upgrade.verdict.progressing == "False", what="the change is seen")
    world.upgrade(image, suspend=False)
    upgrade = world.wait_for(STALLED)
    assert upgrade.run["sequence"] == 1
    assert len(world.created_jobs()) == 1


def test_the_retry_annotation_runs_a_failed_migration_again_once(world: World) -> None:
    world.secret()
    world.upgrade(world.image({**FIRST, **SECOND, **THIRD, "20250104000000_x.sql": "SELECT * FROM later;"}))
    world.wait_run(1)
    world.database.rows("CREATE TABLE later (id int)")
    world.annotate("app", "dbupgrade.subbug.learning/retry", "one")
    upgrade = world.wait_for(DONE)
    assert upgrade.run["sequence"] == 2
    assert upgrade.status["lastHandledRetry"] == "one"
    # After a success it has no effect: the next value is noted, and nothing runs.
    world.annotate("app", "dbupgrade.subbug.learning/retry", "two")
    world.wait_for(lambda upgrade: upgrade.status.get("lastHandledRetry") == "two", what="it is noted")
    assert len(world.created_jobs()) == 2


def test_a_failing_statement_with_a_password_in_it_shows_it_nowhere(world: World) -> None:
    password = f"hunter2-{world.namespace}"
    world.secrets.add(password)
    world.secret()
    statements = (
        f"CREATE ROLE reporter PASSWORD '{password}';",
        f"DO $$ BEGIN RAISE EXCEPTION 'no {password}'; END $$;",
        f"SELECT '{password}'::int;",
        f"SELECT 1 FROM nowhere -- {password}\n;",  # noqa: S608
    )
    for number, statement in enumerate(statements, start=1):
        world.upgrade(world.image({"20250101000000_role.sql": statement}))
        upgrade = world.wait_run(number)
        assert upgrade.verdict == STALLED
        assert upgrade.run["failure"] == "SQLError"
        assert upgrade.run["failedFile"] == "20250101000000_role.sql"
