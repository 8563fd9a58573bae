"""What applies the migrations of a run: the container `migrate`."""

from typing import ClassVar, Protocol

from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run
from dbupgrade.objects import Object
from dbupgrade.pod import folder
from dbupgrade.pod.container import temporary_volume
from dbupgrade.pod.context import Context
from dbupgrade.pod.report import Report
from dbupgrade.pod.view import ContainerView


class MigrationEngine(Protocol):
    """One way to apply migrations."""

    schemes: ClassVar[tuple[str, ...]]
    """How a database URL may begin."""
    reads_folder: ClassVar[bool] = True
    """Whether it applies the files of spec.migrations.dir."""
    locks: ClassVar[bool] = False
    """Whether it waits for the database itself, and holds the lock of a run, as the runner does."""
    tells_progress: ClassVar[bool] = False
    """Whether its log is the runner's, of which every line is the runner's own."""

    def container(self, context: Context) -> Object:
        """The container."""
        ...

    def volumes(self, context: Context) -> list[Object]:
        """The volumes of the pod, without those of its steps."""
        return [folder.volume(context.spec), temporary_volume()]

    def reported(self, view: ContainerView) -> Report | None:
        """The report of the container, which has ended; None where its log must be read for that."""
        del view
        return None

    def parse(self, log: str, *, exit_code: int, secrets: tuple[str, ...] = ()) -> Report:
        """The report on a container that printed `log` and ended with `exit_code`, for engines without one of their own."""
        del log, secrets
        return Report(failure=Failure.UNKNOWN) if exit_code else Report()

    def done(self, run: Run) -> str:
        """What a successful run did, for the message."""
        if run.to_version is None:
            return f"migrated with {run.image}; {run.engine}'s report could not be read, so the versions are unknown"
        if not run.applied_count and run.image_version and run.to_version > run.image_version:
            return f"nothing to apply: the database is at {run.to_version}, ahead of {run.image}"
        if not run.applied_count:
            return f"nothing to apply: the database is at {run.to_version}"
        files = "1 file" if run.applied_count == 1 else f"{run.applied_count} files"
        return f"applied {files} of {run.image}: the database is at {run.to_version}"
