"""The policy that limits the operator to what it needs: somebody who takes over its account can only run migrations.

RBAC can only say that the account may create Jobs. This ValidatingAdmissionPolicy (admissionregistration.k8s.io/v1) says
which: Jobs that belong to a DBUpgrade, whose pods pass Pod Security "restricted" and carry no token of a service account. Of
what exists it may change little: the time for which such a Job is kept, Secrets of its own, the caBundle of its webhook.
It cannot see whether the owner exists, nor what a service account that a pod names may do.
"""

from collections.abc import Iterator

from dbupgrade.api import names
from dbupgrade.api.admission import API_VERSION, binding
from dbupgrade.api.spec.base import quoted
from dbupgrade.objects import Object

POLICY_NAME = "dbupgrade-operator"
ACCOUNT = "system:serviceaccount:dbupgrade-system:dbupgrade-operator"
"""The operator's user name; the chart puts its own in its place."""

_RESOURCES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("batch", "jobs", ("CREATE", "UPDATE", "DELETE")),
    ("", "secrets", ("CREATE", "UPDATE", "DELETE")),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", ("CREATE", "UPDATE", "DELETE")),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", ("CREATE", "UPDATE", "DELETE")),
)

_HOST = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")
_VOLUMES = ("emptyDir", "secret", "downwardAPI", "image")
_SECRET_TYPES = ("Opaque", "kubernetes.io/tls")
"""One for the token of a service account would let its creator read that token."""
_WRITTEN_BY_SERVER = ("resourceVersion", "generation", "managedFields")


def _owned(resource: str) -> str:
    owner = f'o.apiVersion.startsWith("{names.GROUP}/") && o.kind == "{names.KIND}" && has(o.controller) && o.controller'
    return f"(has({resource}.metadata.ownerReferences) && {resource}.metadata.ownerReferences.exists(o, {owner}))"


def _same(new: str, old: str, but: tuple[str, ...]) -> str:
    """Whether two objects have the same fields with the same values, except for some; `dyn`, as a type cannot be walked."""
    one_way = "dyn({0}).all(k, k in [{2}] || (k in dyn({1}) && dyn({0})[k] == dyn({1})[k]))"
    other_way = "dyn({1}).all(k, k in [{2}] || k in dyn({0}))"
    return f"{one_way} && {other_way}".format(new, old, quoted(but))


def _absent(holder: str, *fields: str) -> str:
    return " && ".join(f"!has({holder}.{field})" for field in fields)


def _when(condition: str, expression: str) -> str:
    return f"!({condition}) || ({expression})"


# --- Jobs -------------------------------------------------------------------------------------------------------------

_CREATES_JOB = "variables.creates_job"
_POD = "variables.pod"
_JOB: tuple[tuple[str, str], ...] = (
    (_owned("object"), f"a Job must belong to a {names.KIND}"),
    (
        f"has({_POD}.automountServiceAccountToken) && !{_POD}.automountServiceAccountToken",
        "the pod must not mount a service account's token",
    ),
    (
        "variables.volumes.all(v, "
        + " || ".join(f"has(v.{kind})" for kind in _VOLUMES)
        + " || (has(v.projected) && v.projected.sources.all(s, has(s.secret))))",
        f"the pod may have volumes of {', '.join(_VOLUMES)} and projected Secrets only",
    ),
    (
        " && ".join(f"(!has({_POD}.{name}) || !{_POD}.{name})" for name in _HOST),
        f"the pod must not use {', '.join(_HOST)}",
    ),
    (
        _absent(_POD, "nodeName", "resourceClaims", "ephemeralContainers"),
        "the pod must not select its node or claim devices",
    ),
    (
        f"has({_POD}.securityContext) && has({_POD}.securityContext.runAsNonRoot) && {_POD}.securityContext.runAsNonRoot"
        f" && (!has({_POD}.securityContext.runAsUser) || {_POD}.securityContext.runAsUser != 0)",
        "the pod must run as a user that is not root",
    ),
    (
        f'has({_POD}.securityContext.seccompProfile) && {_POD}.securityContext.seccompProfile.type == "RuntimeDefault"',
        "the pod must have the seccomp profile RuntimeDefault",
    ),
    (
        _absent(f"{_POD}.securityContext", "appArmorProfile", "seLinuxOptions", "sysctls", "windowsOptions")
        + " && variables.annotations.all(k, !k.startsWith('container.apparmor.security.beta.kubernetes.io/')"
        " && !k.startsWith('container.seccomp.security.alpha.kubernetes.io/') && k != 'seccomp.security.alpha.kubernetes.io/pod')",
        "the pod must not have AppArmor, SELinux, sysctl or Windows settings",
    ),
    (
        "variables.containers.all(c, has(c.securityContext)"
        " && has(c.securityContext.allowPrivilegeEscalation) && !c.securityContext.allowPrivilegeEscalation"
        " && (!has(c.securityContext.privileged) || !c.securityContext.privileged)"
        " && (!has(c.securityContext.runAsNonRoot) || c.securityContext.runAsNonRoot)"
        " && (!has(c.securityContext.runAsUser) || c.securityContext.runAsUser != 0)"
        f" && {_absent('c.securityContext', 'seccompProfile', 'appArmorProfile', 'seLinuxOptions', 'procMount', 'windowsOptions')}"
        ' && has(c.securityContext.capabilities) && has(c.securityContext.capabilities.drop) && "ALL" in c.securityContext.capabilities.drop'
        " && !has(c.securityContext.capabilities.add)"
        " && (!has(c.ports) || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0)))",
        "every container must drop ALL capabilities, and must not be privileged, add capabilities or use host ports",
    ),
)
_EXISTING_JOB: tuple[tuple[str, str], ...] = (
    (
        _when(
            'variables.kind == "jobs" && request.operation != "CREATE"',
            _owned("oldObject"),
        ),
        f"only Jobs of a {names.KIND} may be changed or deleted",
    ),
    (
        _when(
            'variables.kind == "jobs" && request.operation == "UPDATE"',
            _same("object.metadata", "oldObject.metadata", _WRITTEN_BY_SERVER)
            + " && "
            + _same("object.spec", "oldObject.spec", ("ttlSecondsAfterFinished",)),
        ),
        "only ttlSecondsAfterFinished of a Job may be changed",
    ),
)

# --- what else the account may write ----------------------------------------------------------------------------------

_OWN_NAMESPACE = 'request.userInfo.username.startsWith("system:serviceaccount:" + request.namespace + ":")'
_SECRETS: tuple[tuple[str, str], ...] = (
    (
        _when(
            'variables.kind == "secrets" && request.operation != "CREATE"',
            f"{_owned('oldObject')} || {_OWN_NAMESPACE}",
        ),
        f"only Secrets of a {names.KIND}, or of the operator's own namespace, may be changed or deleted",
    ),
    (
        _when(
            'variables.kind == "secrets" && request.operation != "DELETE"',
            f"({_owned('object')} || {_OWN_NAMESPACE}) && object.type in [{quoted(_SECRET_TYPES)}]",
        ),
        f"a Secret must belong to a {names.KIND}, or be in the operator's own namespace, and be of type {' or '.join(_SECRET_TYPES)}",
    ),
)
_OURS = f'has(w.rules) && w.rules.all(r, r.apiGroups.all(g, g == "{names.GROUP}"))'
_CONFIGURATIONS: tuple[tuple[str, str], ...] = (
    (
        _when(
            'variables.kind.endsWith("webhookconfigurations")',
            'variables.kind == "validatingwebhookconfigurations" && request.operation == "UPDATE"'
            f" && oldObject.webhooks.all(w, {_OURS})"
            " && object.webhooks.size() == oldObject.webhooks.size()"
            f" && {_same('object.metadata', 'oldObject.metadata', _WRITTEN_BY_SERVER)}"
            " && object.webhooks.all(w, oldObject.webhooks.exists(o, o.name == w.name"
            f" && {_same('w', 'o', ('clientConfig',))}"
            f" && {_same('w.clientConfig', 'o.clientConfig', ('caBundle',))}))",
        ),
        f"only the caBundle of a webhook for {names.KIND}s may be changed",
    ),
)
_VARIABLES: tuple[tuple[str, str], ...] = (
    ("kind", "request.resource.resource"),
    ("creates_job", 'variables.kind == "jobs" && request.operation == "CREATE"'),
    ("pod", "object.spec.template.spec"),
    (
        "annotations",
        "has(object.spec.template.metadata) && has(object.spec.template.metadata.annotations)"
        " ? object.spec.template.metadata.annotations : {}",
    ),
    ("volumes", "has(variables.pod.volumes) ? variables.pod.volumes : []"),
    (
        "containers",
        "variables.pod.containers + (has(variables.pod.initContainers) ? variables.pod.initContainers : [])",
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
            "matchConstraints": {"resourceRules": [_resource_rule(*each) for each in _RESOURCES]},
            "matchConditions": [
                {"name": "operator", "expression": f'request.userInfo.username == "{account}"'}
            ],
            "variables": [{"name": name, "expression": expression} for name, expression in _VARIABLES],
            "validations": [
                {"expression": expression, "message": message, "reason": "Forbidden"}
                for expression, message in _rules()
            ],
        },
    }
    return [policy, binding(POLICY_NAME)]


def _rules() -> Iterator[tuple[str, str]]:
    yield from ((_when(_CREATES_JOB, expression), message) for expression, message in _JOB)
    yield from (*_EXISTING_JOB, *_SECRETS, *_CONFIGURATIONS)


def _resource_rule(group: str, resource: str, operations: tuple[str, ...]) -> Object:
    return {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": list(operations),
        "resources": [resource],
    }
