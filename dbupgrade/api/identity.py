"""What makes a run the same run: identities of databases, of runs and of how they are carried out."""

from dbupgrade.api.names import digest
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.database import Database
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.api.spec.policy import Policy

_ADDRESS = "aws"  # the label that claims of aws blocks have always had: both ways lead to the same database
_CLUSTER_SUFFIXES = (".svc.cluster.local", ".svc")


def database_identity(namespace: str, database: Database) -> tuple[str, ...]:
    """What makes two resources concern the same database: Secret and key, or its host, port and name.

    A resource without either (which the API server or `InvalidSpec` stops) has only its namespace.
    """
    if database.uses_aws and database.aws:
        return _ADDRESS, database.aws.server_host, str(database.aws.server_port), database.aws.db_name
    connection = database.connection
    if connection and connection.url_secret_ref:
        reference = connection.url_secret_ref
        return "secret", namespace, reference.name, reference.key
    if connection and connection.host:
        return (
            _ADDRESS,
            _host(namespace, connection.host),
            str(connection.port or 5432),
            connection.database or "",
        )
    return "none", namespace


def _host(namespace: str, host: str) -> str:
    """One spelling for a host: a Service has a short name in its own namespace and longer ones elsewhere."""
    host = host.lower().rstrip(".")
    for suffix in _CLUSTER_SUFFIXES:
        host = host.removesuffix(suffix)
    return host if "." in host or ":" in host else f"{host}.{namespace}"


def run_id(namespace: str, spec: Spec) -> str:
    """Identity of the run that `spec` requires: image, folder, baseline and database; engine and command.

    It hashes parsed values, so that an absent field and its default, or a trailing slash of the folder, are the
    same. The default engine does not enter it, and new fields of the models do not: an upgrade of the operator starts
    no run.
    """
    migrations = spec.migrations
    folder = migrations.dir.rstrip("/")
    identity = database_identity(namespace, spec.database)
    parts = [migrations.image, folder, migrations.baseline or "", *identity]
    if migrations.engine is not Engine.ATLAS:
        parts += [migrations.engine, str(len(migrations.command)), *migrations.command, *migrations.args]
    return digest(*parts, length=16)


def runner_hash(spec: Spec) -> str:
    """Identity of how a run is carried out (delivery, pull secrets, order, env, policy, runner): a change retries a failed run.

    Only fields that differ from their defaults enter it, so that a new field in a newer operator changes nothing.
    """
    migrations = spec.migrations.model_dump_json(
        include={"delivery", "image_pull_secrets", "env", "exec_order", "revisions_schema"},
        exclude_defaults=True,
    )
    parts = [migrations, spec.runner.model_dump_json(exclude_defaults=True)]
    policy = spec.policy.model_copy(update={"approved_plan": None})  # an approval is no other way to run
    if policy != Policy():
        parts.append(policy.model_dump_json(exclude_defaults=True))
    return digest(*parts, length=16)
