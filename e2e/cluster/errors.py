"""The one error that the commands of this package show without a traceback."""


class ClusterError(Exception):
    """Something about the cluster is not as it has to be; the message says what, and what to do."""
