"""The one table of failures: for each, whether the run is retried, what is said about it, and which codes it has.

The conditions, the Events, `kubectl dbupgrade explain`, the exit codes of `dbupgrade migrate` and the table in
docs/status.md all come from it. Rules: contract, section 3.9.
"""

from dataclasses import dataclass
from enum import Enum

from dbupgrade.api import names
from dbupgrade.api.conditions import Reason
from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.failure import Failure

_RETRY_BASE_SECONDS = 10.0
_SECRET_BASE_SECONDS = 30.0
_ANY_SECRET = "the Secret"  # noqa: S105 - words, not a secret


class Retry(Enum):
    """When a failed run is retried without a change of the resource; the value is how the documentation says it."""

    BACKOFF = "automatically"
    SECRET_CHANGE = "when the Secret changes"  # noqa: S105 - words, not a secret
    APPROVAL = "when the plan is approved"
    NEVER = "no"


@dataclass(frozen=True)
class FailureKind:
    """One row of the table.

    `what` completes "CLASS: …" or "CLASS in FILE: …", without a full stop; `advice` consists of sentences, in which `{secret}` is the Secret
    with the credentials. `reason` is that of the conditions. `event` is None when nothing went wrong that anybody
    should hear of. `result` is the label of the metric dbupgrade_runs_total.
    """

    retry: Retry
    what: str
    advice: str
    reason: Reason = Reason.JOB_FAILED
    event: str | None = "MigrationFailed"
    result: str = "Failed"
    exit_code: ExitCode = ExitCode.OTHER
    first_delay: float = _RETRY_BASE_SECONDS
    """Seconds before the first automatic retry; the delay doubles with each."""

    def advise(self, secret: str | None = None) -> str:
        """The advice for a resource whose credentials are in the Secret of that name."""
        return _capitalised(self.advice.format(secret=f"Secret {secret}" if secret else _ANY_SECRET))


RETRY_BY_HAND = (
    f"set the annotation {names.ANNOTATION_RETRY} to a new value, or use `kubectl dbupgrade retry`"
)
"""How to request a retry manually, as a part of a sentence."""

KINDS: dict[Failure, FailureKind] = {
    Failure.IMAGE_PULL: FailureKind(
        Retry.BACKOFF,
        "an image of the pod could not be pulled",
        "Check spec.migrations.image, the pull secrets and the images in the operator's settings.",
    ),
    Failure.FETCH: FailureKind(
        Retry.BACKOFF,
        "the migrations could not be fetched from the image",
        "Check that spec.migrations.image exists and that the pull secrets grant access to it.",
    ),
    Failure.ATLAS_UNUSABLE: FailureKind(
        Retry.BACKOFF,
        "the `atlas` executable cannot be used",
        "Correct the operator's setting atlasImage: the image must contain an executable `atlas` for the node's architecture, at "
        "/atlas, /usr/local/bin/atlas, /usr/bin/atlas or /bin/atlas, in a version that supports the database server (0.13 does not "
        "support PostgreSQL 16 and newer). Without the setting, the runner uses its own engine.",
        exit_code=ExitCode.USAGE,
    ),
    Failure.SECRET_NOT_FOUND: FailureKind(
        Retry.BACKOFF,
        "the credentials of the database are missing",
        "Create the Secret with that key. To use another Secret, delete the DBUpgrade and create it again.",
        reason=Reason.SECRET_NOT_FOUND,
        event="SecretNotFound",
        first_delay=_SECRET_BASE_SECONDS,
    ),
    Failure.SECRET_UNUSABLE: FailureKind(
        Retry.BACKOFF,
        "the credentials of the database cannot be used",
        "Correct {secret}.",
        reason=Reason.INVALID_SPEC,
        first_delay=_SECRET_BASE_SECONDS,
    ),
    Failure.NO_POD: FailureKind(
        Retry.BACKOFF,
        "no pod was created for the Job",
        "Check the Events of the Job: a quota, an admission policy or a missing service account prevents it.",
    ),
    Failure.UNSCHEDULABLE: FailureKind(
        Retry.BACKOFF,
        "the pod cannot be scheduled",
        "Check resources, nodeSelector, affinity and tolerations in spec.runner.",
    ),
    Failure.POD_SETTINGS: FailureKind(
        Retry.BACKOFF,
        "the containers of the pod could not be created",
        "Check that {secret} and its key exist, that this cluster accepts spec.runner, and that the image has the program and, "
        "with delivery ImageVolume, the folder.",
    ),
    Failure.JOB_REFUSED: FailureKind(
        Retry.BACKOFF,
        "the API server rejected the Job",
        "Usually a quota or an admission policy rejects it: change the policy, or spec.runner.",
    ),
    Failure.SUPERSEDED: FailureKind(
        Retry.BACKOFF,
        "the spec was changed before the Job was created",
        "No action is needed: the current spec runs next.",
        event=None,
        result="Busy",
    ),
    Failure.DATABASE_UNREACHABLE: FailureKind(
        Retry.BACKOFF,
        "the database cannot be reached",
        "Check host, port and database name, the network policies, and that the server is running.",
        exit_code=ExitCode.UNREACHABLE,
    ),
    Failure.DATABASE_LOCKED: FailureKind(
        Retry.BACKOFF,
        "another migration holds the lock on the database",
        "Wait for the other migration to finish.",
        reason=Reason.DATABASE_BUSY,
        event=None,
        result="Busy",
        exit_code=ExitCode.LOCK,
    ),
    Failure.LOCK_TIMEOUT: FailureKind(
        Retry.BACKOFF,
        "the file was rolled back, because a statement did not get its lock in any try before the deadline",
        "Find the session that holds the lock (pg_stat_activity, pg_locks), usually a long transaction, and end it, or raise "
        "spec.policy.lockTimeout.",
        exit_code=ExitCode.LOCK,
    ),
    Failure.TOKEN_REFUSED: FailureKind(
        Retry.BACKOFF,
        "the database rejected the AWS token",
        "Check that the database user may log in with IAM (PostgreSQL: GRANT rds_iam), that the role allows "
        "rds-db:connect for that user, that IAM authentication is enabled on the server, and that the operator's clock "
        "is correct.",
    ),
    Failure.TLS_FAILED: FailureKind(
        Retry.BACKOFF,
        "no trusted TLS connection to the database could be established",
        "Check host, port and dialect in spec.database.aws, and the certificates in the operator's "
        "aws.caBundleConfigMap.",
    ),
    Failure.MISSING_FOLDER: FailureKind(
        Retry.NEVER,
        "the image does not contain the folder spec.migrations.dir",
        "Correct spec.migrations.dir or the image.",
        exit_code=ExitCode.FOLDER,
    ),
    Failure.EMPTY_FOLDER: FailureKind(
        Retry.NEVER,
        "the folder contains no migrations",
        "Correct spec.migrations.dir or the image: the folder must contain *.sql and, for Atlas, atlas.sum.",
        exit_code=ExitCode.FOLDER,
    ),
    Failure.UNSAFE_LINK: FailureKind(
        Retry.NEVER,
        "the folder is a symbolic link, or contains a link that points outside of it",
        "Put the files themselves into the folder.",
    ),
    Failure.FOLDER_TOO_LARGE: FailureKind(
        Retry.NEVER,
        "the folder is larger than 256 MiB",
        "Ship only *.sql and atlas.sum in spec.migrations.dir.",
    ),
    Failure.CHECKSUM: FailureKind(
        Retry.NEVER,
        "atlas.sum is missing or does not match the files",
        "Run `dbupgrade migrate hash` on the folder, review the change and rebuild the image.",
        exit_code=ExitCode.CHECKSUM,
    ),
    Failure.AUTHENTICATION: FailureKind(
        Retry.SECRET_CHANGE,
        "the database rejected the user or the password",
        "Correct {secret}; the run is then retried automatically.",
        exit_code=ExitCode.AUTHENTICATION,
    ),
    Failure.CONNECTION_SETTINGS: FailureKind(
        Retry.SECRET_CHANGE,
        "the server does not support the settings in the database URL, or its certificate is not trusted",
        "Correct the URL in {secret}; the run is then retried automatically. If the server does not support TLS, use "
        "sslmode=disable, or enable TLS on the server.",
        exit_code=ExitCode.USAGE,
    ),
    Failure.NOT_CLEAN: FailureKind(
        Retry.NEVER,
        "the database has tables but no migration history",
        "Set spec.migrations.baseline to the version that the database is at.",
        exit_code=ExitCode.NOT_CLEAN,
    ),
    Failure.BASELINE_NOT_FOUND: FailureKind(
        Retry.NEVER,
        "the folder contains no file with the version in spec.migrations.baseline",
        "Set spec.migrations.baseline to the version of a file in the image.",
        exit_code=ExitCode.USAGE,
    ),
    Failure.HISTORY_DIVERGED: FailureKind(
        Retry.NEVER,
        "the history in the database does not match the files in the image",
        "Compare the history table with the folder, and ship an image that continues that history.",
    ),
    Failure.OUT_OF_ORDER: FailureKind(
        Retry.NEVER,
        "a file was never applied, and its version is below the one that the database is at",
        "Give the file a higher version than that of the database. To apply it out of order, set spec.migrations.execOrder to "
        "NonLinear; to skip it, to LinearSkip.",
        exit_code=ExitCode.FILES,
    ),
    Failure.APPLIED_FILE_CHANGED: FailureKind(
        Retry.NEVER,
        "the file was changed after it was applied",
        "Restore the content of the file, and put the change into a new file.",
        exit_code=ExitCode.FILES,
    ),
    Failure.DUPLICATE_VERSION: FailureKind(
        Retry.NEVER,
        "several files have the same version, so only one of them would be applied",
        "Give each file a different version (the part of its name before the first _).",
        exit_code=ExitCode.FILES,
    ),
    Failure.FOREIGN_FORMAT: FailureKind(
        Retry.NEVER,
        "the file is in the format of another migration tool",
        "Convert the folder to plain SQL files, one for each version, without the down migrations.",
        exit_code=ExitCode.FILES,
    ),
    Failure.UNREADABLE_FILE: FailureKind(
        Retry.NEVER,
        "the file cannot be read as SQL",
        "Correct the file as the message says, and save it as UTF-8.",
        exit_code=ExitCode.FILES,
    ),
    Failure.MISREAD_BY_ENGINE: FailureKind(
        Retry.NEVER,
        "the engine would read the file differently from PostgreSQL",
        "Rewrite the statement as the message says.",
        exit_code=ExitCode.FILES,
    ),
    Failure.FILE_CHANGED: FailureKind(
        Retry.NEVER,
        "the file was changed after it was applied",
        "Restore the content of the file, and put the change into a new file.",
    ),
    Failure.PARTLY_APPLIED: FailureKind(
        Retry.NEVER,
        "the file runs without a transaction and was interrupted, so it is unknown how much of it was applied",
        "Inspect the database. With Atlas, the error names the statement, and what to change in its row of the history. With Psql, "
        "delete the file's row from dbupgrade_migrations to run the file again, or set complete = name in it if everything "
        f"was applied. Then {RETRY_BY_HAND}.",
    ),
    Failure.APPROVAL_PENDING: FailureKind(
        Retry.APPROVAL,
        "nothing was applied, because the plan needs approval",
        "Read the plan in status.plan, or with `kubectl dbupgrade status`. To approve it, use `kubectl dbupgrade approve`, or set "
        "spec.policy.approvedPlan to its digest.",
        reason=Reason.APPROVAL_PENDING,
        event="ApprovalPending",
        result="Planned",
        exit_code=ExitCode.APPROVAL,
    ),
    Failure.PLAN_CHANGED: FailureKind(
        Retry.APPROVAL,
        "nothing was applied, because the plan is no longer the one that was approved",
        "The database or the image changed after the approval. Read the new plan in status.plan, or with `kubectl dbupgrade status`, and "
        "approve it with `kubectl dbupgrade approve`, or by setting spec.policy.approvedPlan to its digest.",
        reason=Reason.PLAN_CHANGED,
        event="PlanChanged",
        result="Planned",
        exit_code=ExitCode.APPROVAL,
    ),
    Failure.PREFLIGHT: FailureKind(
        Retry.NEVER,
        "nothing was applied, because the run could not have succeeded",
        f"Do what status.preflight says, usually a GRANT by the administrator of the database. Then {RETRY_BY_HAND}.",
        reason=Reason.PREFLIGHT_FAILED,
        exit_code=ExitCode.PREFLIGHT,
    ),
    Failure.LINT: FailureKind(
        Retry.NEVER,
        "nothing was applied, because spec.policy.lint found errors",
        "Change the migrations to the safer form, or suppress a finding with a comment that states the reason "
        "(-- dbupgrade:lint-ignore RULE: REASON), and set an image that contains the change; or set spec.policy.lint to "
        "warn.",
        reason=Reason.LINT_FAILED,
        exit_code=ExitCode.LINT,
    ),
    Failure.LINT_UNUSABLE: FailureKind(
        Retry.NEVER,
        "nothing was applied, because the new migrations could not be linted",
        "Correct the file that the message names and set an image that contains the correction; or set spec.policy.lint "
        "to off.",
    ),
    Failure.UNUSABLE_FILE: FailureKind(
        Retry.NEVER,
        "the file cannot be applied as it is",
        "Correct the file and set an image that contains the correction. A file that ends its own transaction: remove "
        "COMMIT and ROLLBACK, or begin the file with -- dbupgrade:txmode none.",
    ),
    Failure.COMMAND: FailureKind(
        Retry.NEVER,
        "the command failed",
        f"Read the log of the Job's pod, and correct the image or the command. To run it again unchanged, {RETRY_BY_HAND}.",
    ),
    Failure.SQL: FailureKind(
        Retry.NEVER,
        "a statement failed",
        "Correct the migration and set an image that contains the correction.",
        exit_code=ExitCode.SQL,
    ),
    Failure.STATEMENT_TIMEOUT: FailureKind(
        Retry.NEVER,
        "a statement was canceled, because it took longer than spec.policy.statementTimeout allows",
        "Split the statement into smaller ones, or raise spec.policy.statementTimeout, which retries the run.",
        exit_code=ExitCode.SQL,
    ),
    Failure.OUT_OF_MEMORY: FailureKind(
        Retry.NEVER,
        "the container exceeded its memory limit and was killed",
        "Raise the memory limit in spec.runner.resources, which retries the run.",
    ),
    Failure.NOT_STARTED: FailureKind(
        Retry.BACKOFF,
        "the migration did not start within spec.runner.activeDeadlineSeconds",
        "Check the Events of the Job's pod.",
    ),
    Failure.DEADLINE: FailureKind(
        Retry.NEVER,
        "the run exceeded spec.runner.activeDeadlineSeconds and was stopped",
        "Check what the database is doing, then raise the deadline, which retries the run.",
    ),
    Failure.CANCELLED: FailureKind(
        Retry.NEVER,
        "the Job was deleted",
        f"To run it again, {RETRY_BY_HAND}.",
    ),
    Failure.INTERRUPTED: FailureKind(
        Retry.NEVER,
        "the run was interrupted after it had started (its pod disappeared, its connection broke during a statement, or "
        "its lock on the database was lost), and its outcome is unknown",
        f"Inspect the database, then {RETRY_BY_HAND}.",
    ),
    Failure.UNKNOWN: FailureKind(
        Retry.NEVER,
        "the engine failed for a reason that the operator does not recognize",
        f"Read the log of the Job's pod, then {RETRY_BY_HAND}.",
    ),
}


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
