"""`plan`: what `apply` would do, without doing it."""

from dataclasses import replace

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.api.spec.migrations import Engine
from dbupgrade.pod import plan_text
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.engines.psql import inspection as psql
from dbupgrade.toolkit.history.compare import compare, refuse_unknown
from dbupgrade.toolkit.lint import pending
from dbupgrade.toolkit.output import Format
from dbupgrade.toolkit.plan.approval import leave
from dbupgrade.toolkit.plan.make import make
from dbupgrade.toolkit.plan.span import Span
from dbupgrade.toolkit.preflight import gate as preflight


def run(call: Call) -> int:
    """Show the plan; reads only, and takes no lock. Raises AtlasError, FolderError and BadEnvironmentError."""
    given = call.given
    call.settings = replace(
        call.settings,
        plan_for=given.resource or call.settings.plan_for,
        image_digest=given.image_digest or call.settings.image_digest,
    )
    plan = make(call, *(_of_psql if call.settings.engine is Engine.PSQL else _of_atlas)(call))
    if call.output.form is Format.MARKDOWN:
        call.output.raw("\n".join(plan_text.markdown(plan)))
    else:
        leave(call, plan)
    approved = not plan.asks or plan.digest in call.settings.approved_plans
    return ExitCode.OK if approved else ExitCode.APPROVAL


def _of_atlas(call: Call) -> tuple[Span, pending.Survey]:
    state = compare(call)
    refuse_unknown(call, state)
    preflight.tell(call, preflight.of_plan(call, state))
    return Span.of_atlas(state), pending.survey(call, *pending.names(call, state))


def _of_psql(call: Call) -> tuple[Span, pending.Survey]:
    found, names = psql.pending(call)
    known = pending.survey(call, set(names), psql.breakable(call, found, set(names)))
    return psql.span(found, names), known
