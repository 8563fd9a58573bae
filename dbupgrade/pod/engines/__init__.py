"""What applies migrations: one module an engine, entered here by its name in spec.migrations.engine."""

from collections.abc import Mapping

from dbupgrade.api.spec.migrations import Engine
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.engines.atlas import Atlas
from dbupgrade.pod.engines.command import Command
from dbupgrade.pod.engines.psql import Psql

ENGINES: Mapping[str, MigrationEngine] = {
    Engine.ATLAS: Atlas(),
    Engine.PSQL: Psql(),
    Engine.COMMAND: Command(),
}


def named(name: str) -> MigrationEngine:
    """The engine of a run; Atlas for one that only a newer operator knows."""
    return ENGINES.get(name, ENGINES[Engine.ATLAS])
