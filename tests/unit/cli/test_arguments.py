from __future__ import annotations

import pytest

from dbupgrade.cli import COMMANDS
from dbupgrade.cli.arguments import Output, parse
from dbupgrade.cli.commands import Commands


def test_every_command_has_its_code_and_takes_a_name() -> None:
    for name in COMMANDS:
        assert parse([name, "shop", "-n", "prod"]).namespace == "prod"
        assert callable(getattr(Commands, f"_{name}"))


def test_a_status_needs_no_name() -> None:
    given = parse(["status", "-A", "-o", "yaml"])
    assert (given.name, given.all_namespaces, given.output) == (None, True, Output.YAML)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("30s", 30), ("10m", 600), ("1h", 3600), ("0", 0)])
def test_times(text: str, seconds: float) -> None:
    assert parse(["wait", "shop", "--timeout", text]).timeout == seconds


@pytest.mark.parametrize(
    "arguments",
    [["wait"], ["history"], ["wait", "shop", "--timeout", "soon"], ["status", "shop", "-A"], ["retry", "shop", "-o", "json"], []],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)
    assert "usage: kubectl dbupgrade" in capsys.readouterr().err
