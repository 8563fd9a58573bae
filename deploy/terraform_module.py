"""What is generated of the Terraform module: its READMEs from the variables, and the operator's own parts of a Job.

Read is only what the module's files really have: blocks at the beginning of a line, attributes indented by two, the layout of
`tofu fmt`.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbupgrade.api import names
from dbupgrade.api.run import Run
from dbupgrade.decide.observed import resource_from
from dbupgrade.pod.container import UNREACHABLE_EXIT_CODE
from dbupgrade.pod.context import JobSettings
from dbupgrade.pod.folder import FILES, WORK_PATH
from dbupgrade.pod.job import AUTHORITY_FILE, AUTHORITY_PATH, job
from dbupgrade.pod.steps.fetch import PULL_SECRETS_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE = Path(__file__).parent / "terraform"
THREE_DATABASES = MODULE / "compat" / "three-databases"
PARTS = MODULE / "files" / "operator.json"
RUNNER_VARIABLES = ("MIGRATION_DIR", "MIGRATE_ENGINE", "MIGRATE_FORMAT")
RUN_ONLY = (names.ANNOTATION_RUN_ID, names.ANNOTATION_SEQUENCE, names.ANNOTATION_RESOURCE)


@dataclass(frozen=True)
class Block:
    """A variable or an output, with its attributes as they are written."""

    kind: str
    name: str
    attributes: dict[str, str]

    @property
    def description(self) -> str:
        """The description as Markdown."""
        text = self.attributes["description"]
        if text.startswith("<<-"):
            return textwrap.dedent("\n".join(text.splitlines()[1:-1]))
        return str(json.loads(text))


def files() -> Iterator[tuple[Path, str]]:
    """Every generated file and what has to be in it."""
    yield PARTS, json.dumps(operator_parts(), indent=2) + "\n"
    for folder in (MODULE, THREE_DATABASES):
        yield folder / "README.md", readme(folder)


# --- the operator's parts of a Job -----------------------------------------------------------------------------------


def operator_parts() -> dict[str, Any]:
    """What mode `job` takes from the operator, so that its pods have the same security context and run the same commands."""
    atlas = _sample_job()
    template, spec = atlas["spec"]["template"], atlas["spec"]["template"]["spec"]
    (fetching,), (migrating,) = spec["initContainers"], spec["containers"]
    own = ("securityContext", "terminationMessagePolicy", "imagePullPolicy")
    annotations = {
        name: value for name, value in template["metadata"]["annotations"].items() if name not in RUN_ONLY
    }
    return {
        "job": {key: atlas["spec"][key] for key in ("podReplacementPolicy", "podFailurePolicy")},
        "podLabels": {"sidecar.istio.io/inject": "false"},
        "podAnnotations": annotations,
        "pod": {
            key: value
            for key, value in spec.items()
            if key not in ("initContainers", "containers", "volumes")
        },
        "container": {key: migrating[key] for key in own},
        "fetchCommand": fetching["command"],
        "runnerArguments": migrating["args"],
        "runnerVariables": {
            each["name"]: each["value"] for each in migrating["env"] if each["name"] in RUNNER_VARIABLES
        },
        "temporaryVolume": next(volume for volume in spec["volumes"] if volume["name"] == "tmp"),
        "authority": {"path": AUTHORITY_PATH, "file": AUTHORITY_FILE},
        "unreachableExitCode": UNREACHABLE_EXIT_CODE,
        "files": FILES,
        "workPath": WORK_PATH,
        "pullSecretsPath": PULL_SECRETS_PATH,
    }


def _sample_job() -> dict[str, Any]:
    login = {"userSecretRef": {"name": "sample"}, "passwordSecretRef": {"name": "sample"}}
    database = {"type": "selfHosted", "connection": {"host": "host.sample", "database": "sample", **login}}
    resource = resource_from(
        {
            "metadata": {"name": "sample", "namespace": "sample", "uid": "sample"},
            "spec": {
                "migrations": {"image": "sample"},
                "database": database,
            },
        }
    )
    run = Run(
        job_name="sample",
        sequence=1,
        run_id="sample",
        image="sample",
        generation=1,
        started_at=datetime.fromtimestamp(0, UTC),
    )
    settings = JobSettings(crane_image="sample", runner_image="sample")
    return job(resource, run, settings)


# --- READMEs ---------------------------------------------------------------------------------------------------------


def readme(folder: Path) -> str:
    """The introduction of the folder, then its variables and outputs."""
    blocks = list(_blocks(folder))
    introduction = (folder / "introduction.md").read_text()
    variables = "\n".join(_variable(block) for block in blocks if block.kind == "variable")
    outputs = "\n".join(
        f"| `{block.name}` | {block.description} |" for block in blocks if block.kind == "output"
    )
    return (
        f"{introduction}\n## Variables\n\n{variables}\n"
        f"## Outputs\n\n| output | |\n|---|---|\n{outputs}\n\n"
        "This file is made from `introduction.md` and the descriptions in the `.tf` files by `make manifests`.\n"
    )


def _variable(block: Block) -> str:
    default = block.attributes.get("default", "")
    head = f"### {block.name}\n\n{block.description.strip()}\n"
    kind = block.attributes["type"]
    if "\n" not in kind and "\n" not in default:
        return f"{head}\n`{kind}`, {f'default `{default}`' if default else 'required'}\n"
    shown = f"type = {kind}\n" + (f"default = {default}\n" if default else "")
    return f"{head}\n```hcl\n{shown}```\n"


def _blocks(folder: Path) -> Iterator[Block]:
    for name in ("variables.tf", "outputs.tf"):
        text = (folder / name).read_text()
        for found in re.finditer(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL):
            yield Block(found[1], found[2], dict(_attributes(found[3])))


def _attributes(body: str) -> Iterator[tuple[str, str]]:
    """Name and value of each attribute; a value goes on as long as the lines are indented more, or close it."""
    name = ""
    lines: list[str] = []
    for line in body.splitlines():
        if start := re.match(r"  (\w+) += (.*)", line):
            if name:
                yield name, "\n".join(lines)
            name, lines = start[1], [start[2]]
        elif name and (re.match(r"    |  [\])}E]", line) or (not line and lines[0].startswith("<<-"))):
            lines.append(line[2:])
        elif name:
            yield name, "\n".join(lines)
            name = ""
    if name:
        yield name, "\n".join(lines)
