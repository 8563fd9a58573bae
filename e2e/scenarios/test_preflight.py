"""What keeps a migration from succeeding is found before it begins, with the command that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbupgrade.api.names import ANNOTATION_RETRY
from e2e.scenarios.support.images import FIRST, SECOND
from e2e.scenarios.support.upgrade import DONE, refused

if TYPE_CHECKING:
    from e2e.scenarios.support.world import World

ALTER = {"20250105000000_age.sql": "ALTER TABLE users ADD COLUMN age int;\n"}


def test_a_table_of_somebody_else_stops_the_run_before_anything_is_applied(world: World) -> None:
    world.secret()
    world.upgrade(world.image(FIRST))
    world.wait_for(DONE)
    database = world.database
    database.administer(
        "ALTER TABLE users OWNER TO CURRENT_USER", f'GRANT SELECT ON users TO "{database.name}"'
    )

    world.upgrade(world.image({**FIRST, **SECOND, **ALTER}))
    upgrade = world.wait_run(2)
    assert upgrade.verdict == refused("PreflightFailed")
    assert upgrade.run["failure"] == "PreflightFailed"
    (finding,) = upgrade.status["preflight"]
    assert (finding["check"], finding["severity"]) == ("privileges", "error")
    assert "needed by 20250105000000_age.sql" in finding["message"]
    assert finding["fix"].startswith("ALTER TABLE public.users OWNER TO ")
    assert finding["fix"].rstrip(";") in upgrade.message
    assert database.versions == ["20250101000000"]  # not even the file before it

    database.administer(finding["fix"])
    world.annotate("app", ANNOTATION_RETRY, "1")
    upgrade = world.wait_for(DONE)
    assert upgrade.status["preflight"] == []
    assert database.versions == ["20250101000000", "20250102000000", "20250105000000"]
