"""IAM authentication with a real STS over HTTP: tokens, their Secrets, renewal, and what AWS refuses."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.kube.errors import NotFound
from dbupgrade.kube.listwatch import ListWatcher
from dbupgrade.kube.resources import SECRETS
from e2e.aws import Sts, Wanted, problem
from e2e.aws.sts import REGION
from tests.integration.harness.scene import JOB_CREATION, NAME, condition, is_finished, run_of
from tests.integration.harness.standin import SUCCESS, reported
from tests.integration.harness.waiting import eventually
from tests.integration.operator.test_clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.harness.scene import Object, Scene

HOST, PORT, USER = "db.example", 5432, "app@team"
REFUSED = reported(5, failure=Failure.AUTHENTICATION)


@pytest.fixture
def sts(tmp_path: Path) -> Iterator[Sts]:
    with Sts(tmp_path / "sts.log") as running:
        running.create_role("migrate", "set by the test")
        running.enforce()
        yield running


ARN = "arn:aws:iam::123456789012:role/apps/db/migrate"


def database(**changes: Any) -> Object:
    aws = {"roleArn": ARN, "region": REGION, "host": HOST, "dbName": "shop/1", "username": USER, **changes}
    return {"type": "awsRds", "aws": aws}


async def create(scene: Scene, sts: Sts, name: str = NAME, **changes: Any) -> None:
    """Create a resource that the role trusts."""
    await asyncio.to_thread(sts.trust, "migrate", f"{scene.namespace}/{name}")
    await scene.create(name, database=database(**changes))


async def token_secrets(scene: Scene) -> list[Object]:
    found = (await ListWatcher(scene.admin, SECRETS, scene.namespace).list_page(0)).items
    return [secret for secret in found if secret["metadata"]["name"].endswith("-token")]


def token_of(secret: Object) -> str:
    url = base64.b64decode(secret["data"]["url"]).decode()
    return unquote(urlsplit(url).password or "")


def verdict(token: str, sts: Sts, now: datetime | None = None) -> str:
    return problem(token, Wanted(HOST, PORT, USER, REGION), sts.sessions(), now or datetime.now(UTC))


async def only_secret(scene: Scene) -> Object:
    async def one() -> Object | None:
        found = await token_secrets(scene)
        return found[0] if len(found) == 1 else None

    found = await eventually(one, what="there is one Secret with a token")
    assert found
    return found


async def test_a_run_has_a_good_token_as_long_as_it_lasts(scene: Scene, sts: Sts) -> None:
    await scene.start(**sts.environment())
    await create(scene, sts)
    job = await scene.standin.job()
    secret = await only_secret(scene)
    token = token_of(secret)
    assert verdict(token, sts) == ""
    container = job["spec"]["template"]["spec"]["containers"][0]
    reference = {"name": secret["metadata"]["name"], "key": "url"}
    assert container["env"][0]["valueFrom"]["secretKeyRef"] == reference
    resource = await scene.get()
    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == (
        "DBUpgrade",
        resource["metadata"]["uid"],
        True,
    )
    assert list(secret["data"]) == ["url"]

    await scene.standin.end(job, SUCCESS)
    await scene.until_ready()
    assert await token_secrets(scene) == []
    await scene.quiet()
    (call,) = sts.calls()
    assert (call["RoleArn"], call["RoleSessionName"]) == (ARN, "dbupgrade-operator")
    assert (call["ExternalId"], call["DurationSeconds"]) == (f"{scene.namespace}/{NAME}", "3600")
    await assert_untold(scene, sts, token)


async def assert_untold(scene: Scene, sts: Sts, *tokens: str) -> None:
    """No part of a token, a session or a key is in the log, the status or an Event."""
    events = await scene.admin.request("GET", f"/api/v1/namespaces/{scene.namespace}/events")
    jobs = await scene.admin.request("GET", f"/apis/batch/v1/namespaces/{scene.namespace}/jobs")
    told = scene.log.read_text() + str(events) + str(jobs) + str(await scene.get())
    secrets = {*sts.secrets, *tokens}
    for session in sts.sessions().values():
        secrets |= {session.secret_key, session.session_token}
    for token in tokens:
        secrets.add(token.rpartition("X-Amz-Signature=")[2])
    assert not [secret for secret in secrets if secret in told]


async def test_the_secret_is_written_after_the_intent_and_before_the_job(scene: Scene, sts: Sts) -> None:
    scene.standin.ending = SUCCESS
    await scene.start(**sts.environment())
    await create(scene, sts)
    await scene.until_ready()
    await scene.quiet()
    writes = [
        f"{seen.method} {seen.path.split('/')[-1 if seen.method == 'POST' else -2]}"
        for seen in scene.proxy.requests
        if seen.method in {"POST", "DELETE"} or seen.path.endswith("/status")
    ]
    writes = [write for write in writes if write != "POST events"]
    assert writes[1:3] == ["POST secrets", "POST jobs"]
    assert "DELETE secrets" in writes[3:]


async def test_a_lost_answer_leaves_one_secret_and_one_job(scene: Scene, sts: Sts) -> None:
    from tests.integration.harness.faultproxy import Answer  # noqa: PLC0415

    scene.inject(JOB_CREATION, Answer(500))
    await scene.start(**sts.environment())
    await create(scene, sts)
    job = await scene.standin.job()
    await only_secret(scene)
    await scene.standin.end(job, SUCCESS)
    await scene.until_ready()
    assert await token_secrets(scene) == []


async def test_a_wrong_external_id_is_told_and_corrected_without_a_restart(scene: Scene, sts: Sts) -> None:
    await scene.start(**sts.environment())
    sts.trust("migrate", "another/one")
    await scene.create(database=database())
    resource = await scene.until_reason("AWSAuthFailed")
    told = condition(resource, "Progressing")
    assert (told["status"], condition(resource, "Stalled")["status"]) == ("False", "False")
    assert "AccessDenied" in told["message"]
    assert f"sts:ExternalId {scene.namespace}/{NAME}" in told["message"]
    assert "not authorized" not in told["message"]
    sts.trust("migrate", f"{scene.namespace}/{NAME}")
    await scene.standin.end(await scene.standin.job(), SUCCESS)
    await scene.until_ready()


@pytest.mark.parametrize("wrong", ["secret", "key"])
async def test_wrong_credentials_of_the_operator_are_told(scene: Scene, sts: Sts, wrong: str) -> None:
    environment = sts.environment(secret="hunter2hunter2")
    if wrong == "key":
        environment["AWS_ACCESS_KEY_ID"] = "AKIAUNKNOWN00000000"
    await scene.start(**environment)
    await create(scene, sts)
    resource = await scene.until_reason("AWSAuthFailed")
    code = {"secret": "SignatureDoesNotMatch", "key": "InvalidClientTokenId"}[wrong]
    assert code in condition(resource, "Progressing")["message"]
    assert "hunter2" not in str(resource) + scene.log.read_text()


async def test_no_credentials_at_all_are_told(scene: Scene, sts: Sts, tmp_path: Path) -> None:
    environment = {**sts.environment(), "HOME": str(tmp_path)}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment[name] = ""
    await scene.start(**environment)
    await create(scene, sts)
    resource = await scene.until_reason("AWSAuthFailed")
    assert "NoCredentials" in condition(resource, "Progressing")["message"]


async def test_an_sts_that_is_not_there_holds_nobody_else(scene: Scene, sts: Sts) -> None:
    environment = sts.environment()
    sts.stop()
    scene.standin.ending = SUCCESS
    await scene.start(**environment)
    await scene.create(database=database())
    resource = await scene.until_reason("AWSAuthFailed")
    assert "Unreachable" in condition(resource, "Progressing")["message"]
    await scene.create("other")
    await scene.until(lambda found: condition(found, "Ready")["status"] == "True", name="other")
    sts.start()  # a new one lets everybody in
    await scene.until_ready()


async def test_a_token_is_renewed_while_the_pod_waits_and_not_afterwards(
    scene: Scene, sts: Sts, tmp_path: Path
) -> None:
    clock = Clock(tmp_path)
    operator = await scene.start(**sts.environment(), **clock.environment)
    await create(scene, sts)
    job = await scene.standin.job()
    first = await only_secret(scene)
    clock.jump(20 * 60)

    async def renewed() -> Object | None:
        await scene.patch({"metadata": {"annotations": {"look": str(asyncio.get_running_loop().time())}}})
        found = await only_secret(scene)
        return found if found["data"] != first["data"] else None

    second = await eventually(renewed, what="the token is renewed")
    assert second
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    later = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 20 * 60, UTC)
    assert verdict(token_of(second), sts, later) == ""
    assert verdict(token_of(first), sts, later) == "it has expired"
    assert len(sts.calls()) == 1  # the session is good for an hour

    await scene.standin.start(job)
    await scene.until_reason("MigrationInProgress")
    clock.jump(40 * 60)
    await scene.patch({"metadata": {"annotations": {"look": "again"}}})
    await scene.standin.end(job, SUCCESS)
    await scene.until_ready()
    log = scene.log.read_text()
    assert log.count('"event":"token_renewed"') == 1
    assert await token_secrets(scene) == []
    assert not operator.ended()
    await assert_untold(scene, sts, token_of(first), token_of(second))


async def test_an_operator_that_restarts_renews_what_it_does_not_know(scene: Scene, sts: Sts) -> None:
    first_operator = await scene.start(**sts.environment())
    await create(scene, sts)
    job = await scene.standin.job()
    first = await only_secret(scene)
    first_operator.kill()
    await scene.start(**sts.environment())

    async def renewed() -> bool:
        return bool(
            (await only_secret(scene))["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
        )

    await eventually(renewed)
    await scene.standin.end(job, SUCCESS)
    await scene.until_ready()
    assert await token_secrets(scene) == []


async def test_an_end_while_the_operator_is_down_leaves_no_token(scene: Scene, sts: Sts) -> None:
    operator = await scene.start(**sts.environment())
    await create(scene, sts)
    job = await scene.standin.job()
    await scene.until(lambda resource: "jobUid" in run_of(resource))
    operator.kill()
    await scene.standin.end(job, SUCCESS)
    await scene.start()  # and AWS is off by now
    await scene.until_ready()
    assert await token_secrets(scene) == []


async def test_a_refused_token_is_tried_again_with_a_fresh_one(scene: Scene, sts: Sts) -> None:
    await scene.start(**sts.environment())
    await create(scene, sts)
    await scene.standin.end(await scene.standin.job(), REFUSED)
    resource = await scene.until(is_finished)
    assert run_of(resource)["failure"] == "TokenRefused"
    assert condition(resource, "Stalled")["status"] == "False"
    await scene.standin.end(await scene.standin.job(2), SUCCESS)
    await scene.until_ready(sequence=2)
    assert await token_secrets(scene) == []
    assert len(sts.calls()) == 2  # the session of the refused one may be of a role that is no more


async def test_somebody_elses_secret_of_that_name_is_never_touched(scene: Scene, sts: Sts) -> None:
    await scene.secrets.create(scene.namespace, {"metadata": {"name": "mine"}, "stringData": {"url": "x"}})
    operator = await scene.start(**sts.environment())
    await create(scene, sts)
    job = await scene.standin.job()
    operator.kill()
    # Who may write statuses could name any Secret there.
    await scene.patch({"status": {"run": {"tokenSecret": "mine"}}}, subresource="status")
    await scene.standin.end(job, SUCCESS)
    await scene.start(**sts.environment())
    await scene.until_ready()
    assert (await scene.secrets.get(scene.namespace, "mine"))["data"]
    with pytest.raises(NotFound):
        await scene.jobs.get(scene.namespace, "mine")


async def test_one_database_is_migrated_by_one_resource_of_a_namespace_at_a_time(
    scene: Scene, sts: Sts
) -> None:
    await scene.start(**sts.environment())
    await create(scene, sts, "one")
    job = await scene.standin.job()
    await create(scene, sts, "two", host=HOST.upper())
    await scene.until_reason("DatabaseBusy", name="two")
    await scene.standin.end(job, SUCCESS)
    await scene.standin.end(await scene.standin.job(2), SUCCESS)
    await scene.until(lambda found: condition(found, "Ready")["status"] == "True", name="two")


async def test_nothing_of_aws_is_loaded_while_it_is_off(scene: Scene) -> None:
    scene.standin.ending = SUCCESS
    operator = await scene.start(PYTHONVERBOSE="1")
    await scene.create()
    await scene.until_ready()
    await scene.create("cloud", database=database())
    await scene.until_reason("AWSNotSupported", name="cloud")
    assert await scene.stop(operator) == 0
    loaded = [line for line in scene.log.read_text().splitlines() if line.startswith("import '")]
    assert any("'dbupgrade.reconcile.tokens'" in line for line in loaded)
    for package in ("dbupgrade.aws", "aioboto3", "aiobotocore", "botocore", "boto3"):
        assert not [line for line in loaded if f"'{package}" in line]
