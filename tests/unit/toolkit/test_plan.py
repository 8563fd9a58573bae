"""Plans: what their digest covers, when they ask, how they are shown, and how the operator finds one in a log."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dbupgrade.api.plan import Plan, PlannedFile, PlannedFinding, PlannedLock, PlannedStatement
from dbupgrade.api.record import from_json, to_json
from dbupgrade.api.spec.policy import Approval, size_in_bytes
from dbupgrade.pod import plan as documents
from dbupgrade.pod import plan_text
from dbupgrade.toolkit.environment import BadEnvironmentError, read
from dbupgrade.toolkit.plan.asking import asks
from dbupgrade.toolkit.plan.identity import Identity, digest
from dbupgrade.toolkit.plan.make import masked

DIGEST = "sha256:" + "a" * 64
LOCK = PlannedLock(
    table="public.orders", mode="ACCESS EXCLUSIVE", effect="rewrites", bytes=3 << 30, rows=2_000_000
)
WEAK = replace(LOCK, mode="SHARE UPDATE EXCLUSIVE")
DROPS = PlannedFinding(level="error", rule="ban-drop-column", what="drops column orders.note")
NOTE = PlannedFinding(level="warning", rule="several-locks", what="locks items, too")
SAFE = PlannedFile(name="1_a.sql", statement_count=1)
PLAN = Plan(
    digest=DIGEST,
    from_version="1",
    to_version="3",
    file_count=2,
    statement_count=3,
    files=(
        PlannedFile(
            name="3_b.sql",
            number=2,
            statement_count=2,
            notable=(PlannedStatement(line=4, findings=(DROPS,), locks=(LOCK,)),),
        ),
        SAFE,
    ),
)
IDENTITY = Identity(
    "shop/orders", DIGEST, "", ["1", "2"], [("3_b.sql", "f" * 64)], [("3_b.sql", 4, "r")], {"t": "x"}
)


def with_lock(lock: PlannedLock) -> Plan:
    statement = PlannedStatement(line=4, locks=(lock,))
    return replace(PLAN, files=(replace(PLAN.files[0], notable=(statement,)),))


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": "shop/other"},
        {"image_digest": ""},
        {"baseline": "1"},
        {"applied": ["1"]},
        {"files": [("3_b.sql", "0" * 64)]},
        {"files": [("3_c.sql", "f" * 64)]},
        {"files": [*IDENTITY.files, ("4_c.sql", "f" * 64)]},
        {"findings": []},
        {"findings": [("3_b.sql", 4, "other")]},
        {"tables": {"t": "y"}},
        {"tables": {}},
    ],
)
def test_each_part_is_in_the_digest(changes: dict[str, Any]) -> None:
    assert digest(replace(IDENTITY, **changes)) != digest(IDENTITY)


def test_the_digest_does_not_depend_on_an_order_that_means_nothing() -> None:
    files = [("3_b.sql", "f" * 64), ("4_c.sql", "e" * 64)]
    one = Identity("a/b", "", "", ["1", "2"], files, [("a", 1, "r"), ("b", 2, "s")], {"t": "x", "u": "y"})
    other = replace(
        one, applied=["2", "1"], findings=[("b", 2, "s"), ("a", 1, "r")], tables={"u": "y", "t": "x"}
    )
    assert digest(one) == digest(other)
    assert digest(one) != digest(replace(one, files=files[::-1]))


def test_the_digest_is_the_same_in_every_version_of_the_program() -> None:
    assert digest(IDENTITY) == "sha256:3fcef125cfc2ea3ce8cbb13be0663d85aaabf5beb5b2ef61df67e8b3691b8ae1"


@pytest.mark.parametrize(
    ("plan", "approval", "why"),
    [
        (PLAN, Approval.NEVER, ""),
        (replace(PLAN, errors=1), Approval.NEVER, ""),
        (PLAN, Approval.ALWAYS, "approval is Always"),
        (Plan(digest=DIGEST), Approval.ALWAYS, ""),
        (replace(PLAN, files=(SAFE,)), Approval.ON_FINDINGS, ""),
        (
            replace(PLAN, errors=2),
            Approval.ON_FINDINGS,
            "Lint finds 2 errors: 3_b.sql line 4 drops column orders.note",
        ),
        (replace(PLAN, errors=1, files=()), Approval.ON_FINDINGS, "Lint finds 1 error"),
        (
            with_lock(LOCK),
            Approval.ON_FINDINGS,
            "3_b.sql line 4 blocks writes to public.orders (3 GB, ACCESS EXCLUSIVE)",
        ),
        (with_lock(replace(LOCK, bytes=1 << 30)), Approval.ON_FINDINGS, ""),
        (with_lock(replace(LOCK, bytes=None)), Approval.ON_FINDINGS, ""),
        (with_lock(WEAK), Approval.ON_FINDINGS, ""),
    ],
)
def test_which_plans_ask(plan: Plan, approval: Approval, why: str) -> None:
    assert asks(plan, approval, size_in_bytes("1Gi")) == why


def test_what_cannot_be_told_beforehand_asks() -> None:
    safe = replace(PLAN, files=(SAFE,))
    why = asks(safe, Approval.ON_FINDINGS, 1 << 30, "1_a.sql line 2")
    assert why == "1_a.sql line 2 may lock tables that cannot be determined in advance"
    assert asks(safe, Approval.NEVER, 1 << 30, "1_a.sql line 2") == ""


def test_a_plan_is_read_in_ten_seconds() -> None:
    plan = replace(PLAN, errors=1, warnings=2, asks="Lint finds 1 error", image_digest="sha256:b")
    assert list(plan_text.described(plan)) == [
        "2 files, 3 statements, from 1 to 3; lint finds 1 error and 2 warnings",
        "Needs approval: Lint finds 1 error.",
        "  3_b.sql (2 statements)",
        "    line 4  error: drops column orders.note (ban-drop-column)",
        "    line 4  locks public.orders (3 GB, about 2 million rows): ACCESS EXCLUSIVE while the table is rewritten",
        "  1_a.sql (1 statement)",
        "Image digest: sha256:b",
        f"Plan digest:  {DIGEST}",
    ]
    nothing = Plan(digest=DIGEST, from_version="3")
    assert next(plan_text.described(nothing)) == "Nothing to apply: the database is at 3"
    shortened = replace(PLAN, files=PLAN.files[:1])
    assert "  and 1 more file" in list(plan_text.described(shortened))


def test_markdown_cannot_be_broken_by_what_is_in_it() -> None:
    name = PlannedFinding(level="error", rule="r", what="drops table a|b<script>`*")
    file = PlannedFile(name="1_a.sql", notable=(PlannedStatement(line=1, findings=(name,)),))
    text = "\n".join(plan_text.markdown(replace(PLAN, files=(file,), file_count=1)))
    assert "| | 1 | error: drops table a\\|b&lt;script>\\`\\* (r) |" in text


def test_the_operator_finds_the_plan_by_its_hash_and_nothing_else() -> None:
    line = documents.line(PLAN)
    forged = line.replace("3_b.sql", "3_x.sql")
    log = f"{forged}\nnoise\n{line}\n{forged}\n"
    assert documents.read(log, documents.sha256(line)) == PLAN
    assert documents.read(log, documents.sha256("noise")) is None
    assert documents.read(f"{forged}\n", documents.sha256(line)) is None
    assert documents.read("[" * 100_000, documents.sha256("[" * 100_000)) is None


def test_a_plan_of_thousands_of_files_fits() -> None:
    files = tuple(
        PlannedFile(name=f"{n:05}_{'x' * 80}.sql", number=n, statement_count=3) for n in range(1, 5001)
    )
    plan = replace(PLAN, file_count=5000, files=files)
    line = documents.line(plan)
    assert len(line) <= documents.LINE_BYTES
    kept = documents.fitting(plan, documents.STATUS_BYTES)
    assert files[: len(kept.files)] == kept.files
    assert 100 < len(kept.files) < 5000
    assert kept.file_count == 5000


def test_a_plan_survives_the_status() -> None:
    plan = replace(PLAN, made_at=datetime(2026, 1, 1, tzinfo=UTC), asks="x", image="i", image_digest=DIGEST)
    assert from_json(Plan, to_json(plan)) == plan


def settings(**variables: str) -> Any:
    files = {"/digest": f"{DIGEST}\n", "/other": "latest"}

    def read_file(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[path]

    return read({f"MIGRATE_{name}": value for name, value in variables.items()}, read_file)


def test_the_environment_of_an_approval() -> None:
    found = settings(
        APPROVAL="OnFindings",
        APPROVAL_ABOVE="500Mi",
        APPROVED_PLANS=f"{DIGEST} sha256:b",
        PLAN_FOR="shop/orders",
        IMAGE_DIGEST_FILE="/digest",
    )
    assert (found.approval, found.approval_above) == (Approval.ON_FINDINGS, 500 << 20)
    assert (found.approved_plans, found.plan_for, found.image_digest) == (
        (DIGEST, "sha256:b"),
        "shop/orders",
        DIGEST,
    )
    nothing = settings()
    assert (nothing.approval, nothing.approval_above, nothing.approved_plans) == (Approval.NEVER, 1 << 30, ())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("APPROVAL", "always", "must be one of Never, OnFindings, Always"),
        ("APPROVAL_ABOVE", "10", "it must be a size"),
        ("IMAGE_DIGEST", "latest", "must be sha256: and 64 hexadecimal digits"),
        ("IMAGE_DIGEST_FILE", "/other", "must be sha256: and 64 hexadecimal digits"),
        ("IMAGE_DIGEST_FILE", "/none", "cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_used_is_refused(name: str, value: str, words: str) -> None:
    with pytest.raises(BadEnvironmentError, match=words):
        settings(**{name: value})


@pytest.mark.parametrize(
    ("log", "wanted"),
    [
        (f"{documents.line(PLAN)}\n", PLAN),
        (f'{{"event": "wait"}}\n{documents.line(PLAN)}\nnot json\n[1]\n{{"event": "done"}}', PLAN),
        (f"{documents.line(replace(PLAN, digest='sha256:' + 'b' * 64))}\n{documents.line(PLAN)}", PLAN),
        ('{"event": "plan"}\n', None),
        ('{"event": "plan", "plan": {"digest": 1}}\n', None),
        ("", None),
    ],
)
def test_the_last_plan_of_a_log(log: str, wanted: Plan | None) -> None:
    assert documents.last(log) == wanted


def test_a_secret_that_json_spells_in_another_way_is_masked() -> None:
    secret = 'h"unter\u00e4 2'
    drop = PlannedFinding(level="error", rule="r", what=f"drops table {secret}")
    file = PlannedFile(name="1_a.sql", notable=(PlannedStatement(line=1, findings=(drop,)),))
    plan = masked(replace(PLAN, asks=f"drops table {secret}", files=(file,)), (secret,))
    assert plan.digest == PLAN.digest
    assert plan.asks == "drops table ***"
    assert plan.files[0].notable[0].findings[0].what == "drops table ***"
