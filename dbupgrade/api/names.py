"""Names that others rely on: API group, labels, annotations, and the names of Jobs and databases."""

import hashlib

GROUP = "dbupgrade.subbug.learning"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "DBUpgrade"
PLURAL = "dbupgrades"
SINGULAR = "dbupgrade"
SHORT_NAME = "dbu"

LABEL_UID = f"{GROUP}/uid"
"""On Jobs and pods: uid of the resource; the operator watches only objects that carry it."""
LABEL_DATABASE = f"{GROUP}/database"
"""On Jobs and pods: :func:`database_label` of the database that the run works on."""
ANNOTATION_RUN_ID = f"{GROUP}/run-id"
ANNOTATION_SEQUENCE = f"{GROUP}/sequence"
ANNOTATION_RESOURCE = f"{GROUP}/resource"
"""On Jobs and pods: name of the resource (a label value could not hold 253 characters)."""
ANNOTATION_RETRY = f"{GROUP}/retry"
ANNOTATION_APPROVAL = f"{GROUP}/approval"
"""`approve DIGEST USER` or `reject DIGEST USER`, the latter with a reason on a second line: what a person says of the plan in the status."""
CONDITION_SERVES = f"{GROUP}/serves"
"""A condition that a pod of a run never has."""
ANNOTATION_FORCE_DELETE = f"{GROUP}/force-delete"
"""Set to "true" by a user: the resource may be deleted while a run is active."""

WEBHOOK_PATH = "/validate-dbupgrade-subbug-learning-v1alpha1-dbupgrade"

CONTAINER_MIGRATE = "migrate"

_JOB_NAME_LENGTH = 63  # the Job controller copies the name into a label of each pod
_HASH_LENGTH = 10


def digest(*parts: object, length: int) -> str:
    """Hexadecimal digest of `length` characters over `parts`, unambiguous about where each part ends."""
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def job_name(resource: str, uid: str, sequence: int) -> str:
    """Name of a run's Job: a readable prefix and a hash of uid and sequence, at most 63 characters.

    `resource` may be any legal name (253 characters, with dots). The same uid and sequence give the same name,
    so that a run which is created twice meets its own Job.
    """
    prefix = resource.replace(".", "-")[: _JOB_NAME_LENGTH - _HASH_LENGTH - 1].rstrip("-")
    return f"{prefix}-{digest(uid, sequence, length=_HASH_LENGTH)}"


def token_secret(job: str) -> str:
    """Name of the Secret with the database URL of a run that authenticates with a token."""
    return f"{job}-token"


def database_label(identity: tuple[str, ...]) -> str:
    """Label value for a database's identity (see `identity.database_identity`)."""
    return digest(*identity, length=32)
