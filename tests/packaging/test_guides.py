"""The guides for those who come from other tools: what is typed in them exists, and the resources are valid."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dbupgrade.api.crd import custom_resource_definition
from dbupgrade.api.spec import Spec
from dbupgrade.toolkit.arguments import parse
from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PAGES = sorted((REPOSITORY / "docs/guides").glob("*.md"))
_BLOCK = re.compile(r"^ *```(yaml)?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CALL = re.compile(r"^ *(?:\$ )?(?:MIGRATE_\w+=\S+ )?dbupgrade migrate (.+)$", re.MULTILINE)


def blocks(page: Path, kind: str) -> list[str]:
    return [match[2] for match in _BLOCK.finditer(page.read_text()) if match[1] == (kind or None)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_are_those_of_the_command_line(page: Path) -> None:
    calls = [call for block in blocks(page, "") for call in _CALL.findall(block)]
    assert calls
    for call in calls:
        parse(shlex.split(call))


def undeclared(value: Any, schema: Mapping[str, Any], path: str = "spec") -> Iterator[str]:
    """The fields that the CRD does not have; the API server would drop them."""
    if isinstance(value, dict) and "properties" in schema:
        for name, inner in value.items():
            if name not in schema["properties"]:
                yield f"{path}.{name}"
            else:
                yield from undeclared(inner, schema["properties"][name], f"{path}.{name}")


def test_the_resources_are_valid() -> None:
    texts = [block for page in PAGES for block in blocks(page, "yaml")]
    found = [yaml.safe_load(text) for text in texts if "kind: DBUpgrade" in text or text.startswith("spec:")]
    assert len(found) == 3
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for each in found:
        Spec.model_validate(each["spec"])
        assert list(undeclared(each["spec"], schema["properties"]["spec"])) == []
