"""What applying N files costs: our engine, with a session for each file, and Atlas's command line 0.13.1, in turns.

python -m bench.engine N=100

On a PostgreSQL of this machine, each time into an empty database. Prints one JSON object: the median seconds of both and their ratio.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.engines.atlas import CLI, OURS, Database
from tests.integration.engines.servers import on_postgres
from tests.integration.harness.postgres import Postgres

ROUNDS = 5
FILE = "create table t{n} (id int primary key, name text not null);\ncreate index i{n} on t{n} (name);\n"


def measure(server: Postgres, folder: Path, count: int) -> dict[str, float]:
    """The median seconds of each engine."""
    files = {f"{n:04}_t.sql": FILE.format(n=n) for n in range(count)}
    taken: dict[str, list[float]] = {CLI: [], OURS: []}
    for turn in range(ROUNDS):
        for engine, seconds in taken.items():
            database = on_postgres(server, folder / f"{engine}{turn}")
            database.write(files)
            seconds.append(_apply(database, engine))
    return {engine: statistics.median(seconds) for engine, seconds in taken.items()}


def _apply(database: Database, engine: str) -> float:
    begin = time.monotonic()
    outcome = database.apply(engine=engine)
    seconds = time.monotonic() - begin
    if outcome.code:
        raise SystemExit(outcome.output)
    return seconds


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
    figures = {"files": count, "atlas_seconds": median[CLI], "engine_seconds": median[OURS]}
    print(json.dumps({**figures, "ratio": median[OURS] / median[CLI]}))


if __name__ == "__main__":
    main(sys.argv[1:])
