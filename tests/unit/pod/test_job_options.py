"""What spec.migrations and spec.runner make of the Job: delivery, pull secrets, resources, placement."""

from typing import Any

import pytest

from dbupgrade.pod.job import job
from tests.unit.decide.builders import IMAGE_1, SETTINGS, a_resource, a_spec, an_intent
from tests.unit.pod.test_job import Object, environment, fetching, made, migrate, pod_of, volumes


def mounts(container: Object) -> dict[str, Object]:
    return {mount["mountPath"]: mount for mount in container["volumeMounts"]}


@pytest.mark.parametrize(
    ("folder", "path"),
    [("/migrations", "migrations"), ("/db/sql/", "db/sql"), ("/.hidden", ".hidden"), ("/-rf", "-rf")],
)
def test_the_migration_sees_the_folder_read_only(folder: str, path: str) -> None:
    extracted = mounts(migrate(made(migrations={"dir": folder})))["/migrations"]
    assert extracted == {
        "name": "work",
        "subPath": f"files/{path}",
        "mountPath": "/migrations",
        "readOnly": True,
    }
    volume = mounts(migrate(made(migrations={"dir": folder, "delivery": "ImageVolume"})))["/migrations"]
    assert volume == {"name": "work", "subPath": path, "mountPath": "/migrations", "readOnly": True}


def test_the_fetch_writes_to_the_folder_that_the_migration_reads() -> None:
    assert mounts(fetching(made()))["/work"] == {"name": "work", "mountPath": "/work"}


def test_an_image_volume_needs_no_init_container_and_no_shell() -> None:
    body = made(migrations={"delivery": "ImageVolume", "imagePullSecrets": [{"name": "registry"}]})
    pod = pod_of(body)
    assert "initContainers" not in pod
    assert volumes(body)["work"] == {
        "name": "work",
        "image": {"reference": IMAGE_1, "pullPolicy": "IfNotPresent"},
    }
    assert "pull-secrets" not in volumes(body)
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert SETTINGS.crane_image not in str(pod)


def test_pull_secrets_are_tried_in_the_users_order_once_each() -> None:
    body = made(
        migrations={"imagePullSecrets": [{"name": "zulu"}, {"name": "alfa"}]},
        runner={"imagePullSecrets": [{"name": "alfa"}, {"name": "mike"}]},
    )
    assert pod_of(body)["imagePullSecrets"] == [{"name": "zulu"}, {"name": "alfa"}, {"name": "mike"}]
    sources = volumes(body)["pull-secrets"]["projected"]["sources"]
    assert sources == [
        {
            "secret": {
                "name": name,
                "optional": True,
                "items": [{"key": ".dockerconfigjson", "path": f"{index:03d}/config.json"}],
            }
        }
        for index, name in enumerate(["zulu", "alfa", "mike"])
    ]
    assert mounts(fetching(body))["/pull-secrets"]["name"] == "pull-secrets"
    assert "/pull-secrets" not in mounts(migrate(body))


def test_the_order_holds_for_more_than_ten_pull_secrets() -> None:
    secrets = [{"name": f"s{number}"} for number in range(12)]
    body = made(migrations={"imagePullSecrets": secrets})
    paths = [
        source["secret"]["items"][0]["path"]
        for source in volumes(body)["pull-secrets"]["projected"]["sources"]
    ]
    assert paths == sorted(paths), "the shell goes through them in this order"


def test_without_pull_secrets_nothing_is_mounted_for_them() -> None:
    body = made()
    assert "pull-secrets" not in volumes(body)
    assert "imagePullSecrets" not in pod_of(body)
    assert "/pull-secrets" not in mounts(fetching(body))


RUNNER: dict[str, Any] = {
    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": 1}},
    "serviceAccountName": "migrator",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [
        {"key": "db", "operator": "Equal", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 5}
    ],
    "affinity": {"nodeAffinity": {"anything": [{"the": "cluster"}, "knows"]}},
    "priorityClassName": "high",
}


def test_what_a_cluster_asks_of_a_pod_is_handed_on() -> None:
    body = made(runner=RUNNER)
    pod = pod_of(body)
    for name in ("serviceAccountName", "nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert pod[name] == RUNNER[name]
    for container in (fetching(body), migrate(body)):
        assert container["resources"] == RUNNER["resources"]


def test_what_is_not_asked_for_is_absent() -> None:
    pod = pod_of(made())
    for name in ("serviceAccountName", "nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert name not in pod
    assert migrate(made())["resources"] == {}


def test_a_job_is_the_same_when_it_is_made_again() -> None:
    assert made(runner=RUNNER) == made(runner=RUNNER)


def test_a_run_that_began_keeps_its_name_and_database() -> None:
    run = an_intent(job_name="orders-abc", database="label", run_id="run")
    body = job(a_resource(a_spec()), run, SETTINGS)
    assert body["metadata"]["name"] == "orders-abc"
    assert body["metadata"]["labels"]["dbupgrade.subbug.learning/database"] == "label"
    assert environment(fetching(body))["IMAGE"] == IMAGE_1
