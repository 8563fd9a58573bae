from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from dbupgrade.kube.resources import (
    JOBS,
    JSON_PATCH,
    LEASES,
    NAMESPACES,
    PODS,
    SECRETS,
    ResourceClient,
    ResourceKind,
    pod_log,
)
from dbupgrade.telemetry.metrics import API_REQUESTS
from tests.integration.harness.accounts import create_account, token_of
from tests.integration.harness.apiserver import Login
from tests.integration.harness.faultproxy import Answer, Fault, Match, Reset, Stall
from tests.integration.harness.guard import resource
from tests.integration.harness.namespaces import DBUPGRADES
from tests.integration.harness.scene import spec
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.harness.apiserver import ApiServer
    from tests.integration.harness.faultproxy import FaultProxy

CONFIG_MAPS = ResourceKind("", "v1", "configmaps")


def config_map(name: str = "a", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def job(name: str = "a") -> dict[str, Any]:
    container = {"name": "c", "image": "busybox"}
    pod = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"metadata": {"name": name}, "spec": {"template": pod}}


def counted(code: str, method: str) -> float:
    value: float = API_REQUESTS.labels(code=code, method=method)._value.get()
    return value


async def test_an_object_is_created_read_patched_and_deleted(admin: Client, namespace: str) -> None:
    maps = ResourceClient(admin, CONFIG_MAPS)
    created = await maps.create(namespace, config_map(x="1"))
    assert (await maps.get(namespace, "a"))["metadata"]["uid"] == created["metadata"]["uid"]
    patched = await maps.patch(namespace, "a", {"data": {"x": None, "y": "2"}})
    assert patched["data"] == {"y": "2"}
    await maps.delete(namespace, "a", propagation="Background")
    with pytest.raises(NotFound):
        await maps.get(namespace, "a")


async def test_the_fields_are_ours_in_managed_fields(admin: Client, namespace: str) -> None:
    created = await ResourceClient(admin, CONFIG_MAPS).create(namespace, config_map(x="1"))
    assert [entry["manager"] for entry in created["metadata"]["managedFields"]] == ["dbupgrade"]


async def test_what_is_missing_is_not_found(admin: Client, namespace: str) -> None:
    with pytest.raises(NotFound) as caught:
        await ResourceClient(admin, PODS).get(namespace, "absent")
    path = f"/api/v1/namespaces/{namespace}/pods/absent"
    assert str(caught.value) == f'GET {path}: 404 NotFound: pods "absent" not found'
    with pytest.raises(NotFound):
        await ResourceClient(admin, PODS).delete(namespace, "absent", propagation="Background")
    with pytest.raises(NotFound):
        await ResourceClient(admin, ResourceKind("no.such", "v1", "things")).get(namespace, "absent")


async def test_a_taken_name_already_exists(admin: Client, namespace: str) -> None:
    maps = ResourceClient(admin, CONFIG_MAPS)
    await maps.create(namespace, config_map())
    with pytest.raises(AlreadyExists):
        await maps.create(namespace, config_map())


async def test_a_job_that_breaks_the_schema_is_invalid(admin: Client, namespace: str) -> None:
    broken = job() | {"spec": {**job()["spec"], "parallelism": -1}}
    with pytest.raises(Invalid, match=r"422 Invalid.*parallelism") as caught:
        await ResourceClient(admin, JOBS).create(namespace, broken)
    assert caught.value.status == 422


async def test_a_malformed_body_is_invalid(admin: Client, namespace: str) -> None:
    with pytest.raises(Invalid) as caught:
        await ResourceClient(admin, JOBS).create(namespace, {"metadata": {"name": 1}})
    assert caught.value.status == 400


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize("size", [1_600_000, 3_500_000], ids=["for etcd", "for the API server"])
async def test_what_is_too_large_is_known_as_such(admin: Client, namespace: str, size: int) -> None:
    resources = ResourceClient(admin, DBUPGRADES)
    await resources.create(namespace, resource("big", spec()))
    with pytest.raises(TooLarge):
        await resources.patch(
            namespace, "big", {"status": {"currentVersion": "x" * size}}, subresource="status"
        )


async def test_a_terminating_namespace_is_told_by_its_cause(admin: Client, namespace: str) -> None:
    await ResourceClient(admin, NAMESPACES).delete("", namespace, propagation="Background")

    async def refused() -> bool:
        try:
            await ResourceClient(admin, CONFIG_MAPS).create(namespace, config_map())
            await ResourceClient(admin, CONFIG_MAPS).delete(namespace, "a", propagation="Background")
        except Forbidden as error:
            return [reason for reason, _ in error.causes] == ["NamespaceTerminating"]
        return False

    await eventually(refused)


class TestPreconditions:
    async def test_a_status_replaces_the_whole_one(self, admin: Client, namespace: str) -> None:
        jobs = ResourceClient(admin, JOBS)
        version = (await jobs.create(namespace, job()))["metadata"]["resourceVersion"]
        first = await jobs.replace_status(namespace, "a", {"active": 1, "ready": 1}, resource_version=version)
        version = first["metadata"]["resourceVersion"]
        second = await jobs.replace_status(namespace, "a", {"active": 2}, resource_version=version)
        assert second["status"] == {"active": 2}

    async def test_a_status_on_an_old_version_conflicts_and_changes_nothing(
        self, admin: Client, namespace: str
    ) -> None:
        jobs = ResourceClient(admin, JOBS)
        old = (await jobs.create(namespace, job()))["metadata"]["resourceVersion"]
        await jobs.patch(namespace, "a", {"metadata": {"labels": {"x": "y"}}})
        with pytest.raises(Conflict):
            await jobs.replace_status(namespace, "a", {"active": 1}, resource_version=old)
        assert "active" not in (await jobs.get(namespace, "a"))["status"]

    async def test_a_merge_patch_with_an_old_version_conflicts(self, admin: Client, namespace: str) -> None:
        maps = ResourceClient(admin, CONFIG_MAPS)
        old = (await maps.create(namespace, config_map()))["metadata"]["resourceVersion"]
        await maps.patch(namespace, "a", {"data": {"x": "1"}})
        with pytest.raises(Conflict):
            await maps.patch(namespace, "a", {"metadata": {"resourceVersion": old}, "data": {"x": "2"}})

    async def test_a_replacement_of_an_old_version_conflicts(self, admin: Client, namespace: str) -> None:
        maps = ResourceClient(admin, CONFIG_MAPS)
        old = await maps.create(namespace, config_map())
        await maps.replace(namespace, "a", {**old, "data": {"x": "1"}})
        with pytest.raises(Conflict):
            await maps.replace(namespace, "a", {**old, "data": {"x": "2"}})

    async def test_a_deletion_with_anothers_uid_conflicts(self, admin: Client, namespace: str) -> None:
        maps = ResourceClient(admin, CONFIG_MAPS)
        created = await maps.create(namespace, config_map())
        with pytest.raises(Conflict):
            await maps.delete(namespace, "a", propagation="Background", uid="another")
        await maps.delete(namespace, "a", propagation="Background", uid=created["metadata"]["uid"])

    async def test_a_deletion_in_the_foreground_leaves_the_object_to_the_garbage_collector(
        self, admin: Client, namespace: str
    ) -> None:
        jobs = ResourceClient(admin, JOBS)
        await jobs.create(namespace, job())
        await jobs.delete(namespace, "a", propagation="Foreground")
        metadata = (await jobs.get(namespace, "a"))["metadata"]
        assert "foregroundDeletion" in metadata["finalizers"]
        assert "deletionTimestamp" in metadata

    async def test_a_json_patch_whose_test_fails_is_invalid(self, admin: Client, namespace: str) -> None:
        maps = ResourceClient(admin, CONFIG_MAPS)
        await maps.create(namespace, config_map(x="1"))
        patch = [{"op": "test", "path": "/data/x", "value": "2"}]
        with pytest.raises(Invalid):
            await maps.patch(namespace, "a", patch, content_type=JSON_PATCH)


class TestCredentials:
    async def test_what_rbac_does_not_allow_is_forbidden(
        self, admin: Client, api: ApiServer, namespace: str
    ) -> None:
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
        await create_account(admin, namespace, "reader", rules)
        login = Login(token=await token_of(admin, namespace, "reader"))
        path = api.write_kubeconfig("reader", login)
        async with await Client.connect(str(path)) as reader:
            maps = ResourceClient(reader, CONFIG_MAPS)

            async def missing() -> bool:  # RBAC is cached by the API server, so it takes a moment
                try:
                    await maps.get(namespace, "a")
                except NotFound:
                    return True
                return False

            await eventually(missing)
            with pytest.raises(Forbidden, match="403 Forbidden"):
                await ResourceClient(reader, SECRETS).get(namespace, "a")

    async def test_an_unknown_token_is_unauthorized_and_not_in_the_message(self, api: ApiServer) -> None:
        path = api.write_kubeconfig("stranger", Login(token="very-secret"))
        async with await Client.connect(str(path)) as stranger:
            with pytest.raises(Unauthorized) as caught:
                await ResourceClient(stranger, PODS).get("default", "a")
        assert "very-secret" not in f"{caught.value!r} {caught.value}"


class TestFaults:
    async def test_a_short_retry_after_is_waited_for(
        self, proxied: Client, proxy: FaultProxy, namespace: str
    ) -> None:
        proxy.inject(Fault(Match("POST"), Answer(429, "TooManyRequests", retry_after=1)))
        started = time.monotonic()
        await ResourceClient(proxied, CONFIG_MAPS).create(namespace, config_map())
        assert time.monotonic() - started >= 1
        assert [seen.status for seen in proxy.requests] == [429, 201]

    async def test_a_busy_server_is_asked_three_times(self, proxied: Client, proxy: FaultProxy) -> None:
        proxy.inject(Fault(Match(), Answer(503, "ServiceUnavailable", retry_after=1), times=None))
        with pytest.raises(ServerError) as caught:
            await ResourceClient(proxied, PODS).get("default", "a")
        assert caught.value.retry_after == 1
        assert len(proxy.requests) == 3

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            pytest.param(
                Answer(429, "TooManyRequests", retry_after=30), TooManyRequests, id="a long retry-after"
            ),
            pytest.param(Answer(429, "TooManyRequests"), TooManyRequests, id="no retry-after"),
            pytest.param(Answer(503, "ServiceUnavailable"), ServerError, id="503 without retry-after"),
            pytest.param(Answer(500, "InternalError", retry_after=1), ServerError, id="500"),
        ],
    )
    async def test_what_is_not_waited_for(
        self, proxied: Client, proxy: FaultProxy, answer: Answer, expected: type[ServerError]
    ) -> None:
        proxy.inject(Fault(Match(), answer, times=None))
        with pytest.raises(expected) as caught:
            await ResourceClient(proxied, PODS).get("default", "a")
        assert caught.value.retry_after == answer.retry_after
        assert len(proxy.requests) == 1

    async def test_a_write_whose_answer_is_lost_is_not_sent_again(
        self, proxied: Client, proxy: FaultProxy, namespace: str
    ) -> None:
        proxy.inject(Fault(Match("POST"), Reset(applied=True)))
        maps = ResourceClient(proxied, CONFIG_MAPS)
        with pytest.raises(Unreachable):
            await maps.create(namespace, config_map())
        await maps.get(namespace, "a")
        assert [seen.method for seen in proxy.requests] == ["POST", "GET"]

    @pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
    async def test_a_dead_pooled_connection_fails_patches_and_is_replaced_for_the_rest(
        self, proxied: Client, proxy: FaultProxy, namespace: str, method: str
    ) -> None:
        maps = ResourceClient(proxied, CONFIG_MAPS)
        body = await maps.create(namespace, config_map())
        proxy.inject(Fault(Match(method), Reset()))
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "GET": lambda: maps.get(namespace, "a"),
            "PATCH": lambda: maps.patch(namespace, "a", {"data": {"x": "1"}}),
            "PUT": lambda: maps.replace(namespace, "a", body),
            "DELETE": lambda: maps.delete(namespace, "a", propagation="Background"),
        }
        if method == "PATCH":
            with pytest.raises(Unreachable):
                await calls[method]()
        else:
            await calls[method]()

    async def test_a_server_that_never_answers_is_unreachable_in_time(
        self, proxied: Client, proxy: FaultProxy
    ) -> None:
        proxy.inject(Fault(Match(), Stall(), times=None))
        before = counted("<error>", "GET")
        with pytest.raises(Unreachable, match="no answer in time"):
            await proxied.request("GET", "/version", timeout=0.1)
        assert counted("<error>", "GET") == before + 1

    async def test_a_refused_connection_is_unreachable(self, proxied: Client, proxy: FaultProxy) -> None:
        await proxy.__aexit__()
        with pytest.raises(Unreachable, match="cannot connect"):
            await proxied.request("GET", "/version")

    async def test_an_authority_that_is_not_trusted_is_a_tls_failure(
        self, api: ApiServer, tmp_path: Any
    ) -> None:
        text = api.kubeconfig.read_text().replace(str(api.ca_file), "/etc/ssl/certs/ca-certificates.crt")
        path = tmp_path / "kubeconfig"
        path.write_text(text)
        async with await Client.connect(str(path)) as client:
            with pytest.raises(Unreachable, match="certificate is not trusted"):
                await client.request("GET", "/version")


async def test_requests_are_counted_by_code_and_method(admin: Client, namespace: str) -> None:
    before = counted("404", "GET"), counted("201", "POST")
    await ResourceClient(admin, CONFIG_MAPS).create(namespace, config_map())
    with pytest.raises(NotFound):
        await ResourceClient(admin, PODS).get(namespace, "absent")
    assert (counted("404", "GET"), counted("201", "POST")) == (before[0] + 1, before[1] + 1)


async def test_many_requests_share_the_pool(admin: Client, namespace: str) -> None:
    maps = ResourceClient(admin, CONFIG_MAPS)
    await asyncio.gather(*(maps.create(namespace, config_map(f"m{n}")) for n in range(300)))
    assert admin._session.connector is not None
    (idle,) = admin._session.connector._conns.values()
    assert 0 < len(idle) <= 100


async def test_the_log_of_a_pod_without_a_node_is_refused(admin: Client, namespace: str) -> None:
    pod = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    await ResourceClient(admin, PODS).create(namespace, pod)
    with pytest.raises(NotFound):
        await pod_log(admin, namespace, "absent", "c", limit_bytes=10, tail_lines=1)
    # Not scheduled yet: the API server answers with an empty log.
    assert await pod_log(admin, namespace, "a", "c", limit_bytes=10, tail_lines=1) == ""


async def test_a_lease_may_be_given_back_with_an_empty_holder(admin: Client, namespace: str) -> None:
    spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 0}
    created = await ResourceClient(admin, LEASES).create(namespace, {"metadata": {"name": "a"}, "spec": spec})
    assert created["spec"] == spec


async def test_an_outage_of_etcd_is_a_server_error_and_passes(
    admin: Client, api: ApiServer, namespace: str
) -> None:
    maps = ResourceClient(admin, CONFIG_MAPS)
    api.kill_etcd()
    try:
        with pytest.raises((ServerError, Unreachable)):
            await admin.request(
                "POST", CONFIG_MAPS.collection(namespace), body=config_map("during"), timeout=3
            )
    finally:
        await api.restart_etcd()

    async def created() -> bool:
        with contextlib.suppress(AlreadyExists):  # by a try whose answer was lost
            await maps.create(namespace, config_map("after"))
        return True

    await eventually(created)
