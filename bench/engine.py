"""What applying N files costs: our engine, the runner with it, and Atlas's command line 0.13.1, in turns.

python -m bench.engine N=100

On a PostgreSQL of this machine, each time into an empty database. Our engine gives each file a session of its own; the runner is
`dbupgrade migrate apply`, with all its checks, started as users start it. With N=1, the figures are those of the start. Prints one
JSON object: the median seconds of each, and their ratios to Atlas's command line.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from e2e.cluster import tools
from tests.integration.engines.atlas import CLI, OURS, Database
from tests.integration.engines.servers import on_postgres
from tests.integration.harness.postgres import Postgres

ROUNDS = 5
RUNNER = "runner"
FILE = "create table t{n} (id int primary key, name text not null);\ncreate index i{n} on t{n} (name);\n"


def measure(server: Postgres, folder: Path, count: int) -> dict[str, float]:
    """The median seconds of each engine."""
    files = {f"{n:04}_t.sql": FILE.format(n=n) for n in range(count)}
    taken: dict[str, list[float]] = {CLI: [], OURS: [], RUNNER: []}
    for turn in range(ROUNDS):
        for engine, seconds in taken.items():
            database = on_postgres(server, folder / f"{engine}{turn}")
            database.write(files)
            seconds.append(_apply(database, engine))
    return {engine: statistics.median(seconds) for engine, seconds in taken.items()}


def _apply(database: Database, engine: str) -> float:
    begin = time.monotonic()
    code, output = _run(database) if engine == RUNNER else _engine(database, engine)
    seconds = time.monotonic() - begin
    if code:
        raise SystemExit(output)
    return seconds


def _engine(database: Database, engine: str) -> tuple[int, str]:
    outcome = database.apply(engine=engine)
    return outcome.code, outcome.output


def _run(database: Database) -> tuple[int, str]:
    variables = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.url,
        "ATLAS_BIN": str(tools.binary(OURS)),
        "MIGRATION_DIR": str(database.migrations),
    }
    command = [sys.executable, "-m", "dbupgrade", "migrate", "apply"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main(arguments: list[str]) -> None:
    """Measure and print."""
    count = int(arguments[0].removeprefix("N=")) if arguments else 100
    server = Postgres()
    try:
        server.start()
        with tempfile.TemporaryDirectory() as folder:
            median = measure(server, Path(folder), count)
    finally:
        server.stop()
    seconds = {f"{engine}_seconds": round(median[engine], 3) for engine in median}
    ratios = {f"{engine}_ratio": round(median[engine] / median[CLI], 2) for engine in (OURS, RUNNER)}
    print(json.dumps({"files": count, **seconds, **ratios}))


if __name__ == "__main__":
    main(sys.argv[1:])
