"""What a resource's author writes into a reference must not choose what the operator requests."""

from __future__ import annotations

import pytest

from dbupgrade.kube.discovery import Discovery, NoSuchKind
from tests.unit.kube.fakes import FakeApi


@pytest.mark.parametrize(
    ("api_version", "requested"),
    [
        ("v1%2Fnamespaces%2Fother%2Fsecrets%2Fdb", ["/api/v1%252Fnamespaces%252Fother%252Fsecrets%252Fdb"]),
        ("v1/namespaces/other/secrets/db", ["/apis/v1%2Fnamespaces%2Fother%2Fsecrets/db"]),
        ("v1?watch=true", ["/api/v1%3Fwatch%3Dtrue"]),
        ("apps/..", []),
        ("../api/v1", ["/apis/..%2Fapi/v1"]),
        ("./v1", []),
        ("apps/", []),
        ("", []),
    ],
)
async def test_an_api_version_cannot_leave_its_segments(api_version: str, requested: list[str]) -> None:
    api = FakeApi()
    with pytest.raises(NoSuchKind):
        await Discovery(api.as_client()).kind(api_version, "Secret")
    assert [path for _, path, _ in api.calls] == requested
