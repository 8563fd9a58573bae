"""Ports for servers that are started a moment later."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port that is free, and that the system gives to nobody who asks for any port, for about a minute.

    A connection that has just ended on it (TIME_WAIT) keeps it from being given away; a server that sets SO_REUSEADDR, as all do,
    may listen there at once.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        address: tuple[str, int] = listener.getsockname()
        with socket.create_connection(address):
            accepted, _ = listener.accept()
            accepted.close()  # before the other side: who closes first keeps the port
        return address[1]


def keep_port(port: int) -> socket.socket:
    """Keep a port from being given away while its server is down; nobody listens on it. Close the socket before the server starts."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", port))
    return keeper
