"""Writes the files below `deploy` that are made from others, or says which of them are out of date.

    python -m deploy.generate            write them (make manifests)
    python -m deploy.generate --check    compare only

- The names under which releases are published, in every page, example and manifest: see `deploy.publishing`.
- CRD and policy of the chart and of kustomize: what `python -m dbupgrade` prints.
- The charts' READMEs: from the comments of its values.
- The Terraform module's READMEs, and the operator's parts of a Job that it uses: see `deploy.terraform_module`.
- The table of failures in docs/status.md, that of docs/metrics.md, and docs/reference.md.
- The kustomize bases and overlays: what the chart renders, so that both install the same (needs helm on PATH; left out without).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dbupgrade.api import floor
from deploy import crd_reference, failure_table, metrics_page, publishing, terraform_module
from deploy.chart import CHART, MIGRATE_CHART, without_dependencies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DEPLOY = Path(__file__).parent
KUSTOMIZE = DEPLOY / "kustomize"
NAMESPACE = "dbupgrade-system"
NOTICE = "# Rendered from deploy/helm/dbupgrade-operator by `make manifests`; change the chart, not this.\n"
HELM_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by")


@dataclass(frozen=True)
class Variant:
    """A folder of kustomize: the chart with some values, in one file a template."""

    folder: str
    files: tuple[tuple[str, str], ...]
    values: tuple[str, ...]


MANAGER = (
    ("deployment", "manager"),
    ("serviceaccount", "serviceaccount"),
    ("metrics", "manager"),
    ("availability", "manager"),
    ("plans", "manager"),
)
WEBHOOK = (("webhook", "webhook"), ("webhook-configuration", "configuration"))
VARIANTS = (
    Variant("rbac", (("rbac", "rbac"),), ()),
    Variant("policy", (("approver", "approver"),), ()),
    Variant("manager", MANAGER, ()),
    Variant("webhook", WEBHOOK, ()),
    Variant(
        "overlays/cert-manager",
        (("rbac", "rbac"), *MANAGER, *WEBHOOK),
        ("webhook.certManager.enabled=true",),
    ),
    Variant("overlays/without-webhook", (("rbac", "rbac"), *MANAGER), ("webhook.enabled=false",)),
    Variant(
        "overlays/without-secrets",
        (("rbac", "rbac"), *MANAGER, *WEBHOOK),
        ("secrets.read=false",),
    ),
    Variant(
        "overlays/aws",
        (("rbac", "rbac"), *MANAGER, *WEBHOOK),
        ("aws.enabled=true",),
    ),
    Variant(
        "overlays/single-namespace",
        (("rbac", "rbac"), *MANAGER, *WEBHOOK),
        (f"watch.namespaces={{{NAMESPACE}}}",),
    ),
)


def main() -> int:
    """Run the command line; 1 when files are out of date."""
    parser = argparse.ArgumentParser(prog="python -m deploy.generate")
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    stale = []
    # The names first: some of the files that they are in are sources of others.
    for path, text in chain(publishing.files(), files()):
        if not path.exists() or path.read_text() != text:
            stale.append(path.relative_to(DEPLOY.parent))
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    for path in dict.fromkeys(stale):
        print(f"{path} {'is out of date: run `make manifests`' if check else 'written'}")
    return 1 if check and stale else 0


def files() -> Iterator[tuple[Path, str]]:
    """Every generated file and what has to be in it."""
    for command, folder, name in (("crd", "crd", "dbupgrades.yaml"), ("policy", "policy", "policies.yaml")):
        text = printed(command)
        yield KUSTOMIZE / folder / name, text
        yield CHART / "files" / name, text
        if command == "crd":
            yield from crd_reference.files(text)
    yield CHART / "files" / "floor.yaml", yaml.safe_dump_all(floor.template(), sort_keys=False, width=110)
    yield CHART / "README.md", readme(CHART, INTRODUCTION)
    yield MIGRATE_CHART / "README.md", readme(MIGRATE_CHART, MIGRATE_INTRODUCTION)
    yield from terraform_module.files()
    yield from failure_table.files()
    yield from metrics_page.files()
    if shutil.which("helm"):
        with tempfile.TemporaryDirectory() as scratch:
            chart = without_dependencies(Path(scratch))
            for variant in VARIANTS:
                yield from rendered(chart, variant)


def printed(command: str) -> str:
    """What the operator's own command prints."""
    words = [sys.executable, "-m", "dbupgrade", command]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, cwd=DEPLOY.parent).stdout


def rendered(chart: Path, variant: Variant) -> Iterator[tuple[Path, str]]:
    """The files of one folder of kustomize."""
    by_file: dict[str, list[dict[str, Any]]] = {}
    for template, file in variant.files:
        by_file.setdefault(file, []).extend(render(chart, template, variant.values))
    for file, objects in by_file.items():
        text = yaml.safe_dump_all(objects, sort_keys=False, width=110)
        yield KUSTOMIZE / variant.folder / f"{file}.yaml", NOTICE + text


def render(chart: Path, template: str, values: Iterable[str]) -> list[dict[str, Any]]:
    """The objects of one of the chart's templates, without what only Helm needs."""
    settings = [word for value in values for word in ("--set", value)]
    text = subprocess.run(
        [
            "helm", "template", "dbupgrade-operator", str(chart),
            "--namespace", NAMESPACE, "--show-only", f"templates/{template}.yaml", *settings,
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout  # fmt: skip
    objects = [obj for obj in yaml.safe_load_all(text) if obj]
    for obj in objects:
        for label in HELM_LABELS:
            obj["metadata"]["labels"].pop(label, None)
    return objects


# --- the charts' READMEs ----------------------------------------------------------------------------------------------

INTRODUCTION = """\
# dbupgrade-operator

Installs the DBUpgrade operator, which runs the database migrations of your applications.
Needs Kubernetes 1.30 or newer. Migrates PostgreSQL 13 to 18, MariaDB (tested with 10.11) and MySQL.

```
helm install dbupgrade-operator {charts}/dbupgrade-operator \\
  --namespace {namespace} --create-namespace --set replicaCount=2
```

The operator creates and renews the webhook's certificate. With `--set webhook.certManager.enabled=true`, cert-manager, which
must already be installed, issues it.

`helm upgrade` updates the CustomResourceDefinition; `helm uninstall` keeps it and all DBUpgrades (`crds.keep`).
If the CRD was installed in another way, use `--take-ownership`.

More: [install](../../../docs/install.md), [upgrade and uninstall](../../../docs/upgrade.md),
[who can read what](../../../docs/security.md).
"""
MIGRATE_INTRODUCTION = """\
# dbupgrade-migrate

Migrates an application's database before its new version is deployed, as a Helm hook. Use it as a dependency of the
application's own chart:

```yaml
dependencies:
- name: dbupgrade-migrate
  version: 0.1.0
  repository: {charts}
  condition: dbupgrade-migrate.migrations.enabled
```

```yaml
dbupgrade-migrate:
  migration:
    customImage: {{enabled: true, repository: registry.example.com/shop-migrations, tag: "2.0.0"}}
  database: {{host: postgres.example.com, name: shop}}
  secrets: {{existingSecret: shop-database}}
```

`values-development.yaml` and `values-production.yaml` are starting points. How it works, and what to do when it fails:
[docs/helm-hooks.md](../../../docs/helm-hooks.md).
"""
VALUES = """
## Values

This file is generated from the comments in `values.yaml`.

| value | default | meaning |
|---|---|---|
"""


def readme(chart: Path, introduction: str) -> str:
    """The README: an introduction, and a row for each documented value."""
    rows = [
        f"| `{path}` | {_default(default)} | {text} |" for path, default, text in values_documented(chart)
    ]
    return (
        introduction.format(namespace=NAMESPACE, charts=publishing.wanted().charts)
        + VALUES
        + "\n".join(rows)
        + "\n"
    )


def values_documented(chart: Path) -> Iterator[tuple[str, Any, str]]:
    """Path, default and meaning of every value with a comment `# --`, in the order of values.yaml.

    Headings of a group (a comment before a mapping whose own keys are documented) make no row.
    """
    text = (chart / "values.yaml").read_text()
    found: list[tuple[str, str]] = []
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"\s*# (-- )?(.*)", line):
            comment = [match[2]] if match[1] else [*comment, match[2]] if comment else []
        elif match := re.match(r"( *)([A-Za-z]\w*):", line):
            indent = len(match[1])
            parents = [(width, name) for width, name in parents if width < indent]
            parents.append((indent, match[2]))
            if comment:
                found.append((".".join(name for _, name in parents), " ".join(comment)))
            comment = []
        else:
            comment = []
    defaults = yaml.safe_load(text)
    for path, meaning in found:
        if any(other.startswith(f"{path}.") for other, _ in found):
            continue
        value = defaults
        for name in path.split("."):
            value = value[name]
        yield path, value, meaning


def _default(value: Any) -> str:
    """A default as it stands in a table; a structure in one line."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f"`{' '.join(value.split())}`" if value else '`""`'
    return f"`{yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()[0]}`"


if __name__ == "__main__":
    sys.exit(main())
