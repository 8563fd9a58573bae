"""Who may approve a plan: the API server knows, without the operator, by the verb `approve`."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.api import names
from dbupgrade.api.approval import POLICY_NAME, approval_policy
from dbupgrade.api.confinement import ACCOUNT
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import Forbidden, KubeError
from dbupgrade.kube.resources import ResourceClient
from tests.integration.harness.accounts import RBAC, ROLE_BINDINGS, ROLES
from tests.integration.harness.guard import install_policy, remove_policy, resource
from tests.integration.harness.namespaces import DBUPGRADES
from tests.integration.harness.scene import spec
from tests.integration.harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.integration.harness.apiserver import ApiServer

Object = dict[str, Any]

NAME = "shop"
PLAN, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
APPROVER, DEVELOPER = "alice@example.com", "bob builder@example.com"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
NOT_ALLOWED = (
    r"user bob builder@example\.com may not approve plans in namespace t-\w+.*verb approve on dbupgrades"
)
NOT_THEIRS = "must be `approve DIGEST USER` or `reject DIGEST USER`.*your own user name, alice@example.com"


@pytest.fixture(scope="module")
def approvals(api: ApiServer) -> Iterator[None]:
    """Put the policy in force, for all tests of this file: it takes seconds until the API server goes by it."""
    asyncio.run(_with_admin(api, partial(install_policy, policy=approval_policy())))
    yield
    asyncio.run(_with_admin(api, partial(remove_policy, name=POLICY_NAME)))


async def _with_admin(api: ApiServer, act: Callable[[Client], Awaitable[None]]) -> None:
    async with await Client.connect(str(api.kubeconfig)) as admin:
        await act(admin)


@dataclass
class People:
    """Who can reach the namespace: all may write DBUpgrades and their status, and one may approve."""

    namespace: str
    admin: ResourceClient
    approver: ResourceClient
    developer: ResourceClient
    operator: ResourceClient

    async def create(self, **policy: Any) -> Object:
        """A DBUpgrade of the administrator's; as stored."""
        return await self.admin.create(self.namespace, a_resource(**policy))

    async def change(self, person: ResourceClient, patch: Object, subresource: str = "") -> Object:
        """Merge `patch` into the DBUpgrade. Raises Forbidden."""
        return await person.patch(self.namespace, NAME, patch, subresource=subresource)


@pytest.fixture
async def people(api: ApiServer, admin: Client, namespace: str, approvals: None) -> AsyncIterator[People]:
    """Wait until each person has their rights, and the policy is in force."""
    del approvals
    groups = {APPROVER: (*VERBS, "approve"), DEVELOPER: VERBS, ACCOUNT: VERBS}
    async with AsyncExitStack() as stack:
        clients = []
        for number, (user, verbs) in enumerate(groups.items()):
            await _grant(admin, namespace, f"person-{number}", user, verbs)
            kubeconfig = api.write_kubeconfig(f"person-{number}", api.login(user))
            client = await stack.enter_async_context(await Client.connect(str(kubeconfig)))
            clients.append(ResourceClient(client, DBUPGRADES))
        found = People(namespace, ResourceClient(admin, DBUPGRADES), *clients)
        for person in clients:
            await eventually(partial(_may_get, person, namespace), what="the rights are known")
        await eventually(partial(_is_in_force, found), what="the policy is in force")
        yield found


async def _grant(admin: Client, namespace: str, name: str, user: str, verbs: tuple[str, ...]) -> None:
    resources = [names.PLURAL, f"{names.PLURAL}/status"]
    rule = {"apiGroups": [names.GROUP], "resources": resources, "verbs": list(verbs)}
    await ResourceClient(admin, ROLES).create(namespace, {"metadata": {"name": name}, "rules": [rule]})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }
    await ResourceClient(admin, ROLE_BINDINGS).create(namespace, binding)


async def _may_get(client: ResourceClient, namespace: str) -> bool:
    try:
        await client.get(namespace, "none")
    except Forbidden:
        return False
    except KubeError:
        return True
    return True


async def _is_in_force(people: People) -> bool:
    try:
        await people.developer.create(people.namespace, a_resource("probe", approvedPlan=PLAN))
    except Forbidden as error:
        return POLICY_NAME in str(error)
    await people.admin.delete(people.namespace, "probe", propagation="Background")
    return False


def a_resource(name: str = NAME, **policy: Any) -> Object:
    return resource(name, spec(policy=policy))


def policy(**changes: Any) -> Object:
    """A patch of spec.policy."""
    return {"spec": {"policy": changes}}


def says(text: str | None) -> Object:
    """A patch of the annotation."""
    return {"metadata": {"annotations": {names.ANNOTATION_APPROVAL: text}}}


ALWAYS, ON_FINDINGS = {"approval": "Always"}, {"approval": "OnFindings"}
LARGE = {**ON_FINDINGS, "approvalAbove": "10Gi"}
# What the resource has, and a change that only who has the verb may make.
CHANGES: dict[str, tuple[Object, Object]] = {
    "approved in Git": (ALWAYS, policy(approvedPlan=PLAN)),
    "another plan approved in Git": ({**ALWAYS, "approvedPlan": PLAN}, policy(approvedPlan=OTHER)),
    "from Always to OnFindings": (ALWAYS, policy(approval="OnFindings")),
    "from Always to Never": (ALWAYS, policy(approval="Never")),
    "from OnFindings to Never": (ON_FINDINGS, policy(approval="Never")),
    "approval removed": (ALWAYS, policy(approval=None)),
    "the policy removed": (ALWAYS, {"spec": {"policy": None}}),
    "larger tables need none": (ON_FINDINGS, policy(approvalAbove="5Gi")),
    "the largest tables need none": (LARGE, policy(approvalAbove="20Gi")),
}


@pytest.mark.parametrize(("before", "change"), CHANGES.values(), ids=CHANGES)
async def test_what_approves_needs_the_verb(people: People, before: Object, change: Object) -> None:
    await people.create(**before)
    with pytest.raises(Forbidden, match=NOT_ALLOWED):
        await people.change(people.developer, change)
    await people.change(people.approver, change)


# What the resource has, and a change that approves nothing.
HARMLESS: dict[str, tuple[Object, Object]] = {
    "another image": (ALWAYS, {"spec": {"migrations": {"image": "registry.example/shop:2.0.0"}}}),
    "an approval withdrawn": ({**ALWAYS, "approvedPlan": PLAN}, policy(approvedPlan=None)),
    "from Never to Always": ({}, policy(approval="Always")),
    "from OnFindings to Always": (ON_FINDINGS, policy(approval="Always")),
    "a size removed": (LARGE, policy(approvalAbove=None)),
    "smaller tables need one, too": (LARGE, policy(approvalAbove="900Mi")),
    "the same size in another unit": (
        {**ON_FINDINGS, "approvalAbove": "2Gi"},
        policy(approvalAbove="2048Mi"),
    ),
    "a size that does not matter": (ALWAYS, policy(approvalAbove="5Gi")),
    "the default written out": (ON_FINDINGS, policy(approvalAbove="1Gi")),
    "another limit": ({**ALWAYS, "approvedPlan": PLAN}, policy(lockTimeout="7s")),
    "another annotation": (ALWAYS, {"metadata": {"annotations": {"example.com/note": PLAN}}}),
}


@pytest.mark.parametrize(("before", "change"), HARMLESS.values(), ids=HARMLESS)
async def test_everything_else_does_not(people: People, before: Object, change: Object) -> None:
    await people.create(**before)
    await people.change(people.developer, change)


async def test_larger_tables_need_the_verb_at_creation_too(people: People) -> None:
    with pytest.raises(Forbidden, match=NOT_ALLOWED):
        await people.developer.create(people.namespace, a_resource(**LARGE))
    await people.developer.create(people.namespace, a_resource(**ON_FINDINGS, approvalAbove="500Mi"))


class TestAnnotation:
    @pytest.mark.parametrize("word", ["approve", "reject"])
    async def test_it_needs_the_verb(self, people: People, word: str) -> None:
        await people.create(**ALWAYS)
        with pytest.raises(Forbidden, match=NOT_ALLOWED):
            await people.change(people.developer, says(f"{word} {PLAN} {DEVELOPER}"))
        await people.change(people.approver, says(f"{word} {PLAN} {APPROVER}"))

    @pytest.mark.parametrize(
        "text",
        [
            f"approve {PLAN} {DEVELOPER}",
            f"approve {PLAN} {APPROVER} {DEVELOPER}",
            f"approve {PLAN}",
            f"approve {PLAN} ",
            f"approve {OTHER[:-1]} {APPROVER}",
            f"Approve {PLAN} {APPROVER}",
            f"approve  {PLAN} {APPROVER}",
            f"approve {PLAN} {APPROVER}\n",
            f"approve {PLAN} {APPROVER}\nfor a reason",
            f"reject {PLAN} {DEVELOPER}\n{APPROVER}",
            f"reject {PLAN} {APPROVER}\n",
            f"reject {PLAN} {APPROVER}\none\ntwo",
            f"reject {PLAN} {APPROVER}\n{'x' * 513}",
            "yes",
        ],
    )
    async def test_it_names_a_plan_and_whoever_sets_it(self, people: People, text: str) -> None:
        await people.create(**ALWAYS)
        with pytest.raises(Forbidden, match=NOT_THEIRS):
            await people.change(people.approver, says(text))

    async def test_a_rejection_may_have_a_reason(self, people: People) -> None:
        await people.create(**ALWAYS)
        await people.change(people.approver, says(f"reject {PLAN} {APPROVER}\n{'é' * 512}"))

    async def test_others_may_keep_or_withdraw_it_and_not_bring_it_back(self, people: People) -> None:
        await people.create(**ALWAYS)
        text = f"approve {PLAN} {APPROVER}"
        await people.change(people.approver, says(text))
        await people.change(people.developer, policy(lockTimeout="7s"))
        await people.change(people.developer, says(None))
        with pytest.raises(Forbidden, match=NOT_ALLOWED):
            await people.change(people.developer, says(text))

    async def test_a_user_name_may_have_spaces(self, people: People, admin: Client, namespace: str) -> None:
        await _grant(admin, namespace, "promoted", DEVELOPER, ("approve",))
        await people.create(**ALWAYS)

        async def allowed() -> bool:
            await people.change(people.developer, says(f"approve {PLAN} {DEVELOPER}"))
            return True

        await eventually(allowed, what="the developer may approve")


class TestCreation:
    @pytest.mark.parametrize(
        "body",
        [
            a_resource(**ALWAYS, approvedPlan=PLAN),
            {
                **a_resource(**ALWAYS),
                "metadata": {"name": NAME, **says(f"approve {PLAN} {DEVELOPER}")["metadata"]},
            },
        ],
        ids=["in the spec", "in the annotation"],
    )
    async def test_with_an_approval_it_needs_the_verb(self, people: People, body: Object) -> None:
        with pytest.raises(Forbidden, match=NOT_ALLOWED):
            await people.developer.create(people.namespace, body)

    async def test_without_one_it_does_not(self, people: People) -> None:
        await people.developer.create(people.namespace, a_resource(**ALWAYS))

    async def test_with_an_approval_by_who_has_it(self, people: People) -> None:
        await people.approver.create(people.namespace, a_resource(**ALWAYS, approvedPlan=PLAN))

    async def test_a_name_that_the_server_makes_up_is_no_way_around(self, people: People) -> None:
        body = a_resource(**ALWAYS, approvedPlan=PLAN)
        body["metadata"] = {"generateName": "shop-"}
        with pytest.raises(Forbidden, match=NOT_ALLOWED):
            await people.developer.create(people.namespace, body)


async def test_who_may_approve_one_resource_may_not_approve_another(people: People, admin: Client) -> None:
    rule = {
        "apiGroups": [names.GROUP],
        "resources": [names.PLURAL],
        "resourceNames": ["stock"],
        "verbs": ["approve"],
    }
    role = await ResourceClient(admin, ROLES).get(people.namespace, "person-1")
    await ResourceClient(admin, ROLES).replace(
        people.namespace, "person-1", {**role, "rules": [*role["rules"], rule]}
    )
    await people.create(**ALWAYS)
    await people.admin.create(people.namespace, a_resource("stock", **ALWAYS))
    text = says(f"approve {PLAN} {DEVELOPER}")

    async def allowed() -> bool:
        await people.developer.patch(people.namespace, "stock", text)
        return True

    await eventually(allowed, what="the developer may approve the one")
    with pytest.raises(Forbidden, match=NOT_ALLOWED):
        await people.change(people.developer, text)


class TestStatus:
    PATCH: Object = {"status": {"plan": {"digest": PLAN, "fileCount": 1}}}  # noqa: RUF012

    @pytest.mark.parametrize("who", ["developer", "approver", "admin"])
    async def test_nobody_but_the_operator_writes_a_plan(self, people: People, who: str) -> None:
        await people.create(**ALWAYS)
        with pytest.raises(Forbidden, match=r"only the operator may change status\.plan"):
            await people.change(getattr(people, who), self.PATCH, "status")

    async def test_the_operator_does_and_nobody_else_changes_it(self, people: People) -> None:
        await people.create(**ALWAYS)
        await people.change(people.operator, self.PATCH, "status")
        for forged in ({"plan": None}, {"plan": {"fileCount": 0}}, {"plan": {"digest": OTHER}}):
            with pytest.raises(Forbidden, match=r"only the operator may change status\.plan"):
                await people.change(people.developer, {"status": forged}, "status")
        await people.change(people.operator, {"status": {"plan": {"digest": OTHER}}}, "status")

    async def test_the_rest_of_a_status_is_as_free_as_before(self, people: People) -> None:
        await people.create(**ALWAYS)
        await people.change(people.operator, self.PATCH, "status")
        await people.change(people.developer, {"status": {"currentVersion": "1"}}, "status")

    async def test_an_approval_in_a_write_of_the_status_is_not_stored(self, people: People) -> None:
        await people.create(**ALWAYS)
        text = says(f"approve {PLAN} {APPROVER}")
        stored = await people.change(people.developer, {**text, **policy(approvedPlan=PLAN)}, "status")
        assert names.ANNOTATION_APPROVAL not in stored["metadata"].get("annotations", {})
        assert "approvedPlan" not in stored["spec"]["policy"]

    async def test_the_operator_may_not_approve(self, people: People) -> None:
        await people.create(**ALWAYS)
        with pytest.raises(Forbidden, match="may not approve plans"):
            await people.change(people.operator, says(f"approve {PLAN} {ACCOUNT}"))
