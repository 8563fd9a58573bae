"""docs/reference.md, which is generated from the CRD."""

from __future__ import annotations

import re

import yaml

from dbupgrade.api.crd import custom_resource_definition
from deploy import crd_reference


def _page() -> str:
    ((_, text),) = crd_reference.files(yaml.safe_dump(custom_resource_definition()))
    return text


def test_each_link_has_a_heading() -> None:
    text = _page()
    headings = {
        re.sub(r"[^a-z0-9_-]", "", found.lower()) for found in re.findall(r"^## (.*)$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings


def test_a_field_has_its_type_default_meaning_and_rules() -> None:
    text = _page()
    assert "| **`migrations`** | [migrations](#specmigrations) |  | Location of the migrations" in text
    assert '| `lint` | `off`, `warn`, `error` | `"off"` | Whether files' in text
    assert "| `activeDeadlineSeconds` | integer from 1 | `600` | Seconds" in text
    assert "| `history` | list of [run](#statusrun) |" in text
    assert '\n- `policy.lint` must be "off" with engine Command' in text
    assert "\n- spec.database.type is immutable" in text


def test_every_field_has_a_meaning() -> None:
    rows = re.findall(r"^\| \*{0,2}`(\w+)`\*{0,2} \|.*\| *(.*?) *\|$", _page(), re.MULTILINE)
    assert [name for name, meaning in rows if not meaning] == []
