"""What the chart's value `policies` demands of a namespace, on a real API server: in a namespace with the label, and in one without."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api.floor import NAME_PREFIX, Floor, floor_policy
from dbupgrade.api.spec.policy import Approval, LintMode
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import Forbidden, KubeError
from dbupgrade.kube.resources import NAMESPACES, ResourceClient
from tests.integration.harness.guard import dry_run, install_policy, remove_policy, resource
from tests.integration.harness.namespaces import DBUPGRADES, clear_namespace, create_namespace
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.integration.harness.apiserver import ApiServer

Object = dict[str, Any]
LABEL = {"floor": secrets.token_hex(4)}
CONTACT = 'the "db" team'
FLOOR = Floor("production", {"matchLabels": LABEL}, LintMode.WARN, Approval.ON_FINDINGS, "10s", CONTACT)
GOOD = {"lint": "warn", "approval": "OnFindings"}


@pytest.fixture(scope="module")
def floor(api: ApiServer) -> Iterator[None]:
    """Put the policy in force, for all tests of this file: it takes seconds until the API server goes by it."""
    asyncio.run(_install(api))
    yield
    asyncio.run(_remove(api))


async def _install(api: ApiServer) -> None:
    async with await Client.connect(str(api.kubeconfig)) as admin:
        await install_policy(admin, floor_policy(FLOOR))
        namespace = await create_namespace(admin, LABEL)

        async def in_force() -> bool:
            return await denial(admin, namespace, {}) != ""

        await eventually(in_force, what="the floor is in force")


async def _remove(api: ApiServer) -> None:
    async with await Client.connect(str(api.kubeconfig)) as admin:
        await remove_policy(admin, f"{NAME_PREFIX}{FLOOR.name}")


@pytest.fixture
async def guarded(admin: Client, floor: None) -> AsyncIterator[str]:
    """Create a namespace with the label."""
    del floor
    name = await create_namespace(admin, LABEL)
    yield name
    await clear_namespace(admin, name)


def spec(policy: Object | None, **migrations: Any) -> Object:
    database = {"type": "selfHosted", "connection": {"urlSecretRef": {"name": "none"}}}
    found: Object = {"migrations": {"image": "shop:1", **migrations}, "database": database}
    return found if policy is None else {**found, "policy": policy}


async def denial(admin: Client, namespace: str, policy: Object | None, **migrations: Any) -> str:
    """Why a DBUpgrade may not be created; empty where it may."""
    try:
        await dry_run(admin, namespace, resource("probe", spec(policy, **migrations)))
    except Forbidden as error:
        return str(error)
    return ""


LINT = "requires spec.policy.lint warn or stricter; this DBUpgrade has off"
APPROVAL = "requires spec.policy.approval OnFindings or stricter; this DBUpgrade has Never"
WAIT = "requires a spec.policy.lockTimeout of at most 10s; this DBUpgrade has "


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (None, LINT),
        ({"approval": "Always"}, LINT),
        ({"lint": "warn"}, APPROVAL),
        ({"lint": "error", "approval": "Never"}, APPROVAL),
        (GOOD, ""),
        ({"lint": "error", "approval": "Always"}, ""),
        ({**GOOD, "lockTimeout": "10s"}, ""),
        ({**GOOD, "lockTimeout": "9999ms"}, ""),
        ({**GOOD, "lockTimeout": "10001ms"}, f"{WAIT}10001ms"),
        ({**GOOD, "lockTimeout": "5m"}, f"{WAIT}5m"),
        ({**GOOD, "lockTimeout": "0s"}, f"{WAIT}0s, which means no limit"),
        ({**GOOD, "lockTimeout": "0ms"}, f"{WAIT}0ms, which means no limit"),
    ],
)
async def test_what_a_dbupgrade_must_have_where_the_label_is(
    admin: Client, guarded: str, namespace: str, policy: Object | None, wanted: str
) -> None:
    denied = await denial(admin, guarded, policy)
    if wanted:
        assert f"namespace {guarded} {wanted}" in denied
    else:
        assert denied == ""
    assert await denial(admin, namespace, policy) == ""


async def test_a_denial_says_whom_to_ask(admin: Client, guarded: str) -> None:
    assert f"{LINT}. Ask {CONTACT}" in await denial(admin, guarded, None)


async def test_an_engine_without_lint_is_told_so(admin: Client, guarded: str) -> None:
    denied = await denial(admin, guarded, None, engine="Psql")
    assert "lint warn or stricter, which only engine Atlas supports, and not Psql; this DBUpgrade" in denied


async def test_what_was_there_before_the_label_goes_on_until_its_spec_changes(
    admin: Client, namespace: str, floor: None
) -> None:
    del floor
    resources = ResourceClient(admin, DBUPGRADES)
    await resources.create(namespace, resource("old", spec(None)))
    await ResourceClient(admin, NAMESPACES).patch("", namespace, {"metadata": {"labels": LABEL}})

    async def in_force() -> bool:
        return await denial(admin, namespace, None) != ""

    await eventually(in_force, what="the label is seen")
    await resources.patch(namespace, "old", {"metadata": {"annotations": {"a": "b"}}})
    await resources.patch(namespace, "old", {"status": {"currentVersion": "1"}}, subresource="status")
    with pytest.raises(KubeError, match=r"requires spec\.policy\.lint warn or stricter"):
        await resources.patch(namespace, "old", {"spec": {"migrations": {"image": "shop:2"}}})
    changed = {"spec": {"migrations": {"image": "shop:2"}, "policy": GOOD}}
    await resources.patch(namespace, "old", changed)
    with pytest.raises(KubeError, match=r"requires spec\.policy\.approval OnFindings or stricter"):
        await resources.patch(namespace, "old", {"spec": {"policy": {"approval": "Never"}}})
    await resources.delete(namespace, "old", propagation="Background")


async def test_a_limit_below_the_default_must_be_said(admin: Client, floor: None) -> None:
    del floor
    label = {"floor": secrets.token_hex(4)}
    policy = Floor("strict", {"matchLabels": label}, lock_timeout="2s")
    await install_policy(admin, floor_policy(policy))
    namespace = await create_namespace(admin, label)
    try:

        async def in_force() -> bool:
            return "at most 2s; this DBUpgrade has none, which means 5s" in await denial(
                admin, namespace, None
            )

        await eventually(in_force, what="the limit is in force")
        assert await denial(admin, namespace, {"lockTimeout": "2s"}) == ""
    finally:
        await remove_policy(admin, f"{NAME_PREFIX}{policy.name}")
