"""A real one-node Kubernetes cluster with PostgreSQL and an image registry, without Docker.

`start` and `stop` are what tests use; `python -m e2e.cluster` does the same from a shell.
"""

from e2e.cluster.errors import ClusterError
from e2e.cluster.images import Folder, Link
from e2e.cluster.lifecycle import start, stop
from e2e.cluster.state import Cluster

__all__ = ["Cluster", "ClusterError", "Folder", "Link", "start", "stop"]
