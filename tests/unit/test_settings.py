"""Settings from flags and the environment, and what is refused without being repeated."""

import os

import pytest
from pydantic import ValidationError

from dbupgrade.settings import BadSettingsError, LogFormat, LogLevel, Settings, load


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("DBUPGRADE_"):
            monkeypatch.delenv(name)


def test_the_defaults() -> None:
    settings = load([])
    assert (settings.metrics_port, settings.health_port, settings.webhook_port) == (8080, 8081, 9443)
    assert not settings.aws_enabled
    assert settings.secrets_read
    assert not settings.insecure_registries
    assert settings.watch_namespaces == ()
    assert settings.watch_label_selector == ""
    assert (settings.log_level, settings.log_format) == (LogLevel.INFO, LogFormat.JSON)
    assert settings.workers == 8


@pytest.mark.parametrize("image", ["crane_image", "runner_image"])
def test_the_default_images_are_pinned(image: str) -> None:
    value = str(getattr(load([]), image))
    assert value.rpartition(":")[2][0].isdigit()


NAMES = [
    ("DBUPGRADE_CRANE_IMAGE", "--crane-image", "crane_image", "a/crane:1", "a/crane:1"),
    ("DBUPGRADE_RUNNER_IMAGE", "--runner-image", "runner_image", "a/runner:1", "a/runner:1"),
    ("DBUPGRADE_WEBHOOK_ENABLED", "--webhook-enabled", "webhook_enabled", "true", True),
    ("DBUPGRADE_NAMESPACE", "--namespace", "namespace", "ops", "ops"),
    ("DBUPGRADE_WEBHOOK_CONFIGURATION", "--webhook-configuration", "webhook_configuration", "a", "a"),
    ("DBUPGRADE_WEBHOOK_SECRET", "--webhook-secret", "webhook_secret", "a", "a"),
    ("DBUPGRADE_WEBHOOK_CERTIFICATE_DIR", "--webhook-certificate-dir", "webhook_certificate_dir", "/a", "/a"),
    ("DBUPGRADE_WEBHOOK_PORT", "--webhook-port", "webhook_port", "1", 1),
    ("DBUPGRADE_METRICS_PORT", "--metrics-port", "metrics_port", "1", 1),
    ("DBUPGRADE_HEALTH_PORT", "--health-port", "health_port", "0", 0),
    ("DBUPGRADE_AWS_ENABLED", "--aws-enabled", "aws_enabled", "true", True),
    ("DBUPGRADE_AWS_REGION", "--aws-region", "aws_region", "eu-central-1", "eu-central-1"),
    (
        "DBUPGRADE_LEADER_ELECTION_ENABLED",
        "--leader-election-enabled",
        "leader_election_enabled",
        "true",
        True,
    ),
    ("DBUPGRADE_WATCH_NAMESPACES", "--watch-namespaces", "watch_namespaces", "a, b,,c ", ("a", "b", "c")),
    ("DBUPGRADE_WATCH_LABEL_SELECTOR", "--watch-label-selector", "watch_label_selector", "a=b", "a=b"),
    (
        "DBUPGRADE_ALLOWED_POD_ANNOTATIONS",
        "--allowed-pod-annotations",
        "allowed_pod_annotations",
        "vault.hashicorp.com/,dapr.io/",
        ("vault.hashicorp.com/", "dapr.io/"),
    ),
    ("DBUPGRADE_METRICS_SECURE", "--metrics-secure", "metrics_secure", "true", True),
    ("DBUPGRADE_WEBHOOK_CLIENT_CA", "--webhook-client-ca", "webhook_client_ca", "/a", "/a"),
    ("DBUPGRADE_SECRETS_READ", "--secrets-read", "secrets_read", "false", False),
    ("DBUPGRADE_IMAGE_LOOSENS_LINT", "--image-loosens-lint", "image_loosens_lint", "true", True),
    ("DBUPGRADE_ALLOWED_POD_LABELS", "--allowed-pod-labels", "allowed_pod_labels", "*", ("*",)),
    (
        "DBUPGRADE_ALLOWED_PRIORITY_CLASSES",
        "--allowed-priority-classes",
        "allowed_priority_classes",
        "system-node-critical",
        ("system-node-critical",),
    ),
    ("DBUPGRADE_LOG_LEVEL", "--log-level", "log_level", "debug", LogLevel.DEBUG),
    ("DBUPGRADE_LOG_FORMAT", "--log-format", "log_format", "console", LogFormat.CONSOLE),
    ("DBUPGRADE_INSECURE_REGISTRIES", "--insecure-registries", "insecure_registries", "true", True),
    ("DBUPGRADE_WORKERS", "--workers", "workers", "3", 3),
]


@pytest.mark.parametrize(("variable", "flag", "field", "text", "value"), NAMES)
def test_each_setting_has_a_variable_and_a_flag(
    variable: str, flag: str, field: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(load([f"{flag}={text}"]), field) == value
    monkeypatch.setenv(variable, text)
    assert getattr(load([]), field) == value


def test_a_flag_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUPGRADE_METRICS_PORT", "1")
    monkeypatch.setenv("DBUPGRADE_INSECURE_REGISTRIES", "true")
    settings = load(["--metrics-port", "2", "--insecure-registries", "false"])
    assert settings.metrics_port == 2
    assert settings.insecure_registries is False


@pytest.mark.parametrize(
    "image",
    [
        "registry.test:5000/crane:1.0",
        f"crane@sha256:{'0' * 64}",
        f"registry.test:5000/crane:latest@sha256:{'0' * 64}",
    ],
)
def test_an_image_with_a_version_or_a_digest_is_taken(image: str) -> None:
    assert load(["--crane-image", image]).crane_image == image


@pytest.mark.parametrize("image", ["crane", "crane:latest", "registry.test:5000/crane", "a/b:latest", ""])
@pytest.mark.parametrize("name", ["crane", "runner"])
def test_an_image_that_could_change_is_refused(image: str, name: str) -> None:
    with pytest.raises(BadSettingsError) as raised:
        load([f"--{name}-image={image}"])
    assert str(raised.value) == (
        f"DBUPGRADE_{name.upper()}_IMAGE: must have a fixed tag (not latest) or a digest"
    )


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DBUPGRADE_METRICS_PORT", "hunter2"),
        ("DBUPGRADE_METRICS_PORT", "65536"),
        ("DBUPGRADE_HEALTH_PORT", "-1"),
        ("DBUPGRADE_WORKERS", "0"),
        ("DBUPGRADE_WORKERS", "65"),
        ("DBUPGRADE_LOG_LEVEL", "hunter2"),
        ("DBUPGRADE_LOG_FORMAT", "xml"),
        ("DBUPGRADE_AWS_ENABLED", "hunter2"),
    ],
)
def test_a_bad_value_is_named_and_not_repeated(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(BadSettingsError) as raised:
        load([])
    assert str(raised.value).startswith(f"{variable}: ")
    assert "hunter2" not in str(raised.value)


def test_every_bad_value_is_named_at_once() -> None:
    with pytest.raises(BadSettingsError) as raised:
        load(["--workers=0", "--metrics-port=x"])
    assert "DBUPGRADE_WORKERS" in str(raised.value)
    assert "DBUPGRADE_METRICS_PORT" in str(raised.value)


def test_an_unknown_flag_ends_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        load(["--metrics-prot", "1"])
    assert raised.value.code == 2
    assert "--metrics-prot" in capsys.readouterr().err


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        load(["--help"])
    assert raised.value.code == 0
    told = capsys.readouterr().out
    for _, flag, *_ in NAMES:
        assert flag in told


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load([]).workers = 5  # type: ignore[misc]


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())
