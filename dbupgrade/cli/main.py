"""The command line as a whole: `kubectl dbupgrade` and, with the operator's commands, `dbupgrade`."""

import sys
from collections.abc import Mapping

import click
from click.shell_completion import ShellComplete, get_completion_class

import dbupgrade
from dbupgrade.cli import commands, options
from dbupgrade.cli.options import Target

PLUGIN = "kubectl-dbupgrade"
_SHELLS = ("bash", "zsh", "fish", "kubectl")
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_EXAMPLES = """\b
Examples:
  {name} status
  {name} wait shop --timeout 30m
  {name} explain shop
"""


def plugin(arguments: list[str] | None = None) -> int:
    """`kubectl dbupgrade`; returns the exit code."""
    return run(arguments, "kubectl dbupgrade", PLUGIN, {})


def run(arguments: list[str] | None, shown: str, program: str, others: Mapping[str, str]) -> int:
    """Run a command of the program, which is shown as `shown`; `others` are commands that only the help shows."""
    words = sys.argv[1:] if arguments is None else arguments
    group = _group(shown, program, others)
    if words[:1] == ["__complete"]:
        _complete_for_kubectl(group, program, words[1:])
        return 0
    try:
        code = group.main(words, prog_name=shown, complete_var=_variable(program), standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    return code if isinstance(code, int) else 0


def complete() -> int:
    """`kubectl_complete-dbupgrade`, which kubectl runs to complete `kubectl dbupgrade …`."""
    _complete_for_kubectl(_group("kubectl dbupgrade", PLUGIN, {}), PLUGIN, sys.argv[1:])
    return 0


def _group(shown: str, program: str, others: Mapping[str, str]) -> click.Group:
    @click.group(context_settings=_HELP, epilog=_EXAMPLES.format(name=shown))
    @click.version_option(dbupgrade.__version__, prog_name=program, message="%(prog)s %(version)s")
    @options.all_namespaces
    @options.cluster
    @click.pass_context
    def group(context: click.Context, /, **given: str | None) -> None:
        """Database migrations in Kubernetes: see what a DBUpgrade does, and act on it."""
        context.obj = Target(**given)  # type: ignore[arg-type]

    for command in commands.ALL:
        group.add_command(command)
    group.add_command(_completion(group, program))
    for name, text in others.items():
        group.add_command(click.Command(name, short_help=text, help=text))
    return group


def _completion(group: click.Group, program: str) -> click.Command:
    @click.command(
        epilog=f"""\b
Examples:
  source <({program} completion bash)
  {program} completion zsh > "${{fpath[1]}}/_{program}"
  {program} completion fish > ~/.config/fish/completions/{program}.fish
  {program} completion kubectl > ~/.local/bin/kubectl_complete-dbupgrade; chmod +x "$_"
""",
        short_help="Print a script for completion in a shell",
    )
    @click.argument("shell", type=click.Choice(_SHELLS))
    def completion(shell: str) -> None:
        """Print a script that completes commands, options and names in a shell.

        `kubectl` is for the completion of `kubectl dbupgrade` by kubectl itself, in any shell: an executable that has to be
        on the PATH.
        """
        if shell == "kubectl":
            click.echo(f'#!/bin/sh\nexec {program} __complete "$@"')
            return
        kind = get_completion_class(shell)
        if kind is None:
            raise click.UsageError(f"There is no completion for {shell}.")
        click.echo(kind(group, {}, program, _variable(program)).source())

    return completion


def _variable(program: str) -> str:
    return f"_{program.upper().replace('-', '_')}_COMPLETE"


def _complete_for_kubectl(group: click.Group, program: str, words: list[str]) -> None:
    """Print completions as cobra does: values with their help, then what the shell is to do further."""
    before, incomplete = words[:-1], words[-1] if words else ""
    found = ShellComplete(group, {}, program, _variable(program)).get_completions(before, incomplete)
    for item in found:
        if item.type == "plain":
            click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    files = any(item.type == "file" for item in found)
    click.echo(":0" if files else ":4")  # 4: no names of files
