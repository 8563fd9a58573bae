"""docs/reference.md: every field of the resource, made from the CRD, which is made from the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
_HEAD = """# The fields of a DBUpgrade

<!-- generated from dbupgrade/api by `make manifests`; change the models, not this -->

`apiVersion: {group}/{version}`, `kind: {kind}`, short name `{short}`. **Bold** fields are required. What each condition, reason and failure means is in [status.md](status.md).
"""
_SAME = {"status.history[]": "status.run", "spec.checks.post.metrics[]": "spec.checks.pre.metrics[]"}
"""Objects whose fields are those of another."""


def files(crd: str) -> Iterator[tuple[Path, str]]:
    """The page as it has to be; `crd` is the CRD as YAML."""
    spec = yaml.safe_load(crd)["spec"]
    version = spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    names = spec["names"]
    head = _HEAD.format(
        group=spec["group"], version=version["name"], kind=names["kind"], short=names["shortNames"][0]
    )
    sections = [_section(path, schema["properties"][path]) for path in ("spec", "status")]
    yield PAGE, f"{head}{''.join(sections)}"


def _section(path: str, node: Mapping[str, Any]) -> str:
    """An object and, behind it, the objects within."""
    if path in _SAME:
        return ""
    fields, required = node["properties"], set(node.get("required", ()))
    lines = [f"\n## {path}\n\n{_text(node.get('description', ''))}\n".replace("\n\n\n", "\n")]
    lines.append("\n| field | type | default | meaning |\n|---|---|---|---|\n")
    lines += [_row(name, each, path, required=name in required) for name, each in fields.items()]
    leaves = {name: each for name, each in fields.items() if "properties" not in each}
    rules = [*_rules("", node), *(rule for name, each in leaves.items() for rule in _rules(name, each))]
    if rules:
        lines.append("\n" + "".join(f"- {rule}\n" for rule in dict.fromkeys(rules)))
    for name, each in fields.items():
        inner, below = each.get("items", each), f"{path}.{name}{'[]' if 'items' in each else ''}"
        if "properties" in inner:
            lines.append(_section(below, inner))
    return "".join(lines)


def _row(name: str, node: Mapping[str, Any], path: str, *, required: bool) -> str:
    shown = f"**`{name}`**" if required else f"`{name}`"
    default = f"`{json.dumps(node['default'])}`" if _has_default(node) else ""
    return (
        f"| {shown} | {_type(node, f'{path}.{name}')} | {default} | {_text(node.get('description', ''))} |\n"
    )


def _has_default(node: Mapping[str, Any]) -> bool:
    return node.get("default") not in (None, "", {})


def _type(node: Mapping[str, Any], path: str) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get("type") == "array":
        inner = _type(node["items"], f"{path}[]")
        return f"list of {inner}{'s' if inner.isalpha() else ''}"
    if "properties" in node:
        target = _SAME.get(path, path)
        return f"[{target.removesuffix('[]').rpartition('.')[2]}](#{_anchor(target)})"
    if "additionalProperties" in node:
        return "map of strings"
    if node.get("x-kubernetes-int-or-string"):
        return "number or string"
    limits = [
        f"{words} {node[key]}" for key, words in (("minimum", "from"), ("maximum", "to")) if key in node
    ]
    return " ".join([node.get("format", "") or node.get("type", "any"), *limits])


def _rules(name: str, node: Mapping[str, Any]) -> Iterator[str]:
    for rule in node.get("x-kubernetes-validations", ()):
        field = ".".join(part for part in (name, rule.get("fieldPath", "").lstrip(".")) if part)
        says_which = not field or rule["message"].startswith("spec.")
        yield _text(rule["message"]) if says_which else f"`{field}` {_text(rule['message'])}"


def _anchor(path: str) -> str:
    """As GitHub makes it of a heading."""
    return "".join(character for character in path.lower() if character.isalnum() or character in "-_")


def _text(text: str) -> str:
    """`text` in a cell; an asterisk would begin emphasis."""
    return " ".join(text.split()).replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")
