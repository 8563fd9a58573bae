"""How the API server protects DBUpgrades: the configuration of the webhook, and a policy for deletions.

Both are generated, as the CRD is, so that they cannot drift from what the operator does. The policy holds a deletion back
also where the webhook is down or not installed (admissionregistration.k8s.io/v1).
"""

from dbupgrade.api import lock, names
from dbupgrade.objects import Object

API_VERSION = "admissionregistration.k8s.io/v1"
WEBHOOK_NAME = "vdbupgrade.kb.io"
DELETION_WEBHOOK_NAME = "vdbupgrade-delete.kb.io"
CONFIGURATION_NAME = "dbupgrade-webhook"
POLICY_NAME = "dbupgrade-deletion"
TIMEOUT_SECONDS = 10


def webhook_configuration(client: Object, name: str = CONFIGURATION_NAME) -> Object:
    """The ValidatingWebhookConfiguration; `client` is where the webhook is, without the path and the caBundle."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            # A dead operator must block no namespace's end, so deletions are an entry of their own.
            _webhook(WEBHOOK_NAME, client, "Fail", "CREATE", "UPDATE"),
            _webhook(DELETION_WEBHOOK_NAME, client, "Ignore", "DELETE"),
        ],
    }


def in_cluster_client(namespace: str, service: str) -> Object:
    """The clientConfig of a webhook behind a Service."""
    return {"service": {"namespace": namespace, "name": service, "path": names.WEBHOOK_PATH, "port": 443}}


def deletion_policy() -> list[Object]:
    """The ValidatingAdmissionPolicy and its binding."""
    old = "oldObject"
    allowed = (
        f"!{lock.active(old)}",
        f'{old}.metadata.?annotations[?"{names.ANNOTATION_FORCE_DELETE}"].orValue("") == "true"',
        f"has({old}.metadata.deletionTimestamp)",
        "has(namespaceObject.metadata.deletionTimestamp)",
    )
    policy = {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": POLICY_NAME},
        "spec": {
            "failurePolicy": "Ignore",
            "matchConstraints": {"resourceRules": [_resource_rule("DELETE")]},
            "validations": [
                {
                    "expression": " || ".join(allowed),
                    "messageExpression": lock.message(lock.DELETION_LOCKED, old),
                    "reason": "Forbidden",
                }
            ],
        },
    }
    return [policy, binding(POLICY_NAME)]


def binding(policy: str) -> Object:
    """What puts a policy in force everywhere: it denies."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": policy},
        "spec": {"policyName": policy, "validationActions": ["Deny"]},
    }


def _webhook(name: str, client: Object, failure_policy: str, *operations: str) -> Object:
    return {
        "name": name,
        "clientConfig": client,
        "rules": [_resource_rule(*operations)],
        "failurePolicy": failure_policy,
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
        "admissionReviewVersions": ["v1"],
    }


def _resource_rule(*operations: str) -> Object:
    return {
        "apiGroups": [names.GROUP],
        "apiVersions": [names.VERSION],
        "operations": list(operations),
        "resources": [names.PLURAL],
        "scope": "Namespaced",
    }
