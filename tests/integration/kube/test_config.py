from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kubernetes_asyncio.config import incluster_config
from structlog.testing import capture_logs
from yarl import URL

from dbupgrade.kube import config
from dbupgrade.kube.client import Client
from dbupgrade.kube.errors import ConfigurationError, Unauthorized
from tests.integration.harness.accounts import create_account, token_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.harness.apiserver import ApiServer

REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


async def who_am_i(client: Client) -> str:
    answer = await client.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=REVIEW)
    name: str = answer["status"]["userInfo"]["username"]
    return name


@pytest.fixture
def pod_environment(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = URL(api.url)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(url.host))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(url.port))
    monkeypatch.setattr(incluster_config, "TOKEN_REFRESH_PERIOD", timedelta(0))


class TestInCluster:
    @pytest.fixture
    async def tokens(self, admin: Client, namespace: str) -> list[str]:
        for name in ("old", "new"):
            await create_account(admin, namespace, name)
        return [await token_of(admin, namespace, name) for name in ("old", "new")]

    async def test_a_token_that_changes_on_disk_is_used_from_the_next_request_on(
        self, api: ApiServer, namespace: str, tokens: list[str], tmp_path: Path, pod_environment: None
    ) -> None:
        token_file = tmp_path / "token"
        token_file.write_text(tokens[0])
        async with Client(config.in_cluster(str(token_file), str(api.ca_file))) as client:
            assert await who_am_i(client) == f"system:serviceaccount:{namespace}:old"
            token_file.write_text(tokens[1] + "\n")
            assert await who_am_i(client) == f"system:serviceaccount:{namespace}:new"

    async def test_while_the_token_cannot_be_read_the_last_one_serves(
        self, api: ApiServer, tokens: list[str], tmp_path: Path, pod_environment: None
    ) -> None:
        token_file = tmp_path / "token"
        token_file.write_text(tokens[0])
        async with Client(config.in_cluster(str(token_file), str(api.ca_file))) as client:
            token_file.unlink()
            with capture_logs() as logs:
                assert (await who_am_i(client)).endswith(":old")
            token_file.write_text("")
            assert (await who_am_i(client)).endswith(":old")
        assert [log["event"] for log in logs] == ["credentials_not_refreshed"]
        assert tokens[0] not in str(logs)

    async def test_outside_a_pod_it_is_a_configuration_error(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="Service host/port is not set"):
            config.in_cluster(str(tmp_path / "token"), str(tmp_path / "ca"), environ={})

    async def test_it_is_chosen_in_a_pod_unless_there_is_a_kubeconfig(
        self, api: ApiServer, pod_environment: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(ConfigurationError, match="in-cluster"):
            await config.load()  # the pod's files are not here
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig))
        assert (await config.load()).host == api.url


class TestKubeconfig:
    async def test_a_client_certificate_logs_in(self, api: ApiServer) -> None:
        path = api.write_kubeconfig("alice", api.login("alice", "system:masters"))
        async with await Client.connect(str(path)) as client:
            assert await who_am_i(client) == "alice"

    async def test_the_context_that_is_asked_for_counts(self, api: ApiServer, tmp_path: Path) -> None:
        content = yaml.safe_load(api.kubeconfig.read_text())
        content["users"].append({"name": "bob", "user": api.login("bob", "system:masters").as_user()})
        content["contexts"].append({"name": "other", "context": {"cluster": "test", "user": "bob"}})
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        async with await Client.connect(str(path), "other") as client:
            assert await who_am_i(client) == "bob"
        with pytest.raises(ConfigurationError, match="there is no context absent"):
            await Client.connect(str(path), "absent")

    async def test_an_exec_plugin_is_asked_again(
        self,
        admin: Client,
        api: ApiServer,
        namespace: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(config, "REFRESH_SECONDS", 0.0)
        await create_account(admin, namespace, "robot")
        answer = tmp_path / "answer.json"
        self.answer(answer, "not-a-token")
        async with await Client.connect(str(self.with_plugin(api, tmp_path, answer))) as client:
            with pytest.raises(Unauthorized):
                await who_am_i(client)
            self.answer(answer, await token_of(admin, namespace, "robot"))
            assert await who_am_i(client) == f"system:serviceaccount:{namespace}:robot"
            answer.unlink()
            with capture_logs() as logs:
                assert (await who_am_i(client)).endswith(":robot")
        assert [log["event"] for log in logs] == ["credentials_not_refreshed"]

    async def test_a_token_file_is_read_again(
        self,
        admin: Client,
        api: ApiServer,
        namespace: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        token_file = tmp_path / "token"
        token_file.write_text("not-a-token\n")
        content = yaml.safe_load(api.kubeconfig.read_text())
        content["users"][0]["user"] = {"tokenFile": str(token_file)}
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        async with await Client.connect(str(path)) as client:
            with pytest.raises(Unauthorized):
                await who_am_i(client)
            await create_account(admin, namespace, "robot")
            token_file.write_text(await token_of(admin, namespace, "robot"))
            started = time.monotonic()
            monkeypatch.setattr(time, "monotonic", lambda: started + config.REFRESH_SECONDS)
            assert await who_am_i(client) == f"system:serviceaccount:{namespace}:robot"

    @pytest.mark.parametrize(
        "content",
        ["", "[]", "{}", "token: [secret", "users: [{name: a, user: {token: secret}}]", "current-context: x"],
    )
    async def test_a_broken_file_is_an_error_that_does_not_quote_it(
        self, tmp_path: Path, content: str
    ) -> None:
        path = tmp_path / "kubeconfig"
        path.write_text(content)
        with pytest.raises(ConfigurationError) as caught:
            await config.load(str(path))
        assert str(path) in str(caught.value)
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__

    async def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError):
            await config.load(str(tmp_path / "absent"))

    @staticmethod
    def answer(path: Path, token: str) -> None:
        credential: dict[str, Any] = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
        }
        path.write_text(yaml.safe_dump(credential | {"status": {"token": token}}, default_flow_style=True))

    @staticmethod
    def with_plugin(api: ApiServer, tmp_path: Path, answer: Path) -> Path:
        content = yaml.safe_load(api.kubeconfig.read_text())
        script = f"import json, yaml; print(json.dumps(yaml.safe_load(open({str(answer)!r}))))"
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-c", script],
            "interactiveMode": "Never",
        }
        content["users"][0]["user"] = {"exec": plugin}
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path


def test_the_namespace_of_the_context_is_the_default_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("contexts: [{name: a, context: {cluster: c, namespace: shop}}]\n")
    two.write_text("current-context: a\ncontexts: [{name: b, context: {cluster: c}}]\n")
    monkeypatch.setenv("KUBECONFIG", f"{one}{os.pathsep}{two}")
    assert config.default_namespace() == "shop"
    assert config.default_namespace(context="b") == "default"
    assert config.default_namespace(str(two)) == "default"
    assert config.default_namespace(str(tmp_path / "none")) == "default"
    one.write_text("[1, 2]")
    with pytest.raises(
        ConfigurationError, match="not a kubeconfig: an entry is missing or of the wrong type"
    ):
        config.default_namespace()
