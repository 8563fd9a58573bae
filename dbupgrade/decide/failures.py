"""What each failure means: whether it is tried again by itself, and what a person can do.

Rules: contract, section 3.9. A terminal failure stalls the resource; a retried one does not.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from dbupgrade.api.names import digest
from dbupgrade.api.status import Failure

_RETRY_BASE_SECONDS = 10.0
_RETRY_CAP_SECONDS = 300.0


class Retry(Enum):
    """When a failed run is tried again without a change of the resource."""

    BACKOFF = auto()
    SECRET_CHANGE = auto()
    NEVER = auto()


@dataclass(frozen=True)
class Rule:
    """How one failure is treated."""

    retry: Retry
    what: str
    """What happened, for the message."""
    advice: str
    """What a person should do, for the message."""


RULES: dict[Failure, Rule] = {
    Failure.IMAGE_PULL: Rule(
        Retry.BACKOFF,
        "an image of the pod could not be pulled",
        "check spec.migrations.image, the pull secrets and the operator's image settings",
    ),
    Failure.FETCH: Rule(
        Retry.BACKOFF,
        "the migrations could not be fetched from the image",
        "check that spec.migrations.image exists and that the pull secrets allow to read it",
    ),
    Failure.NO_POD: Rule(
        Retry.BACKOFF,
        "no pod was created for the Job",
        "look at the Job's events: a quota, a policy or a missing service account stops it",
    ),
    Failure.UNSCHEDULABLE: Rule(
        Retry.BACKOFF,
        "no node takes the pod",
        "check the resources, nodeSelector, affinity and tolerations of spec.runner",
    ),
    Failure.POD_SETTINGS: Rule(
        Retry.BACKOFF,
        "the pod's containers could not be created",
        "check that the Secret and its key exist, that spec.runner fits this cluster and, with delivery ImageVolume, "
        "that the image has the folder",
    ),
    Failure.JOB_REFUSED: Rule(
        Retry.BACKOFF,
        "the API server refused the Job",
        "a quota or an admission policy stops it: change the policy, or spec.runner to fit it",
    ),
    Failure.SUPERSEDED: Rule(
        Retry.BACKOFF,
        "the run was overtaken before anything was created for it",
        "nothing: what the spec asks for now is run next",
    ),
    Failure.DATABASE_UNREACHABLE: Rule(
        Retry.BACKOFF,
        "the database could not be reached",
        "check host, port and database name in the URL, network policies and that the server runs",
    ),
    Failure.DATABASE_LOCKED: Rule(
        Retry.BACKOFF,
        "somebody else holds the lock on the database",
        "wait for the other migration to end",
    ),
    Failure.TOKEN_REFUSED: Rule(
        Retry.BACKOFF,
        "the database refused the AWS token",
        "check that the database user has IAM authentication (PostgreSQL: GRANT rds_iam), that the role allows "
        "rds-db:connect for it, that IAM authentication is enabled, and the operator's clock",
    ),
    Failure.TLS_FAILED: Rule(
        Retry.BACKOFF,
        "no trusted TLS connection to the database could be made",
        "check spec.database.aws (host, port, dialect) and the certificates in the operator's "
        "aws.caBundleConfigMap",
    ),
    Failure.MISSING_FOLDER: Rule(
        Retry.NEVER, "the image has no such folder", "correct spec.migrations.dir or the image"
    ),
    Failure.EMPTY_FOLDER: Rule(
        Retry.NEVER,
        "the folder holds no migrations",
        "correct spec.migrations.dir or the image: the folder must hold *.sql and, for Atlas, atlas.sum",
    ),
    Failure.UNSAFE_LINK: Rule(
        Retry.NEVER,
        "the folder is a symbolic link, or holds a link that leaves it",
        "put the files themselves into the folder",
    ),
    Failure.FOLDER_TOO_LARGE: Rule(
        Retry.NEVER,
        "the folder is larger than 256 MiB",
        "ship only *.sql and atlas.sum in spec.migrations.dir",
    ),
    Failure.CHECKSUM: Rule(
        Retry.NEVER,
        "atlas.sum is missing or does not match the files",
        "run `atlas migrate hash` on the folder, review the change and build the image again",
    ),
    Failure.AUTHENTICATION: Rule(
        Retry.SECRET_CHANGE,
        "the database refused the user or the password",
        "correct the Secret: the run is tried again when it changes",
    ),
    Failure.CONNECTION_SETTINGS: Rule(
        Retry.SECRET_CHANGE,
        "the database URL does not fit the server",
        "correct the Secret (URL, sslmode): the run is tried again when it changes",
    ),
    Failure.NOT_CLEAN: Rule(
        Retry.NEVER,
        "the database has tables but no migration history",
        "set spec.migrations.baseline to the version that it is at",
    ),
    Failure.TO_BE_ADOPTED: Rule(
        Retry.BACKOFF,
        "the database has tables but no migration history, and nothing was done yet",
        "nothing: the next try adopts it at spec.migrations.baseline",
    ),
    Failure.BASELINE_NOT_FOUND: Rule(
        Retry.NEVER,
        "the folder has no file of the version in spec.migrations.baseline",
        "set spec.migrations.baseline to the version of a file in the image",
    ),
    Failure.HISTORY_DIVERGED: Rule(
        Retry.NEVER,
        "the history in the database does not fit the files of the image",
        "compare the history table with the folder, and ship an image that continues that history",
    ),
    Failure.FILE_CHANGED: Rule(
        Retry.NEVER,
        "a file that was applied has changed since",
        "give the file its former content, and put the change into a new file",
    ),
    Failure.PARTLY_APPLIED: Rule(
        Retry.NEVER,
        "a file that runs without a transaction did not come to its end, and how far it came is not known",
        "look at the database. Then delete the file's row from dbupgrade_migrations to run it again, or set complete = name "
        "in it if all is there; then set the annotation dbupgrade.subbug.learning/retry to a new value",
    ),
    Failure.LINT: Rule(
        Retry.NEVER,
        "nothing was applied, as spec.policy.lint found errors",
        "change the migrations to the safer way, or suppress a finding with a comment that says why "
        "(-- dbupgrade:lint-ignore RULE: REASON), and set the image that carries it; or set spec.policy.lint to warn",
    ),
    Failure.LINT_UNUSABLE: Rule(
        Retry.NEVER,
        "the new migrations could not be linted, and nothing was applied",
        "correct the file that is named and set the image that carries the correction; or set spec.policy.lint to off",
    ),
    Failure.LINT_NOT_DONE: Rule(
        Retry.BACKOFF,
        "the lint ended without a result, and nothing was applied",
        "check the operator's setting toolkitImage, and read the log of the container lint of the Job's pod",
    ),
    Failure.UNUSABLE_FILE: Rule(
        Retry.NEVER,
        "a file cannot be applied as it is",
        "correct the file (one that ends its own transaction: take COMMIT and ROLLBACK out, or begin it with "
        "-- dbupgrade:txmode none) and set the image that carries the correction",
    ),
    Failure.COMMAND: Rule(
        Retry.NEVER,
        "the command failed",
        "read the log of the Job's pod, correct the image or the command; "
        "set the annotation dbupgrade.subbug.learning/retry to a new value to run it again as it is",
    ),
    Failure.SQL: Rule(
        Retry.NEVER,
        "a statement failed",
        "correct the migration and set the image that carries the correction",
    ),
    Failure.OUT_OF_MEMORY: Rule(
        Retry.NEVER,
        "the container was killed because it needed more memory than its limit",
        "raise spec.runner.resources: the run is tried again when it changes",
    ),
    Failure.NOT_STARTED: Rule(
        Retry.BACKOFF,
        "the pod did not begin to migrate before spec.runner.activeDeadlineSeconds",
        "look at the events of the Job's pod",
    ),
    Failure.DEADLINE: Rule(
        Retry.NEVER,
        "the run took longer than spec.runner.activeDeadlineSeconds and was ended",
        "look at what the database is doing, then raise the deadline",
    ),
    Failure.CANCELLED: Rule(
        Retry.NEVER,
        "somebody deleted the Job",
        "set the annotation dbupgrade.subbug.learning/retry to a new value to run it again",
    ),
    Failure.INTERRUPTED: Rule(
        Retry.NEVER,
        "the run was cut off after it had started (its pod vanished, or its connection broke in a statement), and how "
        "it ended is not known",
        "look at the database, then set the annotation dbupgrade.subbug.learning/retry to a new value",
    ),
    Failure.UNKNOWN: Rule(
        Retry.NEVER,
        "the engine failed in a way that the operator does not know",
        "read the log of the Job's pod, then set the annotation dbupgrade.subbug.learning/retry to a new value",
    ),
}


def retry_delay(failure: Failure, attempt: int, uid: str) -> timedelta | None:
    """How long after its end a failed run is tried again by itself; None when it is not.

    Doubles from ten seconds to five minutes. The jitter (up to a fifth) comes from `uid` and `attempt`, so that the
    same run asked twice gives the same answer, also after a restart of the operator.
    """
    if RULES[failure].retry is not Retry.BACKOFF:
        return None
    if failure is Failure.TO_BE_ADOPTED:
        return timedelta(seconds=1)  # there is nothing to wait for
    seconds = min(_RETRY_BASE_SECONDS * 2.0 ** min(attempt - 1, 10), _RETRY_CAP_SECONDS)
    jitter = int(digest(uid, attempt, length=4), 16) / 0xFFFF
    return timedelta(seconds=round(seconds * (1 + jitter / 5), 1))
