"""`wait`, and the waiting of `apply`: look until the resource is ready, and print what changes; in a terminal, progress in place."""

import asyncio
import time
from collections.abc import Callable

from dbupgrade.api.conditions import READY, Reason
from dbupgrade.cli import explain, pods, progress, session, style, view
from dbupgrade.cli.errors import CommandError
from dbupgrade.cli.options import Target
from dbupgrade.cli.screen import Screen
from dbupgrade.cli.session import Session
from dbupgrade.cli.times import duration
from dbupgrade.cli.view import Seen
from dbupgrade.kube.errors import NotFound, ServerError, TooManyRequests, Unreachable

_POLL_SECONDS = 1.0
PASSING = (Unreachable, ServerError, TooManyRequests)
"""As of an API server that restarts."""


def wait(target: Target, image: str | None, timeout: float) -> None:
    """Until the resource is ready about its spec as it is, or about that of an image."""

    async def work(on: Session) -> None:
        await Wait(on, timeout).until_ready(lambda seen: seen.looked_at and image in (None, seen.image))

    session.run(target, work)


class Wait:
    """A wait with an end; each change is printed once."""

    def __init__(self, on: Session, timeout: float) -> None:
        self._on = on
        self._timeout = timeout
        self._end = time.monotonic() + timeout
        self._screen = Screen()
        self._said = ""
        self._last: Seen | None = None
        self._trouble: str | None = None

    async def until_ready(self, concerns: Callable[[Seen], bool]) -> None:
        """Until a status that `concerns` the caller says Ready. Raises CommandError when that will not be."""
        with self._screen:
            while True:
                seen = await self._look()
                if seen and concerns(seen):
                    if seen.is_true(READY):
                        return
                    if seen.given_up:
                        raise CommandError("\n".join(["the resource is not ready:", *await self._why(seen)]))
                await self.pause()

    async def pause(self) -> None:
        """Between two looks. Raises CommandError when there is no time for another."""
        if time.monotonic() >= self._end:
            raise CommandError(timed_out(self._timeout, self._last, self._trouble))
        await asyncio.sleep(_POLL_SECONDS)

    def say(self, state: str, text: str) -> None:
        """Print what is seen, unless it is the same as before."""
        line = f"{style.word(state)}  {text}"
        if line != self._said:
            self._screen.add(line)
            self._said = line

    async def _look(self) -> Seen | None:
        on = self._on
        try:
            seen = await on.find()
            self._trouble = await self._of_pod(seen)
        except NotFound:
            self.say("Waiting", f"{on.namespace}/{on.name} does not exist yet")
            return None
        except PASSING as error:
            self.say("Waiting", str(error))
            return None
        self._last = seen
        run = seen.status.run if seen.looked_at else None
        if not (self._screen.live and run and run.progress):  # else the message is below the bar
            self.say(seen.state, self._trouble or (_in_short(seen) if seen.given_up else view.what(seen)))
        self._screen.show(progress.lines(run, session.now()) if run else [])
        return seen

    async def _of_pod(self, seen: Seen) -> str | None:
        """Why the pod of a run does not start."""
        if seen.reason != Reason.JOB_PENDING:
            return None
        found = await self._on.pods(seen)
        return pods.problem(found[-1]) if found else None

    async def _why(self, seen: Seen) -> list[str]:
        return explain.lines(explain.explain(seen, await self._on.pods(seen)))


def _in_short(seen: Seen) -> str:
    """What failed and where; the explanation that follows says the rest."""
    run = seen.status.run
    if not seen.failed or run is None:
        return view.what(seen)
    return f"{seen.reason}: {run.failure}{f' in {run.failed_file}' if run.failed_file else ''}"


def timed_out(seconds: float, last: Seen | None, trouble: str | None = None) -> str:
    """That the time is over, what was seen last (or the trouble of its pod), and what continues without us."""
    text = f"Timed out after {duration(seconds)}"
    if last is None:
        return f"{text}; the resource was never seen"
    return f"{text}; last state: {last.state}: {(trouble or view.what(last)).rstrip('.')}; {_then(last)}"


def _then(seen: Seen) -> str:
    if seen.suspended and seen.state != "Running":
        return f"resume it: kubectl dbupgrade resume {seen.name}"
    if seen.waiting_plan:
        return f"approve its plan: kubectl dbupgrade approve {seen.name}"
    return {
        "Unseen": "check that the operator is running",
        "Running": "the run continues",
        "Failed": "it is not retried automatically",
    }.get(seen.state, "it continues automatically")
