"""The container `wait-for-database`, before an engine that is not the runner: `migrate` starts when the lock is held."""

from typing import ClassVar

from dbupgrade.api.spec import Spec
from dbupgrade.objects import Object
from dbupgrade.pod import runner
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.report import Report
from dbupgrade.pod.scripts import script
from dbupgrade.pod.step import Step
from dbupgrade.pod.view import ContainerView

SCRIPT = script("steps/wait.sh")


class Wait(Step):
    """Waits until the sidecar has the lock, or says why it cannot have it."""

    name: ClassVar[str] = "wait-for-database"

    def wanted(self, context: Context, engine: MigrationEngine) -> bool:
        """Where there is that sidecar."""
        del context
        return not engine.locks

    def container(self, context: Context) -> Object:
        """A shell in the runner's image, without access to the database."""
        return runner.waiting(context, self.name, SCRIPT)

    def doing(self, view: ContainerView) -> str:
        """Until it has ended."""
        waits = view.started and view.exit_code is None
        return "waits for the database and for its lock" if waits else ""

    def why(self, view: ContainerView, spec: Spec | None) -> Report:
        """Why the database rejected the connection, or that its lock was held; nothing was done before."""
        return runner.with_server(runner.reported(view), spec)
