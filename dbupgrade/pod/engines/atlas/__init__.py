"""The engine Atlas: its command line, its configuration, and how to read what it printed."""

from typing import ClassVar

from dbupgrade.api import names
from dbupgrade.api.spec.database import Connection, Dialect
from dbupgrade.objects import Object
from dbupgrade.pod import folder
from dbupgrade.pod.connection import DEFAULT_PORT, environment, url
from dbupgrade.pod.connection.access import Access
from dbupgrade.pod.container import HOME, TEMPORARY, defaults, escape, temporary_volume
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.engines.atlas import report
from dbupgrade.pod.engines.atlas.report import TEMPLATE
from dbupgrade.pod.report import Report

CONFIG_PATH, CONFIG_FILE = "/etc/dbupgrade", "atlas.hcl"
LOCK_TIMEOUT = "10s"


class Atlas(MigrationEngine):
    """Atlas's own command line."""

    schemes: ClassVar[tuple[str, ...]] = url.SCHEMES
    # It would pass the baselined files over in a new database, too.
    reports_before_adopting: ClassVar[bool] = True

    def container(self, context: Context) -> Object:
        """`atlas migrate apply`; the URL must not be an argument, which every process of the node could read."""
        spec, access = context.spec, context.access
        arguments = ["migrate", "apply", "--config", f"file://{CONFIG_PATH}/{CONFIG_FILE}", "--env", "run"]
        arguments += ["--dir", f"file://{folder.MIGRATIONS_PATH}", "--lock-timeout", LOCK_TIMEOUT]
        arguments += ["--format", TEMPLATE]
        if spec.migrations.baseline and context.run.adopts:
            arguments += ["--baseline", spec.migrations.baseline]
        config = {"name": "config", "mountPath": CONFIG_PATH, "readOnly": True}
        return {
            "name": names.CONTAINER_MIGRATE,
            "image": context.settings.atlas_image,
            "args": [escape(argument) for argument in arguments],
            "env": [*environment.credentials(access), HOME, *_authority(access)],
            "volumeMounts": [folder.mount(spec), config, TEMPORARY, *access.mounts],
            **defaults(spec),
        }

    def volumes(self, context: Context) -> list[Object]:
        """The folder, and the configuration from the pod's annotation."""
        field = {"fieldPath": f"metadata.annotations['{names.ANNOTATION_ATLAS_CONFIG}']"}
        items = [{"path": CONFIG_FILE, "fieldRef": field}]
        config = {"name": "config", "downwardAPI": {"items": items}}
        return [folder.volume(context.spec), temporary_volume(), config]

    def annotations(self, context: Context) -> dict[str, str]:
        """The configuration."""
        return {names.ANNOTATION_ATLAS_CONFIG: configuration(context.access)}

    def parse(self, log: str, *, exit_code: int, secrets: tuple[str, ...] = ()) -> Report:
        """What Atlas printed in the form of `TEMPLATE`."""
        return report.parse(log, succeeded=exit_code == 0, secrets=secrets)


def configuration(access: Access) -> str:
    """Atlas's configuration, which builds the URL from the environment."""
    address = f'getenv("{environment.URL_VARIABLE}")'
    if access.parts and access.parts.host:
        login = f"${{{_escaped('DB_USER')}}}:${{{_escaped('DB_PASSWORD')}}}"
        address = f'"postgres://{login}@{_address(access.parts, access)}"'
    return f'env "run" {{\n  url = {address}\n}}\n'


def _escaped(variable: str) -> str:
    """A variable as it stands in a URL; Atlas's function makes a space a `+`, which is one only in a query."""
    return f'join("%20", split("+", urlescape(getenv("{variable}"))))'


def _address(parts: Connection, access: Access) -> str:
    host = f"[{parts.host}]" if parts.host and ":" in parts.host else parts.host
    given = {
        "sslmode": parts.ssl_mode,
        "sslrootcert": access.authority_path,
        "search_path": parts.schema_,
    }
    query = "&".join(f"{name}={value}" for name, value in given.items() if value)
    address = f"{host}:{parts.port or DEFAULT_PORT}/{parts.database}"
    return f"{address}?{query}" if query else address


def _authority(access: Access) -> list[Object]:
    """The certificates where Atlas's URL has no parameter for them: Go reads a file and a folder instead of the image's."""
    if access.authority is None or access.dialect is not Dialect.MYSQL:
        return []
    return [
        {"name": "SSL_CERT_FILE", "value": access.authority.path},
        {"name": "SSL_CERT_DIR", "value": access.authority.folder},
    ]
