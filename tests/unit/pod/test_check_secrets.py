"""The step that checks the Secrets of a connection, where the operator does not read them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod import message
from dbupgrade.pod.connection import asked
from dbupgrade.pod.job import job
from dbupgrade.toolkit.main import main
from tests.unit.decide.builders import SETTINGS, a_resource, a_spec, an_intent
from tests.unit.pod.test_engines import COMMAND, IN_PARTS, PARTS, Object

BLIND = replace(SETTINGS, reads_secrets=False)
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
VERIFIED = {**PARTS, "sslMode": "verify-full", "caSecretRef": {"name": "authority"}}


def pod(**changes: Any) -> Object:
    spec = a_spec(**changes)
    found: Object = job(a_resource(spec), an_intent(spec), BLIND)["spec"]["template"]["spec"]
    return found


def check(**changes: Any) -> Object:
    first: Object = pod(**changes)["initContainers"][0]
    assert first["name"] == "check-secrets"
    return first


def environment(container: Object, **secrets: str) -> dict[str, str]:
    """What the kubelet makes of a container's variables, where these keys of Secrets exist."""
    found = {}
    for entry in container["env"]:
        if "value" in entry:
            found[entry["name"]] = entry["value"].replace("$$", "$")
            continue
        reference = entry["valueFrom"]["secretKeyRef"]
        assert reference["optional"] is True
        if (name := f"{reference['name']}_{reference['key']}".replace("-", "_")) in secrets:
            found[entry["name"]] = secrets[name]
    return found


@pytest.mark.parametrize(
    ("migrations", "names"),
    [
        ({}, ["check-secrets", "fetch-migrations"]),
        ({"engine": "Psql"}, ["check-secrets", "fetch-migrations"]),
        ({"delivery": "ImageVolume"}, ["check-secrets"]),
        (COMMAND, ["check-secrets", "hold-lock", "wait-for-database"]),
    ],
)
def test_the_secrets_are_checked_before_anything_else(migrations: Object, names: list[str]) -> None:
    assert [container["name"] for container in pod(migrations=migrations)["initContainers"]] == names


def test_the_check_is_the_runner_and_gets_no_variable_by_which_it_could_connect() -> None:
    container = check()
    assert container["image"] == SETTINGS.runner_image
    assert container["args"] == ["migrate", "secrets", "--report", "/dev/termination-log"]
    assert "DATABASE_URL" not in {entry["name"] for entry in container["env"]}


def test_a_missing_secret_with_certificates_does_not_keep_the_pod_from_starting() -> None:
    volumes = pod(database={"type": "selfHosted", "connection": VERIFIED})["volumes"]
    (authority,) = [volume["secret"] for volume in volumes if volume["name"] == "authority"]
    assert authority["optional"] is True


URL = {"orders_db_url": "postgres://u:hunter2@db/shop"}
LOGIN = {"login_username": "u", "login_pw": "hunter2"}
FILES = {"/etc/dbupgrade-ca/ca.crt": CERTIFICATE}
LOOKS: list[tuple[Object, dict[str, str], dict[str, str], Failure | None, str]] = [
    ({}, URL, {}, None, ""),
    ({}, {}, {}, Failure.SECRET_NOT_FOUND, "Secret orders-db with a key url that contains the database URL was not found"),
    ({}, {"orders_db_url": ""}, {}, Failure.SECRET_UNUSABLE, "key url of Secret orders-db cannot be used: it is empty"),
    ({}, {"orders_db_url": "mysql://u:hunter2@db/shop\n"}, {}, Failure.SECRET_UNUSABLE, "white space"),
    ({}, {"orders_db_url": "mysql://u:hunter2@db/shop"}, {}, None, ""),
    ({"migrations": {"engine": "Psql"}}, {"orders_db_url": "mysql://u:hunter2@db/shop"}, {}, Failure.SECRET_UNUSABLE, "it does not begin with"),
    ({"policy": {"statementTimeout": "5s"}}, {"orders_db_url": "mysql://u:hunter2@db/shop"}, {}, Failure.SECRET_UNUSABLE, "remove spec.policy.statementTimeout"),
    ({"database": IN_PARTS}, LOGIN, {}, None, ""),
    ({"database": IN_PARTS}, {"login_username": "u"}, {}, Failure.SECRET_NOT_FOUND, "a key pw that contains the database password"),
    ({"database": IN_PARTS}, {**LOGIN, "login_pw": "hunter2\n"}, {}, Failure.SECRET_UNUSABLE, "it ends with a line break"),
    ({"database": {"type": "selfHosted", "connection": VERIFIED}}, LOGIN, FILES, None, ""),
    ({"database": {"type": "selfHosted", "connection": VERIFIED}}, LOGIN, {}, Failure.SECRET_NOT_FOUND, "Secret authority"),
    ({"database": {"type": "selfHosted", "connection": VERIFIED}}, LOGIN, dict.fromkeys(FILES, "x"), Failure.SECRET_UNUSABLE, "PEM"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "secrets", "files", "failure", "words"), LOOKS)
def test_what_is_missing_or_wrong_is_told_without_its_content(
    changes: Object, secrets: dict[str, str], files: dict[str, str], failure: Failure | None, words: str
) -> None:
    report = asked.look(environment(check(**changes), **secrets), files.get)
    assert report.failure is failure
    assert words in (report.error or "")
    assert "hunter2" not in (report.error or "")


@pytest.mark.parametrize(("secrets", "code"), [(URL, 0), ({}, 1)], ids=["there", "missing"])
def test_the_runner_checks_and_reports(
    secrets: dict[str, str], code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in environment(check(), **secrets).items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "report"
    assert main(["secrets", "--report", str(path)]) == code
    failed = message.read(path.read_text()) if path.exists() else None
    assert (failed.failure if failed else None) is (Failure.SECRET_NOT_FOUND if code else None)
