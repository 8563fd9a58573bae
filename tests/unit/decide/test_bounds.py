"""What a status may hold, whoever wrote the texts in it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from dbupgrade.api.check_status import CheckKind, CheckPhase, CheckStatus, Verdict
from dbupgrade.api.failure import Failure
from dbupgrade.api.findings import Finding, Lint
from dbupgrade.api.record import to_json
from dbupgrade.api.status import Status
from dbupgrade.decide.bounds import bounded, smallest
from dbupgrade.decide.statuses import complete
from tests.unit.decide.builders import NOW, a_resource, failed, observe

HOSTILE = "a\x1b[31mb\x00c\u202ed\u2066e\r\nf\x9bg"
CLEANED = "a[31mbcde  fg"
HUGE = "é" * 300_000


def a_check(text: str) -> CheckStatus:
    phase, kind = CheckPhase.PRE, CheckKind.POD_VERSION
    return CheckStatus(
        phase=phase,
        kind=kind,
        name="app=web",
        verdict=Verdict.FAILS,
        message=text[:1024],
        since=NOW,
        last_value=text,
        highest={text: text},
    )


def full_of(text: str) -> Status:
    """A status that has `text` wherever somebody else has a say."""
    finding = Finding(file=text[:255], line=1, level="error", rule="r", what=text[:256], safer=text[:512])
    run = replace(
        failed(
            Failure.SQL,
            to_version=text,
            from_version=text,
            failed_file=text,
            failed_statement=text,
            error=text,
        ),
        image_version=text,
        sqlstate=text,
        lint=Lint(files=1, errors=1, warnings=0, findings=(finding,)),
    )
    status = Status(run=run, history=tuple(replace(run, sequence=number) for number in range(1, 11)))
    status = complete(observe(a_resource()), status, text)
    conditions = tuple(replace(each, message=text) for each in status.conditions)
    return replace(
        status, conditions=conditions, checks=(a_check(text),), current_version=text, last_handled_retry=text
    )


def texts(node: Any) -> list[str]:
    match node:
        case str():
            return [node]
        case list():
            return [text for each in node for text in texts(each)]
        case dict():
            return [text for name, each in node.items() for text in (name, *texts(each))]
        case _:
            return []


def size(status: Status) -> int:
    return len(json.dumps(to_json(status), ensure_ascii=False).encode())


def test_no_text_has_a_character_that_a_terminal_obeys_or_that_hides_others() -> None:
    found = bounded(full_of(HOSTILE))
    assert all(text.isprintable() for text in texts(to_json(found)))
    assert found.run
    assert (found.run.error, found.current_version, found.run.to_version) == (CLEANED,) * 3


def test_no_text_is_long_and_the_whole_is_far_below_what_etcd_takes() -> None:
    written = to_json(bounded(full_of(HUGE)))
    assert max(len(text.encode()) for text in texts(written)) <= 8192
    assert size(bounded(full_of(HUGE))) < 200_000


def test_what_is_clean_stays_the_same_object() -> None:
    status = full_of("plain")
    assert bounded(status) is status
    once = bounded(full_of(HOSTILE))
    assert bounded(once) is once


def test_the_smallest_form_has_what_decisions_need() -> None:
    status = bounded(full_of(HUGE))
    found = smallest(status)
    assert found.run
    assert status.run
    kept = ("job_name", "sequence", "run_id", "job_uid", "finished_at", "result", "failure", "token_secret")
    assert [getattr(found.run, name) for name in kept] == [getattr(status.run, name) for name in kept]
    assert [each.reason for each in found.conditions] == [each.reason for each in status.conditions]
    assert (found.checks[0].verdict, found.checks[0].since) == (Verdict.FAILS, NOW)
    assert size(found) < 16_000 < size(status)


@pytest.mark.parametrize("status", [Status(), full_of("plain")])
def test_the_smallest_form_of_what_is_small_is_not_larger(status: Status) -> None:
    assert size(smallest(status)) <= size(status)
