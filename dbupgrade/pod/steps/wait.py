"""The container `wait-for-database`, before an engine that does not wait itself: the runner waits in its place."""

from typing import ClassVar

from dbupgrade.api.spec import Spec
from dbupgrade.objects import Object
from dbupgrade.pod import runner
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.report import Report
from dbupgrade.pod.step import Step
from dbupgrade.pod.view import ContainerView


class Wait(Step):
    """Waits for the database, as long as the user lets it."""

    name: ClassVar[str] = "wait-for-database"

    def wanted(self, spec: Spec, engine: MigrationEngine) -> bool:
        """Where runner.waitForDatabaseSeconds is set, and the engine leaves it to others."""
        return spec.runner.wait_for_database_seconds > 0 and not engine.waits

    def container(self, context: Context) -> Object:
        """The runner."""
        return runner.waiting(context, self.name)

    def doing(self, view: ContainerView) -> str:
        """Until it has failed."""
        return "waits until the database accepts connections" if view.started and not view.exit_code else ""

    def why(self, view: ContainerView, spec: Spec | None) -> Report:
        """Why the database let nobody in; nothing was done before."""
        return runner.with_server(runner.reported(view), spec)
