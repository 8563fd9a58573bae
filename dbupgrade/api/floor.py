"""The policies with minimum requirements for the DBUpgrades in selected namespaces. Contract, section 11.

A ValidatingAdmissionPolicy (admissionregistration.k8s.io/v1) for each entry of the chart's value `policies`: the least lint and approval, and
the largest lockTimeout. Creations are looked at, and changes of the spec; what is there already goes on as it is. The chart has `template()`
in a file, and puts its values in the place of the demands.
"""

import json
from dataclasses import dataclass, field

from dbupgrade.api import names
from dbupgrade.api.admission import API_VERSION
from dbupgrade.api.spec.base import quoted
from dbupgrade.api.spec.policy import Approval, LintMode
from dbupgrade.objects import Object

NAME_PREFIX = "dbupgrade-floor-"
_LINTS = quoted((LintMode.OFF, LintMode.WARN, LintMode.ERROR))
_APPROVALS = quoted((Approval.NEVER, Approval.ON_FINDINGS, Approval.ALWAYS))
"""From the least to the most strict."""
_NO_LIMIT = "0s"
_DEFAULT_LOCK_TIMEOUT = "5s"
"""What applies where spec.policy.lockTimeout is absent."""


@dataclass(frozen=True)
class Floor:
    """What the DBUpgrades in the namespaces with some labels must have at least."""

    name: str
    selector: Object = field(default_factory=dict)
    """Of labels of namespaces; without anything, it selects all."""
    lint: LintMode = LintMode.OFF
    approval: Approval = Approval.NEVER
    lock_timeout: str = _NO_LIMIT
    """The largest allowed value; 0s means no requirement."""
    contact: str = ""
    """Whom to ask, in one line."""


def template() -> list[Object]:
    """The policy and its binding, with requirements that every DBUpgrade meets."""
    return floor_policy(Floor("template"))


def floor_policy(floor: Floor) -> list[Object]:
    """The policy and its binding."""
    name = f"{NAME_PREFIX}{floor.name}"
    policy = {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [_RULE]},
            "matchConditions": [
                {
                    "name": "spec",
                    "expression": 'request.operation == "CREATE" || object.spec != oldObject.spec',
                }
            ],
            "variables": [{"name": each, "expression": text} for each, text in _variables(floor).items()],
            "validations": [
                {
                    "expression": expression,
                    "messageExpression": f"{_WHERE} + {message} + {_WHOM}",
                    "reason": "Forbidden",
                }
                for expression, message in _VALIDATIONS
            ],
        },
    }
    binding = {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": floor.selector},
        },
    }
    return [policy, binding]


_RULE = {
    "apiGroups": [names.GROUP],
    "apiVersions": [names.VERSION],
    "operations": ["CREATE", "UPDATE"],
    "resources": [names.PLURAL],
    "scope": "Namespaced",
}


def _variables(floor: Floor) -> dict[str, str]:
    """The requirements, which the chart replaces, and the values of the resource."""
    return {
        "least_lint": json.dumps(floor.lint.value),
        "least_approval": json.dumps(floor.approval.value),
        "longest_wait": json.dumps(floor.lock_timeout),
        "contact": json.dumps(floor.contact),
        "lint": 'object.spec.?policy.?lint.orValue("off")',
        "approval": 'object.spec.?policy.?approval.orValue("Never")',
        "wait": 'object.spec.?policy.?lockTimeout.orValue("")',
        "waits": f'variables.wait == "" ? "{_DEFAULT_LOCK_TIMEOUT}" : variables.wait',
        "engine": 'object.spec.migrations.?engine.orValue("Atlas")',
        "other_engine": 'variables.engine == "Atlas" ? "" : ", which only engine Atlas supports, and not " + variables.engine',
    }


def _at_least(levels: str, found: str, least: str) -> str:
    return f"[{levels}].indexOf(variables.{found}) >= [{levels}].indexOf(variables.{least})"


_WHERE = '"namespace " + request.namespace + " requires "'
_WHOM = '(variables.contact == "" ? "" : ". Ask " + variables.contact)'
_VALIDATIONS: tuple[tuple[str, str], ...] = (
    (
        _at_least(_LINTS, "lint", "least_lint"),
        '"spec.policy.lint " + variables.least_lint + (variables.least_lint == "error" ? "" : " or stricter")'
        ' + variables.other_engine + "; this DBUpgrade has " + variables.lint',
    ),
    (
        _at_least(_APPROVALS, "approval", "least_approval"),
        '"spec.policy.approval " + variables.least_approval + (variables.least_approval == "Always" ? "" : " or stricter")'
        ' + variables.other_engine + "; this DBUpgrade has " + variables.approval',
    ),
    (
        f'variables.longest_wait == "{_NO_LIMIT}" || (duration(variables.waits) > duration("{_NO_LIMIT}")'
        " && duration(variables.waits) <= duration(variables.longest_wait))",
        '"a spec.policy.lockTimeout of at most " + variables.longest_wait + "; this DBUpgrade has "'
        f' + (variables.wait == "" ? "none, which means {_DEFAULT_LOCK_TIMEOUT}" : variables.wait)'
        f' + (duration(variables.waits) == duration("{_NO_LIMIT}") ? ", which means no limit" : "")',
    ),
)
