"""The classes of failures that the status of a DBUpgrade names."""

from enum import StrEnum


class Failure(StrEnum):
    """Why a run failed; each is a row of the table in `decide.failures`."""

    IMAGE_PULL = "ImagePull"
    FETCH = "FetchFailed"
    ATLAS_UNUSABLE = "AtlasUnusable"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a class, not a secret
    SECRET_UNUSABLE = "SecretUnusable"  # noqa: S105
    NO_POD = "NoPod"
    UNSCHEDULABLE = "Unschedulable"
    POD_SETTINGS = "PodSettings"
    JOB_REFUSED = "JobRefused"
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    DATABASE_LOCKED = "DatabaseLocked"
    LOCK_TIMEOUT = "LockTimeout"
    TOKEN_REFUSED = "TokenRefused"  # noqa: S105 - a class, not a token
    TLS_FAILED = "TLSFailed"
    MISSING_FOLDER = "MissingFolder"
    EMPTY_FOLDER = "EmptyFolder"
    UNSAFE_LINK = "UnsafeLink"
    FOLDER_TOO_LARGE = "FolderTooLarge"
    CHECKSUM = "ChecksumMismatch"
    AUTHENTICATION = "AuthenticationFailed"
    CONNECTION_SETTINGS = "ConnectionSettings"
    NOT_CLEAN = "NotClean"
    BASELINE_NOT_FOUND = "BaselineNotFound"
    HISTORY_DIVERGED = "HistoryDiverged"
    OUT_OF_ORDER = "OutOfOrder"
    APPLIED_FILE_CHANGED = "AppliedFileChanged"
    DUPLICATE_VERSION = "DuplicateVersion"
    FOREIGN_FORMAT = "ForeignFormat"
    UNREADABLE_FILE = "UnreadableFile"
    MISREAD_BY_ENGINE = "MisreadByEngine"
    FILE_CHANGED = "FileChanged"
    PARTLY_APPLIED = "PartlyApplied"
    APPROVAL_PENDING = "ApprovalPending"
    PLAN_CHANGED = "PlanChanged"
    PREFLIGHT = "PreflightFailed"
    LINT = "LintFailed"
    LINT_UNUSABLE = "LintUnusable"
    UNUSABLE_FILE = "UnusableFile"
    SQL = "SQLError"
    STATEMENT_TIMEOUT = "StatementTimeout"
    COMMAND = "CommandFailed"
    OUT_OF_MEMORY = "OutOfMemory"
    NOT_STARTED = "NotStarted"
    DEADLINE = "DeadlineExceeded"
    SUPERSEDED = "Superseded"
    CANCELLED = "Cancelled"
    INTERRUPTED = "Interrupted"
    UNKNOWN = "Unknown"

    @classmethod
    def _missing_(cls, value: object) -> "Failure":
        """A class that a newer operator has written; it must not make the status unreadable."""
        del value
        return cls.UNKNOWN
