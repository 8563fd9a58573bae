"""`python -m e2e.demo --state .local`, or `make demo`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import asyncpg

from e2e.cluster import Cluster, ClusterError
from e2e.cluster.tools import BuildError, binary
from e2e.demo.database import Database
from e2e.demo.errors import DemoError
from e2e.demo.follow import Follower
from e2e.demo.kubectl import Kubectl
from e2e.demo.shop import NAME, Shop
from e2e.demo.story import Story, farewell


def main() -> int:
    """Tell the story; 0 only if everything was as it should be."""
    parser = argparse.ArgumentParser(prog="e2e.demo", description=__doc__)
    parser.add_argument(
        "--state", type=Path, default=Path(".local"), help="state folder of the running cluster"
    )
    state: Path = parser.parse_args().state
    try:
        right = asyncio.run(_story(Cluster.load(state)).tell())
    except (ClusterError, BuildError, DemoError, OSError, asyncpg.PostgresError) as error:
        print(f"\nThe demo stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    farewell(state)
    return 0 if right else 1


def _story(cluster: Cluster) -> Story:
    kubectl = Kubectl(binary("kubectl"), cluster.kubeconfig, NAME)
    database = Database(cluster.database_admin_url, NAME)
    return Story(cluster, binary("engine"), Shop(kubectl), database, Follower(kubectl, NAME))


if __name__ == "__main__":
    sys.exit(main())
