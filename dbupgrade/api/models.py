"""The DBUpgrade resource as users write it: field names, types and defaults of the contract.

The CRD is generated from these models (`api.crd`), so the API server and the operator read the same rules. All
models are frozen; unknown fields are ignored, as the API server prunes them.
"""

from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from dbupgrade.api.names import digest

_MAX_CHECKS = _MAX_LABELS = 64  # the API server bounds what the rules on a list may cost
_MAX_WORDS = 64  # arguments and variables of the engine Command
_MAX_TEXT = 4096
_MAX_ID = 2**31 - 1
_INTEGER_OR_STRING = {"x-kubernetes-int-or-string": True}
_QUANTITY = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"

_IDENTIFIER = r"^[A-Za-z0-9_][A-Za-z0-9_$.-]*$"
_LABEL_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_KEY = rf"^([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL_NAME}$"

LabelValue = Annotated[str, Field(max_length=63, json_schema_extra={"pattern": rf"^({_LABEL_NAME})?$"})]

VERSION_PATTERN = (
    r"^[vV]?(?P<major>[0-9]+)(\.(?P<minor>[0-9]+))?(\.(?P<patch>[0-9]+))?(\.[0-9]+)*"
    r"(-(?P<prerelease>[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*))?(\+(?P<build>[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*))?$"
)
"""A version as it is read leniently; see `decide.versions`."""

Quantity = Annotated[int | str, Field(json_schema_extra={"pattern": _QUANTITY, **_INTEGER_OR_STRING})]
"""A Kubernetes quantity (`250m`, `1Ki`, `0.05`) or a bare integer."""

Opaque = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
"""An object that goes to the pod as it is; the API server validates it there."""

SecretName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]
Key = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
Word = Annotated[str, Field(max_length=_MAX_TEXT)]
Image = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$")]
Folder = Annotated[
    str,
    Field(
        min_length=2,
        max_length=512,
        # Segments may begin with dots but are never `.` or `..`; no character has a meaning to a shell.
        pattern=r"^(/\.{0,2}[A-Za-z0-9_@+=,-][A-Za-z0-9._@+=,-]*)+/?$",
    ),
]


class Model(BaseModel):
    """Base of all models: camelCase outside, frozen, unknown fields ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class Rule(NamedTuple):
    """A rule that the API server checks itself, in CEL on `self` and, for a change, `oldSelf`."""

    rule: str
    message: str
    field: str = ""
    """Path below `self` of what is missing or wrong, if it is not `self`."""

    @property
    def schema(self) -> dict[str, Any]:
        """The rule as the API server reads it."""
        where = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.rule, "message": self.message, **where}


def rules(*each: Rule) -> ConfigDict:
    """Model configuration that puts rules into the schema (x-kubernetes-validations)."""
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": [rule.schema for rule in each]})


def _quoted(words: tuple[str, ...]) -> str:
    return ", ".join(f'"{word}"' for word in words)


CONNECTION_VARIABLES = (
    "DATABASE_URL",
    "DB_HOST",
    "DB_PORT",
    "DB_DATABASE",
    "DB_USER",
    "DB_PASSWORD",
    "DB_SCHEMA",
    "DB_SSLMODE",
)
"""What tells the engine Command where the database is; made from spec.database."""
RESERVED_VARIABLE = "is made from spec.database.connection and cannot be set"
VALUE_OR_SOURCE = "takes either value or valueFrom"
ONE_SOURCE = "needs one of secretKeyRef and configMapKeyRef"
COMMAND_MISSING = "engine Command needs command or args"
COMMAND_ONLY = "command, args and env are for engine Command only"
BASELINE_NOT_FOR_COMMAND = "engine Command takes no baseline: its command keeps its own history"
CONNECTION_MISSING = (
    "Field required, or the connection in parts: host, database, userSecretRef and passwordSecretRef"
)
URL_OR_PARTS = "takes either urlSecretRef or the connection in parts"
CA_UNUSED = "caSecretRef needs sslMode verify-ca or verify-full"
PARTS_MISSING = "host needs database, userSecretRef and passwordSecretRef"
WAIT_TOO_LONG = "waitForDatabaseSeconds must be below activeDeadlineSeconds, which counts for the whole Job"
LINT_NEEDS_ATLAS = (
    "policy.lint needs engine Atlas: only there it is known which files are new to the database"
)
LINT_NEEDS_POSTGRESQL = "policy.lint knows PostgreSQL only: dialect mysql cannot be linted"
PSQL_NEEDS_POSTGRESQL = "engine Psql works with PostgreSQL only: dialect mysql needs another engine"
WAIT_NEEDS_POSTGRESQL = "waitForDatabaseSeconds works with PostgreSQL only: leave it out with dialect mysql"
POSTGRES_NAME_LENGTH = 63
POSTGRES_NAMES = (
    "dbName and username have 63 bytes at most: PostgreSQL cuts the rest off, and would take another name"
)
MYSQL_DATABASE = "with dialect mysql a database name with / ? % ` ( or ) cannot be used: Atlas and its driver read it as something else"
MYSQL_USER = "with dialect mysql a user name with : cannot be used: the driver takes it for the beginning of the password"


def list_map(*keys: str) -> dict[str, Any]:
    """Schema additions of a list that server-side apply merges by `keys`."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


# --- spec.migrations ---------------------------------------------------------------------------------------------


class Delivery(StrEnum):
    """How the migration files reach the runner."""

    EXTRACT = "Extract"
    IMAGE_VOLUME = "ImageVolume"


class Engine(StrEnum):
    """What applies the migrations."""

    ATLAS = "Atlas"
    PSQL = "Psql"
    COMMAND = "Command"


class LocalReference(Model):
    """Name of an object in the resource's own namespace."""

    name: SecretName


class KeyReference(Model):
    """A key of a Secret or ConfigMap in the resource's own namespace."""

    name: SecretName
    key: Key


class ValueFrom(Model):
    """Where the value of a variable comes from."""

    model_config = rules(
        Rule(
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            ONE_SOURCE,
        )
    )

    secret_key_ref: KeyReference | None = None
    config_map_key_ref: KeyReference | None = None


class Variable(Model):
    """An environment variable of the engine Command."""

    model_config = rules(
        Rule("!(has(self.value) && has(self.valueFrom))", VALUE_OR_SOURCE),
        Rule(f"!(self.name in [{_quoted(CONNECTION_VARIABLES)}])", RESERVED_VARIABLE),
    )

    name: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    value: str | None = Field(None, max_length=_MAX_TEXT)
    value_from: ValueFrom | None = None


class Migrations(Model):
    """Where the migrations are, and what applies them."""

    model_config = rules(
        Rule(
            'self.engine != "Command" || (has(self.command) && size(self.command) > 0) || (has(self.args) && size(self.args) > 0)',
            COMMAND_MISSING,
        ),
        Rule(
            'self.engine == "Command" || !((has(self.command) && size(self.command) > 0)'
            " || (has(self.args) && size(self.args) > 0) || (has(self.env) && size(self.env) > 0))",
            COMMAND_ONLY,
        ),
        Rule('self.engine != "Command" || !has(self.baseline)', BASELINE_NOT_FOR_COMMAND),
    )

    image: Image = Field(description="Image that holds the migrations.")
    dir: Folder = Field(
        "/migrations", description="Absolute folder in the image, with *.sql and, for Atlas, atlas.sum."
    )
    engine: Engine = Field(
        Engine.ATLAS,
        description="Atlas, Psql (plain SQL files), or Command (the image's own command).",
    )
    command: tuple[Word, ...] = Field(
        (),
        max_length=_MAX_WORDS,
        description="Engine Command: the entrypoint, in place of the image's.",
    )
    args: tuple[Word, ...] = Field(
        (),
        max_length=_MAX_WORDS,
        description="Engine Command: its arguments.",
    )
    env: tuple[Variable, ...] = Field(
        (),
        max_length=_MAX_WORDS,
        description="Engine Command: its environment, besides the connection.",
        json_schema_extra=list_map("name"),
    )
    image_pull_secrets: tuple[LocalReference, ...] = Field(
        (), description="For private registries.", json_schema_extra=list_map("name")
    )
    delivery: Delivery = Field(
        Delivery.EXTRACT, description="Extract, or ImageVolume (Kubernetes 1.35 and newer)."
    )
    baseline: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Version from which to adopt a database that has tables but no history.",
    )


# --- spec.database -----------------------------------------------------------------------------------------------


class DatabaseType(StrEnum):
    """Kinds of database that the operator knows how to reach."""

    SELF_HOSTED = "selfHosted"
    AWS_RDS = "awsRds"
    AWS_AURORA = "awsAurora"


class UrlSecretRef(Model):
    """A key of a Secret that holds a database URL."""

    name: SecretName
    key: Key = "url"
    optional: bool | None = Field(None, description="Accepted and ignored.")


class UserSecretRef(Model):
    """A key of a Secret that holds a user's name."""

    name: SecretName
    key: Key = "username"


class PasswordSecretRef(Model):
    """A key of a Secret that holds a password."""

    name: SecretName
    key: Key = "password"


class CaSecretRef(Model):
    """A key of a Secret that holds certificates (PEM) of who signs those of servers."""

    name: SecretName
    key: Key = "ca.crt"


class SslMode(StrEnum):
    """How much TLS protects the connection, as PostgreSQL's clients name it."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class Connection(Model):
    """How to connect: with a URL, or with its parts."""

    model_config = rules(
        Rule("has(self.urlSecretRef) || has(self.host)", CONNECTION_MISSING, ".urlSecretRef"),
        Rule(
            "!has(self.urlSecretRef) || !(has(self.host) || has(self.port) || has(self.database) || has(self.schema)"
            " || has(self.userSecretRef) || has(self.passwordSecretRef) || has(self.sslMode) || has(self.caSecretRef))",
            URL_OR_PARTS,
        ),
        Rule(
            '!has(self.caSecretRef) || has(self.urlSecretRef) || (has(self.sslMode) && self.sslMode in ["verify-ca", "verify-full"])',
            CA_UNUSED,
        ),
        Rule(
            "!has(self.host) || (has(self.database) && has(self.userSecretRef) && has(self.passwordSecretRef))",
            PARTS_MISSING,
        ),
    )

    url_secret_ref: UrlSecretRef | None = None
    host: str | None = Field(
        None, min_length=1, max_length=253, pattern=r"^[A-Za-z0-9:]([A-Za-z0-9._:-]*[A-Za-z0-9:.])?$"
    )
    port: int | None = Field(None, ge=1, le=65535, description="5432 if it is not given.")
    database: str | None = Field(None, min_length=1, max_length=63, pattern=_IDENTIFIER)
    schema_: str | None = Field(
        None,
        alias="schema",
        min_length=1,
        max_length=63,
        pattern=_IDENTIFIER,
        description="Where names without a schema are looked for and made.",
    )
    user_secret_ref: UserSecretRef | None = None
    password_secret_ref: PasswordSecretRef | None = None
    ssl_mode: SslMode | None = None
    ca_secret_ref: CaSecretRef | None = Field(
        None, description="By which certificates to know the server, with sslMode verify-ca or verify-full."
    )

    @property
    def has_parts(self) -> bool:
        """Whether any part is given."""
        return any(value is not None for name, value in self if name != "url_secret_ref")


_POSTGRES_PORT, _MYSQL_PORT = 5432, 3306
_NO_CONTROL = r"^[^\x00-\x1f\x7f]+$"
UNUSABLE_IN_MYSQL = "/?%`()"
"""What a MySQL database's name must not hold: see docs/decisions/2026-11-27-aws-names.md."""


class Dialect(StrEnum):
    """SQL dialect of an AWS database."""

    POSTGRES = "postgres"
    MYSQL = "mysql"


class Aws(Model):
    """An AWS database with IAM authentication."""

    model_config = rules(
        Rule(
            f'self.dialect != "postgres" || (size(self.dbName) <= {POSTGRES_NAME_LENGTH}'
            f" && size(self.username) <= {POSTGRES_NAME_LENGTH})",
            POSTGRES_NAMES,
        ),
        Rule(
            f'self.dialect != "mysql" || !self.dbName.matches("[{UNUSABLE_IN_MYSQL}]")',
            MYSQL_DATABASE,
            ".dbName",
        ),
        Rule('self.dialect != "mysql" || !self.username.contains(":")', MYSQL_USER, ".username"),
    )

    role_arn: str = Field(
        min_length=1,
        max_length=2048,
        description="Role that the operator assumes; it may connect to the database.",
    )
    region: str = Field(max_length=64, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    host: str = Field(
        max_length=253,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        description="The endpoint's own name, for which a token is valid; not an alias of it.",
    )
    port: int = Field(
        _POSTGRES_PORT, ge=1, le=65535, description="With dialect mysql, 5432 (the default) means 3306."
    )
    db_name: str = Field(min_length=1, max_length=128, pattern=_NO_CONTROL)
    username: str = Field(min_length=1, max_length=128, pattern=_NO_CONTROL)
    dialect: Dialect = Dialect.POSTGRES

    @property
    def server_host(self) -> str:
        """The endpoint's name in the one spelling for which tokens are signed."""
        return self.host.lower()

    @property
    def server_port(self) -> int:
        """Where the server listens; the schema's default is the same for each dialect."""
        default = self.port == _POSTGRES_PORT and self.dialect is Dialect.MYSQL
        return _MYSQL_PORT if default else self.port


DATABASE_IMMUTABLE = (
    "cannot be changed. To do: delete the DBUpgrade and create it anew with the other database"
)


class Database(Model):
    """The database to migrate."""

    model_config = rules(
        Rule("self == oldSelf", DATABASE_IMMUTABLE),
        Rule('self.type != "selfHosted" || has(self.connection)', "type selfHosted needs connection"),
        Rule('self.type != "selfHosted" || !has(self.aws)', "type selfHosted must not have aws"),
        Rule(
            'self.type == "selfHosted" || has(self.aws) || has(self.connection)',
            "types awsRds and awsAurora need either aws or connection",
        ),
    )

    type: DatabaseType
    connection: Connection | None = None
    aws: Aws | None = None

    @property
    def uses_aws(self) -> bool:
        """Whether the run authenticates with IAM: an AWS type with an aws block, which wins over a connection."""
        return self.type is not DatabaseType.SELF_HOSTED and self.aws is not None


# --- spec.checks -------------------------------------------------------------------------------------------------


class LabelSelectorOperator(StrEnum):
    """Operators of a label selector requirement."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelSelectorRequirement(Model):
    """One requirement on one label."""

    model_config = rules(
        Rule(
            '(self.operator in ["In", "NotIn"]) == (has(self.values) && size(self.values) > 0)',
            "In and NotIn need values, Exists and DoesNotExist take none",
        )
    )

    key: str = Field(max_length=317, json_schema_extra={"pattern": _LABEL_KEY})
    operator: LabelSelectorOperator
    values: tuple[LabelValue, ...] = Field((), max_length=_MAX_LABELS)


class LabelSelector(Model):
    """A standard metav1 label selector."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = Field((), max_length=_MAX_LABELS)


class MinPodVersion(Model):
    """All matching pods run at least a version."""

    selector: LabelSelector
    min_version: str = Field(min_length=1, max_length=256, json_schema_extra={"pattern": VERSION_PATTERN})
    container_name: str | None = None
    strict_mode: bool = True
    disallow_downgrade: bool = False


class MetricSource(StrEnum):
    """Which metrics API is asked."""

    CUSTOM = "Custom"
    EXTERNAL = "External"


class TargetType(StrEnum):
    """What a metric describes."""

    PODS = "Pods"
    OBJECT = "Object"
    EXTERNAL = "External"


class PodsTarget(Model):
    """Pods that a metric describes."""

    selector: LabelSelector


class ObjectReference(Model):
    """An object that a metric describes."""

    api_version: str
    kind: str
    name: str


class ObjectTarget(Model):
    """One object, or the series that a selector picks."""

    ref: ObjectReference
    selector: LabelSelector | None = None


class ExternalTarget(Model):
    """A metric from outside the cluster."""

    selector: LabelSelector | None = None


class MetricTarget(Model):
    """What to ask the metrics API for."""

    model_config = rules(
        Rule(
            '(self.type == "Pods") == has(self.pods)',
            "type Pods needs the block pods, other types must not have it",
        ),
        Rule(
            '(self.type == "Object") == has(self.object)',
            "type Object needs the block object, other types must not have it",
        ),
        Rule(
            'self.type == "External" || !has(self.external)', "only type External can have the block external"
        ),
    )

    type: TargetType
    pods: PodsTarget | None = None
    object: ObjectTarget | None = None
    external: ExternalTarget | None = None


class ThresholdOperator(StrEnum):
    """Comparison of the metric (left) with the threshold (right)."""

    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="


class Threshold(Model):
    """What the value must satisfy."""

    operator: ThresholdOperator
    value: Quantity


class Reduce(StrEnum):
    """How the values of several series become one."""

    MAX = "Max"
    AVG = "Avg"
    SUM = "Sum"
    MIN = "Min"


class MetricCheck(Model):
    """A metric holds a threshold."""

    model_config = rules(
        Rule(
            'self.source != "Custom" || self.target.type != "External"',
            "source Custom does not serve External targets",
        ),
        Rule(
            'self.source != "External" || self.target.type != "Pods"',
            "source External does not serve Pods targets",
        ),
    )

    name: str = Field(min_length=1, max_length=63)
    metric_name: str = Field(min_length=1, max_length=256)
    source: MetricSource = MetricSource.CUSTOM
    target: MetricTarget
    threshold: Threshold
    reduce: Reduce = Reduce.MAX
    bake_seconds: int = Field(0, ge=0)
    interval_seconds: int = Field(15, ge=1)


class PreChecks(Model):
    """What must hold before a run starts."""

    min_pod_versions: tuple[MinPodVersion, ...] = Field((), max_length=_MAX_CHECKS)
    metrics: tuple[MetricCheck, ...] = Field((), max_length=_MAX_CHECKS, json_schema_extra=list_map("name"))


class PostChecks(Model):
    """What must hold after a run."""

    metrics: tuple[MetricCheck, ...] = Field((), max_length=_MAX_CHECKS, json_schema_extra=list_map("name"))


class Checks(Model):
    """Checks before and after a run."""

    pre: PreChecks = PreChecks()
    post: PostChecks = PostChecks()


# --- spec.runner -------------------------------------------------------------------------------------------------


class Resources(Model):
    """Compute resources of each container of the run's pod."""

    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}


class Toleration(Model):
    """A standard toleration."""

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None


class Runner(Model):
    """The Job and the pod of a run."""

    model_config = rules(Rule("self.waitForDatabaseSeconds < self.activeDeadlineSeconds", WAIT_TOO_LONG))

    active_deadline_seconds: int = Field(600, ge=1, description="Limit for the whole Job, in seconds.")
    ttl_seconds_after_finished: int = Field(3600, ge=0, description="Seconds that a finished Job is kept.")
    resources: Resources = Resources()
    service_account_name: str | None = Field(None, max_length=253)
    image_pull_secrets: tuple[LocalReference, ...] = Field((), json_schema_extra=list_map("name"))
    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    affinity: Opaque = {}
    priority_class_name: str | None = Field(None, max_length=253)
    pod_labels: dict[str, str] = {}
    pod_annotations: dict[str, str] = {}
    wait_for_database_seconds: int = Field(
        0, ge=0, description="How long to wait for a PostgreSQL that does not accept connections yet."
    )
    backoff_limit: int = Field(
        0, ge=0, le=10, description="How often the Job itself tries again after a failure to connect."
    )
    run_as_user: int = Field(65532, ge=1, le=_MAX_ID, description="User of all containers; never root.")
    run_as_group: int = Field(65532, ge=0, le=_MAX_ID, description="Group of all containers.")


# --- spec.policy -------------------------------------------------------------------------------------------------


class LintMode(StrEnum):
    """What the lint of new migrations may do."""

    OFF = "off"
    WARN = "warn"
    ERROR = "error"


class Policy(Model):
    """What is asked of migrations before they are applied."""

    lint: LintMode = Field(
        LintMode.OFF,
        description='Look for what breaks production in files that are new to the database: "off" (in quotes), warn (tell), or '
        "error (tell, and apply nothing when there are errors).",
    )


# --- the resource ------------------------------------------------------------------------------------------------


_LINTS = '(has(self.policy) && self.policy.lint != "off")'


class Spec(Model):
    """What a user asks for."""

    model_config = rules(
        Rule(
            'self.migrations.engine != "Psql" || !has(self.database.aws) || self.database.aws.dialect != "mysql"',
            PSQL_NEEDS_POSTGRESQL,
        ),
        Rule(
            "!has(self.runner) || self.runner.waitForDatabaseSeconds == 0 || !has(self.database.aws)"
            ' || self.database.aws.dialect != "mysql"',
            WAIT_NEEDS_POSTGRESQL,
        ),
        Rule(f'!{_LINTS} || self.migrations.engine == "Atlas"', LINT_NEEDS_ATLAS),
        Rule(
            f'!{_LINTS} || !has(self.database.aws) || self.database.aws.dialect != "mysql"',
            LINT_NEEDS_POSTGRESQL,
        ),
    )

    migrations: Migrations
    database: Database
    checks: Checks = Checks()
    policy: Policy = Policy()
    runner: Runner = Runner()
    suspend: bool = Field(False, description="Start nothing new; a run in progress goes on.")


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
    """Identity of the run that `spec` asks for: image, folder, baseline and database; engine and command.

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
    """Identity of how a run is carried out (delivery, pull secrets, env, policy, runner): a change retries a failed run.

    Only fields that differ from their defaults enter it, so that a new field in a newer operator changes nothing.
    """
    migrations = spec.migrations.model_dump_json(
        include={"delivery", "image_pull_secrets", "env"}, exclude_defaults=True
    )
    parts = [migrations, spec.runner.model_dump_json(exclude_defaults=True)]
    if spec.policy != Policy():
        parts.append(spec.policy.model_dump_json(exclude_defaults=True))
    return digest(*parts, length=16)
