"""docs/aws.md: its policies are JSON and allow what the operator does and no more; its Terraform is laid out as usual."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from dbupgrade.aws import tokens
from e2e.cluster import tools
from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (REPOSITORY / "docs" / "aws.md").read_text()
TERRAFORM = "\n".join(re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL))
CONNECT = f"{tokens.SERVICE}:connect"


def statements() -> Iterator[dict[str, Any]]:
    for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        policy = json.loads(text)
        assert policy["Version"] == "2012-10-17"
        yield from policy["Statement"]


def of(action: str) -> list[dict[str, Any]]:
    return [statement for statement in statements() if statement["Action"] == action]


def test_the_policies_allow_what_is_called_and_nothing_else() -> None:
    actions = {statement["Action"] for statement in statements()}
    assert actions == {"sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", CONNECT}
    assert all(statement["Effect"] == "Allow" for statement in statements())
    assert not [statement for statement in statements() if statement.get("Resource") == "*"]


def test_nobody_is_trusted_without_a_condition() -> None:
    trusts = [statement for statement in statements() if "Principal" in statement]
    assert len(trusts) == 2
    conditions = [set(statement["Condition"]["StringEquals"]) for statement in trusts]
    assert {"sts:ExternalId"} in conditions
    (web,) = of("sts:AssumeRoleWithWebIdentity")
    assert {name.rpartition(":")[2] for name in web["Condition"]["StringEquals"]} == {"sub", "aud"}


def test_a_database_user_is_named() -> None:
    (connect,) = of(CONNECT)
    assert re.fullmatch(
        r"arn:aws:rds-db:[a-z0-9-]+:\d{12}:dbuser:db-[A-Z0-9]+/migrations", connect["Resource"]
    )


def test_terraform_says_the_same_and_can_be_read() -> None:
    done = subprocess.run(
        [str(tools.binary("tofu")), "fmt", "-check", "-diff", "-"],
        input=TERRAFORM,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r'"((?:sts|rds-db):[A-Z][A-Za-z]+|rds-db:connect)"', TERRAFORM)) == {
        *(statement["Action"] for statement in statements()),
        "sts:ExternalId",
    }


@pytest.mark.parametrize("broken", ["resource {", 'resource "a" "b" {\nx=1\n}\n'])
def test_terraform_that_is_not_so_is_seen(broken: str) -> None:
    words = [str(tools.binary("tofu")), "fmt", "-check", "-"]
    assert subprocess.run(words, input=broken, capture_output=True, text=True, check=False).returncode
