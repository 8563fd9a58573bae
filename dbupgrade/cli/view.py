"""What people are shown of a resource: pure functions from objects to plain data and to lines of text."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from dbupgrade.api import conditions, names
from dbupgrade.api.check_status import CheckStatus
from dbupgrade.api.findings import PreflightFinding
from dbupgrade.api.plan import Plan
from dbupgrade.api.record import from_json, to_json
from dbupgrade.api.run import Run
from dbupgrade.api.status import Status
from dbupgrade.cli import progress, style
from dbupgrade.cli.pods import phase, problem
from dbupgrade.cli.times import length
from dbupgrade.decide import approvals
from dbupgrade.decide.failures import KINDS, Retry
from dbupgrade.decide.observed import retry_value
from dbupgrade.decide.state import State, state_of
from dbupgrade.objects import Object
from dbupgrade.pod import plan_text
from dbupgrade.pod.redact import every_text, printable


@dataclass(frozen=True)
class Seen:
    """A resource as the API server has it."""

    namespace: str
    name: str
    uid: str
    generation: int
    image: str
    suspended: bool
    secret: str | None
    retry: str
    status: Status
    said: approvals.Verdict | None = None
    version: str = ""
    """The resource version."""

    @classmethod
    def of(cls, obj: Object) -> "Seen":
        """Read an object, without what a terminal obeys; a status that nobody has written is an empty one."""
        said = approvals.verdict(obj["metadata"].get("annotations") or {})
        obj = every_text(obj, printable)
        metadata, spec = obj["metadata"], obj.get("spec") or {}
        return cls(
            metadata["namespace"],
            metadata["name"],
            metadata["uid"],
            metadata.get("generation", 0),
            str((spec.get("migrations") or {}).get("image", "")),
            bool(spec.get("suspend")),
            _secret_name(spec),
            retry_value(metadata),
            from_json(Status, obj.get("status") or {}),
            said,
            metadata.get("resourceVersion", ""),
        )

    @property
    def looked_at(self) -> bool:
        """Whether the status is about the spec as it is now."""
        return self.status.observed_generation == self.generation

    def is_true(self, condition: str) -> bool:
        """Whether a condition holds."""
        found = conditions.find_condition(self.status.conditions, condition)
        return found is not None and found.status is conditions.ConditionStatus.TRUE

    @property
    def failed(self) -> bool:
        """Whether what the conditions report is the failure of the last run."""
        run = self.status.run
        return (
            run is not None
            and run.failure is not None
            and not run.active
            and self.reason == KINDS[run.failure].reason
        )

    @property
    def waiting_plan(self) -> Plan | None:
        """The plan that waits for approval."""
        run = self.status.run
        waits = self.failed and run and run.failure and KINDS[run.failure].retry is Retry.APPROVAL
        return self.status.plan if waits else None

    @property
    def rejection(self) -> str:
        """Who has rejected the plan that waits, and why; empty if nobody has."""
        return approvals.rejection(self.waiting_plan, self.said).strip()

    @property
    def retry_pending(self) -> bool:
        """Whether a retry of the failure was requested that the operator has not started yet."""
        return self.failed and self.retry not in {"", self.status.last_handled_retry}

    @property
    def given_up(self) -> bool:
        """Whether nothing happens until somebody changes the resource; false while a retry of the failure is due."""
        return self.is_true(conditions.STALLED) and not self.retry_pending

    @property
    def reason(self) -> str:
        """The reason of Progressing, which always tells the step or the cause."""
        found = conditions.find_condition(self.status.conditions, conditions.PROGRESSING)
        return found.reason if found else "Unseen"

    @property
    def message(self) -> str:
        """What the operator reports, or that it has reported nothing yet."""
        found = conditions.find_condition(self.status.conditions, conditions.PROGRESSING)
        return found.message if found else "the operator has not seen this resource yet"

    @property
    def state(self) -> str:
        """One word for it."""
        if not self.looked_at:
            return str(State.UNSEEN)
        true = [each.type for each in self.status.conditions if self.is_true(each.type)]
        return str(state_of(true, self.reason))


def _secret_name(spec: Object) -> str | None:
    """The Secret with the credentials of the database, if one is referenced."""
    connection = (spec.get("database") or {}).get("connection") or {}
    reference = connection.get("urlSecretRef") or connection.get("passwordSecretRef") or {}
    name = reference.get("name")
    return str(name) if name else None


def summary(seen: Seen, pods: list[Object]) -> Object:
    """Everything that `status` shows, for JSON and YAML."""
    status = to_json(seen.status)
    return {
        "namespace": seen.namespace,
        "name": seen.name,
        "state": seen.state,
        "reason": seen.reason,
        "message": seen.message,
        "image": seen.image,
        "currentVersion": seen.status.current_version,
        "checks": status.get("checks", []),
        "preflight": status.get("preflight", []),
        "plan": status.get("plan") if seen.waiting_plan else None,
        "run": status.get("run"),
        "pods": [{"name": pod["metadata"]["name"], "phase": phase(pod)} for pod in pods],
    }


def what(seen: Seen) -> str:
    """The reason of the state, unless it is the same word, and the message; or that the operator has not seen the spec yet."""
    if not seen.looked_at:
        return f"the operator has not seen generation {seen.generation} of the spec yet"
    return seen.message if seen.reason == seen.state else f"{seen.reason}: {seen.message}"


def tree(seen: Seen, pods: list[Object], now: datetime) -> list[str]:
    """A resource with its checks, its run and the run's pods."""
    reason = "" if seen.reason == seen.state else f"  {seen.reason}"
    lines = [f"{seen.namespace}/{seen.name}  {style.word(seen.state)}{reason}"]
    if not seen.looked_at:
        earlier = "; what follows is about an earlier one" if seen.status.conditions else ""
        lines.append(f"  {_capitalised(what(seen))}{earlier}.")
    if seen.status.conditions:
        lines.append(f"  {seen.message}")
    lines.append(f"  image  {seen.image}")
    if seen.suspended and seen.state != "Suspended":
        lines.append(f"  {style.word('Suspended')}: no new run starts")
    if seen.status.current_version:
        lines.append(f"  version  {seen.status.current_version}")
    branches = [[_check(check)] for check in seen.status.checks]
    branches += [_preflight(finding) for finding in seen.status.preflight]
    if seen.waiting_plan:
        branches.append(_plan(seen.waiting_plan))
    if seen.status.run:
        leaves = [_pod(pod) for pod in pods]
        branches.append([*_run(seen.status.run, now), *_branches(leaves)])
    return [*lines, *(f"  {line}" for line in _branches(branches))]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _check(check: CheckStatus) -> str:
    seen = check.message or check.last_value or ""
    return f"{check.phase.lower()}-check {check.name}  {style.word(check.verdict)}  {seen}".rstrip()


def _preflight(finding: PreflightFinding) -> list[str]:
    """What was found before anything was applied, and the command that mends it."""
    heading = f"preflight {finding.check}  {style.word(finding.severity)}  {finding.message}"
    return [heading, *([f"  fix  {finding.fix}"] if finding.fix else [])]


def _plan(plan: Plan) -> list[str]:
    """What the run would do that waits for approval."""
    heading, *below = plan_text.described(plan)
    return [f"plan  {heading}", *(f"  {line}" for line in below)]


def _pod(pod: Object) -> list[str]:
    """The heading of a pod, and why it does not start."""
    why = problem(pod)
    return [f"pod {pod['metadata']['name']}  {style.word(phase(pod))}", *([f"  {why}"] if why else [])]


def _run(run: Run, now: datetime) -> list[str]:
    """The lines about a run, the first of which is its heading."""
    lines = [f"run {run.sequence}  {_result(run)}  {took(run, now)}  job {run.job_name}"]
    if run.image:
        lines.append(f"  image  {run.image}")
    if run.progress:
        lines.append(f"  {progress.bar(run.progress)}")
    if run.applied_count is not None:
        lines.append(
            f"  {run.from_version or 'nothing'} -> {run.to_version or 'nothing'}, "
            f"{run.applied_count} {'file' if run.applied_count == 1 else 'files'}"
        )
    if run.approved_by:
        lines.append(f"  approved by  {run.approved_by}")
    if run.failed_file:
        lines.append(f"  file  {run.failed_file}")
    if run.failed_statement:
        lines.append(f"  statement  {run.failed_statement}")
    if run.error:
        lines.append(f"  error  {run.error}")
    return lines


def _branches(branches: list[list[str]]) -> list[str]:
    """Draw each branch (its heading, and lines below it) as one of a tree."""
    drawn = []
    for number, (heading, *below) in enumerate(branches, start=1):
        last = number == len(branches)
        drawn.append(("└─ " if last else "├─ ") + heading)
        drawn += [("   " if last else "│  ") + line for line in below]
    return drawn


def result(run: Run) -> str:
    """How a run ended, with the class of its failure, or that it has not."""
    if run.result is None:
        return "Running"
    return f"{run.result} ({run.failure})" if run.failure else str(run.result)


def _result(run: Run) -> str:
    """The same in colour."""
    word, space, failure = result(run).partition(" ")
    return f"{style.word(word)}{space}{failure}"


def took(run: Run, now: datetime) -> str:
    """How long a run took, or is on."""
    return length(((run.finished_at or now) - run.started_at).total_seconds())


LIST_HEADS = ("NAMESPACE", "NAME", "STATE", "REASON", "VERSION", "IMAGE")
HISTORY_HEADS = (
    "RUN", "RESULT", "IMAGE", "DIGEST", "FROM", "TO", "FILES", "FINDINGS", "STARTED", "TOOK", "APPROVED BY",
)  # fmt: skip
_DIGEST_LENGTH = len("sha256:") + 12


def list_row(seen: Seen) -> tuple[str, ...]:
    """The row of a resource in a list."""
    return (seen.namespace, seen.name, seen.state, seen.reason, seen.status.current_version or "", seen.image)


def history_row(run: Run, now: datetime) -> tuple[str, ...]:
    """The row of a run in a history."""
    return (
        str(run.sequence),
        result(run),
        run.image,
        (run.digest or "")[:_DIGEST_LENGTH],
        run.from_version or "",
        run.to_version or "",
        "" if run.applied_count is None else str(run.applied_count),
        _findings(run),
        f"{run.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        took(run, now),
        run.approved_by or "",
    )


def _findings(run: Run) -> str:
    """What the lint found, if it looked."""
    if run.lint is None:
        return ""
    found = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in ((run.lint.errors, "error"), (run.lint.warnings, "warning"))
        if number
    ]
    return ", ".join(found) or "none"


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Rows below their heads, in columns; states in colour."""
    widths = columns((heads, *rows))
    return ["   ".join(_cells(heads, widths)).rstrip(), *(row_line(row, widths) for row in rows)]


def columns(rows: Iterable[tuple[str, ...]]) -> tuple[int, ...]:
    """How wide each column must be."""
    return tuple(max(map(len, column)) for column in zip(*rows, strict=True))


def row_line(row: tuple[str, ...], widths: tuple[int, ...]) -> str:
    """A row in columns of these widths; states in colour."""
    return "   ".join(map(_painted, _cells(row, widths))).rstrip()


def _cells(row: tuple[str, ...], widths: tuple[int, ...]) -> list[str]:
    return [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]


def _painted(cell: str) -> str:
    """A cell whose first word is a state in its colour; the spaces stay outside, so that a line can be stripped."""
    word, space, rest = cell.partition(" ")
    return f"{style.word(word)}{space}{rest}"


def pods_selector(uid: str) -> str:
    """The label selector of the pods of a resource."""
    return f"{names.LABEL_UID}={uid}"
