from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import dbupgrade
from dbupgrade import __main__ as program
from dbupgrade.cli import commands, main, options
from dbupgrade.cli.options import Output, Target

REPOSITORY = Path(__file__).parents[3]


@click.group()
@options.all_namespaces
@options.cluster
@click.pass_context
def group(context: click.Context, /, **given: Any) -> None:
    context.obj = Target(**given)


@group.command()
@options.output
@options.resource()
def one(target: Target, form: Output) -> None:
    click.echo(json.dumps([target.namespace, target.name, str(target.file or ""), target.context, form]))


@group.command()
@options.all_namespaces
@options.timeout
@options.resource(required=False)
def some(target: Target, timeout: float) -> None:
    click.echo(json.dumps([target.all_namespaces, target.name, timeout]))


def answer(*words: str) -> Any:
    result = CliRunner().invoke(group, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["one", "shop"], [None, "shop", "", None, "table"]),
        (["-n", "prod", "one", "shop"], ["prod", "shop", "", None, "table"]),
        (["one", "shop", "-n", "prod"], ["prod", "shop", "", None, "table"]),
        (["-n", "prod", "one", "-n", "test", "shop"], ["test", "shop", "", None, "table"]),
        (["--context", "a", "one", "shop", "-n", "prod", "-o", "yaml"], ["prod", "shop", "", "a", "yaml"]),
        (["one", "-f", "shop.yaml"], [None, None, "shop.yaml", None, "table"]),
        (["one", "dbupgrade/shop"], [None, "shop", "", None, "table"]),
        (["one", "dbupgrade.dbupgrade.subbug.learning/shop"], [None, "shop", "", None, "table"]),
        (["one", "dbu/shop"], [None, "shop", "", None, "table"]),
    ],
)
def test_flags_are_taken_before_and_after_the_command(words: list[str], expected: list[Any]) -> None:
    assert answer(*words) == expected


@pytest.mark.parametrize("words", [["-A", "some"], ["some", "-A"], ["some", "--all-namespaces"]])
def test_all_namespaces_too(words: list[str]) -> None:
    assert answer(*words) == [True, None, 600.0]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("30s", 30), ("10m", 600), ("1h", 3600), ("0", 0)])
def test_durations(text: str, seconds: float) -> None:
    assert answer("some", "--timeout", text)[2] == seconds


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["one"], "Missing argument NAME (or --filename)."),
        (["one", "shop", "-f", "shop.yaml"], "NAME and --filename cannot be combined."),
        (["-A", "one", "shop"], "--all-namespaces does not apply to one."),
        (["some", "--timeout", "soon"], "'soon' is not a valid duration"),
        (["one", "shop", "-o", "xml"], "'xml' is not one of"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], said: str) -> None:
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "shop", "-A"], "cannot be combined with a resource"),
        (["apply"], "Give one FILE."),
        (["apply", "a.yaml", "-f", "b.yaml"], "Give one FILE."),
        (["retry", "shop", "-o", "json"], "No such option"),
        (["run"], "No such command"),
        (["crd"], "No such command"),
    ],
)
def test_the_plugin_refuses_what_it_does_not_have(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.plugin(words) == 2
    assert said in capsys.readouterr().err


def test_the_plugin_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.plugin(["--version"]) == 0
    assert capsys.readouterr().out == f"kubectl-dbupgrade {dbupgrade.__version__}\n"


@pytest.mark.parametrize("command", commands.ALL, ids=lambda command: command.name)
def test_every_command_has_help_with_an_example(
    command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.plugin([str(command.name), "--help"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"Usage: kubectl dbupgrade {command.name} ")
    assert f"Examples:\n    kubectl dbupgrade {command.name}" in told
    assert main.plugin(["-h"]) == 0
    assert str(command.short_help) in capsys.readouterr().out


def test_the_operators_commands_are_in_the_help_of_the_whole_program_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = {}
    for name, run in (("plugin", main.plugin), ("program", program.main)):
        assert run(["--help"]) == 0
        lines = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
        shown[name] = {line.split()[0] for line in lines if line.startswith("  ") and line.strip()}
    assert shown["program"] - shown["plugin"] >= {"run", "crd", "policy", "migrate"}
    assert {str(command.name) for command in commands.ALL} <= shown["plugin"] & shown["program"]


LOADED = (
    "import sys; from dbupgrade.cli.main import plugin; plugin([{}]); print(*sys.modules, file=sys.stderr)"
)


@pytest.mark.parametrize("words", ["'--help'", "'status', '--help'", "'completion', '--help'"])
def test_help_loads_neither_models_nor_client(words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(words)],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert not loaded & {"pydantic", "kubernetes_asyncio", "aiohttp", "asyncio", "yaml"}


def test_the_operator_loads_no_click() -> None:
    """What a pod runs most needs no more than it did before."""
    code = "import sys; import dbupgrade.__main__, dbupgrade.app; print('click' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        ("bash", "_KUBECTL_DBUPGRADE_COMPLETE=bash_complete"),
        ("zsh", "#compdef kubectl-dbupgrade"),
        ("fish", "complete --no-files --command kubectl-dbupgrade"),
        ("kubectl", 'exec kubectl-dbupgrade __complete "$@"'),
    ],
)
def test_there_is_completion_for(shell: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.plugin(["completion", shell]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["st"], ["status\tShow resources, or one with its checks, run and pods", ":4"]),
        (["status", "--all"], ["--all-namespaces\tAll namespaces.", ":4"]),
        (["status", "-o", ""], ["table", "json", "yaml", ":4"]),
        (["apply", ""], [":0"]),
    ],
)
def test_kubectl_gets_completions_as_it_reads_them(
    words: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.plugin(["__complete", *words]) == 0
    assert capsys.readouterr().out.splitlines() == expected


def test_names_are_completed_only_where_a_cluster_answers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    missing = str(tmp_path / "nothing")
    assert main.plugin(["__complete", "--kubeconfig", missing, "wait", ""]) == 0
    assert capsys.readouterr().out == ":4\n"
