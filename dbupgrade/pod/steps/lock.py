"""The native sidecar `hold-lock`, for an engine that takes no lock of its own: the runner holds it until the run has ended."""

from typing import ClassVar

from dbupgrade.api.failure import Failure
from dbupgrade.api.spec import Spec
from dbupgrade.objects import Object
from dbupgrade.pod import runner
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.report import Report
from dbupgrade.pod.step import Step
from dbupgrade.pod.view import ContainerView


class HoldLock(Step):
    """Waits for the database and its lock, says so, and holds the lock. When it is restarted, it does not take it again."""

    name: ClassVar[str] = "hold-lock"
    beside: ClassVar[bool] = True

    def wanted(self, context: Context, engine: MigrationEngine) -> bool:
        """Where the engine is not the runner."""
        del context
        return not engine.locks

    def container(self, context: Context) -> Object:
        """The runner."""
        return runner.holding(context, self.name)

    def volumes(self, context: Context) -> list[Object]:
        """Where it says that it holds the lock."""
        del context
        return [runner.LOCK_VOLUME]

    def why(self, view: ContainerView, spec: Spec | None) -> Report:
        """What the loss of the lock means."""
        del view, spec
        return Report(failure=Failure.INTERRUPTED)
