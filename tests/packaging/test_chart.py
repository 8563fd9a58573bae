"""What the chart renders, with the real helm."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dbupgrade import published
from dbupgrade.api import admission, approval, confinement, floor
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.policy import Approval, LintMode
from dbupgrade.app import manager
from dbupgrade.settings import ENVIRONMENT_PREFIX, Settings
from tests.packaging.conftest import NAMESPACE, REPOSITORY, HelmError, Object, Objects

if TYPE_CHECKING:
    from tests.packaging.conftest import Helm

VALUES = yaml.safe_load((REPOSITORY / "deploy/helm/dbupgrade-operator/values.yaml").read_text())
EVERYTHING = (
    "replicaCount=2", "podDisruptionBudget.enabled=true", "networkPolicy.enabled=true", "aws.enabled=true",
    "serviceMonitor.enabled=true", "prometheusRule.enabled=true", "dashboards.enabled=true",
)  # fmt: skip
CERT_MANAGER = "webhook.certManager.enabled=true"


def container(objects: Objects) -> Object:
    (found,) = pod(objects)["containers"]
    return dict(found)


def pod(objects: Objects) -> Object:
    return dict(objects.one("Deployment")["spec"]["template"]["spec"])


def environment(objects: Objects) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container(objects)["env"]}


def rules(objects: Objects) -> list[Object]:
    return [rule for kind in ("Role", "ClusterRole") for obj in objects.all(kind) for rule in obj["rules"]]


def test_the_chart_passes_helms_own_lint_without_a_warning(helm: Helm) -> None:
    said = helm.run("lint", "--strict", str(helm.chart))
    assert "0 chart(s) failed" in said
    assert "[WARNING]" not in said


@pytest.mark.parametrize(
    "settings", [(), EVERYTHING, (*EVERYTHING, CERT_MANAGER), ("webhook.enabled=false",)]
)
def test_every_object_has_a_namespace_or_needs_none_the_charts_labels_and_a_name_of_its_own(
    helm: Helm, settings: tuple[str, ...]
) -> None:
    objects = helm.template(*settings)
    cluster_wide = {
        "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "ValidatingWebhookConfiguration",
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    }  # fmt: skip
    for obj in objects:
        assert obj["metadata"].get("namespace") == (None if obj["kind"] in cluster_wide else NAMESPACE)
        assert obj["metadata"]["labels"]["app.kubernetes.io/instance"] == "dbupgrade-operator"
    names = [(obj["kind"], obj["metadata"]["name"]) for obj in objects]
    assert len(names) == len(set(names))


def test_the_names_that_manifests_and_monitors_of_users_rely_on(helm: Helm) -> None:
    objects = helm.template(CERT_MANAGER, release="dbu")
    name = "dbu-dbupgrade-operator"
    assert objects.one("Deployment")["metadata"]["name"] == name
    assert {obj["metadata"]["name"] for obj in objects.all("Service")} == {
        f"{name}-metrics",
        f"{name}-webhook",
    }
    assert objects.one("Certificate")["spec"]["secretName"] == f"{name}-webhook-cert"
    assert objects.one("Lease")["metadata"]["name"] == manager.LEASE
    short = helm.template("fullnameOverride=short")
    assert {obj["metadata"]["name"] for obj in short.all("Service")} == {"short-metrics", "short-webhook"}
    assert helm.template("nameOverride=x").one("Deployment")["metadata"]["name"] == "dbupgrade-operator-x"


def test_the_webhook_is_called_as_the_operator_has_it(helm: Helm) -> None:
    objects = helm.template()
    client = admission.in_cluster_client(NAMESPACE, "dbupgrade-operator-webhook")
    wanted = admission.webhook_configuration(client)["webhooks"]
    assert objects.one("ValidatingWebhookConfiguration")["webhooks"] == wanted
    service = objects.one("Service", "dbupgrade-operator-webhook")
    assert service["spec"]["ports"] == [{"name": "webhook", "port": 443, "targetPort": "webhook"}]
    assert {"name": "webhook", "containerPort": 9443} in container(objects)["ports"]


def test_the_policies_are_the_operators_and_can_be_left_out(helm: Helm) -> None:
    objects = helm.template()
    account = f"system:serviceaccount:{NAMESPACE}:dbupgrade-operator"
    for policy, binding in (
        admission.deletion_policy(),
        confinement.operator_policy(account),
        approval.approval_policy(account),
    ):
        name = policy["metadata"]["name"]
        assert objects.one("ValidatingAdmissionPolicy", name)["spec"] == policy["spec"]
        assert objects.one("ValidatingAdmissionPolicyBinding", name)["spec"] == binding["spec"]
    without = helm.template("admissionPolicy.enabled=false")
    assert not without.all("ValidatingAdmissionPolicy") + without.all("ValidatingAdmissionPolicyBinding")


POLICIES: list[Object] = [
    {"name": "production", "namespaceSelector": {"matchLabels": {"stage": "production"}}, "lint": "error",
     "approval": "OnFindings", "lockTimeout": "10s", "contact": 'the "db" team, #db'},
    {"name": "all", "namespaceSelector": {}, "lint": "warn"},
]  # fmt: skip
FLOORS = (
    floor.Floor(
        "production", {"matchLabels": {"stage": "production"}}, LintMode.ERROR, Approval.ON_FINDINGS, "10s", 'the "db" team, #db'
    ),
    floor.Floor("all", {}, LintMode.WARN),
)  # fmt: skip


def test_the_floor_of_namespaces_is_rendered_for_each_entry(helm: Helm) -> None:
    objects = helm.template(f"policies={json.dumps(POLICIES)}")
    for policy, binding in map(floor.floor_policy, FLOORS):
        name = policy["metadata"]["name"]
        assert objects.one("ValidatingAdmissionPolicy", name)["spec"] == policy["spec"]
        assert objects.one("ValidatingAdmissionPolicyBinding", name)["spec"] == binding["spec"]
    named = [obj for obj in helm.template() if obj["metadata"]["name"].startswith(floor.NAME_PREFIX)]
    assert named == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lint": "off"}, "'/policies/0/lint': value must be one of 'warn', 'error'"),
        ({"approval": "Sometimes"}, "approval"),
        ({"lockTimeout": "0s"}, "policies[0].lockTimeout must be a number above 0 followed by"),
        ({"lockTimeout": "soon"}, "policies[0].lockTimeout must be a number above 0 followed by"),
        ({"lockTimeout": ""}, "policies[0].lockTimeout must be a number above 0 followed by"),
        ({"contact": "a\nb"}, "policies[0].contact must be one line"),
        ({"contact": "a" * 201}, "policies[0].contact must be one line of at most 200 characters"),
        ({"name": "Production"}, "policies[0].name must be lower-case letters, digits and -"),
        ({"namespaceSelektor": {}}, "namespaceSelektor"),
        ({"name": "all"}, "policies[1]: there is another policy with the name all"),
    ],
)
def test_a_floor_that_cannot_be_meant_is_refused(helm: Helm, change: Object, said: str) -> None:
    with pytest.raises(HelmError, match=re.escape(said)):
        helm.template(f"policies={json.dumps([{**POLICIES[0], **change}, POLICIES[1]])}")


def test_a_floor_that_demands_nothing_is_refused(helm: Helm) -> None:
    said = "policies[0] (none) requires nothing: set lint, approval or lockTimeout"
    with pytest.raises(HelmError, match=re.escape(said)):
        helm.template(f"policies={json.dumps([{'name': 'none', 'namespaceSelector': {}}])}")


def test_cert_manager_makes_the_certificate_unless_the_operator_does(helm: Helm) -> None:
    managed = helm.template(CERT_MANAGER)
    certificate = managed.one("Certificate")
    assert certificate["spec"]["issuerRef"] == {
        "kind": "Issuer",
        "name": managed.one("Issuer")["metadata"]["name"],
    }
    assert "dbupgrade-operator-webhook.dbupgrade-system.svc" in certificate["spec"]["dnsNames"]
    annotations = managed.one("ValidatingWebhookConfiguration")["metadata"]["annotations"]
    assert annotations == {"cert-manager.io/inject-ca-from": f"{NAMESPACE}/{certificate['metadata']['name']}"}
    (volume,) = pod(managed)["volumes"]
    assert volume["secret"]["secretName"] == certificate["spec"]["secretName"]
    (mount,) = container(managed)["volumeMounts"]
    assert environment(managed)["DBUPGRADE_WEBHOOK_CERTIFICATE_DIR"] == mount["mountPath"]
    assert not managed.all("Secret")

    own = helm.template()
    assert not own.all("Certificate") + own.all("Issuer")
    assert "volumes" not in pod(own)
    assert environment(own)["DBUPGRADE_WEBHOOK_SECRET"] == own.one("Secret")["metadata"]["name"]
    configuration = own.one("ValidatingWebhookConfiguration")["metadata"]
    assert environment(own)["DBUPGRADE_WEBHOOK_CONFIGURATION"] == configuration["name"]
    assert "annotations" not in configuration
    # An upgrade must not take away what the operator has written.
    assert "data" not in own.one("Secret")


def test_an_issuer_of_the_users_own_is_used(helm: Helm) -> None:
    issuer = 'webhook.certManager.issuerRef={"name": "company", "kind": "ClusterIssuer"}'
    objects = helm.template(CERT_MANAGER, issuer)
    assert objects.one("Certificate")["spec"]["issuerRef"] == {"kind": "ClusterIssuer", "name": "company"}
    assert not objects.all("Issuer")


def test_without_webhook_nothing_of_it_is_left(helm: Helm) -> None:
    text = helm.text("webhook.enabled=false", "crds.install=false", "admissionPolicy.enabled=false")
    assert re.findall(r"(?i)\S*webhook\S*", text) == ["DBUPGRADE_WEBHOOK_ENABLED"]


def test_every_variable_of_the_container_is_a_setting(helm: Helm) -> None:
    settings = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields}
    for variant in ((), (CERT_MANAGER,)):
        objects = helm.template(
            *variant,
            "aws.enabled=true",
            "aws.caBundleConfigMap=c",
            "aws.region=eu-central-1",
            'watch.namespaces=["a"]',
            "watch.labelSelector=team=shop",
        )
        assert set(environment(objects)) <= settings


@pytest.mark.parametrize(
    ("value", "variable", "wanted"),
    [
        ("craneImage=own/crane:1", "DBUPGRADE_CRANE_IMAGE", "own/crane:1"),
        ("atlasImage=own/atlas:1", "DBUPGRADE_ATLAS_IMAGE", "own/atlas:1"),
        ("runnerImage=own/runner:1", "DBUPGRADE_RUNNER_IMAGE", "own/runner:1"),
        ("insecureRegistries=true", "DBUPGRADE_INSECURE_REGISTRIES", "true"),
        ("webhook.port=10250", "DBUPGRADE_WEBHOOK_PORT", "10250"),
        ("metrics.port=9090", "DBUPGRADE_METRICS_PORT", "9090"),
        ("health.port=9091", "DBUPGRADE_HEALTH_PORT", "9091"),
        ("aws.enabled=true", "DBUPGRADE_AWS_ENABLED", "true"),
        ("aws.region=eu-central-1", "DBUPGRADE_AWS_REGION", "eu-central-1"),
        ("leaderElection.enabled=false", "DBUPGRADE_LEADER_ELECTION_ENABLED", "false"),
        ('watch.namespaces=["a","b"]', "DBUPGRADE_WATCH_NAMESPACES", "a,b"),
        ("watch.labelSelector=team=shop", "DBUPGRADE_WATCH_LABEL_SELECTOR", "team=shop"),
        ("log.level=debug", "DBUPGRADE_LOG_LEVEL", "debug"),
        ("log.format=console", "DBUPGRADE_LOG_FORMAT", "console"),
    ],
)
def test_a_value_reaches_its_setting(helm: Helm, value: str, variable: str, wanted: str) -> None:
    assert environment(helm.template(value))[variable] == wanted


def test_the_defaults_of_the_chart_are_those_of_the_operator() -> None:
    defaults = Settings()
    assert VALUES["craneImage"] == defaults.crane_image
    assert VALUES["atlasImage"] == defaults.atlas_image
    assert VALUES["runnerImage"] == defaults.runner_image
    assert VALUES["webhook"]["port"] == defaults.webhook_port
    assert VALUES["metrics"]["port"] == defaults.metrics_port
    assert VALUES["health"]["port"] == defaults.health_port


@pytest.mark.parametrize(
    ("value", "where", "wanted"),
    [
        ("image.tag=2.0.0", "image", f"{published.image('operator')}:2.0.0"),
        ("image.repository=mirror/op", "image", "mirror/op:0.1.0"),
        ("image.pullPolicy=Always", "imagePullPolicy", "Always"),
        ('resources={"limits":{"memory":"1Gi"}}', "resources", {"limits": {"cpu": "500m", "memory": "1Gi"}}),
    ],
)
def test_a_value_reaches_the_container(helm: Helm, value: str, where: str, wanted: Any) -> None:
    found = container(helm.template(value))[where]
    assert found == (
        wanted if where != "resources" else {**wanted, "requests": {"cpu": "10m", "memory": "64Mi"}}
    )


@pytest.mark.parametrize(
    ("value", "where", "wanted"),
    [
        ('imagePullSecrets=[{"name":"s"}]', "imagePullSecrets", [{"name": "s"}]),
        ('nodeSelector={"a":"b"}', "nodeSelector", {"a": "b"}),
        ('tolerations=[{"operator":"Exists"}]', "tolerations", [{"operator": "Exists"}]),
        ('affinity={"nodeAffinity":{}}', "affinity", {"nodeAffinity": {}}),
        ('topologySpreadConstraints=[{"maxSkew":2}]', "topologySpreadConstraints", [{"maxSkew": 2}]),
        ("priorityClassName=high", "priorityClassName", "high"),
        ("terminationGracePeriodSeconds=60", "terminationGracePeriodSeconds", 60),
        ("serviceAccount.name=other", "serviceAccountName", "other"),
        ("serviceAccount.create=false", "serviceAccountName", "default"),
    ],
)
def test_a_value_reaches_the_pod(helm: Helm, value: str, where: str, wanted: Any) -> None:
    assert pod(helm.template(value))[where] == wanted


def test_additions_to_the_pod(helm: Helm) -> None:
    objects = helm.template(
        CERT_MANAGER,
        'extraEnv=[{"name":"HTTPS_PROXY","value":"http://proxy"}]',
        'extraVolumes=[{"name":"ca","configMap":{"name":"ca"}}]',
        'extraVolumeMounts=[{"name":"ca","mountPath":"/ca"}]',
        'podAnnotations={"a":"1"}',
        'podLabels={"b":"2"}',
    )
    assert environment(objects)["HTTPS_PROXY"] == "http://proxy"
    assert [volume["name"] for volume in pod(objects)["volumes"]] == ["webhook-certificate", "ca"]
    assert [mount["name"] for mount in container(objects)["volumeMounts"]] == ["webhook-certificate", "ca"]
    metadata = objects.one("Deployment")["spec"]["template"]["metadata"]
    assert metadata["annotations"]["a"] == "1"
    assert metadata["labels"]["b"] == "2"


def test_the_pod_passes_pod_security_restricted(helm: Helm) -> None:
    objects = helm.template()
    assert pod(objects)["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert container(objects)["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert container(objects)["resources"] == {
        "limits": {"cpu": "500m", "memory": "128Mi"}, "requests": {"cpu": "10m", "memory": "64Mi"},
    }  # fmt: skip


@pytest.mark.parametrize("settings", [(), (CERT_MANAGER,), ('watch.namespaces=["a","b"]',)])
def test_least_privilege(helm: Helm, settings: tuple[str, ...]) -> None:
    metrics_api = {"custom.metrics.k8s.io", "external.metrics.k8s.io"}
    for rule in rules(helm.template(*settings)):
        assert "*" not in (*rule["apiGroups"], *rule["verbs"])
        if "*" in rule["resources"]:  # the resources of these two groups are the names of metrics
            assert set(rule["apiGroups"]) <= metrics_api
            assert rule["verbs"] in (["get"], ["list"])
        if "secrets" in rule["resources"]:
            assert not {"list", "watch", "patch", "delete"} & set(rule["verbs"])
            assert rule["verbs"] in (["get"], ["create"]) or rule["resourceNames"]


def test_secrets_are_written_only_for_aws_and_for_the_operators_own_certificate(helm: Helm) -> None:
    def verbs(*settings: str) -> set[str]:
        found = [rule for rule in rules(helm.template(*settings)) if "secrets" in rule["resources"]]
        return {verb for rule in found for verb in rule["verbs"]}

    assert verbs(CERT_MANAGER) == {"get"}
    assert verbs() == {"get", "create", "update"}
    assert verbs("aws.enabled=true") == {"get", "create", "update", "delete"}


def test_metric_names_can_be_listed_or_left_out(helm: Helm) -> None:
    def metrics(*settings: str) -> list[list[str]]:
        return [
            rule["resources"] for rule in rules(helm.template(*settings)) if "metrics" in rule["apiGroups"][0]
        ]

    assert metrics() == [["*"], ["*"]]
    assert metrics('metricChecks.custom=["pods/queue"]', "metricChecks.external=[]") == [["pods/queue"]]
    assert metrics("metricChecks.enabled=false") == []


def test_with_namespaces_there_are_roles_in_these_and_no_cluster_role(helm: Helm) -> None:
    objects = helm.template('watch.namespaces=["a","b"]', CERT_MANAGER)
    everywhere = helm.template(CERT_MANAGER)
    wanted = everywhere.one("ClusterRole", "dbupgrade-operator")["rules"]
    roles = [role for role in objects.all("Role") if role["metadata"]["namespace"] != NAMESPACE]
    assert [(role["metadata"]["namespace"], role["rules"]) for role in roles] == [
        ("a", wanted),
        ("b", wanted),
    ]
    assert [role["metadata"]["name"] for role in objects.all("ClusterRole")] == ["dbupgrade-approver"]
    assert not objects.all("ClusterRoleBinding")
    for binding in objects.all("RoleBinding"):
        if binding["metadata"]["name"] == "dbupgrade-runner":
            continue  # for people
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "dbupgrade-operator", "namespace": NAMESPACE}
        ]
    for webhook in objects.one("ValidatingWebhookConfiguration")["webhooks"]:
        (expression,) = webhook["namespaceSelector"]["matchExpressions"]
        assert (expression["operator"], expression["values"]) == ("In", ["a", "b"])


def test_whom_the_approvers_role_is_bound_to_may_approve_and_nothing_else(helm: Helm) -> None:
    objects = helm.template(release="another")
    role = objects.one("ClusterRole", "dbupgrade-approver")
    (rule,) = role["rules"]
    assert rule == {
        "apiGroups": ["dbupgrade.subbug.learning"],
        "resources": ["dbupgrades"],
        "verbs": ["get", "list", "watch", "patch", "approve"],
    }
    assert not any(name.startswith("rbac.authorization") for name in role["metadata"]["labels"])
    bound = [
        binding["roleRef"]["name"]
        for binding in objects.all("ClusterRoleBinding") + objects.all("RoleBinding")
    ]
    assert "dbupgrade-approver" not in bound
    assert "dbupgrade-approver" in str(objects.one("ValidatingAdmissionPolicy", "dbupgrade-approval"))
    assert not helm.template("admissionPolicy.enabled=false").all("ClusterRole", "dbupgrade-approver")


def test_everybody_may_read_with_what_a_plan_is_made_and_nothing_else(helm: Helm) -> None:
    objects = helm.template("craneImage=crane:1", "insecureRegistries=true", "lint.imageMayLoosen=true")
    published = objects.one("ConfigMap", "dbupgrade-runner")["data"]
    wanted = environment(objects)
    assert published == {
        "craneImage": wanted["DBUPGRADE_CRANE_IMAGE"],
        "runnerImage": wanted["DBUPGRADE_RUNNER_IMAGE"],
        "atlasImage": wanted["DBUPGRADE_ATLAS_IMAGE"],
        "insecureRegistries": wanted["DBUPGRADE_INSECURE_REGISTRIES"],
        "imageLoosensLint": wanted["DBUPGRADE_IMAGE_LOOSENS_LINT"],
    }
    assert objects.one("Role", "dbupgrade-runner")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["dbupgrade-runner"],
            "verbs": ["get"],
        }
    ]
    (subject,) = objects.one("RoleBinding", "dbupgrade-runner")["subjects"]
    assert subject["name"] == "system:authenticated"


def test_the_plan_in_a_status_is_written_by_the_releases_own_account(helm: Helm) -> None:
    policy = helm.template(release="another").one("ValidatingAdmissionPolicy", "dbupgrade-approval")
    (account,) = (each["expression"] for each in policy["spec"]["variables"] if each["name"] == "account")
    assert account == f'"system:serviceaccount:{NAMESPACE}:another-dbupgrade-operator"'


def test_rbac_and_service_account_can_be_somebody_elses(helm: Helm) -> None:
    objects = helm.template("rbac.create=false", "serviceAccount.create=false")
    assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ServiceAccount"} & {
        obj["kind"] for obj in objects
    }


def test_the_certificates_of_rds_are_mounted_where_the_setting_says(helm: Helm) -> None:
    objects = helm.template("aws.enabled=true", "aws.caBundleConfigMap=rds-ca")
    (mount,) = (mount for mount in container(objects)["volumeMounts"] if mount["name"] == "aws-ca")
    assert environment(objects)["DBUPGRADE_AWS_CA_BUNDLE"] == f"{mount['mountPath']}/ca.pem"
    volumes = objects.one("Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "aws-ca", "configMap": {"name": "rds-ca"}} in volumes
    assert "DBUPGRADE_AWS_CA_BUNDLE" not in environment(helm.template("aws.caBundleConfigMap=rds-ca"))


def test_the_authority_of_the_webhooks_clients_is_mounted_where_the_setting_says(helm: Helm) -> None:
    objects = helm.template("webhook.clientCAConfigMap=api-server-ca")
    (mount,) = (mount for mount in container(objects)["volumeMounts"] if mount["name"] == "webhook-client-ca")
    assert environment(objects)["DBUPGRADE_WEBHOOK_CLIENT_CA"] == f"{mount['mountPath']}/ca.crt"
    volumes = objects.one("Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "webhook-client-ca", "configMap": {"name": "api-server-ca"}} in volumes


def test_secure_metrics_are_scraped_over_tls_with_a_token(helm: Helm) -> None:
    objects = helm.template("metrics.secure=true", "serviceMonitor.enabled=true")
    assert environment(objects)["DBUPGRADE_METRICS_SECURE"] == "true"
    (endpoint,) = objects.one("ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scheme"], bool(endpoint["bearerTokenFile"])) == ("https", True)
    asked = {
        name
        for rule in objects.one("ClusterRole", "dbupgrade-operator")["rules"]
        for name in rule["resources"]
    }
    assert {"tokenreviews", "subjectaccessreviews"} <= asked


def test_the_service_account_gets_the_annotations_for_aws(helm: Helm) -> None:
    objects = helm.template('aws.serviceAccountAnnotations={"eks.amazonaws.com/role-arn":"arn"}')
    assert objects.one("ServiceAccount")["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": "arn"}


def test_the_crd_is_part_of_the_release_and_survives_it(helm: Helm) -> None:
    kept = helm.template().one("CustomResourceDefinition")
    assert kept["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "annotations" not in helm.template("crds.keep=false").one("CustomResourceDefinition")["metadata"]
    assert not helm.template("crds.install=false").all("CustomResourceDefinition")
    committed = yaml.safe_load((REPOSITORY / "deploy/kustomize/crd/dbupgrades.yaml").read_text())
    assert kept["spec"] == committed["spec"]


def test_a_rollout_never_leaves_two_that_work_or_none_that_is_ready(helm: Helm) -> None:
    elected = helm.template("replicaCount=2").one("Deployment")["spec"]
    assert elected["replicas"] == 2
    assert elected["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    alone = helm.template("leaderElection.enabled=false").one("Deployment")["spec"]
    assert alone["strategy"] == {"type": "Recreate"}
    with pytest.raises(HelmError, match="leaderElection"):
        helm.template("replicaCount=2", "leaderElection.enabled=false")


def test_what_selects_pods_selects_the_operators(helm: Helm) -> None:
    objects = helm.template(*EVERYTHING)
    labels = objects.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [service["spec"]["selector"] for service in objects.all("Service")]
    selectors.append(objects.one("Deployment")["spec"]["selector"]["matchLabels"])
    selectors.append(objects.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"])
    selectors.append(objects.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
    selectors.append(pod(objects)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"])
    assert all(selector.items() <= labels.items() for selector in selectors)
    monitor = objects.one("ServiceMonitor")["spec"]["selector"]["matchLabels"]
    metrics = objects.one("Service", "dbupgrade-operator-metrics")["metadata"]["labels"]
    webhook = objects.one("Service", "dbupgrade-operator-webhook")["metadata"]["labels"]
    assert monitor.items() <= metrics.items()
    assert not monitor.items() <= webhook.items()


def test_watching_it(helm: Helm) -> None:
    objects = helm.template(
        *EVERYTHING, 'serviceMonitor.labels={"release":"prom"}', 'prometheusRule.labels={"release":"prom"}'
    )
    assert objects.one("ServiceMonitor")["metadata"]["labels"]["release"] == "prom"
    assert objects.one("PrometheusRule")["metadata"]["labels"]["release"] == "prom"
    alerts = yaml.safe_load((REPOSITORY / "deploy/helm/dbupgrade-operator/files/alerts.yaml").read_text())
    assert objects.one("PrometheusRule")["spec"] == alerts
    elsewhere = helm.template(*EVERYTHING, "prometheusRule.runbookURL=https://wiki.example/{alert}?db")
    (group,) = elsewhere.one("PrometheusRule")["spec"]["groups"]
    assert {rule["annotations"].pop("runbook_url") for rule in group["rules"]} == {
        f"https://wiki.example/{rule['alert']}?db" for rule in group["rules"]
    }
    (dashboard,) = (each for each in objects.all("ConfigMap") if "dbupgrade.json" in each["data"])
    assert json.loads(dashboard["data"]["dbupgrade.json"])["title"]
    with pytest.raises(HelmError, match=re.escape("serviceMonitor.enabled requires metrics.enabled")):
        helm.template("serviceMonitor.enabled=true", "metrics.enabled=false")
    assert not helm.template("metrics.enabled=false").all("Service", "dbupgrade-operator-metrics")


@pytest.mark.parametrize(
    ("settings", "name", "wanted"),
    [
        (
            ("certManager.install=true", 'certManager.resources={"limits":{"memory":"1Gi"}}'),
            "cert-manager",
            {"install": True, "installCRDs": True, "resources": {"limits": {"memory": "1Gi"}}},
        ),
        (
            ("prometheusAdapter.enabled=true", "prometheusAdapter.prometheus.url=http://p", "prometheusAdapter.prometheus.port=1"),
            "prometheus-adapter",
            {"prometheus": {"url": "http://p", "port": 1}, "rules": {"default": True, "custom": [], "external": []}},
        ),
        (
            ("yace.enabled=true", "yace.aws.role=arn:aws:iam::1:role/x", "yace.config=apiVersion: v1alpha1"),
            "yace",
            {"aws": {"role": "arn:aws:iam::1:role/x"}, "config": "apiVersion: v1alpha1"},
        ),
    ],
)  # fmt: skip
def test_a_dependency_is_installed_when_asked_for_and_receives_its_values(
    helm_with_stand_ins: Helm, settings: tuple[str, ...], name: str, wanted: Object
) -> None:
    stand_in = helm_with_stand_ins.template(*settings).one("ConfigMap", f"{name}-values")
    received = json.loads(stand_in["data"]["values"])
    assert {key: received[key] for key in wanted} == wanted
    assert not helm_with_stand_ins.template().all("ConfigMap", f"{name}-values")


def test_with_cert_manager_in_the_same_release_its_kinds_come_last(helm_with_stand_ins: Helm) -> None:
    objects = helm_with_stand_ins.template("certManager.install=true", CERT_MANAGER)
    for kind in ("Issuer", "Certificate"):
        assert objects.one(kind)["metadata"]["annotations"] == {"helm.sh/hook": "post-install,post-upgrade"}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("replicas=2", "replicas"),
        ("webhook.certmanager.enabled=false", "certmanager"),
        ("craneImage=own/crane:latest", "craneImage must not use the tag latest"),
        ("atlasImage=own/atlas:latest", "atlasImage must not use the tag latest"),
        ("atlasImage=own/atlas", "atlasImage must have a tag or a digest"),
        ("runnerImage=", "runnerImage must have a tag or a digest"),
        ("image.tag=1.1", "image.tag must be a string, but is a number: put it in quotes"),
        ("image.tag=sha256:0", 'image.tag must be a tag, for example 1.0.0 (a digest belongs into image.digest), but is "sha256:0"'),
        ("image.digest=latest", 'image.digest must be sha256: followed by 64 hexadecimal digits, but is "latest"'),
        ("image.repository=", "image.repository must be an image without its digest"),
        ("log.level=verbose", "at '/log/level': value must be one of 'debug', 'info', 'warning', 'error'"),
        ("metrics.port=70000", "/metrics/port"),
        ('watch.namespaces=["Not_A_Name"]', 'watch.namespaces[0] must be the name of a namespace, but is "Not_A_Name"'),
        ('pods.allowedLabels=["a,b"]', "pods.allowedLabels[0] must be one prefix, without a comma"),
        ('metricChecks.external=[""]', "metricChecks.external[0] must be the name of a metric"),
        ("serviceMonitor.interval=often", "serviceMonitor.interval must be a number followed by ms, s, m or h"),
        ("prometheusRule.runbookURL=", 'prometheusRule.runbookURL must be a URL, for example https://wiki.example.com/{alert}, but is ""'),
        ("replicaCount=many", "at '/replicaCount': got string, want integer"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused_in_words(helm: Helm, setting: str, said: str) -> None:
    with pytest.raises(HelmError, match=re.escape(said)):
        helm.template(setting)


def test_everything_that_is_wrong_is_reported_at_once(helm: Helm) -> None:
    wrong = (
        "craneImage=own/crane:latest",
        "image.digest=x",
        "replicaCount=2",
        "leaderElection.enabled=false",
    )
    with pytest.raises(HelmError) as refused:
        helm.template(*wrong)
    for said in ("craneImage must not", "image.digest must be", "replicaCount above 1 requires"):
        assert said in str(refused.value)


def test_the_schema_has_no_rule_that_helm_can_only_quote() -> None:
    for chart in ("dbupgrade-operator", "dbupgrade-migrate"):
        text = (REPOSITORY / "deploy/helm" / chart / "values.schema.json").read_text()
        assert not re.findall(
            r'"(?:pattern|not|anyOf|minLength|maxLength)": (?:[^{]|\{$)', text, re.MULTILINE
        )


def test_an_image_by_digest_is_pinned(helm: Helm) -> None:
    image = f"own/atlas@sha256:{'0' * 64}"
    assert environment(helm.template(f"atlasImage={image}"))["DBUPGRADE_ATLAS_IMAGE"] == image


def test_every_value_is_documented_and_in_the_schema() -> None:
    schema = json.loads((REPOSITORY / "deploy/helm/dbupgrade-operator/values.schema.json").read_text())
    readme = (REPOSITORY / "deploy/helm/dbupgrade-operator/README.md").read_text()

    def missing(values: Object, schema: Object, path: str) -> list[str]:
        found = []
        for name, value in values.items():
            here = f"{path}{name}"
            inner = schema.get("properties", {}).get(name)
            if inner is None and schema.get("additionalProperties") is False:
                found.append(f"{here} is not in the schema")
            if f"`{here}`" not in readme and not (isinstance(value, dict) and f"`{here}." in readme):
                found.append(f"{here} is not in the README")
            if isinstance(value, dict) and f"`{here}." in readme:
                found += missing(value, inner or {}, f"{here}.")
        return found

    known = {"certManager.fullnameOverride", "prometheusAdapter.nameOverride"}  # plumbing, not for users
    assert [line for line in missing(VALUES, schema, "") if line.split()[0] not in known] == []


def test_the_notes_say_what_is_watched_and_what_to_mind(helm: Helm) -> None:
    command = ("install", "dbupgrade-operator", str(helm.chart), "--namespace", NAMESPACE, "--dry-run=client")
    said = helm.run(*command, "--hide-secret")
    assert "watches all namespaces" in said
    assert "cert-manager" not in said
    assert "replicaCount=2" in said
    first = yaml.safe_load(said.partition("<<'EOF'\n")[2].partition("\nEOF\n")[0])
    assert Spec.model_validate(first["spec"]).migrations.image == "registry.example.com/shop:1.0.0"
    said = helm.run(*command, "--hide-secret", "--set", CERT_MANAGER)
    assert "cert-manager issues the webhook's certificate" in said
    said = helm.run(*command, "--set", "webhook.enabled=false,watch.namespaces={a,b},replicaCount=2")
    assert "watches a, b" in said
    assert "The webhook is off" in said
    assert "only one replica" not in said


def test_by_default_only_metrics_and_webhook_can_be_reached(helm: Helm) -> None:
    policy = helm.template().one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [{"ports": [{"port": "metrics"}]}, {"ports": [{"port": "webhook"}]}]
    narrowed = helm.template(
        "networkPolicy.webhookFrom[0].ipBlock.cidr=10.0.0.0/28",
        "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=observability",
    ).one("NetworkPolicy")["spec"]["ingress"]
    assert [rule["from"] for rule in narrowed] == [
        [{"namespaceSelector": {"matchLabels": {"team": "observability"}}}],
        [{"ipBlock": {"cidr": "10.0.0.0/28"}}],
    ]
    assert not helm.template("networkPolicy.enabled=false").all("NetworkPolicy")


def test_the_operators_image_can_be_one_of_a_digest(helm: Helm) -> None:
    digest = f"sha256:{'ab' * 32}"
    image = container(helm.template(f"image.digest={digest}", "image.tag=1.2.3"))["image"]
    assert image == f"{published.image('operator')}@{digest}"
    with pytest.raises(HelmError, match="digest"):
        helm.template("image.digest=latest")
