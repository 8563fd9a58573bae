"""The engine Psql, in the runner: PostgreSQL's own psql, with a history table of ours."""

from typing import ClassVar

from dbupgrade.objects import Object
from dbupgrade.pod import runner
from dbupgrade.pod.connection import url
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView


class Psql(MigrationEngine):
    """The runner with psql."""

    schemes: ClassVar[tuple[str, ...]] = url.POSTGRESQL
    locks: ClassVar[bool] = True
    tells_progress: ClassVar[bool] = True

    def container(self, context: Context) -> Object:
        """The runner."""
        return runner.container(context)

    def volumes(self, context: Context) -> list[Object]:
        """The folder, and room for temporary files."""
        return runner.volumes(context)

    def reported(self, view: ContainerView) -> Report:
        """What the runner left."""
        return runner.reported(view)
