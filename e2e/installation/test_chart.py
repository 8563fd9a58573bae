"""The chart on a real cluster: two replicas that take over from each other, upgrades, and what an uninstall leaves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import yaml

from dbupgrade import published
from e2e.cluster.images import BUSYBOX
from e2e.cluster.state import NODE_NAME
from e2e.installation.conftest import PREVIOUS
from e2e.installation.monitoring import found_by, kube_state_metrics, prometheus, series
from e2e.installation.monitoring import read as read_metrics
from e2e.installation.release import NAME, Release, ask_to_end, kill, pod_of, served
from e2e.operator import NAMESPACE, REPOSITORY
from e2e.privileges import INSTALLED_ONLY, read, used
from e2e.scenarios.support.database import WAIT_AT_GATE
from e2e.scenarios.support.images import FIRST, THREE, folder
from e2e.scenarios.support.upgrade import DONE, STALLED, held
from e2e.scenarios.support.world import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.cluster import Cluster
    from e2e.scenarios.support.api import Api
    from e2e.scenarios.support.world import World

FILES = "deploy/helm/dbupgrade-operator/files"
GATED = {**FIRST, "20250102000000_wait.sql": WAIT_AT_GATE}
CRD = "dbupgrades.dbupgrade.subbug.learning"


def test_a_migration_runs_and_the_webhook_has_a_say(release: Release, world: World) -> None:
    world.secret()
    world.upgrade(world.image(THREE))
    assert world.wait_for(DONE).run["appliedCount"] == len(THREE)
    assert release.lease()["holderIdentity"].startswith(NAME)
    assert len(release.pods()) == 2


def test_a_person_reads_the_log_of_a_run_while_it_is_written(release: Release, world: World) -> None:
    world.secret()
    words = [sys.executable, "-m", "dbupgrade", "logs", "app", "--follow", "--namespace", world.namespace]
    environment = {**os.environ, "KUBECONFIG": str(release.cluster.kubeconfig)}
    with world.database.closed_gate() as gate:
        world.upgrade(world.image(GATED))
        world.wait_for(lambda upgrade: bool(upgrade.run), what="a run")
        with subprocess.Popen(
            words, env=environment, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        ) as following:
            world.wait_migrating()
            assert following.poll() is None
            gate.open()
            said, _ = following.communicate(timeout=300)
    assert following.returncode == 0
    assert " applied (" in said
    world.wait_for(DONE)


def test_what_the_pages_tell_people_to_type_works_as_it_stands(
    release: Release, world: World, tmp_path: Path
) -> None:
    """Every line about the resource `shop`, but those that a failure is needed for, which come first here."""
    commands = typed_about_shop(
        "README.md",
        "docs/install.md",
        "docs/lock.md",
        "docs/status.md",
        "docs/alerts/DBUpgradeFailed.md",
        "docs/alerts/DBUpgradeRunSlow.md",
    )
    assert len(commands) >= 15
    environment = as_a_user(release, world, tmp_path)

    def type_(command: str) -> None:
        words = ["bash", "-c", command]
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout != "") == (0, True), f"{command}: {done.stdout}{done.stderr}"

    image = world.image(THREE)
    example = world.manifest(image, "shop")
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(example))
    wrong = f"hunter2-{world.namespace}"
    world.secrets.add(wrong)
    world.secret(world.database.url(password=wrong))
    world.upgrade(image, "shop")
    retries = [command for command in commands if "retry" in command]
    for number, command in enumerate(retries, start=1):
        world.wait_run(number, "shop")
        type_(command)
    world.wait_run(len(retries) + 1, "shop")
    world.secret()
    world.wait_for(DONE, "shop")
    for command in commands:
        if "retry" not in command:
            type_(command.replace("registry.example.com/shop:2.0.0", image))
    world.wait_gone("dbupgrades", "shop")


def typed_about_shop(*pages: str) -> list[str]:
    """The commands of some pages that name the resource `shop`, in code blocks or in a text, those that delete it last.

    Not `approve`, which needs a plan that waits, and a person at a terminal: test_plan_command approves one.
    """
    found: list[str] = []
    for page in pages:
        text = (REPOSITORY / page).read_text()
        for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
            found += [line.removeprefix("$ ").partition(" #")[0].strip() for line in block.splitlines()]
        found += [" ".join(code.split()) for code in re.findall(r"`(kubectl [^`]+)`", text)]
    about = [command for command in found if re.match(r"kubectl (?!-n|dbupgrade approve).*\bshop\b", command)]
    return sorted(dict.fromkeys(about), key=lambda command: "delete" in command)


def as_a_user(release: Release, world: World, folder: Path) -> dict[str, str]:
    """The environment of somebody who has installed `kubectl dbupgrade`, and whose kubeconfig names the namespace."""
    plugin = folder / "kubectl-dbupgrade"
    code = "import sys; from dbupgrade.cli.main import plugin; sys.exit(plugin())"
    plugin.write_text(f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -c "{code}" "$@"\n')
    plugin.chmod(0o755)
    kubeconfig = json.loads(release.cluster.kubeconfig.read_text())
    for context in kubeconfig["contexts"]:
        context["context"]["namespace"] = world.namespace
    (folder / "kubeconfig").write_text(json.dumps(kubeconfig))
    path = f"{folder}:{release.cluster.bin_dir}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "KUBECONFIG": str(folder / "kubeconfig")}


def test_kube_state_metrics_shows_the_conditions_to_those_who_want_it(release: Release, world: World) -> None:
    world.secret()
    world.upgrade(world.image(THREE), "done")
    world.wait_for(DONE, "done")
    with kube_state_metrics(release.cluster) as url:
        wait_until(
            lambda: len(series(read_metrics(url), world.namespace)) == 3 * 3,
            "three conditions, three values each",
        )
        found = series(read_metrics(url), world.namespace)
    labels = (
        'customresource_group="dbupgrade.subbug.learning",customresource_kind="DBUpgrade",'
        f'customresource_version="v1alpha1",name="done",namespace="{world.namespace}"'
    )
    condition = "kube_customresource_dbupgrade_status_condition"
    assert found[f'{condition}{{{labels},status="True",type="Ready"}}'] == 1
    assert found[f'{condition}{{{labels},status="False",type="Ready"}}'] == 0
    assert found[f'{condition}{{{labels},status="False",type="Progressing"}}'] == 1


def test_every_query_of_the_dashboard_finds_something_in_a_real_prometheus(
    release: Release, world: World, tmp_path: Path
) -> None:
    world.secret()
    image = world.image(THREE)
    absent = {"name": "slow", "metricName": "absent", "target": {"type": "External", "external": {}}}
    check = {
        **absent,
        "source": "External",
        "threshold": {"operator": "<", "value": "1"},
        "intervalSeconds": 1,
    }
    world.upgrade(image, "checked", checks={"pre": {"metrics": [check]}})
    world.wait_for(held("PreCheckMetricFailed"), "checked")
    replicas = [f"{address}:8080" for address in release.addresses()]
    with prometheus(tmp_path, replicas) as server:
        wait_until(lambda: len(found_by(server, "up == 1")) == 2, "two replicas")
        # What is counted for the first time while it is watched can be seen to grow.
        world.upgrade(image, "done")
        world.wait_for(DONE, "done")
        world.upgrade(world.image({**THREE, "20250105000000_wrong.sql": "SELECT wrong;"}), "failed")
        world.wait_for(STALLED, "failed")
        silent = queries_of_the_dashboard()
        wait_until(lambda: not still_silent(server, silent), f"all of {silent} find something")
        namespace = f'namespace="{world.namespace}"'
        wait_until(lambda: stuck(server, namespace) == {"checked", "failed"}, "both are stuck")
        failed = f'increase(dbupgrade_runs_total{{name="failed",failure="SQLError",{namespace}}}[10m]) > 0'
        wait_until(lambda: found_by(server, failed) != [], "the first failure is seen as an increase")


def stuck(server: str, namespace: str) -> set[str]:
    """Names of the resources for which the alert fires."""
    firing = found_by(server, f'ALERTS{{alertname="DBUpgradeFailed",alertstate="firing",{namespace}}}')
    return {alert["metric"]["name"] for alert in firing}


def queries_of_the_dashboard() -> set[str]:
    """As Grafana sends them for a panel with a point a second."""
    dashboard = json.loads((REPOSITORY / FILES / "dashboard.json").read_text())
    return {
        target["expr"].replace("$__rate_interval", "30s").replace("$__range", "30m")
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    }


def still_silent(server: str, queries: set[str]) -> set[str]:
    """Take out of `queries` those that find a number now; returns the others."""
    for query in list(queries):
        if any(sample["value"][1] != "NaN" for sample in found_by(server, query)):
            queries.discard(query)
    return queries


def test_new_pods_wait_in_an_init_container_until_the_migration_of_their_image_is_done(
    release: Release, world: World, tmp_path: Path
) -> None:
    world.secret(name="shop-database")
    contents = {**folder(release.cluster, GATED), "/bin/busybox": BUSYBOX}
    image = release.cluster.push_image(
        f"{world.namespace}/shop:1", contents, entrypoint=("/bin/busybox", "sleep", "infinity")
    )
    example = (REPOSITORY / "examples/gitops/plain/shop.yaml").read_text()
    example = example.replace("registry.example.com/shop:2.0.0", image)
    file = tmp_path / "shop.yaml"
    file.write_text(example.replace(f"{published.image('operator')}:0.1.0", release.image))
    with world.database.closed_gate() as gate:
        world.kubectl("apply", "-f", str(file))
        world.wait_migrating("shop")
        world.wait(lambda: waits_in_init(world) == 2, "both pods wait")
        gate.open()
        world.wait_for(DONE, "shop")
    world.kubectl("rollout", "status", "deployment/shop", "--timeout=5m")


def waits_in_init(world: World) -> int:
    """How many pods of the application run their init container."""
    statuses = [
        status
        for pod in world.record.latest("pods").values()
        if pod["metadata"].get("labels", {}).get("app") == "shop"
        for status in pod["status"].get("initContainerStatuses", ())
    ]
    return sum("running" in status["state"] for status in statuses)


def test_when_the_leader_is_killed_the_other_replica_goes_on_with_each_run_where_it_stands(
    release: Release, world: World
) -> None:
    """One kill, and a resource at each moment that a run has; which write is under way then, tests/integration tries one by one."""
    world.secret()
    names = ("blocked", "pending", "running", "ending", "done", "intended")
    for name in names:
        database = f"{world.database.name}_{name}"
        world.database.create_another(database)
        if name != "blocked":
            world.secret(world.database.url(database=database), name=name)
    one_by_one = {name: _of(name) for name in names}
    with (
        world.database.closed_gate(f"{world.database.name}_running") as running,
        world.database.closed_gate(f"{world.database.name}_ending") as ending,
    ):
        image, gated = world.image(THREE), world.image(GATED)
        world.upgrade(image, "done", **one_by_one["done"])
        world.wait_for(DONE, "done")
        world.upgrade(image, "blocked", **one_by_one["blocked"])
        world.wait_for(held("SecretNotFound"), "blocked")
        world.upgrade(
            image, "pending", runner={"nodeSelector": {"e2e": world.namespace}}, **one_by_one["pending"]
        )
        world.wait_for(lambda upgrade: "jobUid" in upgrade.run, "pending", what="its Job is there")
        for name in ("running", "ending"):
            world.upgrade(gated, name, **one_by_one[name])
            world.wait_migrating(name)
        before = release.leader()
        world.upgrade(image, "intended", **one_by_one["intended"])
        world.wait_for(lambda upgrade: bool(upgrade.run), "intended", what="its intent is written")
        release.take_over(before, lambda: kill(pod_of(before)))
        ending.open()
        world.secret(world.database.url(database=f"{world.database.name}_blocked"), name="blocked")
        world.cluster.kubectl("label", "node", NODE_NAME, f"e2e={world.namespace}", "--overwrite")
        running.open()
        upgrades = {name: world.wait_for(DONE, name) for name in names}
    # Not from the audit log: it has no success for a Job whose creator was killed before the answer.
    jobs = [job["metadata"]["name"] for change, job in world.record.changes("jobs") if change == "ADDED"]
    assert sorted(jobs) == sorted(upgrade.run["jobName"] for upgrade in upgrades.values())
    for name, upgrade in upgrades.items():
        assert (upgrade.run["sequence"], len(upgrade.history)) == (1, 1), name
        assert upgrade.run["appliedCount"] == (2 if name in {"running", "ending"} else len(THREE)), name


def _of(name: str) -> dict[str, Any]:
    """A database of its own for a resource."""
    return {"database": {"type": "selfHosted", "connection": {"urlSecretRef": {"name": name}}}}


def test_when_the_leader_is_asked_to_end_the_other_replica_leads_at_once(
    release: Release, world: World
) -> None:
    before = release.leader()
    seconds = release.take_over(before, lambda: ask_to_end(pod_of(before)))
    assert seconds < release.lease()["leaseDurationSeconds"]  # nobody waits until it runs out
    world.secret()
    world.upgrade(world.image(THREE))
    world.wait_for(DONE)


def test_an_upgrade_from_the_version_before_during_a_run_ends_it_with_the_same_job(
    release: Release, world: World
) -> None:
    assert release.images() == {f"{release.image.rpartition(':')[0]}:{PREVIOUS}"}
    old_pods = release.pods()
    world.secret()
    with world.database.closed_gate() as gate:
        world.upgrade(world.image(GATED))
        job = world.wait_migrating().run["jobName"]
        release.upgrade()
        wait_until(lambda: pod_of(release.leader()) not in {"", *old_pods}, "a new replica leads")
        gate.open()
        upgrade = world.wait_for(DONE)
    assert upgrade.run["appliedCount"] == 2
    assert world.created_jobs() == [job]
    assert release.images() == {release.image}


def test_an_upgrade_brings_the_crd_up_to_date(release: Release, api: Api) -> None:
    file = release.chart / "files" / "dbupgrades.yaml"
    original = file.read_text()
    newer = yaml.safe_load(original)
    newer["spec"]["names"]["categories"] = ["all"]
    file.write_text(yaml.safe_dump(newer))
    try:
        release.upgrade("log.level=debug")
    finally:
        file.write_text(original)
    stored = json.loads(release.kubectl("get", "crd", CRD, "--output=json"))
    assert stored["spec"]["names"]["categories"] == ["all"]
    wait_until(lambda: served(api), "the API server serves the resource again")


def test_the_operator_was_forbidden_nothing_and_used_what_only_an_installation_has(
    release: Release, cluster: Cluster
) -> None:
    found = used(read(cluster.state / "log" / "audit.log"))
    assert found.forbidden == frozenset()
    assert INSTALLED_ONLY - found.allowed == set()


def test_an_uninstall_leaves_the_crd_with_the_resources_and_nothing_else(
    release: Release, world: World
) -> None:
    world.secret()
    world.upgrade(world.image(THREE))
    world.wait_for(DONE)
    release.uninstall()
    left = [name for name in everything(world.api) if "dbupgrade" in name and world.namespace not in name]
    assert sorted(left) == [
        "apiservices v1alpha1.dbupgrade.subbug.learning",  # the API server makes it for the CRD
        f"configmaps kube-root-ca.crt in {NAMESPACE}",
        f"customresourcedefinitions {CRD}",
        f"namespaces {NAMESPACE}",
        f"serviceaccounts default in {NAMESPACE}",
    ]
    assert (
        world.kubectl("get", "dbupgrade", "app", "--output=name")
        == "dbupgrade.dbupgrade.subbug.learning/app\n"
    )


def everything(api: Api) -> Iterator[str]:
    """Every object of the cluster, as `kind name in namespace`; Events and what goes with its owner are left out."""
    groups = [group["preferredVersion"]["groupVersion"] for group in api.request("GET", "/apis")["groups"]]
    for root in ("/api/v1", *(f"/apis/{group}" for group in groups)):
        for kind in api.request("GET", root)["resources"]:
            if "list" not in kind["verbs"] or kind["name"] == "events":
                continue
            for item in api.request("GET", f"{root}/{kind['name']}")["items"]:
                metadata = item["metadata"]
                if not metadata.get("ownerReferences"):
                    where = f" in {metadata['namespace']}" if "namespace" in metadata else ""
                    yield f"{kind['name']} {metadata['name']}{where}"
