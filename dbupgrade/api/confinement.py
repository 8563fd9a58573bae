"""The policy that holds the operator to what it does: whoever takes over its account gains no more than migrations.

RBAC can only say that the account may create Jobs. This ValidatingAdmissionPolicy (admissionregistration.k8s.io/v1) says
which: Jobs that belong to a DBUpgrade, whose pods pass Pod Security "restricted" and carry no token of a service account.
It cannot see whether the owner exists, nor what a service account that a pod names may do. Configurations of webhooks are
exempt from admission policies (https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/), so
RBAC alone bounds those, by name.
"""

from dbupgrade.api import names
from dbupgrade.api.admission import API_VERSION
from dbupgrade.objects import Object

POLICY_NAME = "dbupgrade-operator"
ACCOUNT = "system:serviceaccount:dbupgrade-system:dbupgrade-operator"
"""The operator's user name; the chart puts its own in its place."""

_OWNER = f'o.apiVersion.startsWith("{names.GROUP}/") && o.kind == "{names.KIND}" && has(o.controller) && o.controller'
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_VOLUMES = ("emptyDir", "secret", "downwardAPI", "image")
_RULES: tuple[tuple[str, str], ...] = (
    (
        f"has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, {_OWNER})",
        f"a Job must belong to a {names.KIND}",
    ),
    (
        "has(variables.pod.automountServiceAccountToken) && !variables.pod.automountServiceAccountToken",
        "the pod must not mount a service account's token",
    ),
    (
        "variables.volumes.all(v, "
        + " || ".join(f"has(v.{kind})" for kind in _VOLUMES)
        + " || (has(v.projected) && v.projected.sources.all(s, has(s.secret))))",
        f"the pod may have volumes of {', '.join(_VOLUMES)} and projected Secrets only",
    ),
    (
        " && ".join(f"(!has(variables.pod.{name}) || !variables.pod.{name})" for name in _HOST),
        f"the pod must not use {', '.join(_HOST)}",
    ),
    (
        "has(variables.pod.securityContext) && has(variables.pod.securityContext.runAsNonRoot)"
        " && variables.pod.securityContext.runAsNonRoot",
        "the pod must run as a user that is not root",
    ),
    (
        'has(variables.pod.securityContext.seccompProfile) && variables.pod.securityContext.seccompProfile.type == "RuntimeDefault"',
        "the pod must have the seccomp profile RuntimeDefault",
    ),
    (
        "variables.containers.all(c, has(c.securityContext)"
        " && has(c.securityContext.allowPrivilegeEscalation) && !c.securityContext.allowPrivilegeEscalation"
        " && (!has(c.securityContext.privileged) || !c.securityContext.privileged)"
        " && (!has(c.securityContext.runAsNonRoot) || c.securityContext.runAsNonRoot)"
        " && (!has(c.securityContext.runAsUser) || c.securityContext.runAsUser != 0)"
        " && !has(c.securityContext.seccompProfile)"
        ' && has(c.securityContext.capabilities) && has(c.securityContext.capabilities.drop) && "ALL" in c.securityContext.capabilities.drop'
        " && !has(c.securityContext.capabilities.add)"
        " && (!has(c.ports) || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0)))",
        "every container must drop ALL capabilities and have no privileges of its own",
    ),
)


def operator_policy(account: str = ACCOUNT) -> list[Object]:
    """The policy for the operator's account, a user name, and its binding."""
    policy = {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": POLICY_NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["batch"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["jobs"],
                    }
                ]
            },
            "matchConditions": [
                {"name": "operator", "expression": f'request.userInfo.username == "{account}"'}
            ],
            "variables": [
                {"name": "pod", "expression": "object.spec.template.spec"},
                {"name": "volumes", "expression": "has(variables.pod.volumes) ? variables.pod.volumes : []"},
                {
                    "name": "containers",
                    "expression": "variables.pod.containers"
                    " + (has(variables.pod.initContainers) ? variables.pod.initContainers : [])",
                },
            ],
            "validations": [
                {"expression": expression, "message": message, "reason": "Forbidden"}
                for expression, message in _RULES
            ],
        },
    }
    binding = {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": POLICY_NAME},
        "spec": {"policyName": POLICY_NAME, "validationActions": ["Deny"]},
    }
    return [policy, binding]
