"""An application with the chart of the Helm hook as its dependency: install, upgrade, failures, rollback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pytest
import yaml

from dbupgrade import published
from deploy.chart import MIGRATE_CHART
from e2e.cluster import tools
from e2e.cluster.images import BUSYBOX
from e2e.operator import REPOSITORY
from e2e.scenarios.support.images import FIRST, SECOND, THIRD, folder
from e2e.scenarios.support.upgrade import DONE, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from e2e.cluster import Cluster
    from e2e.cluster.images import Content
    from e2e.installation.release import Release
    from e2e.scenarios.support.world import World

JOB = "shop-dbupgrade-migrate"
REFUSED = Verdict("False", "False", "True", "LintFailed")
BROKEN = {"20250102000000_broken.sql": "ALTER TABLE nothing ADD COLUMN secret text DEFAULT 'hunter2';"}
INDEX = {"20250104000000_index.sql": "create  index concurrently users_by_id ON users (id);"}
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_by_id'::regclass"


class Said(NamedTuple):
    code: int
    text: str


@dataclass
class Shop:
    """The example's chart as a release in the world's namespace."""

    world: World
    chart: Path
    toolkit: str
    revision: int = 0

    def deploy(self, files: Mapping[str, str], *settings: str) -> Said:
        """`helm upgrade --install` of the next version of the application with these migrations."""
        return self.deploy_folder(folder(self.world.cluster, files), *settings)

    def deploy_folder(self, contents: Mapping[str, Content], *settings: str) -> Said:
        self.revision += 1
        tag = str(self.revision)
        push = self.world.cluster.push_image
        name = self.world.namespace
        app = push(f"{name}/shop:{tag}", {"/bin/busybox": BUSYBOX}, entrypoint=("/bin/busybox", "sleep", "infinity"))  # fmt: skip
        # As `FROM` the toolkit and `COPY migrations/ /migrations/` make it.
        push(f"{name}/shop-migrations:{tag}", contents, base=self.toolkit)
        host, _, port = self.world.database.server.partition(":")
        hook = "dbupgrade-migrate."
        strings = {
            "image.repository": app.rpartition(":")[0],
            "image.tag": tag,
            f"{hook}migration.customImage.repository": f"{self.world.cluster.registry}/{name}/shop-migrations",
            f"{hook}migration.customImage.tag": tag,
            f"{hook}database.host": host,
            f"{hook}database.name": self.world.database.name,
        }
        strings |= {f"{hook}database.sslMode": "disable"}
        strings |= {hook + key: value for key, _, value in (setting.partition("=") for setting in settings)}
        flags = ["--set", f"{hook}database.port={port}"]
        for key, value in strings.items():
            flags += ["--set" if value in {"true", "false"} else "--set-string", f"{key}={value}"]
        return self.helm("upgrade", "--install", "shop", str(self.chart), *flags, "--wait", "--timeout=5m")

    def helm(self, *arguments: str) -> Said:
        """What helm says, whether it succeeds or not."""
        cluster = self.world.cluster
        homes = {
            f"HELM_{name}_HOME": str(cluster.state / "helm" / name) for name in ("CACHE", "CONFIG", "DATA")
        }
        environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), **homes}
        command = [str(tools.binary("helm")), "--namespace", self.world.namespace, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        text = done.stdout + done.stderr
        assert not [secret for secret in self.world.secrets if secret in text]
        return Said(done.returncode, text)

    def running(self) -> str:
        """The version of the application that is deployed."""
        image = self.world.kubectl("get", "deployment", "shop", "--output=jsonpath={..image}")
        return image.rpartition(":")[2]

    def log(self) -> list[dict[str, object]]:
        """What the last migration said."""
        text = self.world.kubectl("logs", f"job/{JOB}")
        assert not [secret for secret in self.world.secrets if secret in text]
        return [json.loads(line) for line in text.splitlines()]

    def exit_codes(self) -> list[int]:
        """How the containers of the last migration's pods ended."""
        where = "jsonpath={.items[*].status.containerStatuses[*].state.terminated.exitCode}"
        selector = f"batch.kubernetes.io/job-name={JOB}"
        return [
            int(code)
            for code in self.world.kubectl("get", "pods", "-l", selector, f"--output={where}").split()
        ]


@pytest.fixture(scope="session")
def toolkit(cluster: Cluster) -> str:
    return cluster.runner_image


@pytest.fixture(scope="session")
def shop_chart(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, its dependency taken from this checkout."""
    chart = tmp_path_factory.mktemp("shop") / "shop"
    shutil.copytree(
        REPOSITORY / "examples/helm-hooks/shop", chart, ignore=shutil.ignore_patterns("charts", "*.lock")
    )
    metadata = yaml.safe_load((chart / "Chart.yaml").read_text())
    metadata["dependencies"][0]["repository"] = f"file://{MIGRATE_CHART}"
    (chart / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    subprocess.run([tools.binary("helm"), "dependency", "update", chart], check=True, capture_output=True)
    return chart


@pytest.fixture
def shop(release: Release, world: World, shop_chart: Path, toolkit: str) -> Shop:
    """Nothing is deployed yet; the Secret is there. The operator is for its own mode, and for the CRD."""
    login = {
        "username": world.database.name,
        "password": world.database.password,
        "url": world.database.url(),
    }
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-database"}, "stringData": login}
    world.api.apply(body, "secrets", world.namespace)
    return Shop(world, shop_chart, toolkit)


def test_each_version_is_deployed_when_its_migrations_are_applied_and_a_rollback_leaves_the_database(
    shop: Shop,
) -> None:
    first = shop.deploy(FIRST)
    assert first.code == 0, first.text
    assert (shop.running(), shop.world.database.tables) == ("1", ["users"])
    assert shop.log()[-1]["event"] == "finished"
    left = shop.world.kubectl("get", "secrets,serviceaccounts,configmaps,roles", "--output=name")
    assert JOB not in left

    second = shop.deploy({**FIRST, **SECOND, **THIRD, **INDEX})
    assert second.code == 0, second.text
    assert (shop.running(), shop.world.database.tables) == ("2", ["orders", "users"])
    assert shop.world.database.rows(VALID) == [True]
    applied = [line for line in shop.log() if line["event"] == "applied"]
    assert [line["version"] for line in applied] == ["20250102000000", "20250103000000", "20250104000000"]
    pod = json.loads(shop.world.kubectl("get", "pods", "-l", "component=migration", "--output=json"))[
        "items"
    ][0]
    assert "serviceAccountToken" not in json.dumps(pod["spec"]["volumes"])

    jobs = shop.world.created_jobs()
    assert shop.helm("rollback", "shop", "1", "--wait", "--timeout=5m").code == 0
    assert shop.running() == "1"
    assert shop.world.created_jobs() == jobs
    assert len(shop.world.database.versions) == 4


def test_a_failed_migration_stops_the_upgrade_and_the_old_version_stays(shop: Shop) -> None:
    assert shop.deploy(FIRST).code == 0
    failed = shop.deploy({**FIRST, **BROKEN})
    assert failed.code != 0
    assert "20250102000000_broken.sql" in failed.text  # helm shows the log
    assert "hunter2" not in failed.text
    assert shop.running() == "1"
    assert shop.exit_codes() == [7]  # not tried again
    assert shop.world.database.versions[:1] == ["20250101000000"]
    corrected = shop.deploy({**FIRST, **SECOND})
    assert corrected.code == 0, corrected.text
    assert (shop.running(), shop.world.database.tables) == ("3", ["orders", "users"])


def test_files_that_do_not_fit_their_checksums_are_not_applied(shop: Shop) -> None:
    contents = folder(shop.world.cluster, FIRST)
    changed = {**contents, "/migrations/20250101000000_users.sql": b"CREATE TABLE other (id int);"}
    assert shop.deploy_folder(changed).code != 0
    assert shop.exit_codes() == [3]
    assert shop.world.database.tables == []
    assert shop.world.kubectl("get", "deployments", "--output=name") == ""

    # The chart's other commands apply nothing: one stops at what is wrong, one at what is pending.
    valid = shop.deploy(FIRST, "migration.command=validate")
    assert (valid.code, shop.running()) == (0, "2"), valid.text
    assert shop.log()[-1]["event"] == "valid"
    assert shop.deploy(FIRST, "migration.command=status").code != 0
    assert (shop.exit_codes(), shop.running()) == ([9], "2")
    assert shop.world.database.tables == []


def test_a_populated_database_is_adopted_at_its_baseline(shop: Shop) -> None:
    shop.world.database.rows(FIRST["20250101000000_users.sql"])
    assert shop.deploy({**FIRST, **SECOND}).code != 0
    assert shop.exit_codes() == [6]
    adopted = shop.deploy({**FIRST, **SECOND}, "migration.baselineVersion=20250101000000")
    assert adopted.code == 0, adopted.text
    assert (shop.running(), shop.world.database.tables) == ("2", ["orders", "users"])


def test_a_first_install_makes_its_own_secret_for_development(shop: Shop) -> None:
    database = shop.world.database
    given = (
        "secrets.existingSecret=", "secrets.create=true",
        f"secrets.password={database.password}", f"database.user={database.name}",
    )  # fmt: skip
    done = shop.deploy(FIRST, *given)
    assert done.code == 0, done.text
    assert "credentials" not in shop.world.kubectl("get", "secrets", "--output=name")


def test_through_the_operator_the_hook_waits_for_ready_and_fails_with_the_migration(shop: Shop) -> None:
    mode = ("migrations.mode=operator", *_image(shop.world.cluster))
    first = shop.deploy(FIRST, *mode)
    assert first.code == 0, first.text
    assert (shop.running(), shop.world.database.tables) == ("1", ["users"])
    failed = shop.deploy({**FIRST, **BROKEN}, *mode)
    assert failed.code != 0
    assert "JobFailed: SQLError" in failed.text
    assert shop.running() == "1"
    corrected = shop.deploy({**FIRST, **SECOND}, *mode)
    assert corrected.code == 0, corrected.text
    assert (shop.running(), shop.world.database.tables) == ("3", ["orders", "users"])
    found = json.loads(shop.world.kubectl("get", "dbupgrade", JOB, "--output=json"))
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"] == 3
    assert [run["result"] for run in found["status"]["history"]] == ["Succeeded", "Failed", "Succeeded"]


def test_the_operator_lints_what_is_new_before_anything_is_applied(shop: Shop) -> None:
    world = shop.world
    world.secret()
    old = {
        "20250101000000_users.sql": "CREATE TABLE users (id int);\nDELETE FROM users;\nCREATE TABLE spare (id int);"
    }
    world.upgrade(world.image(old))
    world.wait_for(DONE)

    gone = "-- 'hunter2'\nCREATE TABLE orders (id int);\nDROP TABLE users;"
    kept = "-- dbupgrade:lint-ignore destructive: never used\nDROP TABLE spare;"
    contents = folder(
        world.cluster, {**old, "20250102000000_gone.sql": gone, "20250103000000_spare.sql": kept}
    )
    contents["/migrations/.atlas.hcl"] = b'lint {\n  naming {\n    match = "^shop_"\n  }\n}\n'
    image = world.push(contents)
    world.upgrade(image, policy={"lint": "error"})
    upgrade = world.wait_for(REFUSED)
    assert upgrade.message.startswith("LintFailed in 20250102000000_gone.sql: ")
    assert "line 3 drops table users (ban-drop-table); safer: stop" in upgrade.message
    assert world.database.tables == ["spare", "users"]

    # The change of policy tries again; the files come as a volume.
    world.upgrade(image, policy={"lint": "warn"}, migrations={"delivery": "ImageVolume"})
    upgrade = world.wait_for(DONE)
    assert upgrade.message.endswith("; lint found 1 error, 2 warnings: see status.run.lint")
    found = upgrade.run["lint"]
    assert (found["files"], [each["rule"] for each in found["findings"]]) == (
        2,
        ["ban-drop-table", "naming", "naming"],
    )
    assert world.database.tables == ["orders"]
    world.wait(lambda: world.events()["LintFindings"] == 2, "both runs have told what the lint found")
    assert "hunter2" not in json.dumps(upgrade.json)


def _image(cluster: Cluster) -> tuple[str, ...]:
    return (
        f"operator.image.repository={cluster.registry}/{published.image('operator')}",
        "operator.image.tag=0.1.0",
    )


def test_the_network_policy_is_one(shop: Shop) -> None:
    file = REPOSITORY / "examples/helm-hooks/network-policy.yaml"
    said = shop.world.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(file))
    assert "networkpolicy.networking.k8s.io/migration created" in said
