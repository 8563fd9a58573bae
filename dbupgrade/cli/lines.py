"""The lines of a pod's log as a person reads them."""

import json
from collections.abc import AsyncIterator

from dbupgrade.pod.redact import printable


def readable(line: str) -> str:
    """A line of the runner's JSON as its message; any other line as it is, without what a terminal would obey."""
    try:
        event = json.loads(line)
    except ValueError:
        return printable(line)
    if not (isinstance(event, dict) and isinstance(event.get("message"), str) and "event" in event):
        return printable(line)
    level = event.get("level", "info")
    text = "\n".join(map(printable, event["message"].split("\n")))
    return text if level == "info" else f"{printable(str(level))}: {text}"


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The lines of a stream, as soon as each is complete; the last one even if it is not."""
    rest = b""
    async for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
