"""The engine Psql: PostgreSQL's own psql, with a history of ours."""

from typing import ClassVar

from dbupgrade.api import names
from dbupgrade.objects import Object
from dbupgrade.pod import folder
from dbupgrade.pod.connection import environment, url
from dbupgrade.pod.container import HOME, TEMPORARY, defaults, escape, values
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.engines.psql import report
from dbupgrade.pod.engines.psql.script import SCRIPT
from dbupgrade.pod.report import Report


class Psql(MigrationEngine):
    """A script around psql."""

    schemes: ClassVar[tuple[str, ...]] = url.POSTGRESQL

    def container(self, context: Context) -> Object:
        """Any image with psql and sh; the script needs no more."""
        spec, access = context.spec, context.access
        given = {"MIGRATIONS": folder.MIGRATIONS_PATH, "BASELINE": spec.migrations.baseline}
        return {
            "name": names.CONTAINER_MIGRATE,
            "image": context.settings.psql_image,
            "command": ["sh", "-c", escape(SCRIPT)],
            "env": [*environment.libpq(access), *values(given), HOME],
            "volumeMounts": [folder.mount(spec), TEMPORARY, *access.mounts],
            **defaults(spec),
        }

    def parse(self, log: str, *, exit_code: int, secrets: tuple[str, ...] = ()) -> Report:
        """What the script reported last."""
        return report.parse(log, succeeded=exit_code == 0, secrets=secrets)
