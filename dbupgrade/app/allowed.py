"""What the operator's settings allow the pods of runs, for the controller and the webhook alike."""

from dbupgrade.decide.platform import Platform
from dbupgrade.settings import Settings


def platform(settings: Settings) -> Platform:
    """What pods may claim."""
    return Platform(
        settings.allowed_pod_annotations,
        settings.allowed_pod_labels,
        settings.allowed_priority_classes,
    )
