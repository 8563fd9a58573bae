"""spec.database: the database to migrate, and how to connect to it."""

from enum import StrEnum

from pydantic import Field

from dbupgrade.api.spec.base import DataKey, Model, Rule, SecretName, rules

_IDENTIFIER = r"^[A-Za-z0-9_][A-Za-z0-9_$.-]*$"
CONNECTION_MISSING = (
    "Field required, or the connection in parts: host, database, userSecretRef and passwordSecretRef"
)
URL_OR_PARTS = "takes either urlSecretRef or the connection in parts"
CA_UNUSED = "caSecretRef needs sslMode verify-ca or verify-full"
PARTS_MISSING = "host needs database, userSecretRef and passwordSecretRef"
POSTGRES_NAME_LENGTH = 63
POSTGRES_NAMES = (
    "dbName and username have 63 bytes at most: PostgreSQL cuts the rest off, and would take another name"
)
MYSQL_DATABASE = "with dialect mysql a database name with / ? % ` ( or ) cannot be used: Atlas and its driver read it as something else"
MYSQL_USER = "with dialect mysql a user name with : cannot be used: the driver takes it for the beginning of the password"


class DatabaseType(StrEnum):
    """Kinds of database that the operator knows how to reach."""

    SELF_HOSTED = "selfHosted"
    AWS_RDS = "awsRds"
    AWS_AURORA = "awsAurora"


class UrlSecretRef(Model):
    """A key of a Secret that holds a database URL."""

    name: SecretName
    key: DataKey = "url"
    optional: bool | None = Field(None, description="Accepted and ignored.")


class UserSecretRef(Model):
    """A key of a Secret that holds a user's name."""

    name: SecretName
    key: DataKey = "username"


class PasswordSecretRef(Model):
    """A key of a Secret that holds a password."""

    name: SecretName
    key: DataKey = "password"


class CaSecretRef(Model):
    """A key of a Secret that holds certificates (PEM) of who signs those of servers."""

    name: SecretName
    key: DataKey = "ca.crt"


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
