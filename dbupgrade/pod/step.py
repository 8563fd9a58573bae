"""What a container before or beside the migration is: a step of the pod."""

from typing import ClassVar, Protocol

from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.objects import Object
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView


class Step(Protocol):
    """An init container of a run's pod: when there is one, what it is, and what its state means for the run."""

    name: ClassVar[str]
    """Of the container."""
    beside: ClassVar[bool] = False
    """Whether it is a native sidecar, which runs beside the migration: if it ends before the migration, the run ends."""

    def wanted(self, context: Context, engine: MigrationEngine) -> bool:
        """Whether the pod has it; `engine` is that of the spec."""
        ...

    def container(self, context: Context) -> Object:
        """The container."""
        ...

    def volumes(self, context: Context) -> list[Object]:
        """The volumes that only it mounts."""
        del context
        return []

    def doing(self, view: ContainerView) -> str:
        """What the Job is doing while this container runs, for the message; empty if there is nothing to report."""
        del view
        return ""

    def why(self, view: ContainerView, spec: Spec | None) -> Report:
        """Why it failed, from how it ended; that one before the migration ran out of memory is known already."""
        ...

    def recorded(self, run: Run, view: ContainerView) -> Run:
        """`run` with what this step found out for the status."""
        del view
        return run
