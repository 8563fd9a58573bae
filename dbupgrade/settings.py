"""Settings of the operator: read once from flags and the environment, validated, then handed down.

A flag wins over its environment variable: `--log-level debug` and `DBUPGRADE_LOG_LEVEL=debug` are the same setting.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, CliSettingsSource, NoDecode, SettingsConfigDict, SettingsError

from dbupgrade import __version__, published

ENVIRONMENT_PREFIX = "DBUPGRADE_"
Port = Annotated[int, Field(ge=0, le=65535)]  # 0 lets the kernel choose, for tests


class LogLevel(StrEnum):
    """Levels of the log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """Shapes of the log."""

    JSON = "json"
    CONSOLE = "console"


class BadSettingsError(Exception):
    """A setting cannot be used; the message names the variable, what was seen is not repeated."""


class Settings(BaseSettings):
    """The operator's settings; names, defaults and meaning are those of the chart's values."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        frozen=True,
        extra="ignore",
        cli_kebab_case=True,
    )

    crane_image: str = Field(
        f"{published.image('crane')}:0.22.1",
        description="image that fetches migrations; it must contain crane, sh and tar",
    )
    atlas_image: str = Field(
        "",
        description="image that contains an `atlas` executable for the runner; empty: the runner uses its own engine",
    )
    runner_image: str = Field(
        f"{published.image('migrate')}:{__version__}",
        description="image of the runner, which contains `dbupgrade migrate`, its engine and the PostgreSQL client",
    )
    insecure_registries: bool = Field(
        False, description="use plain HTTP for image registries (for local use only)"
    )
    metrics_port: Port = Field(8080, description="port of /metrics")
    metrics_secure: bool = Field(
        False,
        description="serve /metrics over TLS, only to clients that the API server authorizes to get /metrics",
    )
    health_port: Port = Field(8081, description="port of /healthz and /readyz")
    namespace: str = Field("dbupgrade-system", description="the operator's own namespace")
    webhook_enabled: bool = Field(False, description="serve the admission webhook")
    webhook_port: Port = Field(9443, description="port of the admission webhook")
    webhook_configuration: str = Field(
        "dbupgrade-webhook",
        description="ValidatingWebhookConfiguration in which the operator keeps the caBundle up to date",
    )
    webhook_secret: str = Field(
        "dbupgrade-webhook-cert",
        description="Secret in which the operator stores the certificate that it issues",
    )
    webhook_certificate_dir: str = Field(
        "",
        description="folder with tls.crt and tls.key from cert-manager; empty: the operator issues its own certificate",
    )
    webhook_client_ca: str = Field(
        "",
        description="file with the CA certificates of clients that may call the webhook; empty: any client may",
    )
    aws_enabled: bool = Field(False, description="allow AWS IAM authentication")
    aws_region: str = Field("", description="region of the STS endpoint; empty: the region of the database")
    aws_ca_bundle: str = Field(
        "",
        description="file with the CA certificates of AWS databases; empty: the certificates of databases are not verified",
    )
    leader_election_enabled: bool = Field(
        False, description="elect a leader, so that only one replica is active"
    )
    secrets_read: bool = Field(
        True,
        description="read the Secrets with database credentials; false: only the pods of runs read them",
    )
    image_loosens_lint: bool = Field(
        False,
        description="let the .atlas.hcl of an image loosen the lint where spec.policy.lint is error",
    )
    allowed_pod_annotations: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="comma-separated prefixes of otherwise rejected annotations that the pods of runs may have; * allows all",
    )
    allowed_pod_labels: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="comma-separated prefixes of otherwise rejected labels that the pods of runs may have; * allows all",
    )
    allowed_priority_classes: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="comma-separated prefixes of system- priority classes that the pods of runs may have; * allows all",
    )
    watch_namespaces: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="comma-separated namespaces to watch; empty: all namespaces"
    )
    watch_label_selector: str = Field("", description="watch only resources with these labels")
    log_level: LogLevel = Field(LogLevel.INFO, description="log level: debug, info, warning or error")
    log_format: LogFormat = Field(LogFormat.JSON, description="log format: json, or console for people")
    workers: int = Field(8, ge=1, le=64, description="number of resources that are reconciled concurrently")

    @field_validator(
        "watch_namespaces",
        "allowed_pod_annotations",
        "allowed_pod_labels",
        "allowed_priority_classes",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        """`a, b` from the environment as ("a", "b")."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("crane_image", "runner_image", "atlas_image")
    @classmethod
    def _pinned(cls, value: str, info: ValidationInfo) -> str:
        """An image that changes under a running operator would change what runs: latest is refused."""
        if not value and info.field_name == "atlas_image":
            return value
        tag = value.rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in value and tag in {"", "latest"}:
            raise PydanticCustomError("not_pinned", "must have a fixed tag (not latest) or a digest")
        return value


def load(arguments: list[str]) -> Settings:
    """Settings from `arguments` (flags without the program's name) and the environment.

    Raises BadSettingsError. An unknown flag or --help ends the program, as argparse does.
    """
    try:
        source: CliSettingsSource[str] = CliSettingsSource(
            Settings, cli_parse_args=arguments, cli_prog_name="dbupgrade run"
        )
        return Settings(_cli_settings_source=source)
    except ValidationError as error:
        raise BadSettingsError(
            "; ".join(_explain(item["loc"], item["msg"]) for item in error.errors())
        ) from None
    except SettingsError as error:
        raise BadSettingsError(str(error)) from None


def _explain(location: tuple[int | str, ...], message: str) -> str:
    name = "_".join(str(part) for part in location).upper()
    return f"{ENVIRONMENT_PREFIX}{name}: {message}"
