"""Names for the completion of a command line."""

import asyncio
from contextlib import suppress

from dbupgrade.cli import session
from dbupgrade.cli.errors import CommandError
from dbupgrade.cli.options import Target
from dbupgrade.cli.session import Session

_PATIENCE_SECONDS = 3


def names(target: Target) -> list[str]:
    """The resources of the namespace that is meant; none when the cluster does not answer soon."""
    found: list[str] = []

    async def read(on: Session) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            found.extend(seen.name for seen in await on.all(on.namespace))

    with suppress(CommandError, TimeoutError):
        session.run(target, read)
    return found
