"""What applies the files of a folder: one module an engine, entered here by its name in spec.migrations.engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dbupgrade.api.spec.migrations import Engine
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.engines import atlas, psql
from dbupgrade.toolkit.engines.standing import Standing


@dataclass(frozen=True)
class EngineCommands:
    """What an engine does for the commands. All raise AtlasError, FolderError, RefusedError and BadEnvironmentError."""

    apply: Callable[[Call], Report]
    """Apply what is pending, and report on it."""
    standing: Callable[[Call], Standing]
    """Compare folder and database."""
    validate: Callable[[Call], str]
    """Check the folder; returns what is true of it, in words."""


ENGINES: Mapping[Engine, EngineCommands] = {
    Engine.ATLAS: EngineCommands(atlas.apply, atlas.standing, atlas.validate),
    Engine.PSQL: EngineCommands(psql.apply, psql.standing, psql.validate),
}
