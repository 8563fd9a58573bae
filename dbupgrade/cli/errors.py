"""How a command fails."""

from typing import IO, Any

import click

from dbupgrade.cli import style


class CommandError(click.ClickException):
    """A command that cannot do what it was asked for; the message is for the person, and the exit code is 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message as kubectl does."""
        style.echo(f"{style.paint('error:', style.Meaning.BAD)} {self.message}", file=file, error=True)
