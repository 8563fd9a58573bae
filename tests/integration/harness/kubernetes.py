"""Which Kubernetes the API server of the tests is: the newest, or the oldest that is supported with DBUPGRADE_KUBERNETES=1.30."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from e2e.cluster import tools

OLDEST = "1.30"
IS_OLDEST = os.environ.get("DBUPGRADE_KUBERNETES") == OLDEST
# The binaries of another version; envtest uses the same variable.
ASSETS = os.environ.get("KUBEBUILDER_ASSETS")


def binary(name: str) -> str:
    """Path of etcd or kube-apiserver."""
    if ASSETS:
        return str(Path(ASSETS, name))
    return str(tools.binary(f"{name}-{OLDEST}" if IS_OLDEST and name == "kube-apiserver" else name))


def end_of_job(*, succeeded: bool, at: str) -> list[dict[str, Any]]:
    """The conditions of an ended Job, as validation wants them from a Job controller of that version.

    SuccessCriteriaMet goes before Complete, where the oldest has it only for Jobs with a policy for success, and
    FailureTarget goes before Failed.
    """
    if succeeded:
        types = ("Complete",) if IS_OLDEST else ("SuccessCriteriaMet", "Complete")
    else:
        types = ("FailureTarget", "Failed")
    reason = "CompletionsReached" if succeeded else "BackoffLimitExceeded"
    return [{"type": kind, "status": "True", "reason": reason, "lastTransitionTime": at} for kind in types]
