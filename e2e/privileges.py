"""Whether the operator did with its permissions, and with all of them: told from the API server's audit log.

    python -m e2e.privileges --state DIR        after the scenarios, while the cluster is there

A request that was forbidden is a rule that lacks; a verb of a rule that nothing asked for is one too many.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from e2e.operator import ACCOUNT, KUSTOMIZE, NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The scenarios of AWS give their own operators what the overlay gives beside the base.
RULES = (KUSTOMIZE / "rbac" / "rbac.yaml", KUSTOMIZE / "overlays" / "aws" / "rbac.yaml")
# Admission asks for it when a Job with an owner is created: the cluster's plugin refuses the Job without it, but notes no use.
ASKED_BY_ADMISSION = {"dbupgrades/finalizers"}
# What the operator does with its webhook's Secret; the audit of the scenarios cannot tell it from what it does for AWS.
INSTALLED_ONLY = {"update secrets"}
METRICS = {"custom.metrics.k8s.io", "external.metrics.k8s.io"}


@dataclass(frozen=True)
class Used:
    """What the audit log tells about the operator."""

    allowed: frozenset[str]
    """As `verb resource`, the resource with its subresource."""
    forbidden: frozenset[str]


def used(entries: Iterable[dict[str, Any]]) -> Used:
    """Sort an operator's requests by what the authorizer said."""
    allowed: set[str] = set()
    forbidden: set[str] = set()
    for entry in entries:
        if "objectRef" not in entry:
            continue
        found = entry["objectRef"]
        resource = "/".join(word for word in (found["resource"], found.get("subresource", "")) if word)
        decision = entry.get("annotations", {}).get("authorization.k8s.io/decision")
        (forbidden if decision == "forbid" else allowed).add(f"{entry['verb']} {resource}")
    return Used(frozenset(allowed), frozenset(forbidden))


def granted() -> set[str]:
    """Every verb of every rule, as `verb resource`; rules for metrics are left out, as no name of a metric is known."""
    objects = [obj for file in RULES for obj in yaml.safe_load_all(file.read_text())]
    rules = [rule for obj in objects for rule in obj.get("rules", ())]
    return {
        f"{verb} {resource}"
        for rule in rules
        if not METRICS & set(rule["apiGroups"])
        for resource in rule["resources"]
        if resource not in ASKED_BY_ADMISSION
        for verb in rule["verbs"]
    }


def read(log: Path, namespace: str = NAMESPACE) -> Iterator[dict[str, Any]]:
    """The entries of an audit log about the requests of the operator that lives in a namespace."""
    user = f"system:serviceaccount:{namespace}:{ACCOUNT}"
    with log.open() as lines:
        for line in lines:
            if user in line and (entry := json.loads(line))["user"]["username"] == user:
                yield entry


def main() -> int:
    """Run the command line; 1 when a permission lacks or is too much."""
    parser = argparse.ArgumentParser(prog="python -m e2e.privileges")
    parser.add_argument("--state", type=Path, required=True)
    found = used(read(parser.parse_args().state / "log" / "audit.log"))
    unused = granted() - found.allowed
    for what in sorted(found.forbidden):
        print(f"the operator was not allowed to {what}: a rule lacks")
    for what in sorted(unused):
        print(f"the operator never did {what}: a rule too many, or a scenario too few")
    if found.forbidden or unused:
        return 1
    print(f"the operator used all of its {len(granted())} permissions, and no other")
    return 0


if __name__ == "__main__":
    sys.exit(main())
