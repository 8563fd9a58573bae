"""The container `wait-for-database`: nothing is started before the server accepts connections."""

from typing import ClassVar

from dbupgrade.api.spec import Spec
from dbupgrade.api.status import Failure
from dbupgrade.objects import Object
from dbupgrade.pod.connection import environment, url
from dbupgrade.pod.connection.secrets import described
from dbupgrade.pod.container import HOME, TEMPORARY, UNREACHABLE_EXIT_CODE, defaults, escape
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.report import Report
from dbupgrade.pod.scripts import script
from dbupgrade.pod.step import Step
from dbupgrade.pod.view import ContainerView

SCRIPT = script("steps/wait.sh")
"""Waits until the server accepts connections, as pg_isready sees it; WAIT_SECONDS at most."""


class Wait(Step):
    """Waits for the database, as long as the user lets it."""

    name: ClassVar[str] = "wait-for-database"
    schemes: ClassVar[tuple[str, ...]] = url.POSTGRESQL

    def wanted(self, spec: Spec, engine: MigrationEngine) -> bool:
        """Where runner.waitForDatabaseSeconds is set."""
        del engine
        return spec.runner.wait_for_database_seconds > 0

    def container(self, context: Context) -> Object:
        """PostgreSQL's pg_isready in a loop; parts of a connection need no certificates for it, but a URL names some."""
        spec, access = context.spec, context.access
        seconds = {"name": "WAIT_SECONDS", "value": str(spec.runner.wait_for_database_seconds)}
        return {
            "name": self.name,
            "image": context.settings.psql_image,
            "command": ["sh", "-c", escape(SCRIPT)],
            "env": [*environment.server(access), seconds, HOME],
            "volumeMounts": [TEMPORARY, *(access.mounts if access.url else ())],
            **defaults(spec),
        }

    def doing(self, view: ContainerView) -> str:
        """Until it has failed."""
        return "waits until the database accepts connections" if view.started and not view.exit_code else ""

    def why(self, view: ContainerView, spec: Spec | None) -> Report:
        """That the database did not answer; nothing was done before."""
        if view.exit_code != UNREACHABLE_EXIT_CODE or spec is None:
            error = f"the wait for it ended with exit code {view.exit_code}"
        else:
            seconds = spec.runner.wait_for_database_seconds
            error = f"{described(spec.database)} accepted no connections within {seconds} s"
        return Report(failure=Failure.DATABASE_UNREACHABLE, error=error)
