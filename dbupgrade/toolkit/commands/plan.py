"""`plan`: what `apply` would do, without doing it."""

from dataclasses import replace

from dbupgrade.api.exit_codes import ExitCode
from dbupgrade.pod import plan_text
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.environment import BadEnvironmentError
from dbupgrade.toolkit.history.compare import compare
from dbupgrade.toolkit.lint import pending
from dbupgrade.toolkit.output import Format
from dbupgrade.toolkit.plan.approval import leave
from dbupgrade.toolkit.plan.make import make
from dbupgrade.toolkit.preflight import gate as preflight


def run(call: Call) -> int:
    """Show the plan; reads only, and takes no lock. Raises AtlasError, FolderError and BadEnvironmentError."""
    if call.settings.engine != "Atlas":
        raise BadEnvironmentError(
            f"plan supports the engine Atlas only, and MIGRATE_ENGINE is {call.settings.engine}"
        )
    given = call.given
    call.settings = replace(
        call.settings,
        plan_for=given.resource or call.settings.plan_for,
        image_digest=given.image_digest or call.settings.image_digest,
    )
    state = compare(call)
    preflight.tell(call, preflight.of_plan(call, state))
    plan = make(call, state, pending.survey(call, *pending.names(call, state)))
    if call.output.form is Format.MARKDOWN:
        call.output.raw("\n".join(plan_text.markdown(plan)))
    else:
        leave(call, plan)
    approved = not plan.asks or plan.digest in call.settings.approved_plans
    return ExitCode.OK if approved else ExitCode.APPROVAL
