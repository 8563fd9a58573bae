"""One session of psql, which gets its commands step by step: what comes next depends on what it said."""

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from dbupgrade.toolkit.engines.psql.transcript import Transcript

_CHUNK = 65_536
_MAX_LINE = 65_536
_CANCEL_SECONDS = 10.0
_DRAIN_SECONDS = 5.0
CONNECTION_LOST = 2
"""psql's exit code, also where no connection was made."""


class Session:
    """A running psql, and its output in the current step."""

    def __init__(self, process: asyncio.subprocess.Process, commands: int, step: Transcript) -> None:
        self.process = process
        self.step = step
        self._commands = commands
        self._mark = ""
        self._answer: asyncio.Future[list[str] | None] = asyncio.get_running_loop().create_future()
        self._ended = False
        self.killed = False
        """Whether it did not end when it was asked to; its statement may go on in the server."""

    async def ask(self, mark: str, commands: str) -> list[str] | None:
        """Give psql `commands`, which print a line that begins with `mark`: its other words, or None when psql ends before.

        Nothing that runs before that line knows the mark.
        """
        self.step = Transcript(self.step.root, self.step.other)
        self._mark, self._answer = mark, asyncio.get_running_loop().create_future()
        if self._ended:
            return None
        with contextlib.suppress(BrokenPipeError):
            os.write(self._commands, commands.encode())
        return await self._answer

    async def hear(self, errors: asyncio.StreamReader) -> None:
        """Read standard error to its end."""
        await _lines(errors, self._hear)
        self._ended = True
        if not self._answer.done():
            self._answer.set_result(None)

    def _hear(self, line: str) -> None:
        if self._mark and line.startswith(self._mark) and not self._answer.done():
            self._answer.set_result(line.split()[1:])
        else:
            self.step.add(line)

    async def end(self) -> int:
        """Let psql come to its end; returns its exit code."""
        self._close()
        return await self.process.wait()

    async def stop(self) -> None:
        """Have psql cancel its statement, and end."""
        self._close()
        if self.process.returncode is None:
            self._signal(signal.SIGINT)
            try:
                await asyncio.wait_for(self.process.wait(), _CANCEL_SECONDS)
            except TimeoutError:
                self._signal(signal.SIGKILL)
                self.killed = True
                await self.process.wait()

    def end_children(self) -> None:
        """End the shell commands that a file has left running: they hold our pipes open."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Not by asyncio, which would ask for the exit code behind the back of the thread that waits for it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def _close(self) -> None:
        if self._commands >= 0:
            os.close(self._commands)
        self._commands = -1


@contextlib.asynccontextmanager
async def started(
    program: str, environment: Mapping[str, str], folder: Path, root: str, printed: Callable[[str], None]
) -> AsyncIterator[Session]:
    """Start psql in `folder`; `printed` takes each line that it or a file prints. At the end of the block, it is stopped."""
    async with contextlib.AsyncExitStack() as stack:
        output, write_output = await _reader(stack)
        errors, write_errors = await _reader(stack)
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                program, "--no-psqlrc", "--no-password", "--quiet", "--output=/dev/null", f"--file=/dev/fd/{reading}",
                cwd=folder, env=environment, pass_fds=(reading,), start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL, stdout=write_output, stderr=write_errors,
            )  # fmt: skip
        except BaseException:
            os.close(writing)
            raise
        finally:
            for descriptor in (reading, write_output, write_errors):
                os.close(descriptor)
        session = Session(process, writing, Transcript(root, printed))
        readers = asyncio.gather(session.hear(errors), _lines(output, printed))
        try:
            yield session
        finally:
            await session.stop()
            session.end_children()
            with contextlib.suppress(
                TimeoutError
            ):  # who has left the group of processes still holds the pipes
                await asyncio.wait_for(readers, _DRAIN_SECONDS)


async def _reader(stack: contextlib.AsyncExitStack) -> tuple[asyncio.StreamReader, int]:
    """A pipe, and the descriptor to write to. asyncio's own pipes would keep a process unended until they are closed."""
    reading, writing = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
    )
    stack.callback(transport.close)
    return reader, writing


async def _lines(stream: asyncio.StreamReader, take: Callable[[str], None]) -> None:
    """Give each line to `take`, the parts of one that is too long as lines of their own."""
    rest = b""
    while chunk := await stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            take(line.decode(errors="replace"))
        if len(rest) > _MAX_LINE:
            take(rest.decode(errors="replace"))
            rest = b""
    if rest:
        take(rest.decode(errors="replace"))


def new_mark() -> str:
    """Something that no file can know."""
    return f"dbupgrade-{secrets.token_hex(16)}"
