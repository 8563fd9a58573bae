"""The command line of the commands for people. Only what parses it is loaded here: what a command does is in `actions`."""

from pathlib import Path

import click

from dbupgrade.cli import options
from dbupgrade.cli.options import Output, Target


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  kubectl dbupgrade {line}" for line in lines)


@click.command(
    epilog=_examples("status", "status -A --watch", "status shop", "status shop -o json | jq .run"),
    short_help="Show resources, or one with its checks, run and pods",
)
@options.all_namespaces
@click.option(
    "-w", "--watch", is_flag=True, help="Print one row for each, and each change, until interrupted."
)
@options.output
@options.resource(required=False)
def status(target: Target, form: Output, *, watch: bool) -> None:
    """Show the state of the DBUpgrades in a namespace, or of one with its checks, run and pods."""
    from dbupgrade.cli.actions import show, watching

    if target.all_namespaces and (target.name or target.file):
        raise click.UsageError("--all-namespaces cannot be combined with a resource.")
    if watch and form is not Output.TABLE:
        raise click.UsageError("--watch prints a table: it cannot be combined with --output.")
    if watch:
        watching.watch(target)
    else:
        show.status(target, form)


@click.command(epilog=_examples("history shop"), short_help="List the last runs of a resource")
@options.output
@options.resource()
def history(target: Target, form: Output) -> None:
    """List the last runs of a DBUpgrade, newest first: what was applied, how long it took, and who approved the plan.

    Who changed the resource is recorded in the audit log of the API server, and not here. With -o json, everything that is known of each run.
    """
    from dbupgrade.cli.actions import show

    show.history(target, form)


@click.command(
    epilog=_examples("explain shop"), short_help="Explain why a resource is not ready, and what to do"
)
@options.output
@options.resource()
def explain(target: Target, form: Output) -> None:
    """Explain why a DBUpgrade is not ready, and what to do about it."""
    from dbupgrade.cli.actions import show

    show.explain(target, form)


@click.command(
    epilog=_examples("logs shop", "logs shop --follow", "logs shop --container fetch-migrations"),
    short_help="Print the log of the last run",
)
@click.option("-f", "--follow", is_flag=True, help="Keep printing until the pod has ended.")
@click.option(
    "-c",
    "--container",
    help="Container of the pod; by default migrate, or a container before it if migrate has not started.",
)
@options.resource(short=False)
def logs(target: Target, container: str | None, *, follow: bool) -> None:
    """Print the log of the pod of the last run."""
    from dbupgrade.cli.actions import logs as action

    action.logs(target, container, follow=follow)


@click.command(
    epilog=_examples("wait shop", "wait shop --image registry.example.com/shop:2.0.0 --timeout 30m"),
    short_help="Wait until a resource is ready, and show its progress",
)
@click.option(
    "--image",
    help="Wait until the migrations of this image are applied, even if the resource still has an earlier one.",
)
@options.timeout
@options.resource()
def wait(target: Target, image: str | None, timeout: float) -> None:
    """Wait until a DBUpgrade is ready, and print each change.

    Fails, and explains why, as soon as the DBUpgrade is stalled: nothing more happens until somebody changes it.
    """
    from dbupgrade.cli.actions import waiting

    waiting.wait(target, image, timeout)


@click.command(
    epilog=_examples("apply shop.yaml", "apply -f shop.yaml --timeout 30m", "apply - < shop.yaml"),
    short_help="Apply a manifest, and wait until the resource is ready",
)
@click.argument("path", metavar="[FILE]", required=False, type=options.FILE)
@click.option("-f", "--filename", "file", type=options.FILE, help="The same as FILE.")
@options.timeout
@options.targeted
def apply(target: Target, path: Path | None, timeout: float) -> None:
    """Apply the one DBUpgrade in FILE (YAML or JSON; - is standard input), and wait until it is ready.

    If a run with the same image has failed, it is retried. If a run is in progress, which locks the spec, the command waits for it.
    """
    from dbupgrade.cli.actions import apply as action

    file = path or target.file
    if file is None or (path and target.file):
        raise click.UsageError("Give one FILE.")
    action.apply(target, file, timeout)


@click.command(epilog=_examples("retry shop"), short_help="Retry a failed run")
@options.resource()
def retry(target: Target) -> None:
    """Retry a failed run. Reports what happens, or why there is nothing to retry."""
    from dbupgrade.cli.actions import change

    change.retry(target)


@click.command(epilog=_examples("suspend shop"), short_help="Start no new runs; a run in progress continues")
@options.resource()
def suspend(target: Target) -> None:
    """Start no new runs of a DBUpgrade until it is resumed. A run in progress continues."""
    from dbupgrade.cli.actions import change

    change.suspend(target)


@click.command(epilog=_examples("resume shop"), short_help="Let a suspended resource start runs again")
@options.resource()
def resume(target: Target) -> None:
    """Let a suspended DBUpgrade start runs again. Reports which run starts, if any."""
    from dbupgrade.cli.actions import change

    change.resume(target)


@click.command(
    epilog=_examples(
        "plan shop", "plan shop --image registry.example.com/shop:2.0.0", "plan shop -o markdown > plan.md"
    ),
    short_help="Show what a run would do, without applying anything",
)
@click.option("--image", help="Plan with this image, instead of that of the resource.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@click.option(
    "--operator-namespace",
    default="dbupgrade-system",
    show_default=True,
    help="Namespace of the operator, which publishes the images of runs there.",
)
@options.timeout
@options.resource()
def plan(target: Target, image: str | None, form: str, operator_namespace: str, timeout: float) -> None:
    """Show what a run of a DBUpgrade would do now, or with another image, without applying anything and without changing the resource.

    Creates a Job in the namespace with your own permissions, shows the plan, and deletes the Job.
    """
    from dbupgrade.cli.actions import plan as action

    action.plan(target, image, action.Way(form, operator_namespace, timeout))


@click.command(
    epilog=_examples("approve shop", "approve shop --plan sha256:… --yes"),
    short_help="Approve the plan that waits for approval",
)
@click.option("--plan", default="", metavar="DIGEST", help="Digest of the plan: no other is approved.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask; requires --plan.")
@options.resource()
def approve(target: Target, plan: str, *, yes: bool) -> None:
    """Show the plan that waits for approval, and approve it. Requires the verb approve on dbupgrades.

    Without a terminal, --plan is required, and nothing is asked.
    """
    from dbupgrade.cli.actions import approval

    approval.approve(target, plan, yes=yes)


@click.command(
    epilog=_examples("reject shop", 'reject shop --reason "after the sale"'),
    short_help="Reject the plan that waits for approval",
)
@click.option("--plan", default="", metavar="DIGEST", help="Digest of the plan: no other is rejected.")
@click.option("--reason", default="", help="Why: one line of at most 512 characters, for the status.")
@options.resource()
def reject(target: Target, plan: str, reason: str) -> None:
    """Say in the status that the plan that waits for approval is rejected. Requires the verb approve on dbupgrades.

    The DBUpgrade goes on waiting: an approval, or a change of the spec, ends that.
    """
    from dbupgrade.cli.actions import approval

    approval.reject(target, plan, reason)


ALL = (status, explain, wait, logs, history, apply, plan, approve, reject, retry, suspend, resume)
