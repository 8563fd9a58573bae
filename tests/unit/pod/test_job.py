"""The Job of a run, field by field against the contract, section 3.5."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api import names
from dbupgrade.api.identity import database_identity
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.migrations import Migrations
from dbupgrade.decide.observed import job_from
from dbupgrade.pod.context import JobSettings
from dbupgrade.pod.job import job, planning_job
from dbupgrade.pod.steps import fetch
from tests.unit.decide.builders import (
    IMAGE_1,
    NAME,
    NAMESPACE,
    SETTINGS,
    UID,
    a_resource,
    a_spec,
    an_intent,
)

Object = dict[str, Any]
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def made(settings: JobSettings = SETTINGS, **changes: Any) -> Object:
    spec = a_spec(**changes)
    return job(a_resource(spec), an_intent(spec), settings)


def pod_of(body: Object) -> Object:
    pod: Object = body["spec"]["template"]["spec"]
    return pod


def migrate(body: Object) -> Object:
    (container,) = pod_of(body)["containers"]
    return dict(container)


def fetching(body: Object) -> Object:
    (container,) = pod_of(body)["initContainers"]
    return dict(container)


def environment(container: Object) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def volumes(body: Object) -> dict[str, Object]:
    return {volume["name"]: volume for volume in pod_of(body)["volumes"]}


def unescaped(text: str) -> str:
    """What Kubernetes makes of a value or an argument."""
    assert not re.search(r"(?<!\$)(\$\$)*\$\(", text), "Kubernetes would expand this"
    return text.replace("$$", "$")


# --- the Job -----------------------------------------------------------------------------------------------------


def test_the_job_is_owned_by_the_resource_and_tells_its_run() -> None:
    run, body = an_intent(), made()
    assert (body["apiVersion"], body["kind"]) == ("batch/v1", "Job")
    metadata = body["metadata"]
    assert (metadata["name"], metadata["namespace"]) == (run.job_name, NAMESPACE)
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "dbupgrade.subbug.learning/v1alpha1",
            "kind": "DBUpgrade",
            "name": NAME,
            "uid": UID,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert metadata["annotations"] == {
        "dbupgrade.subbug.learning/run-id": run.run_id,
        "dbupgrade.subbug.learning/sequence": "1",
        "dbupgrade.subbug.learning/resource": NAME,
    }


def test_job_and_pod_carry_the_labels_that_the_operator_watches() -> None:
    body = made()
    database = names.database_label(database_identity(NAMESPACE, a_spec().database))
    ours = {
        "app.kubernetes.io/managed-by": "dbupgrade",
        "dbupgrade.subbug.learning/uid": UID,
        "dbupgrade.subbug.learning/database": database,
    }
    assert body["metadata"]["labels"] == ours
    assert ours.items() <= body["spec"]["template"]["metadata"]["labels"].items()


def test_a_job_that_is_read_back_is_recognised() -> None:
    run = an_intent(sequence=7)
    stored = job(a_resource(), run, SETTINGS)
    stored["metadata"]["uid"] = "job-uid"
    view = job_from(stored)
    assert (view.name, view.owner_uid, view.run_id, view.sequence) == (run.job_name, UID, run.run_id, 7)


def test_one_pod_at_a_time_and_only_a_disruption_replaces_it() -> None:
    spec = made()["spec"]
    assert {key: value for key, value in spec.items() if key != "template"} == {
        "backoffLimit": 0,
        "activeDeadlineSeconds": 600,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
            ]
        },
    }
    assert pod_of(made())["restartPolicy"] == "Never"


def test_the_job_is_created_without_a_time_to_live() -> None:
    assert "ttlSecondsAfterFinished" not in made(runner={"ttlSecondsAfterFinished": 5})["spec"]


def test_the_deadline_is_the_users() -> None:
    assert made(runner={"activeDeadlineSeconds": 30})["spec"]["activeDeadlineSeconds"] == 30


@pytest.mark.parametrize("database", [None, {"type": "awsRds"}])
def test_a_resource_without_a_connection_gets_no_job(database: Object | None) -> None:
    resource = a_resource(a_spec(database=database)) if database else replace(a_resource(), spec=None)
    with pytest.raises(ValueError, match="needs a valid spec"):
        job(resource, an_intent(), SETTINGS)


# --- Pod Security "restricted" -----------------------------------------------------------------------------------


@pytest.mark.parametrize("delivery", ["Extract", "ImageVolume"])
def test_the_pod_is_restricted(delivery: str) -> None:
    pod = pod_of(made(migrations={"delivery": delivery}))
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        assert container["securityContext"] == RESTRICTED
        assert container["terminationMessagePolicy"] == "File"
        assert not container.get("ports")
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"} & pod.keys()
    kinds = {next(key for key in volume if key != "name") for volume in pod["volumes"]}
    assert kinds <= {"emptyDir", "downwardAPI", "projected", "image"}


def test_the_pod_has_no_token_and_no_service_links() -> None:
    pod = pod_of(made(runner={"serviceAccountName": "migrator"}))
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["serviceAccountName"] == "migrator"


def test_what_the_containers_write_has_a_limit() -> None:
    found = volumes(made())
    assert found["work"]["emptyDir"] == {"sizeLimit": "512Mi"}
    assert found["tmp"]["emptyDir"] == {"sizeLimit": "512Mi"}
    for container in (fetching(made()), migrate(made())):
        assert environment(container)["HOME"] == "/tmp"
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_nobody_evicts_or_meshes_the_pod() -> None:
    metadata = made()["spec"]["template"]["metadata"]
    assert metadata["labels"]["sidecar.istio.io/inject"] == "false"
    assert {
        "sidecar.istio.io/inject": "false",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
    }.items() <= metadata["annotations"].items()


def test_labels_and_annotations_of_the_user_are_added_and_override_none_of_ours() -> None:
    ours = made()["spec"]["template"]["metadata"]
    body = made(
        runner={
            "podLabels": {"team": "shop", **dict.fromkeys(ours["labels"], "stolen")},
            "podAnnotations": {"note": "x", **dict.fromkeys(ours["annotations"], "stolen")},
        }
    )
    metadata = body["spec"]["template"]["metadata"]
    assert metadata["labels"] == {**ours["labels"], "team": "shop"}
    assert metadata["annotations"] == {**ours["annotations"], "note": "x"}
    assert body["metadata"] == made()["metadata"]


# --- the URL -----------------------------------------------------------------------------------------------------


def test_the_database_url_reaches_only_the_migration_and_only_by_reference() -> None:
    body = made(database={"type": "awsRds", "connection": {"urlSecretRef": {"name": "db", "key": "uri"}}})
    assert environment(migrate(body))["DATABASE_URL"] == {"secretKeyRef": {"name": "db", "key": "uri"}}
    assert "DATABASE_URL" not in environment(fetching(body))
    assert "secretKeyRef" not in json.dumps(fetching(body))
    assert json.dumps(body).count("secretKeyRef") == 1
    assert "envFrom" not in json.dumps(body)


def test_no_url_of_a_database_is_anywhere_in_the_job() -> None:
    assert re.findall(r"(?:postgres|mysql|mariadb)://", json.dumps(made())) == []
    assert "--url" not in migrate(made())["args"]


# --- user input is data ------------------------------------------------------------------------------------------


def test_the_fetch_is_the_script_and_its_input_is_in_variables() -> None:
    body = made(migrations={"dir": "/db/migrations/"})
    container = fetching(body)
    shell, flag, script = container["command"]
    assert (shell, flag) == ("sh", "-c")
    assert unescaped(script) == fetch.SCRIPT
    assert container["name"] == "fetch-migrations"
    assert container["image"] == SETTINGS.crane_image
    found = environment(container)
    assert (found["IMAGE"], found["FOLDER"], found["INSECURE"]) == (IMAGE_1, "/db/migrations", "false")


@pytest.mark.parametrize(("insecure", "value"), [(True, "true"), (False, "false")])
def test_plain_http_is_the_operators_setting(insecure: bool, value: str) -> None:
    settings = replace(SETTINGS, insecure_registries=insecure)
    assert environment(fetching(made(settings)))["INSECURE"] == value


def test_the_migration_is_the_runner_which_leaves_a_report() -> None:
    container = migrate(made())
    assert (container["name"], container["image"]) == ("migrate", SETTINGS.runner_image)
    assert "command" not in container
    assert container["args"] == ["migrate", "apply", "--report", "/dev/termination-log"]
    assert container["terminationMessagePolicy"] == "File"
    assert environment(container) == {
        "DATABASE_URL": {"secretKeyRef": {"name": "orders-db", "key": "url"}},
        "MIGRATION_DIR": "/migrations",
        "MIGRATE_ENGINE": "Atlas",
        "MIGRATE_FORMAT": "json",
        "MIGRATE_DEADLINE": "2026-01-02T12:10:00Z",
        "MIGRATE_WAIT_TIMEOUT": "0s",
        "HOME": "/tmp",
    }


@pytest.mark.parametrize(
    ("changes", "variable", "value"),
    [
        ({"migrations": {"baseline": "20240101000000"}}, "MIGRATE_BASELINE_VERSION", "20240101000000"),
        ({"policy": {"lint": "warn"}}, "MIGRATE_LINT", "warn"),
        ({"policy": {"lockTimeout": "2s"}}, "MIGRATE_LOCK_TIMEOUT", "2s"),
        ({"policy": {"lockTimeout": "0s"}}, "MIGRATE_LOCK_TIMEOUT", "0s"),
        ({"policy": {"statementTimeout": "1h"}}, "MIGRATE_STATEMENT_TIMEOUT", "1h"),
        ({"migrations": {"execOrder": "NonLinear"}}, "MIGRATE_EXEC_ORDER", "NonLinear"),
        ({"migrations": {"revisionsSchema": "public"}}, "ATLAS_REVISIONS_SCHEMA", "public"),
        ({"runner": {"waitForDatabaseSeconds": 30}}, "MIGRATE_WAIT_TIMEOUT", "30s"),
    ],
)
def test_what_the_spec_asks_for_reaches_the_runner(changes: Object, variable: str, value: str) -> None:
    plain = environment(migrate(made()))
    assert environment(migrate(made(**changes))) == {**plain, variable: value}
    assert [one["name"] for one in pod_of(made(**changes))["initContainers"]] == ["fetch-migrations"]


@pytest.mark.parametrize(
    ("mode", "loosens", "floor"),
    [("error", False, "true"), ("error", True, None), ("warn", False, None), ("off", False, None)],
)
def test_an_image_cannot_loosen_a_lint_that_may_hold_a_run_back(
    mode: str, loosens: bool, floor: str | None
) -> None:
    settings = replace(SETTINGS, image_loosens_lint=loosens)
    body = job(a_resource(a_spec(policy={"lint": mode})), an_intent(), settings)
    assert environment(migrate(body)).get("MIGRATE_LINT_FLOOR") == floor


def test_dollars_are_escaped_wherever_kubernetes_expands_them() -> None:
    body = made()
    for container in (fetching(body), migrate(body)):
        for text in (*container.get("command", []), *container.get("args", [])):
            unescaped(text)
    assert "$$(" in fetching(body)["command"][2]


def test_a_value_with_dollars_would_arrive_as_it_is() -> None:
    spec = a_spec()
    migrations = Migrations.model_construct(
        **{**dict(spec.migrations), "image": "a$(DATABASE_URL)", "dir": "/$(HOME)$$"}
    )
    spec = Spec.model_construct(**{**dict(spec), "migrations": migrations})
    found = environment(fetching(job(a_resource(spec), an_intent(spec), SETTINGS)))
    assert unescaped(found["IMAGE"]) == "a$(DATABASE_URL)"
    assert unescaped(found["FOLDER"]) == "/$(HOME)$$"


class TestPlanning:
    """The Job that a person's `kubectl dbupgrade plan` creates."""

    @staticmethod
    def made(**changes: Any) -> Object:
        spec = a_spec(**changes)
        run = replace(an_intent(spec), job_name="plan-shop")
        return planning_job(a_resource(spec), run, replace(SETTINGS, reads_secrets=False))

    def test_it_plans_and_applies_nothing(self) -> None:
        assert migrate(self.made())["args"] == ["migrate", "plan"]

    @pytest.mark.parametrize("approval", ["Never", "OnFindings", "Always"])
    def test_its_plan_has_the_digest_of_the_runs(self, approval: str) -> None:
        policy = {"approval": approval}
        ours, its = environment(migrate(self.made(policy=policy))), environment(migrate(made(policy=policy)))
        assert ours["MIGRATE_PLAN_FOR"] == f"{NAMESPACE}/{NAME}"
        assert ours["MIGRATE_IMAGE_DIGEST_FILE"] == "/image-digest"
        assert ours["MIGRATE_APPROVAL"] == approval
        changed = {
            "MIGRATE_PLAN_FOR",
            "MIGRATE_IMAGE_DIGEST_FILE",
            "MIGRATE_APPROVAL",
            "MIGRATE_APPROVAL_ABOVE",
        }
        assert {name: value for name, value in ours.items() if name not in changed} == {
            name: value for name, value in its.items() if name not in changed
        }
        mounts = {mount["mountPath"] for mount in migrate(self.made(policy=policy))["volumeMounts"]}
        assert "/image-digest" in mounts

    def test_nothing_on_it_is_the_operators(self) -> None:
        body = self.made()
        text = json.dumps([body["metadata"], body["spec"]["template"]["metadata"]])
        for name in (
            names.LABEL_UID,
            names.LABEL_DATABASE,
            names.ANNOTATION_RUN_ID,
            names.ANNOTATION_RESOURCE,
            UID,
        ):
            assert name not in text
        assert "ownerReferences" not in body["metadata"]
        assert body["metadata"]["generateName"] == "plan-shop-"
        assert "name" not in body["metadata"]

    def test_it_goes_by_itself_when_nobody_removes_it(self) -> None:
        assert self.made()["spec"]["ttlSecondsAfterFinished"] == 600

    def test_its_pod_is_as_restricted_as_that_of_a_run(self) -> None:
        assert pod_of(self.made())["securityContext"] == pod_of(made())["securityContext"]
        assert migrate(self.made())["securityContext"] == RESTRICTED
