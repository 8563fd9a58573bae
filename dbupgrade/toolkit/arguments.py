"""The command line of `dbupgrade migrate`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from dbupgrade.api.spec.policy import LintMode
from dbupgrade.toolkit.importing import FORMATS
from dbupgrade.toolkit.output import Format

_FORMATS = {Format.SARIF: ("lint",), Format.MARKDOWN: ("lint", "plan")}
"""The commands that have a format which not all of them have."""
DIALECTS = ("postgresql", "mysql", "mariadb")
COMMANDS = {
    "status": "compare the folder with the database (read-only)",
    "validate": "check the folder and atlas.sum offline; with --dev-url, also run the SQL",
    "lint": "report statements in new files that are dangerous in production, and safer alternatives",
    "plan": "show what apply would do: files, lint findings, locks and table sizes (read-only)",
    "apply": "apply all pending migrations",
    "wait": "wait until the database accepts connections",
    "hold": "hold the migration lock on the database until SIGTERM, while another program migrates",
    "secrets": "check the Secrets that the operator has passed to a Job (for use by the operator)",
    "hash": "write atlas.sum, after the files in the folder have changed",
    "convert": "move each CONCURRENTLY statement into a separate file without a transaction, and write atlas.sum",
    "import": "convert the folder of another migration tool, and report the baseline that the tool's history stands for",
    "baseline": "record that a database that has tables but no migration history is at VERSION",
    "rollback": "explain how to write a reverse migration (there is no rollback)",
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; ends the program as argparse does when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="dbupgrade migrate",
        description="Run the database migrations in a folder, without the operator. The database is given by DATABASE_URL, or by "
        "DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD_FILE or DB_PASSWORD, and DB_SSLMODE.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in COMMANDS.items():
        _add(commands.add_parser(name, help=text, description=text[0].upper() + text[1:]), name)
    return parser.parse_args(arguments)


def _add(parser: argparse.ArgumentParser, command: str) -> None:
    parser.add_argument(
        "--dir",
        type=Path,
        help="folder that contains the migrations (default: MIGRATION_DIR, else /migrations)",
    )
    formats = [form for form in Format if command in _FORMATS.get(form, (command,))]
    parser.add_argument(
        "--format", type=Format, choices=formats, help="output format (default: MIGRATE_FORMAT, else text)"
    )
    if command in _OPTIONS:
        _OPTIONS[command](parser)


def _validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dev-url",
        default="",
        help="URL of an empty database on which the files are run; prefer the variable DEV_DATABASE_URL, which is not "
        "visible to other processes",
    )


def _new_files(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="all files, not only new ones")
    which.add_argument("--latest", type=_count, metavar="N", help="only the last N files")
    which.add_argument(
        "--git-base",
        metavar="REF",
        help="only files that are not in this branch or commit (default: origin/HEAD, main or master)",
    )
    return which


def _lint(parser: argparse.ArgumentParser) -> None:
    which = _new_files(parser)
    which.add_argument(
        "--pending", action="store_true", help="only files that have not been applied to the database"
    )
    which.add_argument("--rules", action="store_true", help="list the rules, and check nothing")
    parser.add_argument(
        "--dialect",
        choices=DIALECTS,
        help="SQL dialect of the files (default: that of DATABASE_URL, else of DEV_DATABASE_URL, else postgresql)",
    )
    parser.add_argument(
        "--policy",
        choices=[mode.value for mode in LintMode if mode is not LintMode.OFF],
        default=LintMode.ERROR.value,
        help="with warn, lint errors do not change the exit code (default: error)",
    )
    parser.add_argument(
        "--config", type=Path, help="file that contains the lint block (default: .atlas.hcl or atlas.hcl)"
    )


def _convert(parser: argparse.ArgumentParser) -> None:
    _new_files(parser)
    parser.add_argument(
        "--plain", action="store_true", help="build indexes without CONCURRENTLY (this blocks writes)"
    )


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a report for the operator to FILE (JSON, at most 2 KiB)",
    )


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="resource",
        metavar="NAMESPACE/NAME",
        help="DBUpgrade for which the plan is made; the plan's digest depends on it (default: MIGRATE_PLAN_FOR)",
    )
    parser.add_argument(
        "--image-digest",
        metavar="DIGEST",
        help="digest of the image that contains the files; the plan's digest depends on it (default: MIGRATE_IMAGE_DIGEST)",
    )


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SRC", help="the folder, or the file, of the other tool")
    parser.add_argument(
        "--from", dest="tool", choices=list(FORMATS), required=True, help="the tool that SRC was written for"
    )
    parser.add_argument(
        "--history",
        default="",
        metavar="TABLE",
        help="the table that holds the tool's history, with or without a schema (default: the tool's own)",
    )


def _baseline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", help="version of the last file that the database already contains")


_OPTIONS: dict[str, Callable[[argparse.ArgumentParser], object]] = {
    "validate": _validate,
    "lint": _lint,
    "plan": _plan,
    "apply": _report,
    "hold": _report,
    "secrets": _report,
    "convert": _convert,
    "import": _import,
    "baseline": _baseline,
}
"""What a command has beyond what all commands have."""


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)
