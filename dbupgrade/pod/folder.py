"""The folder of migrations in a pod: extracted from the image, or the image itself as a volume."""

from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.migrations import Delivery
from dbupgrade.objects import Object

WORK_PATH = "/work"
"""Where the fetch has the volume that it extracts into."""
FILES = "files"
"""The folder of that volume which holds what was extracted, as deep as it was in the image."""
MIGRATIONS_PATH = "/migrations"
DIGEST = "digest"
"""The file of that volume which holds the digest of the image."""
DIGEST_PATH = "/image-digest"
_WORK_SIZE = "512Mi"


def path(spec: Spec) -> str:
    """The folder's path in the image."""
    return spec.migrations.dir.rstrip("/")


def volume(spec: Spec) -> Object:
    """The volume that holds the folder."""
    if spec.migrations.delivery is Delivery.EXTRACT:
        return {"name": "work", "emptyDir": {"sizeLimit": _WORK_SIZE}}
    return {"name": "work", "image": {"reference": spec.migrations.image, "pullPolicy": "IfNotPresent"}}


def mount(spec: Spec) -> Object:
    """The folder, wherever it was put, at `MIGRATIONS_PATH`."""
    inside = path(spec).lstrip("/")
    below = f"{FILES}/{inside}" if spec.migrations.delivery is Delivery.EXTRACT else inside
    return {"name": "work", "subPath": below, "mountPath": MIGRATIONS_PATH, "readOnly": True}


def digest_mount(spec: Spec) -> list[Object]:
    """The digest of the image, which the fetch step stores; with an image volume, it is not known."""
    if spec.migrations.delivery is not Delivery.EXTRACT:
        return []
    return [{"name": "work", "subPath": DIGEST, "mountPath": DIGEST_PATH, "readOnly": True}]
