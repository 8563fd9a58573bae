"""The log as it leaves the process: one JSON object a line, and never a text of a library."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def lines(code: str, level: str = "info", *, for_people: bool = False) -> list[str]:
    """What a process prints that logs with `code`. The set-up is for a whole process, so each test has its own."""
    script = (
        "import logging, structlog\nfrom dbupgrade.telemetry import logs\n"
        f"logs.configure({level!r}, for_people={for_people})\nlog = structlog.get_logger()\n{code}\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def events(code: str, level: str = "info") -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(code, level)]


def test_an_event_is_one_json_object_with_level_time_and_context() -> None:
    code = "structlog.contextvars.bind_contextvars(namespace='shop')\nlog.warning('run_ended', run='orders-1', seconds=2.5)"
    (event,) = events(code)
    time = event.pop("timestamp")
    assert event == {
        "event": "run_ended",
        "level": "warning",
        "namespace": "shop",
        "run": "orders-1",
        "seconds": 2.5,
    }
    assert time.endswith("Z")


def test_a_line_end_in_a_value_does_not_end_the_line() -> None:
    (event,) = events("log.info('a', text='one\\ntwo')")
    assert event["text"] == "one\ntwo"


def test_a_value_that_json_does_not_know_is_written_as_text() -> None:
    (event,) = events("import pathlib; log.info('a', path=pathlib.Path('/x'))")
    assert event["path"] == "/x"


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_below_the_level_is_not_written(level: str, seen: list[str]) -> None:
    code = "for name in ('debug', 'info', 'warning', 'error'): getattr(log, name)('a')"
    assert [event["level"] for event in events(code, level)] == seen


def test_a_library_error_is_told_by_its_place_and_class_and_never_by_its_text() -> None:
    code = (
        "try:\n  raise ValueError('hunter2')\nexcept ValueError:\n"
        "  logging.getLogger('aiohttp.client').exception('password %s', 'hunter2')\n"
    )
    (line,) = lines(code)
    event = json.loads(line)
    assert (event["event"], event["level"], event["logger"]) == ("library_error", "error", "aiohttp.client")
    assert event["error"] == "ValueError"
    assert event["at"].startswith("<string>:")
    assert "hunter2" not in line
    assert "Traceback" not in line


def test_a_library_error_without_an_exception_has_no_class() -> None:
    (event,) = events("logging.getLogger('x').error('hunter2')")
    assert event["error"] is None


def test_what_libraries_say_below_an_error_is_dropped() -> None:
    assert lines("logging.getLogger('x').warning('hunter2')", "debug") == []


def test_an_exception_given_to_our_own_log_is_not_rendered() -> None:
    code = "try:\n  raise ValueError('hunter2')\nexcept ValueError:\n  log.error('a', exc_info=True)"
    (line,) = lines(code)
    assert "hunter2" not in line


def test_people_read_lines_of_text() -> None:
    (line,) = lines("log.info('run_ended', run='orders-1')", for_people=True)
    assert "run_ended" in line
    assert "run=orders-1" in line
    assert "\x1b" not in line


def logged() -> list[tuple[str, ast.expr]]:
    """Where something is logged, and what as."""
    found = []
    for path in sorted([*(ROOT / "dbupgrade").rglob("*.py"), *(ROOT / "webhook").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name(id="_log") | ast.Attribute(attr="_log"),
                        attr="debug" | "info" | "warning" | "error",
                    ),
                    args=[event, *_],
                ):
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", event))
    return found


def test_every_event_has_a_constant_name_in_snake_case() -> None:
    found = logged()
    assert len(found) > 20
    for where, event in found:
        assert isinstance(event, ast.Constant), where
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", str(event.value)), (where, event.value)
