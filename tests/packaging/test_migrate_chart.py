"""What the chart of the Helm hook renders, with the real helm."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dbupgrade import published
from dbupgrade.api.crd import custom_resource_definition
from dbupgrade.api.exit_codes import ExitCode
from deploy.chart import MIGRATE_CHART
from tests.packaging.conftest import NAMESPACE, REPOSITORY, Helm, HelmError, Object, Objects
from tests.packaging.test_alerts import promtool as promtool  # noqa: PLC0414 - a fixture

if TYPE_CHECKING:
    from pathlib import Path

VALUES = yaml.safe_load((MIGRATE_CHART / "values.yaml").read_text())
CUSTOM = (
    "migration.customImage.enabled=true", "migration.customImage.repository=registry.example.com/shop",
    'migration.customImage.tag="2.0.0"',
)  # fmt: skip
WHERE = ("database.host=postgres", "database.name=shop", "secrets.existingSecret=shop-database")
JOB = (*CUSTOM, *WHERE)
OPERATOR = (
    *CUSTOM, "migrations.mode=operator", "secrets.existingSecret=shop-database", "secrets.urlKey=url",
)  # fmt: skip
CREATED = (
    *CUSTOM, "database.host=h", "database.name=n", "database.user=u", "secrets.create=true", "secrets.password=p",
)  # fmt: skip
RETRIED = {ExitCode.OTHER, ExitCode.UNREACHABLE, ExitCode.LOCK}
EVENTS = "helm.sh/hook"
WEIGHT = "helm.sh/hook-weight"
POLICY = "helm.sh/hook-delete-policy"


@pytest.fixture(scope="session")
def helm(bin_dir: Path) -> Helm:
    return Helm(bin_dir / "helm", MIGRATE_CHART)


def render(helm: Helm, *settings: str) -> Objects:
    return helm.template(*settings, release="shop")


def pod(objects: Objects) -> Object:
    return dict(objects.one("Job")["spec"]["template"]["spec"])


def container(objects: Objects) -> Object:
    (found,) = pod(objects)["containers"]
    return dict(found)


def environment(objects: Objects) -> dict[str, Any]:
    return {
        variable["name"]: variable.get("value", variable.get("valueFrom"))
        for variable in container(objects)["env"]
    }


def notes_of(obj: Object) -> dict[str, str]:
    return dict(obj["metadata"]["annotations"])


def test_the_chart_passes_helms_own_lint_without_a_warning(helm: Helm) -> None:
    said = helm.run("lint", "--strict", str(helm.chart))
    assert "0 chart(s) failed" in said
    assert "[WARNING]" not in said


def test_the_job_runs_the_toolkit_of_the_teams_image_and_has_no_token(helm: Helm) -> None:
    objects = render(helm, *JOB)
    assert [obj["kind"] for obj in objects] == ["ServiceAccount", "Job"]
    assert container(objects)["image"] == "registry.example.com/shop:2.0.0"
    assert container(objects)["args"] == ["migrate", "apply"]
    assert pod(objects)["automountServiceAccountToken"] is False
    assert objects.one("ServiceAccount")["automountServiceAccountToken"] is False
    job = objects.one("Job")["spec"]
    assert (job["activeDeadlineSeconds"], job["backoffLimit"]) == (300, 3)
    assert job["podReplacementPolicy"] == "Failed"
    assert pod(objects)["restartPolicy"] == "Never"


@pytest.mark.parametrize("settings", [JOB, OPERATOR, CREATED])
def test_all_that_the_job_needs_is_there_before_it_also_at_first_install_and_goes_afterwards(
    helm: Helm, settings: tuple[str, ...]
) -> None:
    objects = render(helm, *settings, "hooks.preInstall.weight=7")
    for obj in objects:
        notes = notes_of(obj)
        assert notes[EVENTS] == "pre-install,pre-upgrade"
        is_job = obj["kind"] == "Job"
        assert notes[WEIGHT] == ("7" if is_job else "6")
        # Logs stay readable after a success: the Job goes by its TTL.
        assert notes[POLICY] == ("before-hook-creation" if is_job else "before-hook-creation,hook-succeeded")
    assert objects.one("Job")["spec"]["ttlSecondsAfterFinished"] == 86400
    assert notes_of(objects.one("Job"))["helm.sh/hook-output-log-policy"] == "hook-failed"


@pytest.mark.parametrize(
    ("settings", "upgrade", "events", "weight", "policy"),
    [
        ((), False, "pre-install,pre-upgrade", "1", "hook-failed"),
        ((), True, "pre-install,pre-upgrade", "2", "hook-succeeded"),
        (("hooks.preInstall.enabled=false",), False, "pre-upgrade", "2", "hook-succeeded"),
        (("hooks.preUpgrade.enabled=false",), False, "pre-install", "1", "hook-failed"),
    ],
)
def test_each_hook_has_its_settings(
    helm: Helm, settings: tuple[str, ...], upgrade: bool, events: str, weight: str, policy: str
) -> None:
    given = (
        *JOB, *settings, "hooks.preInstall.weight=1", "hooks.preUpgrade.weight=2",
        "hooks.preInstall.deletePolicy=hook-failed", "hooks.preUpgrade.deletePolicy=hook-succeeded",
    )  # fmt: skip
    flags = [word for setting in given for word in ("--set", setting.replace('"', ""))]
    text = helm.run("template", "shop", str(helm.chart), *flags, *(["--is-upgrade"] if upgrade else []))
    job = Objects(obj for obj in yaml.safe_load_all(text) if obj).one("Job")
    notes = notes_of(job)
    assert (notes[EVENTS], notes[WEIGHT], notes[POLICY]) == (events, weight, policy)


@pytest.mark.parametrize(
    "setting",
    ["migrations.enabled=false", 'hooks={"preInstall":{"enabled":false},"preUpgrade":{"enabled":false}}'],
)
def test_switched_off_it_renders_nothing(helm: Helm, setting: str) -> None:
    assert render(helm, setting, "prometheusRule.enabled=true") == []


def test_labels(helm: Helm) -> None:
    objects = render(helm, *JOB, 'podLabels={"team":"shop","component":"mine"}')
    wanted = {
        "component": "migration",
        "app.kubernetes.io/component": "migration",
        "app.kubernetes.io/name": "dbupgrade-migrate",
        "app.kubernetes.io/instance": "shop",
    }
    template = objects.one("Job")["spec"]["template"]["metadata"]["labels"]
    assert wanted.items() <= template.items()
    assert template["team"] == "shop"
    for obj in objects:
        assert obj["metadata"]["labels"].items() >= wanted.items()
        assert obj["metadata"]["namespace"] == NAMESPACE
        assert obj["metadata"]["name"] == "shop-dbupgrade-migrate"


def test_the_password_is_a_file_and_the_rest_is_in_the_environment(helm: Helm) -> None:
    objects = render(
        helm,
        *JOB,
        "database.port=6432",
        "database.sslMode=verify-full",
        "secrets.usernameKey=u",
        "secrets.passwordKey=p",
    )
    found = environment(objects)
    assert {name: found[name] for name in ("DB_HOST", "DB_PORT", "DB_NAME", "DB_SSLMODE")} == {
        "DB_HOST": "postgres", "DB_PORT": "6432", "DB_NAME": "shop", "DB_SSLMODE": "verify-full",
    }  # fmt: skip
    assert found["DB_USER"] == {"secretKeyRef": {"name": "shop-database", "key": "u"}}
    assert "DB_PASSWORD" not in found
    mounts = {mount["name"]: mount["mountPath"] for mount in container(objects)["volumeMounts"]}
    (secret,) = (volume["secret"] for volume in pod(objects)["volumes"] if "secret" in volume)
    assert secret == {"secretName": "shop-database", "items": [{"key": "p", "path": "password"}]}
    assert found["DB_PASSWORD_FILE"] == f"{mounts['credentials']}/password"
    assert environment(render(helm, *JOB, "database.user=me"))["DB_USER"] == "me"


def test_a_dollar_in_a_value_is_not_expanded_by_kubernetes(helm: Helm) -> None:
    assert environment(render(helm, *JOB, "database.user=$(DB_HOST)"))["DB_USER"] == "$$(DB_HOST)"


def test_a_whole_url_replaces_the_parts(helm: Helm) -> None:
    objects = render(helm, *CUSTOM, "secrets.existingSecret=s", "secrets.urlKey=url")
    found = environment(objects)
    assert found["DATABASE_URL"] == {"secretKeyRef": {"name": "s", "key": "url"}}
    assert not [name for name in found if name.startswith("DB_")]
    assert [volume["name"] for volume in pod(objects)["volumes"]] == ["tmp"]


def test_a_validation_needs_no_database(helm: Helm) -> None:
    objects = render(helm, *CUSTOM, "migration.command=validate")
    assert container(objects)["args"] == ["migrate", "validate"]
    assert set(environment(objects)) == {"HOME", "MIGRATE_FORMAT"}
    assert [volume["name"] for volume in pod(objects)["volumes"]] == ["tmp"]


def test_a_secret_can_be_made_for_development(helm: Helm) -> None:
    objects = render(helm, *CREATED)
    secret = objects.one("Secret")
    assert secret["stringData"] == {"username": "u", "password": "p"}
    (mounted,) = (volume["secret"] for volume in pod(objects)["volumes"] if "secret" in volume)
    assert mounted["secretName"] == secret["metadata"]["name"]
    assert "p" not in environment(objects).values()


def test_trying_again_is_for_what_passes_by_itself(helm: Helm) -> None:
    disruption, final = render(helm, *JOB).one("Job")["spec"]["podFailurePolicy"]["rules"]
    assert disruption == {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    assert final["action"] == "FailJob"
    assert final["onExitCodes"]["containerName"] == container(render(helm, *JOB))["name"]
    assert final["onExitCodes"]["values"] == sorted(set(ExitCode) - RETRIED - {ExitCode.OK})


@pytest.mark.parametrize(
    ("setting", "where", "wanted"),
    [
        ('imagePullSecrets=[{"name":"s"}]', "imagePullSecrets", [{"name": "s"}]),
        ('nodeSelector={"a":"b"}', "nodeSelector", {"a": "b"}),
        ('tolerations=[{"operator":"Exists"}]', "tolerations", [{"operator": "Exists"}]),
        ('affinity={"nodeAffinity":{}}', "affinity", {"nodeAffinity": {}}),
        ("priorityClassName=high", "priorityClassName", "high"),
        ("serviceAccount.name=other", "serviceAccountName", "other"),
        ("serviceAccount.create=false", "serviceAccountName", "default"),
    ],
)
def test_a_value_reaches_the_pod(helm: Helm, setting: str, where: str, wanted: Any) -> None:
    assert pod(render(helm, *JOB, setting))[where] == wanted


@pytest.mark.parametrize(
    ("setting", "where", "wanted"),
    [
        (f'migration.customImage.tag="sha256:{"0" * 64}"', "image", f"registry.example.com/shop@sha256:{'0' * 64}"),
        ("migration.customImage.pullPolicy=Always", "imagePullPolicy", "Always"),
        ("migration.command=status", "args", ["migrate", "status"]),
        ('migration.resources={"limits":{"memory":"1Gi"},"requests":null}', "resources", {"limits": {"memory": "1Gi"}}),
    ],
)  # fmt: skip
def test_a_value_reaches_the_container(helm: Helm, setting: str, where: str, wanted: Any) -> None:
    assert container(render(helm, *JOB, setting))[where] == wanted


@pytest.mark.parametrize(
    ("setting", "variable", "wanted"),
    [
        ('migration.baselineVersion="20250101000000"', "MIGRATE_BASELINE_VERSION", "20250101000000"),
        ("migration.lockTimeout=2s", "MIGRATE_LOCK_TIMEOUT", "2s"),
        ("migration.statementTimeout=30m", "MIGRATE_STATEMENT_TIMEOUT", "30m"),
        ("migration.activeDeadlineSeconds=900", "MIGRATE_DEADLINE", "900s"),
        ("log.format=text", "MIGRATE_FORMAT", "text"),
        ("metrics.pushgatewayUrl=http://push:9091", "MIGRATE_PUSHGATEWAY_URL", "http://push:9091"),
        ('migration.extraEnv=[{"name":"MIGRATE_LOCK_TIMEOUT","value":"5s"}]', "MIGRATE_LOCK_TIMEOUT", "5s"),
    ],
)
def test_a_value_reaches_the_toolkit(helm: Helm, setting: str, variable: str, wanted: str) -> None:
    assert environment(render(helm, *JOB, setting))[variable] == wanted


def test_migrations_may_come_from_a_volume(helm: Helm) -> None:
    objects = render(
        helm, *WHERE,
        'extraVolumes=[{"name":"migrations","configMap":{"name":"migrations"}}]',
        'extraVolumeMounts=[{"name":"migrations","mountPath":"/migrations"}]',
    )  # fmt: skip
    assert container(objects)["image"] == f"{published.image('migrate')}:0.1.0"
    assert {"name": "migrations", "mountPath": "/migrations"} in container(objects)["volumeMounts"]


@pytest.mark.parametrize("settings", [JOB, OPERATOR])
def test_the_pod_passes_pod_security_restricted(helm: Helm, settings: tuple[str, ...]) -> None:
    objects = render(helm, *settings)
    assert pod(objects)["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert container(objects)["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip


# --- mode operator ----------------------------------------------------------------------------------------------------


def dbupgrade(objects: Objects) -> Object:
    return dict(yaml.safe_load(objects.one("ConfigMap")["data"]["dbupgrade.yaml"]))


def test_the_hook_applies_a_dbupgrade_and_may_do_nothing_else(helm: Helm) -> None:
    objects = render(helm, *OPERATOR)
    resource = dbupgrade(objects)
    assert resource["spec"] == {
        "migrations": {"image": "registry.example.com/shop:2.0.0"},
        "database": {
            "type": "selfHosted",
            "connection": {"urlSecretRef": {"name": "shop-database", "key": "url"}},
        },
        "runner": {"activeDeadlineSeconds": 300},
    }
    assert container(objects)["image"] == f"{published.image('operator')}:0.1.0"
    (mount,) = (mount for mount in container(objects)["volumeMounts"] if mount["name"] == "dbupgrade")
    assert container(objects)["args"] == ["apply", f"{mount['mountPath']}/dbupgrade.yaml", "--timeout=300s"]
    assert objects.one("Job")["spec"]["activeDeadlineSeconds"] == 330
    assert pod(objects)["automountServiceAccountToken"] is True
    assert set(environment(objects)) == {"HOME"}
    (rule,) = objects.one("Role")["rules"]
    assert (rule["resources"], rule["verbs"]) == (["dbupgrades"], ["get", "patch", "create"])
    assert rule["resourceNames"] == [resource["metadata"]["name"]]
    assert objects.one("RoleBinding")["subjects"][0]["name"] == pod(objects)["serviceAccountName"]
    without = render(helm, *OPERATOR, "rbac.create=false")
    assert not without.all("Role") + without.all("RoleBinding")


def test_the_dbupgrade_takes_more_of_a_spec_and_fits_the_crd(helm: Helm) -> None:
    import jsonschema  # noqa: PLC0415

    more = {"checks": {"pre": {"minPodVersions": [{"selector": {}, "minVersion": "1.0"}]}}, "runner": {"ttlSecondsAfterFinished": 5}}  # fmt: skip
    resource = dbupgrade(
        render(
            helm,
            *OPERATOR,
            f"operator.spec={json.dumps(more)}",
            'migration.baselineVersion="20250101000000"',
            'imagePullSecrets=[{"name":"pull"}]',
        )
    )
    spec = resource["spec"]
    assert spec["runner"] == {"activeDeadlineSeconds": 300, "ttlSecondsAfterFinished": 5}
    assert spec["migrations"]["baseline"] == "20250101000000"
    assert spec["migrations"]["imagePullSecrets"] == [{"name": "pull"}]
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    jsonschema.validate(resource["spec"], schema["properties"]["spec"])
    parts = dbupgrade(render(helm, *JOB, "migrations.mode=operator"))["spec"]
    jsonschema.validate(parts, schema["properties"]["spec"])
    assert parts["database"]["connection"] == {
        "host": "postgres", "port": 5432, "database": "shop", "sslMode": "require",
        "userSecretRef": {"name": "shop-database", "key": "username"},
        "passwordSecretRef": {"name": "shop-database", "key": "password"},
    }  # fmt: skip
    own = render(helm, *CUSTOM, "migrations.mode=operator", 'operator.spec={"database":{"type":"awsRds"}}')
    assert dbupgrade(own)["spec"]["database"] == {"type": "awsRds"}


# --- what is refused, documented and told -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((), "there are no migrations"),
        (("migration.customImage.enabled=true", *WHERE), "needs repository and tag"),
        (CUSTOM, "secrets.existingSecret is required"),
        ((*CUSTOM, "secrets.existingSecret=s"), "database.host and database.name are required"),
        ((*JOB, "secrets.create=true"), "exclude each other"),
        ((*CUSTOM, "secrets.create=true"), "requires database.user and secrets.password"),
        ((*CUSTOM, "migrations.mode=operator", "secrets.create=true"), "is for mode job"),
        ((*CUSTOM, "migrations.mode=operator"), "operator.spec.database"),
        ((*CUSTOM, "migrations.mode=operator", "secrets.existingSecret=s"), "database.host"),
        ((*JOB, "migrations.mode=operator", "database.user=me"), "database.user is for mode job"),
        ((*OPERATOR, "migration.command=status"), "only migration.command=apply"),
        ((*JOB, "migration.command=rollback"), "value must be one of 'apply', 'status', 'validate'"),
        ((*JOB, "database.sslMode=prefer"), "sslMode"),
        ((*JOB, "database.port=0"), "port"),
        ((*JOB, "migration.customImage.tag=latest"), "migration.customImage.tag must not be latest"),
        ((*JOB, "migration.customImage.tag=1.1"), "migration.customImage.tag must be a string, but is a number: put it in quotes"),
        ((*JOB, "migration.customImage.tag=a b"), "migration.customImage.tag must be a tag"),
        ((*JOB, "migration.customImage.repository=a@b"), "migration.customImage.repository must be an image without its digest"),
        ((*JOB, "migration.image.repository="), "migration.image.repository must be an image"),
        ((*JOB, "migration.baselineVersion=20250101000000"), "migration.baselineVersion must be a string, but is a number"),
        ((*JOB, "migration.baselineVersion=a/b"), "migration.baselineVersion must be the version of a file"),
        ((*JOB, "migration.lockTimeout=soon"), "migration.lockTimeout must be a number followed by ms, s, m or h"),
        ((*JOB, "secrets.urlKey=a b"), "secrets.urlKey must be a key of a Secret"),
        ((*JOB, "secrets.passwordKey="), "secrets.passwordKey must be a key of a Secret"),
        ((*JOB, "metrics.pushgatewayUrl=push:9091"), "metrics.pushgatewayUrl must be an http:// or https:// URL"),
        ((*JOB, "hooks.preUpgrade.deletePolicy=never"), "hooks.preUpgrade.deletePolicy must be before-hook-creation, hook-succeeded or hook-failed"),
        ((*JOB, "migration.deadline=1"), "deadline"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused_with_what_to_do(
    helm: Helm, settings: tuple[str, ...], said: str
) -> None:
    with pytest.raises(HelmError, match=re.escape(said)):
        render(helm, *settings)


@pytest.mark.parametrize("name", ["values-development.yaml", "values-production.yaml"])
def test_the_values_to_start_from_fit(helm: Helm, name: str) -> None:
    mine = (*WHERE, *CUSTOM[1:]) if "production" in name else ()
    flags = [word for setting in mine for word in ("--set-string", setting.replace('"', ""))]
    text = helm.run("template", "shop", str(helm.chart), "--values", str(helm.chart / name), *flags)
    assert "kind: Job" in text
    assert helm.run("lint", "--strict", str(helm.chart), "--values", str(helm.chart / name), *flags)


def test_every_value_is_documented_and_in_the_schema() -> None:
    schema = json.loads((MIGRATE_CHART / "values.schema.json").read_text())
    readme = (MIGRATE_CHART / "README.md").read_text()

    def missing(values: Object, schema: Object, path: str) -> list[str]:
        found = []
        for name, value in values.items():
            here = f"{path}{name}"
            if name not in schema["properties"]:
                found.append(f"{here} is not in the schema")
            elif isinstance(value, dict) and f"`{here}." in readme:
                found += missing(value, schema["properties"][name], f"{here}.")
            elif f"`{here}`" not in readme:
                found.append(f"{here} is not in the README")
        return found

    assert missing(VALUES, schema, "") == []


def test_as_a_dependency_it_has_its_own_values_and_names(helm: Helm, tmp_path: Path) -> None:
    app = tmp_path / "shop"
    (app / "templates").mkdir(parents=True)
    repository = f"file://{MIGRATE_CHART}"
    dependency = {"name": "dbupgrade-migrate", "version": "0.1.0", "repository": repository}
    aliases = [{**dependency, "alias": alias, "condition": f"{alias}.migrations.enabled"} for alias in ("orders", "stock")]  # fmt: skip
    (app / "Chart.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v2", "name": "shop", "version": "1.0.0", "dependencies": aliases})
    )
    helm.run("dependency", "update", str(app))
    shop = Helm(helm.program, app)
    settings = [f"{alias}.{setting}" for alias in ("orders", "stock") for setting in JOB]
    objects = render(shop, *settings, 'global={"imageRegistry":"x"}')
    assert {job["metadata"]["name"] for job in objects.all("Job")} == {"shop-orders", "shop-stock"}
    (only,) = render(shop, *settings, "stock.migrations.enabled=false").all("Job")
    assert only["metadata"]["name"] == "shop-orders"


@pytest.mark.parametrize(
    ("series", "fires"),
    [
        ({'kube_job_failed{namespace="NS",job_name="JOB",condition="true"}': "1x20"}, {"MigrationFailed"}),
        ({'kube_job_failed{namespace="NS",job_name="JOB",condition="true"}': "0x20"}, set()),
        ({'kube_job_failed{namespace="NS",job_name="another",condition="true"}': "1x20"}, set()),
        (
            {
                'kube_job_status_start_time{namespace="NS",job_name="JOB"}': "0x20",
                'kube_job_status_active{namespace="NS",job_name="JOB"}': "1x20",
            },
            {"MigrationRunsLong"},
        ),
        (
            {'dbupgrade_migrate_exit_code{database="postgres/shop",command="apply"}': "75x20"},
            {"MigrationDatabaseUnreachable"},
        ),
        ({'dbupgrade_migrate_exit_code{database="postgres/shop",command="apply"}': "0x20"}, set()),
        ({'dbupgrade_migrate_exit_code{database="another/shop",command="apply"}': "75x20"}, set()),
        (
            {'dbupgrade_migrate_connection_seconds{database="postgres/shop",command="apply"}': "9x20"},
            {"MigrationDatabaseSlow"},
        ),
        ({'dbupgrade_migrate_connection_seconds{database="postgres/shop",command="apply"}': "1x20"}, set()),
        (
            {
                'kube_job_status_start_time{namespace="NS",job_name="JOB"}': "0x20",
                'kube_job_status_active{namespace="NS",job_name="JOB"}': "0x20",
            },
            set(),
        ),
    ],
)
def test_each_alert_fires_on_what_it_is_for(
    helm: Helm, promtool: Path, tmp_path: Path, series: dict[str, str], fires: set[str]
) -> None:
    objects = render(
        helm, *JOB, "prometheusRule.enabled=true", 'prometheusRule.labels={"release":"prom"}',
        "metrics.pushgatewayUrl=http://push:9091", "prometheusRule.runbookURL=https://wiki.example/{alert}",
    )  # fmt: skip
    rule = objects.one("PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "prom"
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    alerts = [alert for group in rule["spec"]["groups"] for alert in group["rules"]]
    names = [alert["alert"] for alert in alerts]
    assert len(names) == 4
    runbooks = [alert["annotations"]["runbook_url"] for alert in alerts]
    assert runbooks == [f"https://wiki.example/{name}" for name in names]
    queries = [
        {
            "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)',
            "eval_time": "20m",
            "exp_samples": [{"value": 1 if name in fires else 0}],
        }
        for name in names
    ]
    given = [
        {"series": name.replace("NS", NAMESPACE).replace("JOB", "shop-dbupgrade-migrate"), "values": values}
        for name, values in series.items()
    ]
    case = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": given, "promql_expr_test": queries}],
    }
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(case))
    done = subprocess.run(
        [promtool, "test", "rules", "case.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_and_the_network_policy_are_about_what_there_is(helm: Helm) -> None:
    rule = render(helm, *JOB, "prometheusRule.enabled=true", "metrics.pushgatewayUrl=http://push:9091")
    written = (REPOSITORY / "dbupgrade/toolkit/call_metrics.py").read_text()
    for series in re.findall(r"dbupgrade_migrate_\w+", json.dumps(rule.one("PrometheusRule"))):
        assert f'"{series}"' in written
    policy = yaml.safe_load((REPOSITORY / "examples/helm-hooks/network-policy.yaml").read_text())
    labels = rule.one("Job")["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_notes_say_where_the_logs_are(helm: Helm) -> None:
    command = ("install", "shop", str(helm.chart), "--namespace", NAMESPACE, "--dry-run=client")
    flags = [word for setting in JOB for word in ("--set-string", setting.replace('"', ""))]
    typed = ["--set", "migration.customImage.enabled=true", *flags[2:]]
    assert "logs job/shop-dbupgrade-migrate" in helm.run(*command, *typed)
    assert "no migrations were run" in helm.run(*command, "--set", "migrations.enabled=false")


def test_the_chart_has_the_version_of_the_operators() -> None:
    chart = yaml.safe_load((MIGRATE_CHART / "Chart.yaml").read_text())
    operator = yaml.safe_load((REPOSITORY / "deploy/helm/dbupgrade-operator/Chart.yaml").read_text())
    assert {chart["version"], chart["appVersion"]} == {operator["version"]}
