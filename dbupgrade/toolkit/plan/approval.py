"""The plan of what `apply` is about to apply: it may have to be approved first (spec.policy.approval)."""

from typing import TYPE_CHECKING

from dbupgrade.api.failure import Failure
from dbupgrade.api.plan import Plan, PlanNote
from dbupgrade.api.spec.policy import Approval
from dbupgrade.pod import plan as documents
from dbupgrade.pod import plan_text
from dbupgrade.pod.redact import remove_secrets
from dbupgrade.pod.report import Report
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.output import Format
from dbupgrade.toolkit.plan.span import Span

if TYPE_CHECKING:
    from dbupgrade.toolkit.lint import pending


def look(call: Call, span: Span, known: "pending.Survey | None") -> tuple[Report | None, PlanNote | None]:
    """The note on the plan, with the report of the run if the plan stops it.

    Both are None if plans are not enabled, or nothing is pending. The caller holds the lock of the run: what is planned here is what is
    applied next. Raises AtlasError where the database cannot be asked.
    """
    if call.settings.approval is Approval.NEVER or known is None:
        return None, None
    from dbupgrade.toolkit.plan.make import make  # noqa: PLC0415 - PostgreSQL's parser takes time and memory

    plan = make(call, span, known)
    note = leave(call, plan)
    if not plan.asks or plan.digest in call.settings.approved_plans:
        return None, note
    other = "; the approval is for a different plan" if call.settings.approved_plans else ""
    return Report(failure=Failure.APPROVAL_PENDING, error=f"{plan.asks}{other}", plan=note), note


def leave(call: Call, plan: Plan) -> PlanNote:
    """Print the plan, as text for people or as one line for the operator, and say how that line is known."""
    line = remove_secrets(documents.line(plan), call.output.secrets)
    if call.output.form is Format.JSON:
        call.output.raw(line)
    else:
        call.output.event("plan", "\n".join(plan_text.described(plan)))
    return PlanNote(
        digest=plan.digest,
        line=documents.sha256(line),
        asks=plan.asks[:512],
        files=plan.file_count,
        statements=plan.statement_count,
    )
