"""Command line: `python -m e2e.cluster up --state DIR` and its counterparts."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

from e2e.cluster import debian, images, lifecycle, node, slots, tools
from e2e.cluster.errors import ClusterError
from e2e.cluster.tools import BuildError


def main() -> int:
    """Run one command; errors that a person can act on come without a traceback."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except (ClusterError, BuildError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="install packages and build the tools that are not there yet")
    build.add_argument(
        "purpose", nargs="?", choices=tools.PURPOSES, default="everything", help="what they are for"
    )
    build.set_defaults(run=_build)
    for name, run, text in (
        ("up", _up, "start a cluster, or do nothing when it runs; writes DIR/env for the shell"),
        ("down", _down, "end the cluster and remove everything of it, DIR included"),
        ("status", _status, "say whether the cluster runs and is well"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--state", type=Path, required=True, metavar="DIR", help="the cluster's folder")
        command.set_defaults(run=run)
    inside = commands.add_parser("node")  # used by `up`, inside the namespaces
    inside.add_argument("--state", type=Path, required=True)
    inside.add_argument("--report", type=int, required=True)
    inside.set_defaults(run=_node)
    return parser


def _build(arguments: argparse.Namespace) -> int:
    debian.install_missing(tests=arguments.purpose != "cluster")
    bin_dir = tools.bin_dir(arguments.purpose)
    if set(tools.PURPOSES["cluster"]) <= set(tools.PURPOSES[arguments.purpose]):
        images.make_layers(bin_dir)
    print(bin_dir)
    return 0


def _up(arguments: argparse.Namespace) -> int:
    before = slots.owner(arguments.state.resolve())
    started = time.monotonic()
    cluster = lifecycle.start(arguments.state)
    if before == slots.owner(cluster.state):
        print("the cluster is up already")
    else:
        print(f"the cluster is up after {time.monotonic() - started:.1f} s")
    print(f"for your shell: . {shlex.quote(str(cluster.state / 'env'))}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    lifecycle.stop(arguments.state)
    print("the cluster is gone")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    running = slots.owner(arguments.state.resolve())
    if running is None:
        print("no cluster runs here")
        return 1
    print(f"slot {running.slot.number}, process {running.pid}, API server {running.slot.api_server}")
    faults = lifecycle.problems(running)
    print("\n".join(faults) or "everything answers")
    return 1 if faults else 0


def _node(arguments: argparse.Namespace) -> int:
    node.main(arguments.state, arguments.report)
    return 0


sys.exit(main())
