from __future__ import annotations

import io
from typing import Any

import click
import pytest

from dbupgrade.cli import pods, style, times, view
from dbupgrade.cli.view import Seen
from tests.unit.cli.builders import DONE, FAILED, NOW, PLAN, RUN, pod, seen, waiting


def tree(*arguments: Any) -> list[str]:
    return [click.unstyle(line) for line in view.tree(*arguments)]


def table(*arguments: Any) -> list[str]:
    return [click.unstyle(line) for line in view.table(*arguments)]


@pytest.mark.parametrize(
    ("resource", "state"),
    [
        (seen("Ready"), "Ready"),
        (seen("Progressing", "JobPending"), "Running"),
        (seen("Stalled", "JobFailed"), "Failed"),
        (seen("", "DatabaseBusy"), "Waiting"),
        (seen("", "Suspended"), "Suspended"),
        (seen("Ready", observedGeneration=0), "Unseen"),
        (seen("Ready", observedGeneration=-1, conditions=[]), "Unseen"),
    ],
)
def test_one_word_says_how_it_is(resource: Seen, state: str) -> None:
    assert resource.state == state


def test_a_resource_that_was_never_looked_at_can_be_shown() -> None:
    obj = {"metadata": {"namespace": "shop", "name": "app", "uid": "u"}}
    assert tree(Seen.of(obj), [], NOW) == [
        "shop/app  Unseen",
        "  The operator has not seen generation 0 of the spec yet.",
        "  image  ",
    ]


def test_the_tree_shows_checks_run_and_pods() -> None:
    check = {
        "phase": "Pre",
        "kind": "PodVersion",
        "name": "web",
        "verdict": "Holds",
        "message": "5 of 5 pods",
        "since": "2026-01-01T12:00:00Z",
    }
    resource = seen("Ready", run=DONE, checks=[check], currentVersion="20250103")
    assert tree(resource, [pod(phase="Succeeded")], NOW) == [
        "shop/app  Ready  MigrationComplete",
        "  applied 2 files",
        "  image  shop:2.0.0",
        "  version  20250103",
        "  ├─ pre-check web  Holds  5 of 5 pods",
        "  └─ run 2  Succeeded  42s  job shop-1a2b",
        "       image  shop:2.0.0",
        "       20250101 -> 20250103, 2 files",
        "     └─ pod shop-1a2b-x  Succeeded",
    ]


def test_the_tree_shows_what_the_preflight_found_and_what_mends_it() -> None:
    grant = {"check": "privileges", "severity": "error", "message": "user u has no CREATE", "fix": "GRANT x;"}
    lines = tree(seen("Stalled", "PreflightFailed", preflight=[grant]), [], NOW)
    assert lines[-2:] == ["  └─ preflight privileges  error  user u has no CREATE", "       fix  GRANT x;"]


def test_a_failed_run_shows_where_and_why() -> None:
    lines = tree(seen("Stalled", "JobFailed", run=FAILED), [], NOW)
    assert "  └─ run 2  Failed (SQLError)  42s  job shop-1a2b" in lines
    assert [line.strip() for line in lines[-3:]] == [
        "file  20250103_x.sql", "statement  CREATE TABEL x", "error  syntax error",
    ]  # fmt: skip


def test_a_run_that_is_on_counts_its_time() -> None:
    assert "run 2  Running  5m30s" in "\n".join(tree(seen("Progressing", run=RUN), [], NOW))


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (pod(), "Pending"),
        (pod(phase="Succeeded"), "Succeeded"),
        (
            pod(initContainerStatuses=[{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]),
            "ImagePullBackOff",
        ),
        (
            pod(
                initContainerStatuses=[{"state": {"running": {}}}],
                containerStatuses=[{"state": {"waiting": {"reason": "PodInitializing"}}}],
            ),
            "Pending",
        ),
        ({"metadata": {}}, "Unknown"),
    ],
)
def test_a_pods_phase_names_what_it_waits_for(found: dict[str, Any], wanted: str) -> None:
    assert pods.phase(found) == wanted


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (61, "1m1s"), (3660, "1h1m"), (90000, "1d1h"), (-5, "0s")]
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert times.length(seconds) == text


def test_a_table_is_as_wide_as_its_words() -> None:
    assert table(("A", "LONG"), [("wide", "x"), ("", "")]) == ["A      LONG", "wide   x", ""]


def test_history_rows() -> None:
    first, second = seen(history=[DONE, FAILED]).status.history
    assert view.history_row(first, NOW) == (
        "2", "Succeeded", "shop:2.0.0", "", "20250101", "20250103", "2", "", "2026-01-01 12:00:00", "42s", "",
    )  # fmt: skip
    assert view.history_row(second, NOW)[1:7] == ("Failed (SQLError)", "shop:2.0.0", "", "", "", "")
    assert len(view.HISTORY_HEADS) == len(view.history_row(first, NOW))


@pytest.mark.parametrize(
    ("errors", "warnings", "text"),
    [(0, 0, "none"), (1, 0, "1 error"), (0, 2, "2 warnings"), (2, 1, "2 errors, 1 warning")],
)
def test_a_history_has_the_image_findings_and_who_approved(errors: int, warnings: int, text: str) -> None:
    lint = {"files": 1, "errors": errors, "warnings": warnings}
    done = {**DONE, "digest": "sha256:" + "ab" * 32, "lint": lint, "approvedBy": "alice", "plan": PLAN}
    row = dict(
        zip(view.HISTORY_HEADS, view.history_row(seen(history=[done]).status.history[0], NOW), strict=True)
    )
    assert row["DIGEST"] == "sha256:abababababab"
    assert (row["FINDINGS"], row["APPROVED BY"]) == (text, "alice")


def test_the_tree_shows_the_plan_while_it_waits() -> None:
    lines = tree(waiting(), [], NOW)
    assert lines[3:6] == [
        "  ├─ plan  1 file, from 1 to 2; lint finds nothing",
        "  │    Needs approval: spec.policy.approval is Always.",
        "  │      and 1 more file",
    ]
    assert lines[6] == f"  │    Plan digest:  {PLAN}"
    assert lines[7].startswith("  └─ run 2  Planned (ApprovalPending)")
    assert view.summary(waiting(), [])["plan"]["digest"] == PLAN
    approved = waiting(run={**DONE, "approvedBy": "alice"})
    assert not any("plan" in line for line in tree(approved, [], NOW)[3:])
    assert view.summary(approved, [])["plan"] is None
    assert any(line.endswith("approved by  alice") for line in tree(approved, [], NOW))


def test_the_summary_is_plain_data() -> None:
    summary = view.summary(seen("Ready", run=DONE), [pod(phase="Succeeded")])
    assert summary["state"] == "Ready"
    assert summary["run"]["toVersion"] == "20250103"
    assert summary["pods"] == [{"name": "shop-1a2b-x", "phase": "Succeeded"}]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (5, "5 s"), (90, "1 min 30 s"), (600, "10 min"), (3600, "1 h"), (3661, "1 h 1 min 1 s")],
)
def test_durations_in_sentences(seconds: float, text: str) -> None:
    assert times.duration(seconds) == text


def test_an_unseen_generation_is_not_shown_as_the_present_state() -> None:
    heading, told, *_ = tree(seen("Ready", generation=2), [], NOW)
    assert heading == "shop/app  Unseen  MigrationComplete"
    assert told == (
        "  The operator has not seen generation 2 of the spec yet; what follows is about an earlier one."
    )


def test_a_suspension_shows_beside_another_state() -> None:
    assert "  Suspended: no new run starts" in tree(seen("Ready", suspend=True), [], NOW)


def test_states_are_in_colour_and_names_are_not() -> None:
    rows = view.table(("NAME", "STATE"), [("ready", "Ready"), ("x", "Failed (SQLError)")])
    assert rows[1] == "ready   \x1b[32mReady\x1b[0m"
    assert rows[2].startswith("x       \x1b[31mFailed\x1b[0m (SQLError)")


@pytest.mark.parametrize(("variable", "coloured"), [(None, True), ("", True), ("1", False)])
def test_no_color_is_heeded(variable: str | None, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    if variable is not None:
        monkeypatch.setenv("NO_COLOR", variable)
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        style.echo(style.word("Ready"), file=stream)
    assert ("\x1b" in terminal.getvalue()) is coloured
    assert pipe.getvalue() == "Ready\n"
