"""spec.database: the database to migrate, and how to connect to it."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from dbupgrade.api.spec.base import DataKey, Model, ObjectName, Pattern, Rule

_POSTGRES_PORT, _MYSQL_PORT = 5432, 3306
_POSTGRES_NAME_LENGTH = 63
_UNUSABLE_IN_MYSQL = "/?%`()"  # see docs/decisions/2026-11-27-aws-names.md

_NAMESPACE = ", in the namespace of the DBUpgrade."

Identifier = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Pattern(
        r"[A-Za-z0-9_][A-Za-z0-9_$.-]*",
        "must be a name of letters, digits, '_', '$', '.' and '-' that begins with a letter, a digit or '_', for example shop",
    ),
]
Host = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Pattern(
        r"[A-Za-z0-9:]([A-Za-z0-9._:-]*[A-Za-z0-9:.])?",
        "must be a host name or an IP address, for example postgres.shop.svc",
    ),
]
AwsHost = Annotated[
    str,
    Field(max_length=253),
    Pattern(
        r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?",
        "must be a host name, for example shop.abcdefghijkl.eu-central-1.rds.amazonaws.com",
    ),
]
AwsRegion = Annotated[
    str,
    Field(max_length=64),
    Pattern(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", "must be an AWS region, for example eu-central-1"),
]
PrintableName = Annotated[
    str,
    Field(min_length=1, max_length=128),
    Pattern(r"[^\x00-\x1f\x7f]+", "must not contain control characters, such as line breaks"),
]


class DatabaseType(StrEnum):
    """Types of database that the operator can connect to."""

    SELF_HOSTED = "selfHosted"
    AWS_RDS = "awsRds"
    AWS_AURORA = "awsAurora"


class UrlSecretRef(Model):
    """A key of a Secret that holds a database URL."""

    name: ObjectName = Field(description=f"Name of the Secret{_NAMESPACE}")
    key: DataKey = Field("url", description="Key in the Secret that contains the URL. Defaults to url.")
    optional: bool | None = Field(
        None, description="Accepted for compatibility, and ignored: the Secret must always exist."
    )


class UserSecretRef(Model):
    """A key of a Secret that holds a user's name."""

    name: ObjectName = Field(description=f"Name of the Secret{_NAMESPACE}")
    key: DataKey = Field(
        "username", description="Key in the Secret that contains the user's name. Defaults to username."
    )


class PasswordSecretRef(Model):
    """A key of a Secret that holds a password."""

    name: ObjectName = Field(description=f"Name of the Secret{_NAMESPACE}")
    key: DataKey = Field(
        "password", description="Key in the Secret that contains the password. Defaults to password."
    )


class CaSecretRef(Model):
    """A key of a Secret that holds the certificates of certificate authorities (PEM)."""

    name: ObjectName = Field(description=f"Name of the Secret{_NAMESPACE}")
    key: DataKey = Field(
        "ca.crt", description="Key in the Secret that contains the certificates (PEM). Defaults to ca.crt."
    )


class SslMode(StrEnum):
    """How much TLS protects the connection, as PostgreSQL's clients name it."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


_VERIFYING = (SslMode.VERIFY_CA, SslMode.VERIFY_FULL)


class Connection(Model):
    """How to connect: with a URL, or with its parts."""

    RULES: ClassVar["tuple[Rule[Connection], ...]"] = (
        Rule(
            "urlSecretRef",
            "is required, unless the connection is given in parts: host, database, userSecretRef and passwordSecretRef",
            "has(self.urlSecretRef) || has(self.host)",
            lambda connection: connection.url_secret_ref is not None or connection.host is not None,
        ),
        Rule(
            "urlSecretRef",
            "must not be set together with other fields of the connection: the URL contains all of them",
            "!has(self.urlSecretRef) || !(has(self.host) || has(self.port) || has(self.database) || has(self.schema)"
            " || has(self.userSecretRef) || has(self.passwordSecretRef) || has(self.sslMode) || has(self.caSecretRef))",
            lambda connection: connection.url_secret_ref is None or not connection.has_parts,
        ),
        Rule(
            "sslMode",
            "must be verify-ca or verify-full for caSecretRef to be set",
            '!has(self.caSecretRef) || has(self.urlSecretRef) || (has(self.sslMode) && self.sslMode in ["verify-ca", "verify-full"])',
            lambda connection: (
                connection.ca_secret_ref is None
                or connection.url_secret_ref is not None
                or connection.ssl_mode in _VERIFYING
            ),
        ),
        Rule(
            "database",
            "is required with host",
            "!has(self.host) || has(self.database)",
            lambda connection: connection.host is None or connection.database is not None,
        ),
        Rule(
            "userSecretRef",
            "is required with host",
            "!has(self.host) || has(self.userSecretRef)",
            lambda connection: connection.host is None or connection.user_secret_ref is not None,
        ),
        Rule(
            "passwordSecretRef",
            "is required with host",
            "!has(self.host) || has(self.passwordSecretRef)",
            lambda connection: connection.host is None or connection.password_secret_ref is not None,
        ),
    )

    url_secret_ref: UrlSecretRef | None = Field(
        None,
        description="Secret with the URL of the database: postgres://, mysql:// or mariadb://. Must not be set "
        "together with other fields of the connection.",
    )
    host: Host | None = Field(
        None,
        description="Host name or IP address of the server. Requires database, userSecretRef and passwordSecretRef.",
    )
    port: int | None = Field(None, ge=1, le=65535, description="Port of the server. Defaults to 5432.")
    database: Identifier | None = Field(None, description="Name of the database. Required with host.")
    schema_: Identifier | None = Field(
        None,
        alias="schema",
        description="Schema in which names without a schema are created and looked up. Defaults to the first one in the user's search path.",
    )
    user_secret_ref: UserSecretRef | None = Field(
        None, description="Secret with the name of the user. Required with host."
    )
    password_secret_ref: PasswordSecretRef | None = Field(
        None, description="Secret with the user's password. Required with host."
    )
    ssl_mode: SslMode | None = Field(
        None,
        description="TLS mode: disable (no TLS), require (TLS without verification of the server), "
        "verify-ca (the server's certificate is verified) or verify-full (its host name is verified, too). Defaults to that of the engine.",
    )
    ca_secret_ref: CaSecretRef | None = Field(
        None,
        description="Secret with the CA certificates used to verify the server. Only with sslMode "
        "verify-ca or verify-full. By default, only the certificates in the engine's image are trusted.",
    )

    @property
    def has_parts(self) -> bool:
        """Whether any part is given."""
        return any(value is not None for name, value in self if name != "url_secret_ref")


class Dialect(StrEnum):
    """SQL dialect of an AWS database."""

    POSTGRES = "postgres"
    MYSQL = "mysql"


def _fits_postgres(aws: "Aws", name: str) -> bool:
    return aws.dialect is not Dialect.POSTGRES or len(name.encode()) <= _POSTGRES_NAME_LENGTH


class Aws(Model):
    """An AWS database with IAM authentication."""

    RULES: ClassVar["tuple[Rule[Aws], ...]"] = (
        Rule(
            "dbName",
            "must have at most 63 bytes with dialect postgres, because PostgreSQL would truncate a longer name",
            f'self.dialect != "postgres" || size(self.dbName) <= {_POSTGRES_NAME_LENGTH}',
            lambda aws: _fits_postgres(aws, aws.db_name),
        ),
        Rule(
            "username",
            "must have at most 63 bytes with dialect postgres, because PostgreSQL would truncate a longer name",
            f'self.dialect != "postgres" || size(self.username) <= {_POSTGRES_NAME_LENGTH}',
            lambda aws: _fits_postgres(aws, aws.username),
        ),
        Rule(
            "dbName",
            "must not contain / ? % ` ( or ) with dialect mysql, because Atlas and its driver would use a different name",
            f'self.dialect != "mysql" || !self.dbName.matches("[{_UNUSABLE_IN_MYSQL}]")',
            lambda aws: aws.dialect is not Dialect.MYSQL or not set(_UNUSABLE_IN_MYSQL) & set(aws.db_name),
        ),
        Rule(
            "username",
            "must not contain : with dialect mysql, because the driver would read the rest as the password",
            'self.dialect != "mysql" || !self.username.contains(":")',
            lambda aws: aws.dialect is not Dialect.MYSQL or ":" not in aws.username,
        ),
    )

    role_arn: str = Field(
        min_length=1,
        max_length=2048,
        description="ARN of the IAM role that the operator assumes. The role needs the permission rds-db:connect for the database user.",
    )
    region: AwsRegion = Field(description="AWS region of the database, for example eu-central-1.")
    host: AwsHost = Field(
        description="Host name of the database's endpoint. It must be the endpoint's own name, for which the token is signed, "
        "not an alias."
    )
    port: int = Field(
        _POSTGRES_PORT,
        ge=1,
        le=65535,
        description="Port of the endpoint. Defaults to 5432, which with dialect mysql means 3306.",
    )
    db_name: PrintableName = Field(description="Name of the database.")
    username: PrintableName = Field(
        description="Name of the database user. It must be allowed to log in with IAM authentication."
    )
    dialect: Dialect = Field(
        Dialect.POSTGRES, description="SQL dialect of the database: postgres or mysql. Defaults to postgres."
    )

    @property
    def server_host(self) -> str:
        """The endpoint's name in the one spelling for which tokens are signed."""
        return self.host.lower()

    @property
    def server_port(self) -> int:
        """Where the server listens; the schema's default is the same for each dialect."""
        default = self.port == _POSTGRES_PORT and self.dialect is Dialect.MYSQL
        return _MYSQL_PORT if default else self.port


class Database(Model):
    """The database to migrate."""

    RULES: ClassVar["tuple[Rule[Database], ...]"] = (
        Rule(
            "connection",
            "is required with type selfHosted",
            'self.type != "selfHosted" || has(self.connection)',
            lambda database: database.type is not DatabaseType.SELF_HOSTED or database.connection is not None,
        ),
        Rule(
            "aws",
            "must not be set with type selfHosted",
            'self.type != "selfHosted" || !has(self.aws)',
            lambda database: database.type is not DatabaseType.SELF_HOSTED or database.aws is None,
        ),
        Rule(
            "aws",
            "is required with type awsRds or awsAurora, unless connection is set",
            'self.type == "selfHosted" || has(self.aws) || has(self.connection)',
            lambda database: (
                database.type is DatabaseType.SELF_HOSTED
                or database.aws is not None
                or database.connection is not None
            ),
        ),
    )

    type: DatabaseType = Field(
        description="Type of the database: selfHosted, awsRds or awsAurora. The AWS types use IAM authentication if aws is set, "
        "and connection otherwise."
    )
    connection: Connection | None = Field(
        None,
        description="Connection with a user and a password. Required with type selfHosted; ignored if aws is set.",
    )
    aws: Aws | None = Field(
        None,
        description="Connection to an AWS database with IAM authentication. Not allowed with type selfHosted.",
    )

    @property
    def uses_aws(self) -> bool:
        """Whether the run authenticates with IAM: an AWS type with an aws block, which wins over a connection."""
        return self.type is not DatabaseType.SELF_HOSTED and self.aws is not None
