"""Decisions are carried out in their order; what the API server refuses, and what it does not answer, is reported."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run
from dbupgrade.api.spec.database import Database
from dbupgrade.api.status import Status
from dbupgrade.decide.decision import (
    CompareJob,
    CreateJob,
    Decision,
    DeleteJob,
    RemoveToken,
    SetTtl,
    WriteStatus,
)
from dbupgrade.decide.intent import intent
from dbupgrade.decide.observed import Observed, resource_from
from dbupgrade.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooLarge,
    Unreachable,
)
from dbupgrade.objects import Key
from dbupgrade.pod.identity import AuthError
from dbupgrade.reconcile.memory import Memory
from dbupgrade.reconcile.tokens import Signer
from tests.unit.reconcile.world import NOW, Event, World

QUOTA = Forbidden("exceeded quota: pods", status=403)
TERMINATING = Forbidden("it is being terminated", status=403, causes=(("NamespaceTerminating", ""),))


class Stage:
    """A resource at the moment at which its first run starts."""

    def __init__(
        self, signer: Signer | None = None, spec: Mapping[str, Any] | None = None, **status: Any
    ) -> None:
        self.world = World(signer=signer)
        self.server = self.world.server
        self.key = self.world.add("orders")
        self.server.resources[self.key]["spec"] |= spec or {}
        resource = resource_from(self.server.resources[self.key])
        self.observed = Observed(now=NOW, resource=resource)
        self.run: Run = intent(self.observed)
        self.status = Status(run=self.run, **status)
        self.memory = Memory()

    async def act(self, *actions: Any) -> None:
        await self.world.actor.act(self.observed, self.version, Decision(actions), self.memory)

    async def start(self) -> None:
        await self.act(WriteStatus(self.status), CreateJob(self.run))

    @property
    def version(self) -> str:
        return str(self.server.resources[self.key]["metadata"]["resourceVersion"])

    @property
    def calls(self) -> list[str]:
        return self.server.calls

    @property
    def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = self.world.run(self.key)
        return found


async def test_the_status_is_written_and_then_the_job_is_created() -> None:
    stage = Stage()
    await stage.start()
    assert stage.calls == ["write status orders active", f"create job {stage.run.job_name}"]
    assert stage.memory.created[0] == stage.run.job_name
    assert stage.server.events == [Event("MigrationStarted", "orders")]
    (job,) = stage.server.jobs.values()
    assert job["metadata"]["ownerReferences"][0]["uid"] == "uid-of-orders"
    images = [c["image"] for c in job["spec"]["template"]["spec"]["containers"]]
    assert images == ["runner.test/runner:1"]


async def test_a_status_that_says_nothing_new_is_not_written() -> None:
    stage = Stage()
    await stage.act(WriteStatus(stage.observed.resource.status))
    assert stage.calls == []


async def test_nobody_hears_of_a_status_that_was_not_stored() -> None:
    stage = Stage()
    stage.server.failures["write status"].append(Conflict("it has changed", status=409))
    with pytest.raises(Conflict):
        await stage.start()
    assert stage.server.events == []
    assert stage.server.jobs == {}


async def test_the_job_that_an_earlier_try_has_made_is_adopted() -> None:
    stage = Stage()
    await stage.start()
    stage.memory.created = ("", 0.0)
    await stage.act(CreateJob(stage.run), WriteStatus(stage.status))
    assert stage.memory.created[0] == stage.run.job_name
    assert stage.memory.foreign is None


async def test_a_job_that_is_compared_is_known_afterwards() -> None:
    stage = Stage()
    await stage.start()
    stage.memory.known_job = ""
    await stage.act(CompareJob(stage.run))
    (job,) = stage.server.jobs.values()
    assert stage.memory.known_job == job["metadata"]["uid"]


async def test_a_job_that_has_gone_before_it_is_compared_is_not_created_again() -> None:
    """Its pod may be alive."""
    stage = Stage()
    await stage.act(WriteStatus(stage.status), CompareJob(stage.run))
    assert (stage.server.jobs, stage.memory.known_job) == ({}, "")


async def test_a_job_of_somebody_else_that_is_compared_is_remembered() -> None:
    stage = Stage()
    stage.server.jobs[Key("shop", stage.run.job_name)] = {
        "metadata": {"name": stage.run.job_name, "uid": "x"},
        "spec": {},
    }
    await stage.act(WriteStatus(stage.status), CompareJob(stage.run))
    assert stage.memory.foreign
    assert (stage.memory.foreign.uid, stage.memory.foreign.ours) == ("x", False)


async def test_a_job_of_somebody_else_is_remembered_and_left_alone() -> None:
    stage = Stage()
    foreign = {"metadata": {"name": stage.run.job_name, "uid": "x"}, "spec": {}}
    stage.server.jobs[Key("shop", stage.run.job_name)] = foreign
    with pytest.raises(AlreadyExists):
        await stage.start()
    assert stage.memory.foreign
    assert stage.memory.foreign.uid == "x"
    assert stage.memory.created == ("", 0.0)


@pytest.mark.parametrize("error", [QUOTA, Invalid("spec.template: bad", status=422)])
async def test_a_refusal_ends_the_run_with_its_words(error: Forbidden | Invalid) -> None:
    stage = Stage()
    stage.server.failures["create job"].append(error)
    await stage.start()
    assert stage.calls[-1] == "write status orders at rest"
    assert (stage.stored["failure"], stage.stored["error"]) == (Failure.JOB_REFUSED, error.safe_message)


class RefusedByAws:
    """AWS has given a session, and does not give another."""

    async def check(self, database: Database, resource: str, refused: datetime | None = None) -> None:
        pass

    async def make(self, database: Database, resource: str) -> dict[str, str]:
        raise AuthError("AccessDenied")


async def test_a_token_that_is_refused_at_the_start_is_told_with_what_to_check() -> None:
    aws = {"region": "eu-central-1", "roleArn": "arn:aws:iam::123456789012:role/shop", "username": "app"}
    database = {"type": "awsRds", "aws": {**aws, "host": "db.example.com", "dbName": "shop"}}
    stage = Stage(RefusedByAws(), {"database": database})
    await stage.start()
    assert stage.stored["failure"] == Failure.JOB_REFUSED
    assert "role/shop with ExternalId shop/orders: AccessDenied. Check that" in stage.stored["error"]
    assert not [call for call in stage.calls if call.startswith("create")]


async def test_in_a_namespace_that_ends_nothing_is_reported() -> None:
    stage = Stage()
    stage.server.failures["create job"].append(TERMINATING)
    await stage.start()
    assert stage.stored["jobName"] == stage.run.job_name
    assert "finishedAt" not in stage.stored


@pytest.mark.parametrize("error", [ServerError("a webhook failed", status=500), Unreachable("reset")])
async def test_a_creation_whose_outcome_is_unknown_is_reported_once(error: ServerError | Unreachable) -> None:
    stage = Stage()
    stage.server.failures["create job"] += [error, error]
    with pytest.raises(type(error)):
        await stage.start()
    assert stage.stored["creationProblem"] == error.safe_message
    assert "finishedAt" not in stage.stored
    resource = resource_from(stage.server.resources[stage.key])
    stage.observed = replace(stage.observed, resource=resource)
    run = resource.status.run
    assert run
    stage.calls.clear()
    with pytest.raises(type(error)):
        await stage.act(WriteStatus(resource.status), CreateJob(run))
    assert stage.calls == [f"create job {run.job_name}"]


async def test_a_token_is_removed_before_the_status_says_that_the_run_has_ended() -> None:
    stage = Stage()
    owner = {"uid": "uid-of-orders", "controller": True}
    labels = {"dbupgrade.subbug.learning/uid": "uid-of-orders"}
    metadata = {"name": "token", "uid": "t", "labels": labels, "ownerReferences": [owner]}
    stage.server.secrets[Key("shop", "token")] = {"metadata": metadata}
    await stage.act(RemoveToken("token"), WriteStatus(stage.status))
    assert stage.calls == ["get secret token", "delete secret token", "write status orders active"]


async def test_a_secret_that_a_status_only_names_is_not_removed() -> None:
    stage = Stage()
    await stage.act(RemoveToken("orders-db"), WriteStatus(stage.status))
    assert "delete secret orders-db" not in stage.calls


async def test_a_job_gets_its_time_to_live_once() -> None:
    stage = Stage()
    await stage.start()
    for _ in range(2):
        await stage.act(WriteStatus(stage.status), SetTtl(stage.run.job_name, 60))
    assert stage.calls.count(f"expire job {stage.run.job_name}") == 1
    (job,) = stage.server.jobs.values()
    assert job["spec"]["ttlSecondsAfterFinished"] == 60


@pytest.mark.parametrize(
    "error", [NotFound("gone", status=404), Conflict("another uid", status=409)], ids=["gone", "another"]
)
async def test_a_job_that_is_gone_already_needs_no_deletion(error: NotFound | Conflict) -> None:
    stage = Stage()
    stage.server.failures["delete job"].append(error)
    stage.server.failures["expire job"].append(NotFound("gone", status=404))
    await stage.act(WriteStatus(stage.observed.resource.status), DeleteJob("x", "uid-of-x"), SetTtl("x", 1))
    assert stage.calls == ["delete job x", "expire job x"]
    assert stage.memory.expired == set()


async def test_what_fails_ends_the_decision_there() -> None:
    stage = Stage()
    stage.server.failures["delete job"].append(Unreachable("reset"))
    with pytest.raises(Unreachable):
        await stage.act(WriteStatus(stage.status), DeleteJob("x", "uid-of-x"), SetTtl("x", 1))
    assert stage.calls == ["write status orders active", "delete job x"]


@pytest.mark.parametrize(
    "error", [TooLarge("etcdserver: request is too large", status=500), Invalid("status: no", status=422)]
)
async def test_a_status_that_is_refused_is_written_in_its_smallest_form(error: TooLarge | Invalid) -> None:
    stage = Stage(
        history=(Run(job_name="a", sequence=1, run_id="r", image="i", generation=1, started_at=NOW),)
    )
    stage.server.failures["write status"].append(error)
    await stage.start()
    assert stage.calls[:2] == ["write status orders active"] * 2
    status = stage.server.resources[stage.key]["status"]
    assert (status["history"], status["run"]["jobName"]) == ([], stage.run.job_name)
    assert stage.server.jobs
    stage.server.failures["write status"].extend([error, error])
    with pytest.raises(type(error)):
        await stage.act(WriteStatus(replace(stage.status, current_version="2")))


async def test_what_others_wrote_is_cleaned_before_it_is_stored() -> None:
    stage = Stage(current_version="2\x1b[31m")
    await stage.start()
    assert stage.server.resources[stage.key]["status"]["currentVersion"] == "2[31m"
    await stage.world.settle(stage.key)
