"""`make chaos SEED=… STEPS=… SEQUENCES=…`: random plays against a real API server; a seed replays its play."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from dbupgrade.kube.client import Client
from tests.chaos.run import run
from tests.integration.harness.apiserver import ApiServer
from tests.integration.harness.crd import install_crd


async def _run(server: ApiServer, directory: Path, given: argparse.Namespace) -> int:
    async with await Client.connect(str(server.kubeconfig)) as admin:
        await install_crd(admin)
    started = time.monotonic()
    outcome = await run(server, directory, seed=given.seed, steps=given.steps, sequences=given.sequences)
    seconds = time.monotonic() - started
    print(
        f"seeds {given.seed} to {given.seed + given.sequences - 1}, {given.steps} steps each: {seconds:.0f} s"
    )
    print(
        f"{outcome.plays} plays, {outcome.jobs} Jobs, {outcome.kills} kills, "
        f"{outcome.denied} denials, {outcome.waits} waits for a lock, {len(outcome.problems)} problems"
    )
    for problem in outcome.problems:
        print(f"- {problem}")
    return 1 if outcome.problems else 0


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--sequences", type=int, default=50)
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="dbupgrade-chaos-"))
    (directory / "server").mkdir()
    server = ApiServer(directory / "server")
    server.start()
    try:
        code = asyncio.run(_run(server, directory, given))
    finally:
        server.stop()
    print(f"the operator's log: {directory / 'operator.log'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
