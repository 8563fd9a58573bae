"""`approve` and `reject`: what is shown is what is approved."""

import sys
from collections.abc import Callable

import click

from dbupgrade.api import names
from dbupgrade.api.approval import REASON_LENGTH, VERB
from dbupgrade.cli import consequences, session, style
from dbupgrade.cli.consequences import Answer
from dbupgrade.cli.errors import CommandError
from dbupgrade.cli.options import Target
from dbupgrade.cli.session import Session
from dbupgrade.cli.view import Seen
from dbupgrade.decide import approvals
from dbupgrade.decide.approvals import Verdict
from dbupgrade.kube.errors import Conflict, Forbidden
from dbupgrade.pod import plan_text

_WRITES = 5
_Consequence = Callable[[Seen, str], Answer]


def approve(target: Target, digest: str, *, yes: bool) -> None:
    """Show the plan, ask, and approve it."""
    interactive = sys.stdin.isatty()
    if not digest and (yes or not interactive):
        raise click.UsageError("Give the digest of the plan that you have seen: --plan sha256:…")

    async def work(on: Session) -> None:
        seen = await on.get()
        shown = _shown(seen, digest, consequences.of_approval)
        if interactive and not yes and not click.confirm("Approve this plan?"):
            raise CommandError("nothing was approved")
        user = await _user(on)
        text = await _say(on, seen, Verdict(shown, user, approves=True), consequences.of_approval)
        style.echo(f"{on.namespace}/{on.name}: approved as {user}; {text}")

    session.run(target, work)


def reject(target: Target, digest: str, reason: str) -> None:
    """Reject the plan."""
    if len(reason) > REASON_LENGTH or reason != "".join(reason.splitlines()):
        raise click.UsageError(f"--reason must be one line of at most {REASON_LENGTH} characters.")

    async def work(on: Session) -> None:
        seen = await on.get()
        shown = _shown(seen, digest, consequences.of_rejection)
        user = await _user(on)
        verdict = Verdict(shown, user, approves=False, reason=reason)
        text = await _say(on, seen, verdict, consequences.of_rejection)
        style.echo(f"{on.namespace}/{on.name}: rejected as {user}; {text}")

    session.run(target, work)


def _shown(seen: Seen, digest: str, consequence: _Consequence) -> str:
    """Print the plan that waits, and return its digest. Raises CommandError when none waits, or another."""
    answer, plan = consequence(seen, digest), seen.waiting_plan
    if answer.refused or plan is None:
        raise CommandError(answer.text)
    style.echo(f"Plan of {seen.namespace}/{seen.name}: {seen.image}")
    for line in plan_text.described(plan):
        style.echo(line)
    return plan.digest


async def _user(on: Session) -> str:
    """Our user name. Raises CommandError for one that the annotation cannot hold, and KubeError."""
    user = await on.user()
    if "\n" in user:
        raise CommandError("your user name has a line break, so the annotation cannot hold it")
    return user


async def _say(on: Session, seen: Seen, verdict: Verdict, consequence: _Consequence) -> str:
    """Write the annotation to the resource as it was shown; returns what follows. Raises CommandError and KubeError."""
    annotations = {names.ANNOTATION_APPROVAL: approvals.text(verdict)}
    for _ in range(_WRITES):
        answer = consequence(seen, verdict.plan)
        if answer.refused:
            raise CommandError(f"the resource has changed since it was shown: {answer.text}")
        try:
            await on.patch({"metadata": {"resourceVersion": seen.version, "annotations": annotations}})
        except Conflict:
            seen = await on.get()  # the operator writes what its checks see; another plan is refused
        except Forbidden as error:
            raise CommandError(_denied(on, verdict, str(error))) from None
        else:
            return answer.text
    raise CommandError("the resource was changed repeatedly in the meantime; nothing was written, try again")


def _denied(on: Session, verdict: Verdict, why: str) -> str:
    return (
        f"{verdict.by} may not approve or reject plans of {on.namespace}/{on.name}: that takes the verbs patch and {VERB} on "
        f"{names.PLURAL}.{names.GROUP}. Ask somebody who has them, or ask an administrator of the cluster for the ClusterRole "
        f"dbupgrade-approver in namespace {on.namespace}. The API server says: {why}"
    )
