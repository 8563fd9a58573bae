from __future__ import annotations

import pytest

from dbupgrade.kube.resources import JOBS, NAMESPACES, PODS, ResourceClient, api_root, path
from tests.unit.kube.fakes import FakeApi


def test_paths_of_core_and_group_kinds() -> None:
    assert PODS.collection() == "/api/v1/pods"
    assert PODS.item("shop", "a", "log") == "/api/v1/namespaces/shop/pods/a/log"
    assert JOBS.collection("shop") == "/apis/batch/v1/namespaces/shop/jobs"
    assert NAMESPACES.item("", "shop") == "/api/v1/namespaces/shop"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_address_something_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a valid name"):
        PODS.item("shop", name)


def test_a_name_cannot_leave_its_path_segment() -> None:
    assert PODS.item("shop", "../a?b#c") == "/api/v1/namespaces/shop/pods/..%2Fa%3Fb%23c"


def test_every_segment_of_a_path_stays_a_segment() -> None:
    assert path(*api_root("apps", "v1"), "a/b", "c%2Fd") == "/apis/apps/v1/a%2Fb/c%252Fd"
    assert path(*api_root("", "v1")) == "/api/v1"


async def test_a_replacement_without_a_resource_version_is_refused() -> None:
    with pytest.raises(ValueError, match="resourceVersion"):
        await ResourceClient(FakeApi().as_client(), JOBS).replace("shop", "a", {"metadata": {}})
