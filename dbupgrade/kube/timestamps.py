"""Times as the API server writes and takes them."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """Return a Kubernetes Time: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """Return a Kubernetes MicroTime: UTC, always six digits (the API server refuses fewer)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
