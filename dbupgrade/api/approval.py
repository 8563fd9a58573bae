"""The policy that determines who may approve a plan. Contract, section 11.

A ValidatingAdmissionPolicy (admissionregistration.k8s.io/v1) asks the API server's authorizer for the verb `approve` on dbupgrades. It holds
without the operator, and for whoever else may write DBUpgrades. Deleting a DBUpgrade and creating it with approval Never is not an approval;
the policies of a namespace (chart value `policies`) keep that away.
"""

from dbupgrade.api import names
from dbupgrade.api.admission import API_VERSION, binding
from dbupgrade.api.confinement import ACCOUNT
from dbupgrade.api.spec.base import quoted
from dbupgrade.api.spec.policy import Approval
from dbupgrade.objects import Object

POLICY_NAME = "dbupgrade-approval"
VERB = "approve"
_STRICTEST = (Approval.NEVER, Approval.ON_FINDINGS, Approval.ALWAYS)
_UPDATES = 'request.operation == "UPDATE"'
_STATUS = 'request.?subResource.orValue("") == "status"'
REASON_LENGTH = 512
"""Characters of the reason of a rejection, at most."""
_PLAN = "sha256:[0-9a-f]{64}"
_SAYS = rf"^(approve {_PLAN} [^\n]+|reject {_PLAN} [^\n]+(\n[^\n]{{1,{REASON_LENGTH}}})?)$"


def _annotation(holder: str) -> str:
    return f'{holder}.metadata.?annotations[?"{names.ANNOTATION_APPROVAL}"].orValue("")'


def _level(holder: str) -> str:
    return f'[{quoted(_STRICTEST)}].indexOf({holder}.spec.?policy.?approval.orValue("Never"))'


def _before(expression: str, otherwise: str) -> str:
    return f"{_UPDATES} ? {expression} : {otherwise}"


_VARIABLES: tuple[tuple[str, str], ...] = (
    ("said", _annotation("object")),
    ("said_before", _before(_annotation("oldObject"), '""')),
    ("plan", 'object.spec.?policy.?approvedPlan.orValue("")'),
    ("plan_before", _before('oldObject.spec.?policy.?approvedPlan.orValue("")', '""')),
    ("level", _level("object")),
    ("level_before", _before(_level("oldObject"), "0")),
    ("size", 'object.spec.?policy.?approvalAbove.orValue("1Gi")'),
    ("size_before", _before('oldObject.spec.?policy.?approvalAbove.orValue("1Gi")', '"1Gi"')),
    ("says", 'variables.said != "" && variables.said != variables.said_before'),
    (
        "approves",
        'variables.says || (variables.plan != "" && variables.plan != variables.plan_before)'
        " || variables.level < variables.level_before"
        " || (variables.level == 1 && quantity(variables.size).compareTo(quantity(variables.size_before)) > 0)",
    ),
    (
        "may_approve",
        f'authorizer.group("{names.GROUP}").resource("{names.PLURAL}").namespace(request.namespace)'
        f'.name(object.metadata.?name.orValue("")).check("{VERB}").allowed()',
    ),
)
_WHO = '"user " + request.userInfo.username + " may not approve plans in namespace " + request.namespace'
_WHAT = (
    f' + ": this requires the verb {VERB} on {names.PLURAL}.{names.GROUP} (ClusterRole dbupgrade-approver), because it sets the annotation'
    f' {names.ANNOTATION_APPROVAL} or spec.policy.approvedPlan, lowers spec.policy.approval or raises approvalAbove"'
)


def approval_policy(account: str = ACCOUNT) -> list[Object]:
    """The policy and its binding; only `account`, the operator's user name, may write the plan in a status."""
    validations = [
        {
            "expression": f"{_STATUS} || !variables.approves || variables.may_approve",
            "messageExpression": _WHO + _WHAT,
            "reason": "Forbidden",
        },
        {
            "expression": f'{_STATUS} || !variables.says || (variables.said.matches("{_SAYS}")'
            ' && variables.said.split("\\n", 2)[0].split(" ", 3)[2] == request.userInfo.username)',
            "messageExpression": f'"the annotation {names.ANNOTATION_APPROVAL} must be `approve DIGEST USER` or `reject DIGEST USER`, '
            'with the digest in status.plan and your own user name, " + request.userInfo.username + "'
            f'; a second line may have the reason of a rejection (at most {REASON_LENGTH} characters)"',
            "reason": "Forbidden",
        },
        {
            "expression": f"!({_STATUS}) || request.userInfo.username == variables.account"
            " || object.?status.?plan == oldObject.?status.?plan",
            "message": "only the operator may change status.plan, because people approve what it shows",
            "reason": "Forbidden",
        },
    ]
    policy = {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": POLICY_NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [_RULE]},
            "variables": [
                {"name": name, "expression": expression}
                for name, expression in (*_VARIABLES, ("account", f'"{account}"'))
            ],
            "validations": validations,
        },
    }
    return [policy, binding(POLICY_NAME)]


_RULE = {
    "apiGroups": [names.GROUP],
    "apiVersions": [names.VERSION],
    "operations": ["CREATE", "UPDATE"],
    "resources": [names.PLURAL, f"{names.PLURAL}/status"],
    "scope": "Namespaced",
}
