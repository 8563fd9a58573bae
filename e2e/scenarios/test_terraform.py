"""The Terraform module, driven by OpenTofu against the cluster: init, validate, plan, apply, no change, change, destroy."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from e2e.scenarios.support.database import TABLES, Database
from e2e.scenarios.support.images import FOURTH, THREE
from e2e.tofu import CHANGES, MODULE, NOTHING_TO_DO, Tofu, readme_example, served_by_git

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.scenarios.support.world import World

Migrations = dict[str, dict[str, Any]]
URL = {"url_secret": {"name": "database"}}
BROKEN = {"20250105000000_broken.sql": "SELECT no_such_column FROM users;"}


class Stack:
    """A root module that uses the module, as a user would have it."""

    def __init__(self, world: World, folder: Path, source: str = "") -> None:
        folder.mkdir()
        self._world = world
        self.tofu = Tofu(folder, {"KUBECACHEDIR": str(world.cluster.state / "kubectl")})
        kubeconfig = str(world.cluster.kubeconfig)
        self._fixed = {
            "source": f"{MODULE}//{source}" if source else str(MODULE),
            "namespace": world.namespace,
            "kubectl": f"{world.cluster.bin_dir / 'kubectl'} --kubeconfig '{kubeconfig}'",
        }
        self.tofu.configure(
            "main.tf.json",
            {
                "terraform": {"required_providers": {"kubectl": {"source": "gavinbunney/kubectl"}}},
                "provider": {"kubectl": {"config_path": kubeconfig}},
                "output": {"all": {"value": "${module.migrations}"}},
            },
        )

    def use(self, **arguments: Any) -> None:
        """What the module is called with; a text may be an expression."""
        self.tofu.configure("use.tf.json", {"module": {"migrations": {**self._fixed, **arguments}}})

    def with_credentials(self, **users: dict[str, str]) -> Tofu:
        """The same folder, with user and password of each migration in the ephemeral variable `credentials`."""
        self.tofu.configure(
            "variables.tf.json",
            {"variable": {"credentials": {"type": "any", "sensitive": True, "ephemeral": True}}},
        )
        return Tofu(self.tofu.folder, {**self.tofu.environment, "TF_VAR_credentials": json.dumps(users)})

    def outputs(self) -> Any:
        """The module's outputs."""
        return self.tofu.output()["all"]

    def no_change(self) -> None:
        """A plan finds nothing to do."""
        self.tofu.run("plan", "-detailed-exitcode", "-no-color", "-input=false", code=NOTHING_TO_DO)

    def paste(self, command: str) -> str:
        """What a helpful command says, pasted into a shell."""
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr


@pytest.fixture
def stack(world: World, tmp_path: Path) -> Stack:
    return Stack(world, tmp_path / "root")


def login(world: World) -> dict[str, str]:
    """User and password of the scenario's database."""
    return {"user": world.database.name, "password": world.database.password}


def tables(world: World, database: str) -> list[str]:
    """The tables of another database of the same owner."""
    url = world.database.url(database=database)
    return asyncio.run(Database._run(url, TABLES))


def test_a_stack_from_its_first_plan_to_its_end(world: World, stack: Stack) -> None:
    world.secret()
    first, second = world.image(THREE), world.image({**THREE, **FOURTH})
    stack.use(migrations={"web_shop": {"image": first, "database": URL}}, labels={"team": "shop"})
    stack.tofu.run("init", "-no-color")
    stack.tofu.run("validate", "-no-color")
    stack.tofu.run("plan", "-detailed-exitcode", "-no-color", code=CHANGES)
    said = stack.tofu.apply()
    assert "MigrationComplete" in said
    assert world.database.tables == ["orders", "users"]

    outputs = stack.outputs()
    job = outputs["job_names"]["web_shop"]
    assert world.created_jobs() == [job]
    assert outputs["names"] == {"web_shop": "web-shop"}
    assert outputs["namespaces"] == {"web_shop": world.namespace}
    assert outputs["migration_jobs_summary"]["web_shop"]["job_name"] == job
    commands = outputs["helpful_commands"]
    assert job in stack.paste(commands["list_jobs"])
    assert job in stack.paste(commands["list_pods"])
    assert '"applied"' in stack.paste(commands["web_shop_logs"])

    stack.no_change()
    assert world.created_jobs() == [job]

    stack.use(migrations={"web_shop": {"image": second, "database": URL}}, labels={"team": "shop"})
    stack.tofu.run("plan", "-detailed-exitcode", "-no-color", code=CHANGES)
    stack.tofu.apply()
    assert world.database.tables == ["items", "orders", "users"]
    assert stack.outputs()["job_names"]["web_shop"] != job
    stack.no_change()

    stack.tofu.run("destroy", "-auto-approve", "-no-color")
    world.wait_gone("dbupgrades", "web-shop")
    assert world.database.tables == ["items", "orders", "users"]


def test_a_failure_ends_the_wait_at_once_and_a_better_image_heals_it(world: World, stack: Stack) -> None:
    world.secret()
    good, bad = world.image({**THREE, **FOURTH}), world.image({**THREE, **BROKEN})
    stack.use(migrations={"app": {"image": bad, "database": URL}}, timeout="1h")
    stack.tofu.run("init", "-no-color")
    started = time.monotonic()
    said = stack.tofu.apply(code=1)
    assert time.monotonic() - started < 600
    assert "SQLError" in said
    assert "20250105000000_broken.sql" in said
    # The failure is told again, as long as nothing changes.
    assert "SQLError" in stack.tofu.apply(code=1)
    assert len(world.created_jobs()) == 1

    stack.use(migrations={"app": {"image": good, "database": URL}}, timeout="1h")
    stack.tofu.apply()
    assert "items" in world.database.tables
    stack.no_change()


def test_it_need_not_wait_and_two_instances_live_side_by_side(world: World, tmp_path: Path) -> None:
    world.secret()
    image = world.image(THREE)
    stacks = [Stack(world, tmp_path / name) for name in ("blue", "green")]
    for stack, prefix in zip(stacks, ("blue-", "green-"), strict=True):
        stack.use(
            migrations={
                "app": {"image": image, "database": URL},
                "off": {"image": image, "database": URL, "enabled": False},
            },
            name_prefix=prefix,
            wait_for_completion=False,
        )
        stack.tofu.run("init", "-no-color")
        stack.tofu.apply()
        assert stack.outputs()["job_names"] == {"app": None}
    for name in ("blue-app", "green-app"):
        world.wait_for(lambda upgrade: upgrade.verdict.reason == "MigrationComplete", name, what="it is done")
    for stack in stacks:
        stack.no_change()
    stacks[0].tofu.run("destroy", "-auto-approve", "-no-color")
    world.wait_gone("dbupgrades", "blue-app")
    stacks[1].no_change()


def test_credentials_as_input_are_in_the_secret_and_nowhere_else(world: World, stack: Stack) -> None:
    host, _, port = world.database.server.partition(":")
    database = {"host": host, "port": int(port), "name": world.database.name, "ssl_mode": "disable"}
    stack.use(
        migrations={
            "app": {"image": world.image(THREE), "database": {**database, "credentials_revision": "1"}}
        },
        credentials="${var.credentials}",
    )
    given = stack.with_credentials(app=login(world))
    given.run("init", "-no-color")
    said = given.run("plan", "-out=plan", "-no-color") + given.run("show", "-json", "plan")
    said += given.run("apply", "-no-color", "plan") + given.run("output", "-json")
    assert world.database.tables == ["orders", "users"]
    with zipfile.ZipFile(stack.tofu.folder / "plan") as plan:
        said += "".join(plan.read(name).decode(errors="replace") for name in plan.namelist())
    said += (stack.tofu.folder / "terraform.tfstate").read_text()
    assert world.database.password not in said
    given.run("plan", "-detailed-exitcode", "-no-color", code=NOTHING_TO_DO)
    given.run("destroy", "-auto-approve", "-no-color")
    assert "migration-db-credentials" not in world.kubectl("get", "secrets", "--output=name")


def test_without_the_operator_it_makes_the_jobs_itself(world: World, stack: Stack) -> None:
    world.secret()
    host, _, port = world.database.server.partition(":")
    login = {"user_secret": {"name": "login"}, "password_secret": {"name": "login"}}
    world.secret(world.database.name, name="login", key="username")
    patch = json.dumps({"stringData": {"password": world.database.password}})
    world.kubectl("patch", "secret", "login", "--patch", patch)
    client = world.cluster.psql_image
    another = f"{world.database.name}_plain"
    third, replacing = f"{another}_3", f"{another}_4"
    for name in (another, third, replacing):
        world.database.create_another(name)
    say = 'test "$DB_PASSWORD" && echo "made $DB_DATABASE at $DB_HOST:$DB_PORT for $WHO"'

    def migrations(words: str, plain_database: str = another, **more: str) -> Migrations:
        return {
            "files": {"image": world_image, "database": URL, **more},
            "parts": {
                "image": world_image,
                "database": {"host": host, "port": int(port), "name": third, "ssl_mode": "disable", **login},
            },
            "plain": {
                "image": plain,
                "engine": "Psql",
                "delivery": "ImageVolume",
                "database": {"host": host, "port": int(port), "name": plain_database, **login},
            },
            "own": {
                "image": client,
                "engine": "Command",
                "command": ["sh", "-c", words],
                "env": [{"name": "WHO", "value": "$(DB_HOST)"}],
                "database": {"host": host, "port": int(port), "name": world.database.name, **login},
                "runner": {"backoff_limit": 0},
            },
        }

    world_image = world.image(THREE)
    plain = world.push({"/migrations/1_plain.sql": b"CREATE TABLE plain (id int);"})
    cluster = world.cluster
    images = {"crane": cluster.crane_image, "runner": cluster.runner_image}
    stack.use(mode="job", migrations=migrations(say), images=images)
    stack.tofu.run("init", "-no-color")
    stack.tofu.apply()
    assert world.database.tables == ["orders", "users"]
    assert tables(world, another) == ["dbupgrade_migrations", "plain"]
    assert tables(world, third) == ["orders", "users"]
    outputs = stack.outputs()
    assert sorted(world.created_jobs()) == sorted(outputs["job_names"].values())
    log = stack.paste(outputs["helpful_commands"]["own_logs"])
    assert f"made {world.database.name} at {host}:{port} for $(DB_HOST)" in log
    assert outputs["job_names"]["files"] in stack.paste(outputs["helpful_commands"]["list_jobs"])
    stack.no_change()
    job = world.jobs()[outputs["job_names"]["own"]]
    assert job["spec"]["ttlSecondsAfterFinished"] == 300

    # Kubernetes removes the Jobs in time: that is no change.
    world.kubectl("delete", "jobs", "--all")
    stack.no_change()

    # A retry and another database are runs, of these migrations only.
    stack.use(mode="job", migrations=migrations(say, replacing, retry="again"), images=images)
    stack.tofu.apply()
    assert tables(world, replacing) == ["dbupgrade_migrations", "plain"]
    before, names = outputs["job_names"], stack.outputs()["job_names"]
    assert {key for key, name in names.items() if name != before[key]} == {"files", "plain"}
    assert set(world.jobs()) == {names["files"], names["plain"]}
    stack.no_change()

    stack.use(mode="job", migrations=migrations("exit 3"), images=images, timeout="1h")
    assert "the migration failed" in stack.tofu.apply(code=1)
    stack.use(mode="job", migrations=migrations(say), images=images)
    stack.tofu.apply()
    stack.no_change()
    stack.tofu.run("destroy", "-auto-approve", "-no-color")
    # That of the run which failed stays for its log, as long as it has to live.
    assert all(job["status"].get("failed") for job in world.jobs().values())


def test_the_example_of_the_readme_migrates_two_databases(world: World, tmp_path: Path) -> None:
    """As it is typed, but for the namespace, images and database, which are others here; ~/.kube/config is the cluster's."""
    world.secret(name="shop-database")
    world.secret(world.database.name, name="billing-database", key="username")
    patch = json.dumps({"stringData": {"password": world.database.password}})
    world.kubectl("patch", "secret", "billing-database", "--patch", patch)
    (npm := tmp_path / "npm").write_text('#!/bin/sh\necho "npm $* in $DB_DATABASE at $DB_HOST"\n')
    npm.chmod(0o755)
    cluster, (host, _, port) = world.cluster, world.database.server.partition(":")
    billing = cluster.push_image(f"{world.namespace}/npm:1", {"/usr/bin/npm": npm}, base=cluster.psql_image)
    text = readme_example()
    for typed, here in (
        ('"shop"\n', f'"{world.namespace}"\n'),
        ("registry.example.com/shop:1.0.0", world.image(THREE)),
        ("registry.example.com/billing:2.3.0", billing),
        (
            '"postgres.billing"',
            f'"{host}"\n        port            = {port}\n        ssl_mode        = "disable"',
        ),
        ('name            = "billing"', f'name            = "{world.database.name}"'),
    ):
        assert text.count(typed) == 1
        text = text.replace(typed, here)
    path = f"{cluster.bin_dir}:{os.environ['PATH']}"
    tofu = Tofu(tmp_path / "root", {**served_by_git(tmp_path), "PATH": path})
    tofu.folder.mkdir()
    (tofu.folder / "main.tf").write_text(text)
    (tofu.home / ".kube").mkdir(parents=True)
    (tofu.home / ".kube" / "config").write_bytes(cluster.kubeconfig.read_bytes())
    tofu.run("init", "-no-color")
    tofu.apply()
    assert world.database.tables == ["orders", "users"]
    assert len(world.created_jobs()) == 2
    tofu.run("plan", "-detailed-exitcode", "-no-color", code=NOTHING_TO_DO)
    tofu.run("destroy", "-auto-approve", "-no-color")


@pytest.mark.parametrize("mode", ["operator", "job"])
def test_a_namespace_that_it_created_goes_when_it_is_empty_and_no_other(
    world: World, stack: Stack, mode: str
) -> None:
    host, _, port = world.database.server.partition(":")
    database = {"host": host, "port": int(port), "name": world.database.name, "ssl_mode": "disable"}
    own = f"{world.namespace}-made"
    images = {"crane": world.cluster.crane_image, "runner": world.cluster.runner_image}
    given = stack.with_credentials(app=login(world))

    def use(namespace: str) -> None:
        stack.use(
            mode=mode,
            images=images,
            namespace=namespace,
            create_namespace=True,
            credentials="${var.credentials}",
            labels={"team": "shop"},
            migrations={"app": {"image": image, "database": {**database, "credentials_revision": "1"}}},
        )

    def destroy() -> str:
        return given.run("destroy", "-auto-approve", "-no-color")

    def exists() -> bool:
        return own in world.cluster.kubectl("get", "namespace", own, "--ignore-not-found", "--output=name")

    image = world.image(THREE)
    use(own)
    given.run("init", "-no-color")
    given.apply()
    assert world.database.tables == ["orders", "users"]
    assert "team=shop" in world.cluster.kubectl("get", "namespace", own, "--show-labels")
    given.run("plan", "-detailed-exitcode", "-no-color", code=NOTHING_TO_DO)
    destroy()
    assert not exists()

    given.apply()
    world.cluster.kubectl("--namespace", own, "create", "configmap", "mine")
    assert "it contains configmap/mine" in destroy()
    assert exists()
    # It is there now, whoever created it: from here on it is somebody else's.
    world.cluster.kubectl("--namespace", own, "delete", "configmap", "mine")
    assert "exists already" in given.apply()
    assert "this module did not create it" in destroy()
    assert exists()
    world.cluster.kubectl("delete", "namespace", own)


@pytest.mark.parametrize("mode", ["operator", "job"])
def test_three_databases_as_the_module_that_it_replaces(world: World, tmp_path: Path, mode: str) -> None:
    stack = Stack(world, tmp_path / "root", "compat/three-databases")
    host, _, port = world.database.server.partition(":")
    npm = b'#!/bin/sh\necho "npm $*"\nPGPASSWORD="$DB_PASSWORD" psql -h "$DB_HOST" -p "$DB_PORT" -U "$DB_USER" -d "$DB_DATABASE" -c "CREATE TABLE $DB_SCHEMA (id int)"\n'
    (npm_file := tmp_path / "npm").write_bytes(npm)
    npm_file.chmod(0o755)
    cluster, base, another = world.cluster, world.cluster.psql_image, f"{world.database.name}_supabase"
    world.database.create_another(another)
    plain = {
        f"/migrations/{number}.sql": f"CREATE TABLE IF NOT EXISTS {name} (id int);".encode()
        for number, name in ((1, "plain"), (2, "second"))
    }
    # What the old Jobs left behind.
    asyncio.run(Database._run(world.database.url(database=another), "CREATE TABLE plain (id int)"))
    tools = cluster.push_image(f"{world.namespace}/tools:1", plain, base=base)
    npm_image = cluster.push_image(f"{world.namespace}/npm:1", {"/usr/bin/npm": npm_file}, base=base)
    arguments: dict[str, Any] = {
        "mode": mode,
        "postgres_wait_image": base,
        "runner_image": cluster.runner_image,
        "run_components_v2_migrations": False,
        "supabase_baseline": "1",
    }
    for key in ("control_plane", "supabase", "components_v2"):
        arguments |= {
            f"{key}_db_host": host,
            f"{key}_db_port": int(port),
            f"{key}_db_name": another if key == "supabase" else world.database.name,
            f"{key}_db_user": world.database.name,
            f"{key}_db_password": "${var.password}",
            f"{key}_migration_image": npm_image if key == "control_plane" else tools,
        }
    stack.use(**arguments)
    stack.tofu.configure("variables.tf.json", {"variable": {"password": {"sensitive": True}}})
    given = Tofu(stack.tofu.folder, {**stack.tofu.environment, "TF_VAR_password": world.database.password})
    given.run("init", "-no-color")
    given.apply()
    assert world.database.tables == ["tenant_management"]
    history = ["dbupgrade_migrations"] if mode == "operator" else []
    assert tables(world, another) == [*history, "plain", "second"]
    given.run("plan", "-detailed-exitcode", "-no-color", code=NOTHING_TO_DO)
    outputs = stack.outputs()
    assert "npm run migrate" in stack.paste(outputs["helpful_commands"]["control_plane_logs"])
    assert "succeeded" in stack.paste(outputs["supabase_job_status"]["command"]).lower()
    assert outputs["helpful_commands"]["components_v2_logs"] == "N/A"
    assert outputs["migration_jobs_summary"]["components_v2"] == {"enabled": False}
    assert world.database.password not in (stack.tofu.folder / "terraform.tfstate").read_text()
    given.run("destroy", "-auto-approve", "-no-color")
