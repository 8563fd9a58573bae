"""What Atlas 0.13.1 really printed (PostgreSQL 15), and what may be said of it."""

import json
from typing import Any

import pytest

from dbupgrade.api.failure import Failure
from dbupgrade.pod.engines.atlas import report
from dbupgrade.pod.report import MARK, Report, classify

FIRST = {"name": "20240101000000_init.sql", "version": "20240101000000", "error": None}
SECOND = {"name": "20240102000000_fill.sql", "version": "20240102000000", "error": None}
# One string of the real output, with its line ends and quotes as Atlas's template wrote them.
BAD_STATEMENT = (
    'dbupgrade-report:{"current":"","target":"20240103000000","pending":3,"applied":[{"name":"20240101000000_init.sql",'
    '"version":"20240101000000","error":null},{"name":"20240102000000_fill.sql","version":"20240102000000","error":null},'
    '{"name":"20240103000000_bad.sql","version":"20240103000000","error":{"stmt":"insert into users -- don\'t\\n values'
    ' (\'hunter2\');","text":"pq: invalid input syntax for type integer: \\"hunter2\\""}}],"error":"sql/migrate: sql/migrate:'
    " execute: executing statement \\\"insert into users -- don't\\\\n values ('hunter2');\\\" from version"
    ' \\"20240103000000\\": pq: invalid input syntax for type integer: \\"hunter2\\": sql/migrate: execute: write revision:'
    ' pq: current transaction is aborted, commands ignored until end of transaction block"}\n'
)
BAD_ROLE = {
    "name": "20240103000000_role.sql",
    "version": "20240103000000",
    "error": {
        "stmt": "create role x password 'hunter2' bogus;",
        "text": 'pq: unrecognized role option "bogus"',
    },
}
KILLED = {
    "name": "20240104000000_kill.sql",
    "version": "20240104000000",
    "error": {"stmt": "select pg_terminate_backend(pg_backend_pid());", "text": "driver: bad connection"},
}


def output(
    *applied: Any, current: str | None = "", target: str | None = "", pending: int = 0, error: str | None = ""
) -> str:
    body = {"current": current, "target": target, "pending": pending, "applied": applied, "error": error}
    return MARK + json.dumps(body) + "\n"


SUCCEEDED = [
    pytest.param(
        output(FIRST, SECOND, target="20240102000000", pending=2),
        Report(from_version=None, to_version="20240102000000", applied=2, pending=0),
        id="two files were applied",
    ),
    pytest.param(
        output(SECOND, current="20240101000000", target="20240102000000", pending=1),
        Report(from_version="20240101000000", to_version="20240102000000", applied=1, pending=0),
        id="one file was applied to a database with a history",
    ),
    pytest.param(
        output(current="20240102000000"),
        Report(from_version="20240102000000", to_version="20240102000000", applied=0, pending=0),
        id="nothing to apply, also when the database is ahead of the image",
    ),
    pytest.param(
        output(), Report(failure=Failure.EMPTY_FOLDER), id="a folder without files looks like a success"
    ),
    pytest.param("", Report(), id="a lost log is a success with versions unknown"),
    pytest.param("postgres://u:hunter2@h/db\n", Report(), id="output that is no report is not copied"),
    pytest.param(MARK + '{"current":"1","tar', Report(), id="a report that was cut is a success"),
    pytest.param(MARK + "{}", Report(), id="a report of another shape is a success"),
    pytest.param(
        output(FIRST, target="1", pending=1) + "a line after it\n",
        Report(to_version="20240101000000", applied=1, pending=0),
        id="lines after the report do not matter",
    ),
    pytest.param(
        output(FIRST, target="1", pending=1) + output(SECOND, target="2", pending=1),
        Report(to_version="20240102000000", applied=1, pending=0),
        id="the last of two reports counts",
    ),
]


@pytest.mark.parametrize(("log", "expected"), SUCCEEDED)
def test_a_container_that_succeeded(log: str, expected: Report) -> None:
    assert report.parse(log, succeeded=True) == expected


ADVICE = (
    "You have a checksum error in your migration directory.\nThis happens if you manually create or edit a migration"
    " file.\nPlease check your migration files and run\n\n'atlas migrate hash'\n\nto re-hash the contents and resolve"
    " the error\n\nError: checksum "
)
SCAN = "Error: postgres: scanning system variables: "
MYSQL = "Error: mysql: query system variables: "

CLASSES = [
    (SCAN + "dial tcp 127.0.0.1:1: connect: connection refused", Failure.DATABASE_UNREACHABLE),
    (SCAN + "dial tcp: lookup db.invalid on 10.0.0.10:53: no such host", Failure.DATABASE_UNREACHABLE),
    (SCAN + "dial tcp 10.1.2.3:5432: i/o timeout", Failure.DATABASE_UNREACHABLE),
    (SCAN + 'pq: database "nodb" does not exist', Failure.DATABASE_UNREACHABLE),
    (SCAN + "pq: the database system is starting up", Failure.DATABASE_UNREACHABLE),
    (SCAN + "pq: the database system is in recovery mode", Failure.DATABASE_UNREACHABLE),
    (SCAN + "pq: sorry, too many clients already", Failure.DATABASE_UNREACHABLE),
    (SCAN + "pq: remaining connection slots are reserved for non-replication", Failure.DATABASE_UNREACHABLE),
    ("Error: mysql: query system variables: EOF", Failure.DATABASE_UNREACHABLE),
    ("Error: Error 1049: Unknown database 'x'", Failure.DATABASE_UNREACHABLE),
    (SCAN + 'pq: password authentication failed for user "app"', Failure.AUTHENTICATION),
    (SCAN + 'pq: role "nobody" does not exist', Failure.AUTHENTICATION),
    (SCAN + 'pq: role "app" is not permitted to log in', Failure.AUTHENTICATION),
    (SCAN + 'pq: no pg_hba.conf entry for host "10.0.0.1", user "app"', Failure.AUTHENTICATION),
    (SCAN + 'pq: permission denied for database "orders"', Failure.AUTHENTICATION),
    ("Error: Error 1045 (28000): Access denied for user 'app'@'10.0.0.1'", Failure.AUTHENTICATION),
    (SCAN + "pq: SSL is not enabled on the server", Failure.CONNECTION_SETTINGS),
    (SCAN + "x509: certificate signed by unknown authority", Failure.CONNECTION_SETTINGS),
    (SCAN + "tls: failed to verify certificate", Failure.CONNECTION_SETTINGS),
    (
        'Error: sql/sqlclient: parse open url: parse "postgres://app:hunt er2@h:1/db": net/url: invalid userinfo',
        Failure.CONNECTION_SETTINGS,
    ),
    (
        'Error: sql/sqlclient: unknown driver "oracle". See: https://atlasgo.io/url',
        Failure.CONNECTION_SETTINGS,
    ),
    ("Error: sql/migrate: stat nope: no such file or directory", Failure.MISSING_FOLDER),
    (ADVICE + "file not found", Failure.CHECKSUM),
    (ADVICE + "mismatch", Failure.CHECKSUM),
    (
        'Error: sql/migrate: connected database is not clean: found schema "public". baseline version or allow-dirty'
        " is required",
        Failure.NOT_CLEAN,
    ),
    ("Error: postgres: unexpected number of rows: 1", Failure.ATLAS_UNUSABLE),
    ("Error: acquiring database lock: pq: canceling statement due to user request", Failure.DATABASE_LOCKED),
    ("Error: sql/schema: lock is already held", Failure.DATABASE_LOCKED),
    ("Error: sql/migrate: revision 20240101000000 not found", Failure.HISTORY_DIVERGED),
    ("Error: files were added out of order", Failure.HISTORY_DIVERGED),
    ('Error: baseline version "2024" not found', Failure.BASELINE_NOT_FOUND),
    (MYSQL + "Error 1049 (42000): Unknown database 'nodb'", Failure.DATABASE_UNREACHABLE),
    (MYSQL + "Error 1040: Too many connections", Failure.DATABASE_UNREACHABLE),
    (MYSQL + "invalid connection", Failure.DATABASE_UNREACHABLE),
    (
        MYSQL + "Error 1045 (28000): Access denied for user 'app'@'10.0.0.1' (using password: YES)",
        Failure.AUTHENTICATION,
    ),
    (
        "Error: Error 1044 (42000): Access denied for user 'app'@'%' to database 'shop'",
        Failure.AUTHENTICATION,
    ),
    (
        MYSQL + "Error 1130: Host '10.0.0.1' is not allowed to connect to this MariaDB server",
        Failure.AUTHENTICATION,
    ),
    (MYSQL + "Error 4151 (HY000): Access denied, this account is locked", Failure.AUTHENTICATION),
    (
        MYSQL + "Error 1820: You must SET PASSWORD before executing this statement",
        Failure.AUTHENTICATION,
    ),
    (MYSQL + "TLS requested but server does not support TLS", Failure.CONNECTION_SETTINGS),
    (MYSQL + "this authentication plugin is not supported", Failure.CONNECTION_SETTINGS),
    (
        "Error: acquiring database lock: sql/schema: lock is held by other session",
        Failure.DATABASE_LOCKED,
    ),
    (
        'Error: sql/migrate: missing migration: revision "20250102000000_bad.sql" is partially applied but migration'
        " file was not found",
        Failure.HISTORY_DIVERGED,
    ),
    ("panic: runtime error: hunter2", Failure.UNKNOWN),
    ("", Failure.UNKNOWN),
]


@pytest.mark.parametrize(("log", "failure"), CLASSES)
def test_output_that_is_no_report_is_classified_and_copied_only_when_the_class_says_too_little(
    log: str, failure: Failure
) -> None:
    found = report.parse(log + "\n", succeeded=False)
    told = found.error if failure in {Failure.UNKNOWN, Failure.HISTORY_DIVERGED} else None
    assert found == Report(failure=failure, error=told)
    assert "hunt" not in (told or "")


OUR_CLASSES = [
    ('Error: pq: password authentication failed for user "app" (28P01)', Failure.AUTHENTICATION),
    ("Error: pq: nobody knows these words (28000)", Failure.AUTHENTICATION),
    ("Error: creating the history: pq: permission denied for schema x (42501)", Failure.AUTHENTICATION),
    ('Error: pq: database "history" does not exist (3D000)', Failure.DATABASE_UNREACHABLE),
    ("Error: connecting: pq: die Datenbank fährt herunter (57P03)", Failure.DATABASE_UNREACHABLE),
    ("Error: pq: sorry, too many clients already (53300)", Failure.DATABASE_UNREACHABLE),
    ("Error: acquiring database lock: sql/schema: lock is held by other session", Failure.DATABASE_LOCKED),
    (
        "Error: sql/sqlclient: parse open url: the URL of the database is malformed; user and password must be"
        " percent-encoded",
        Failure.CONNECTION_SETTINGS,
    ),
    ("Error: sql/sqlclient: unknown driver: the URL begins with postgres://", Failure.CONNECTION_SETTINGS),
    ("Error: invalid search_path value: it names more than one schema", Failure.CONNECTION_SETTINGS),
    ("Error: checksum file format invalid", Failure.CHECKSUM),
    ("Error: interrupted: acquiring database lock: context canceled", Failure.INTERRUPTED),
]


@pytest.mark.parametrize(("log", "failure"), OUR_CLASSES)
def test_the_errors_of_our_engine_are_classified(log: str, failure: Failure) -> None:
    assert report.parse(log + "\n", succeeded=False) == Report(failure=failure)


@pytest.mark.parametrize(
    ("log", "failure", "error"),
    [
        (
            "more\nError: pq: cannot frobnicate hunter2 at postgres://a:b@c/d (XX000)\nmore",
            Failure.UNKNOWN,
            "pq: cannot frobnicate *** at *** (XX000)",
        ),
        (
            "Error: file 20250201_b.sql was added out of order",
            Failure.HISTORY_DIVERGED,
            "file 20250201_b.sql was added out of order",
        ),
    ],
)
def test_the_engines_own_words_are_told_where_the_class_says_too_little(
    log: str, failure: Failure, error: str
) -> None:
    found = report.parse(log, succeeded=False, secrets=("hunter2",))
    assert found == Report(failure=failure, error=error)


def test_a_file_that_cannot_be_split_is_an_sql_error_of_that_file() -> None:
    error = 'sql/migrate: scanning statements from "2_b.sql": 3:7: unclosed quote \'hunter2'
    found = report.parse(output(current="1", target="2", pending=1, error=error), succeeded=False)
    assert (found.failure, found.failed_file) == (Failure.SQL, "2_b.sql")
    assert found.error == "3:7: unclosed quote '***'"


def test_a_statement_of_unknown_end_is_told_with_what_to_look_for() -> None:
    text = "2_b.sql was interrupted, and it is unknown whether statement 2 of 3 took effect: look"
    file = {**SECOND, "error": {"stmt": "", "text": text}}
    found = report.parse(output(FIRST, file, pending=2, error=text), succeeded=False)
    assert (found.failure, found.failed_file, found.applied) == (Failure.PARTLY_APPLIED, SECOND["name"], 1)
    assert (found.error, found.failed_statement) == (text, None)


def test_a_failing_statement_is_told_with_its_values_masked() -> None:
    assert report.parse(BAD_STATEMENT, succeeded=False) == Report(
        failure=Failure.SQL,
        from_version=None,
        to_version="20240102000000",
        applied=2,
        pending=1,
        failed_file="20240103000000_bad.sql",
        failed_statement="insert into users values ('***');",
        error='pq: invalid input syntax for type integer: "***"',
    )


def test_a_word_of_the_statement_stays_in_the_error() -> None:
    found = report.parse(output(FIRST, SECOND, BAD_ROLE, pending=3, error="long"), succeeded=False)
    assert found.failed_statement == "create role x password '***' bogus;"
    assert found.error == 'pq: unrecognized role option "bogus"'


def test_the_first_file_of_an_image_can_fail() -> None:
    found = report.parse(output(BAD_ROLE, current="20230101000000", pending=4, error="long"), succeeded=False)
    assert (found.from_version, found.to_version) == ("20230101000000", "20230101000000")
    assert (found.applied, found.pending) == (0, 4)


@pytest.mark.parametrize(
    "text",
    [
        "interrupted: pq: canceling statement due to user request (57014)",
        "driver: bad connection",
        "invalid connection",
        "Error 1053 (08S01): Server shutdown in progress",
        "read tcp 10.0.0.1:5432: connection reset by peer",
        "write: broken pipe",
        "dial tcp: connection refused",
        "unexpected EOF",
        "read tcp 10.0.0.1:5432: read: connection timed out",
        "read tcp 10.0.0.1:5432: read: no route to host",
        "Error 1927 (70100): Connection was killed",
        "pq: terminating connection due to administrator command",
    ],
)
def test_a_connection_that_breaks_in_a_statement_leaves_its_end_unknown(text: str) -> None:
    file = {**KILLED, "error": {"stmt": "select 1", "text": text}}
    found = report.parse(output(FIRST, file, pending=2, error=text), succeeded=False)
    assert found.failure is Failure.INTERRUPTED
    assert found.failed_file == KILLED["name"]


def test_a_statement_that_allows_no_transaction_says_how_its_file_opts_out() -> None:
    error = {"stmt": "vacuum users", "text": "pq: VACUUM cannot run inside a transaction block"}
    found = report.parse(output({**KILLED, "error": error}, pending=1, error="x"), succeeded=False)
    assert found.error == (
        "pq: VACUUM cannot run inside a transaction block "
        "(let the file begin with `-- atlas:txmode none` and an empty line after it)"
    )


@pytest.mark.parametrize(
    ("text", "sqlstate", "failure"),
    [
        ("pq: terminating connection due to administrator command (57P01)", "57P01", Failure.INTERRUPTED),
        ("pq: Verbindung wird abgebrochen (57P01)", "57P01", Failure.INTERRUPTED),
        ("pq: could not connect to server: connection refused (08001)", "08001", Failure.SQL),
        ("pq: raised: terminating connection (P0001)", "P0001", Failure.SQL),
        ("interrupted: pq: canceling statement due to user request (57014)", "57014", Failure.INTERRUPTED),
        ("Error 1053 (08S01): Server shutdown in progress", "", Failure.INTERRUPTED),
        ("Error 1317 (70100): Query execution was interrupted", "", Failure.SQL),
        ("Error 1927 (70100): Connection was killed", "", Failure.INTERRUPTED),
        ("Error 1644 (45000): connection refused", "", Failure.SQL),
    ],
)
def test_an_sqlstate_says_that_the_server_has_answered(text: str, sqlstate: str, failure: Failure) -> None:
    place = {"sqlstate": sqlstate, "line": 3, "column": 1} if sqlstate else None
    file = {**KILLED, "error": {"stmt": "select 1", "text": text, "place": place}}
    found = report.parse(output(file, pending=1, error=text), succeeded=False)
    assert (found.failure, found.line) == (failure, 3 if sqlstate else None)
    assert found.sqlstate == (sqlstate or text.partition("(")[2][:5])


@pytest.mark.parametrize(
    ("text", "ends_with_state", "sqlstate"),
    [
        ("pq: raised (40001)", False, None),
        ("pq: raised (40001) (P0001)", True, "P0001"),
        ("pq: raised (40001)\n", True, None),
        ("driver: bad connection", True, None),
    ],
)
def test_an_sqlstate_at_the_end_of_a_text_counts_only_where_the_engine_puts_it(
    text: str, ends_with_state: bool, sqlstate: str | None
) -> None:
    file = {**KILLED, "error": {"stmt": "select f()", "text": text}}
    log = output(file, pending=1, error="x")
    found = report.parse(log, succeeded=False, ends_with_state=ends_with_state)
    assert found.sqlstate == sqlstate


def test_a_lock_timeout_of_the_migrations_own_is_an_sql_error() -> None:
    error = {"stmt": "lock table users", "text": "pq: canceling statement due to lock timeout"}
    found = report.parse(output({**KILLED, "error": error}, pending=1, error="x"), succeeded=False)
    assert found.failure is Failure.SQL


def test_the_database_password_is_removed_from_statement_and_error() -> None:
    error = {"stmt": "alter role app rename to hunter2", "text": 'pq: role "hunter2" already exists'}
    log = output({**KILLED, "error": error}, pending=1, error="x")
    found = report.parse(log, succeeded=False, secrets=("hunter2",))
    assert found.failed_statement == "alter role app rename to ***"
    assert found.error == 'pq: role "***" already exists'


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("acquiring database lock: pq: canceling statement", Failure.DATABASE_LOCKED),
        ("something else: hunter2", Failure.UNKNOWN),
    ],
)
def test_a_report_with_an_error_of_no_file_is_classified(error: str, failure: Failure) -> None:
    log = output(current="1", target="2", pending=1, error=error)
    found = report.parse(log, succeeded=False, secrets=("hunter2",))
    told = "something else: ***" if failure is Failure.UNKNOWN else None
    known = Report(failure=failure, from_version="1", to_version="1", applied=0, pending=1, error=told)
    assert found == known


def test_a_container_that_failed_with_a_report_of_success_is_no_success() -> None:
    found = report.parse(output(FIRST, target="1", pending=1), succeeded=False)
    assert found.failure is Failure.UNKNOWN


def test_a_report_that_was_cut_says_nothing_about_the_class() -> None:
    log = MARK + '{"error":"checksum mismatch, password authentication failed'
    assert report.parse(log, succeeded=False) == Report(failure=Failure.UNKNOWN)


def test_absent_versions_are_read_as_null() -> None:
    log = output(FIRST, current=None, target=None, pending=1, error=None)
    assert report.parse(log, succeeded=True).to_version == "20240101000000"


def test_a_long_statement_is_cut_to_a_kibibyte() -> None:
    error = {"stmt": "select " + "ä, " * 1000, "text": "pq: " + "ö" * 2000}
    found = report.parse(output({**KILLED, "error": error}, pending=1, error="x"), succeeded=False)
    for text in (found.failed_statement, found.error):
        assert text
        assert 1020 <= len(text.encode()) <= 1024
        assert text.endswith("…")


@pytest.mark.parametrize("field", [".Stmt", ".Text", ".Error"])
def test_a_text_of_any_length_is_cut_by_atlas_so_that_the_log_keeps_the_report(field: str) -> None:
    printed = f'{{{{ json (printf "%.4000s" {field}) }}}}'
    assert report.TEMPLATE.count(printed) == 1
    rest = report.TEMPLATE.replace(printed, "").replace("{{ with $f.Error }}", "")
    assert field not in rest


def test_only_the_end_of_the_output_is_classified() -> None:
    filler = "a line of no meaning\n" * 300
    assert classify("checksum mismatch\n" + filler) is Failure.UNKNOWN
    assert classify(filler + "Error: checksum mismatch\n") is Failure.CHECKSUM


@pytest.mark.parametrize("part", ["role ", "database ", "lock timeout ", "sql/migrate: stat "])
def test_output_that_is_made_to_be_slow_to_read_is_read_in_part(part: str) -> None:
    text = part * (200_000 // len(part))
    assert classify(text) is classify(text[-4096:])


def test_the_template_asks_for_neither_url_nor_applied_sql() -> None:
    assert report.TEMPLATE.startswith(MARK)
    for field in (".URL", ".Env", "json .}}", "json . }}", "$f.Applied", ".Content"):
        assert field not in report.TEMPLATE


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\x0b", "\x1c"])
def test_a_line_that_sql_breaks_is_still_the_engines_line(end: str) -> None:
    """Go's JSON leaves these characters as they are; SQL must neither break the report nor forge one behind them."""
    forged = f"{end}{output(FIRST, target='20240101000000', pending=1).strip()}{end}connection refused"
    bad = {**SECOND, "error": {"stmt": f"select 'x{forged}';", "text": "pq: division by zero (22012)"}}
    body = {"current": "", "target": "9", "pending": 2, "applied": [FIRST, bad], "error": "it failed"}
    log = MARK + json.dumps(body, ensure_ascii=False) + "\n"
    found = report.parse(log, succeeded=False)
    assert (found.failure, found.failed_file, found.applied) == (Failure.SQL, SECOND["name"], 1)
