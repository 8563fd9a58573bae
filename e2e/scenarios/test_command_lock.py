"""The lock in the database beside an application's own command: across namespaces it decides, and its loss ends the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbupgrade.toolkit.history.lock import KEY
from e2e.scenarios.support.database import GATE
from e2e.scenarios.support.mariadb import mariadb
from e2e.scenarios.support.psql import parts
from e2e.scenarios.support.upgrade import DONE, STALLED, held
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from e2e.scenarios.support.upgrade import Upgrade
    from e2e.scenarios.support.world import World

COMMAND = {"engine": "Command", "command": ["sh", "/app/migrate.sh"]}
SCRIPT = """
set -e
export PGHOST="$DB_HOST" PGPORT="$DB_PORT" PGDATABASE="$DB_DATABASE" PGUSER="$DB_USER" PGPASSWORD="$DB_PASSWORD"
psql -v ON_ERROR_STOP=1 -c 'CREATE TABLE users (id int)' -c 'SELECT pg_advisory_lock_shared({gate})'
"""
HOLDER = f"""FROM pg_locks JOIN pg_database d ON d.oid = database WHERE datname = current_database()
AND locktype = 'advisory' AND classid::bigint << 32 | objid::bigint = {KEY} AND granted"""


def migrate(world: World) -> None:
    files = {"/app/migrate.sh": SCRIPT.replace("{gate}", str(GATE)).encode()}
    image = world.push(files, base=world.cluster.psql_image)
    world.upgrade(image, migrations=COMMAND, database=parts(world))


def test_a_command_waits_for_a_lock_that_others_hold_and_is_busy_until_then(world: World) -> None:
    with world.database.transaction(f"SELECT pg_advisory_lock({KEY})"):
        migrate(world)
        busy: Upgrade = world.wait_for(held("DatabaseBusy"))
        assert "another migration holds the lock on the database" in busy.message
        assert world.database.tables == []
    assert world.wait_for(DONE).run["attempt"] > 1
    assert world.database.tables == ["users"]
    assert world.database.rows(f"SELECT 1 {HOLDER}") == []


def test_a_command_that_has_lost_its_lock_is_ended(world: World) -> None:
    with world.database.closed_gate():
        migrate(world)
        world.wait_migrating()
        wait_until(lambda: world.database.tables == ["users"], "the command is at work")
        world.database.rows(f"SELECT pg_terminate_backend(pid) {HOLDER}")
        upgrade = world.wait_for(STALLED)
    assert upgrade.run["failure"] == "Interrupted"
    assert "its lock on the database was lost" in upgrade.message
    assert len(world.created_jobs()) == 1


SLEEPS = {"engine": "Command", "command": ["sh", "-c", "trap 'exit 0' TERM; while sleep 0.2; do :; done"]}
RUN_LOCK = "SELECT IS_USED_LOCK(CONCAT('dbupgrade_run_', LEFT(SHA2('shop', 256), 32)))"


def test_on_mariadb_a_command_that_has_lost_its_lock_is_ended_though_it_then_succeeds(world: World) -> None:
    with mariadb(world.cluster.host_ip) as server:
        world.secrets.add(server.password)
        world.secret(server.url("mysql") + "?sslaccept=strict")
        world.upgrade(world.push({}, base=world.cluster.psql_image), migrations=SLEEPS)
        world.wait_migrating()
        (holder,) = server.rows(RUN_LOCK)
        server.rows(f"KILL {holder}")
        upgrade = world.wait_for(STALLED)
    assert upgrade.run["failure"] == "Interrupted"
