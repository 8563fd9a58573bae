"""Whether the operator did with its permissions, and with all of them: told from the API server's audit log.

    python -m e2e.privileges --state DIR        after the scenarios, while the cluster is there

A request that was forbidden is a rule that lacks; a verb of a rule that nothing asked for is one too many. Asked of the shared
operator with its ClusterRole, and of the operators that scenarios bring, which have Roles in their one namespace. Whether
these use all of it can be told only when every scenario brings one (`make e2e-namespaced`).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from e2e.operator import ACCOUNT, KUSTOMIZE, NAMESPACE, SINGLE_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Admission asks for it when a Job with an owner is created: the cluster's plugin refuses the Job without it, but notes no use.
ASKED_BY_ADMISSION = {"dbupgrades/finalizers"}
# What the operator does with its webhook's Secret when it is replaced: an installation is tried for it.
INSTALLED_ONLY = {"update secrets"}
WEBHOOKS = {"admissionregistration.k8s.io"}
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


def granted_to_shared() -> set[str]:
    """What the one operator of all namespaces may do, with its webhook and its lease."""
    return granted(KUSTOMIZE / "rbac" / "rbac.yaml", {ACCOUNT, f"{ACCOUNT}-own"}, METRICS) - INSTALLED_ONLY


def granted_to_namespaced() -> set[str]:
    """What an operator may do in its one namespace, with AWS; webhook and lease are left to the shared one."""
    single = granted(SINGLE_NAMESPACE / "rbac.yaml", {ACCOUNT}, METRICS | WEBHOOKS)
    return single | granted(KUSTOMIZE / "overlays" / "aws" / "rbac.yaml", {ACCOUNT}, METRICS | WEBHOOKS)


def granted(file: Path, roles: set[str], without: set[str]) -> set[str]:
    """Every verb of every rule of some roles, as `verb resource`; rules about API groups of `without` are left out.

    Metrics always are, as no name of a metric is known.
    """
    rules = [
        rule
        for obj in yaml.safe_load_all(file.read_text())
        if obj["metadata"]["name"] in roles
        for rule in obj.get("rules", ())
    ]
    return {
        f"{verb} {resource}"
        for rule in rules
        if not without & set(rule["apiGroups"])
        for resource in rule["resources"]
        if resource not in ASKED_BY_ADMISSION
        for verb in rule["verbs"]
    }


def read(log: Path, namespace: str = NAMESPACE) -> Iterator[dict[str, Any]]:
    """The entries of an audit log about the requests of the operator that lives in a namespace."""
    return (entry for entry in read_all(log) if home(entry) == namespace)


def read_all(log: Path) -> Iterator[dict[str, Any]]:
    """The entries of an audit log about the requests of operators, wherever they live."""
    with log.open() as lines:
        for line in lines:
            if f":{ACCOUNT}" in line and home(entry := json.loads(line)):
                yield entry


def home(entry: dict[str, Any]) -> str:
    """The namespace of the operator that sent a request; empty when it was somebody else."""
    namespace, _, name = entry["user"]["username"].removeprefix("system:serviceaccount:").partition(":")
    return namespace if name == ACCOUNT else ""


def main() -> int:
    """Run the command line; 1 when a permission lacks or is too much."""
    parser = argparse.ArgumentParser(prog="python -m e2e.privileges")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument(
        "--namespaced", action="store_true", help="the shared operator only served the webhook"
    )
    given = parser.parse_args()
    entries = list(read_all(given.state / "log" / "audit.log"))
    shared = [entry for entry in entries if home(entry) == NAMESPACE]
    namespaced = [entry for entry in entries if home(entry) != NAMESPACE]
    all_of_shared, all_of_namespaced = granted_to_shared(), granted_to_namespaced()
    wrong = [
        *faults("the operator", used(shared), set() if given.namespaced else all_of_shared),
        *faults(
            "an operator for one namespace",
            used(namespaced),
            all_of_namespaced if given.namespaced else set(),
        ),
    ]
    for fault in wrong:
        print(fault)
    if not wrong:
        who = "operators for one namespace" if given.namespaced else "the operator"
        print(f"{who} did all that it may, and nothing was forbidden to any")
    return 1 if wrong else 0


def faults(who: str, found: Used, allowed: set[str]) -> Iterator[str]:
    """What was forbidden, and what was allowed and never done."""
    for what in sorted(found.forbidden):
        yield f"{who} was not allowed to {what}: a rule lacks"
    for what in sorted(allowed - found.allowed):
        yield f"{who} never did {what}: a rule too many, or a scenario too few"


if __name__ == "__main__":
    sys.exit(main())
