from __future__ import annotations

from typing import Any

import pytest

from dbupgrade.cli import view
from dbupgrade.cli.view import Seen
from tests.unit.cli.builders import DONE, FAILED, NOW, RUN, seen


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop-1a2b-x"}, "status": {"phase": "Pending", **status}}


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
    assert view.tree(Seen.of(obj), [], NOW)[0] == "shop/app  Unseen  Unseen"


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
    assert view.tree(resource, [pod(phase="Succeeded")], NOW) == [
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


def test_a_failed_run_shows_where_and_why() -> None:
    lines = view.tree(seen("Stalled", "JobFailed", run=FAILED), [], NOW)
    assert "  └─ run 2  Failed (SQLError)  42s  job shop-1a2b" in lines
    assert [line.strip() for line in lines[-3:]] == [
        "file  20250103_x.sql", "statement  CREATE TABEL x", "error  syntax error",
    ]  # fmt: skip


def test_a_run_that_is_on_counts_its_time() -> None:
    assert "run 2  Running  5m30s" in "\n".join(view.tree(seen("Progressing", run=RUN), [], NOW))


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
    assert view.phase(found) == wanted


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.9, "59s"), (61, "1m1s"), (3660, "1h1m"), (90000, "1d1h"), (-5, "0s")]
)
def test_lengths_of_time(seconds: float, text: str) -> None:
    assert view.length(seconds) == text


def test_a_table_is_as_wide_as_its_words() -> None:
    assert view.table(("A", "LONG"), [("wide", "x"), ("", "")]) == ["A      LONG", "wide   x", ""]


def test_history_rows() -> None:
    first, second = seen(history=[DONE, FAILED]).status.history
    assert view.history_row(first, NOW) == (
        "2", "Succeeded", "shop:2.0.0", "20250101", "20250103", "2", "2026-01-01 12:00:00", "42s",
    )  # fmt: skip
    assert view.history_row(second, NOW)[1:6] == ("Failed (SQLError)", "shop:2.0.0", "", "", "")


def test_the_summary_is_plain_data() -> None:
    summary = view.summary(seen("Ready", run=DONE), [pod(phase="Succeeded")])
    assert summary["state"] == "Ready"
    assert summary["run"]["toVersion"] == "20250103"
    assert summary["pods"] == [{"name": "shop-1a2b-x", "phase": "Succeeded"}]
