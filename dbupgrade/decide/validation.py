"""What is wrong with a spec that the schema lets pass: fields that are right one by one and wrong together.

Contract, section 7. The CRD says the same in CEL where it can (`api.models`); this is for the webhook, and for the
operator when neither CRD nor webhook had a say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from dbupgrade.api.models import Database, DatabaseType, MetricCheck, MetricSource, Spec, TargetType


@dataclass(frozen=True)
class Problem:
    """What is wrong at `field`, a path from the root such as `spec.checks.pre.metrics[0].target.pods`."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def parse(spec: Any) -> tuple[Spec | None, tuple[Problem, ...]]:
    """The spec from JSON, or what is wrong with it; both when it can be read and yet not be meant."""
    try:
        parsed = Spec.model_validate(spec)
    except ValidationError as error:
        return None, tuple(Problem(_path(item["loc"]), item["msg"]) for item in error.errors())
    return parsed, (*database_problems(parsed.database), *check_problems(parsed))


def database_problems(database: Database) -> Iterator[Problem]:
    """Connection and aws must be what the type needs."""
    if database.type is DatabaseType.SELF_HOSTED:
        if database.connection is None:
            yield Problem("spec.database.connection", f"is required for type {database.type}")
        if database.aws is not None:
            yield Problem("spec.database.aws", f"must not be set for type {database.type}")
    elif database.aws is None and database.connection is None:
        yield Problem("spec.database.aws", f"type {database.type} needs either aws or connection")


def check_problems(spec: Spec) -> Iterator[Problem]:
    """Targets must have the block of their type, and a source that serves it."""
    for phase, checks in (("pre", spec.checks.pre.metrics), ("post", spec.checks.post.metrics)):
        for index, check in enumerate(checks):
            path = f"spec.checks.{phase}.metrics[{index}]"
            yield from _source_problems(path, check)
            yield from _target_problems(f"{path}.target", check)


def _source_problems(path: str, check: MetricCheck) -> Iterator[Problem]:
    served = {MetricSource.CUSTOM: TargetType.EXTERNAL, MetricSource.EXTERNAL: TargetType.PODS}
    if check.target.type is served[check.source]:
        yield Problem(f"{path}.source", f"{check.source} does not serve a target of type {check.target.type}")


def _target_problems(path: str, check: MetricCheck) -> Iterator[Problem]:
    target = check.target
    blocks = {
        TargetType.PODS: target.pods,
        TargetType.OBJECT: target.object,
        TargetType.EXTERNAL: target.external,
    }
    for kind, block in blocks.items():
        name = f"{path}.{kind.lower()}"
        if kind is target.type and block is None:
            yield Problem(name, f"is required for a target of type {kind}")
        if kind is not target.type and block is not None:
            yield Problem(name, f"must not be set for a target of type {target.type}")


def _path(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "spec" + "".join(parts)
