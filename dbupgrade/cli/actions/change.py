"""`retry`, `suspend`, `resume`: what they change, and what happens then."""

from dbupgrade.api import names
from dbupgrade.cli import consequences, session, style
from dbupgrade.cli.errors import CommandError
from dbupgrade.cli.options import Target
from dbupgrade.cli.session import Session


def retry(target: Target) -> None:
    """Ask for a retry, unless there is nothing to retry."""

    async def work(on: Session) -> None:
        seen = await on.get()
        answer = consequences.of_retry(seen)
        if answer.refused:
            raise CommandError(answer.text)
        value = session.now().isoformat(timespec="milliseconds")
        await on.patch({"metadata": {"annotations": {names.ANNOTATION_RETRY: value}}})
        _say(on, answer.text)

    session.run(target, work)


def suspend(target: Target) -> None:
    """Start nothing new."""

    async def work(on: Session) -> None:
        seen = await on.get()
        if not seen.suspended:
            await on.patch({"spec": {"suspend": True}})
        _say(on, consequences.of_suspend(seen).text)

    session.run(target, work)


def resume(target: Target) -> None:
    """Start runs again."""

    async def work(on: Session) -> None:
        seen = await on.get()
        if seen.suspended:
            await on.patch({"spec": {"suspend": False}})
        _say(on, consequences.of_resume(seen).text)

    session.run(target, work)


def _say(on: Session, text: str) -> None:
    style.echo(f"{on.namespace}/{on.name}: {text}")
