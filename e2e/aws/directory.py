"""An LDAP server that knows one thing: whether a password is a good RDS token. PostgreSQL asks it in RDS's place.

As a program it asks the server at a port for MariaDB, whose PAM gives it user and password: exit code 0 says yes.
"""

from __future__ import annotations

import os
import socket
import socketserver
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from e2e.aws.verifier import Wanted, problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from e2e.aws.sts import Sts

DN_PREFIX = "cn="
_SEQUENCE, _INTEGER, _ENUMERATED, _OCTETS = 0x30, 0x02, 0x0A, 0x04
_BIND_REQUEST, _BIND_RESPONSE, _SIMPLE = 0x60, 0x61, 0x80
_SUCCESS, _INVALID_CREDENTIALS = 0, 49
_LONG_FORM = 0x80


class Directory:
    """Runs as long as its block; `verdicts` are those on every token that came, `tokens` the tokens."""

    def __init__(self, sts: Sts, wanted: Wanted) -> None:
        self.tokens: list[str] = []
        self.verdicts: list[str] = []
        self.ahead = timedelta()
        """How much later than now it takes the time to be."""
        self._sts = sts
        self.wanted = wanted
        directory = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while message := _read(self.rfile.read):
                    answer = directory.answer(message[1])
                    if answer is None:
                        return
                    self.wfile.write(answer)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, message: bytes) -> bytes | None:
        """The answer to a message; None to one that ends the connection."""
        number, operation = _parts(message)[:2]
        if operation[0] != _BIND_REQUEST:
            return None
        _, name, password = _parts(operation[1])
        token = password[1].decode()
        username = name[1].decode().removeprefix(DN_PREFIX)
        verdict = self._verdict(username, token)
        self.tokens.append(token)
        self.verdicts.append(verdict)
        code = _INVALID_CREDENTIALS if verdict else _SUCCESS
        result = _element(_ENUMERATED, bytes([code])) + _element(_OCTETS, b"") * 2
        return _element(_SEQUENCE, _element(_INTEGER, number[1]) + _element(_BIND_RESPONSE, result))

    def _verdict(self, username: str, token: str) -> str:
        if username != self.wanted.username:
            return "it is another user's"
        return problem(token, self.wanted, self._sts.sessions(), datetime.now(UTC) + self.ahead)


def _read(read: Callable[[int], bytes]) -> tuple[int, bytes] | None:
    """One element from a stream; None at its end."""
    head = read(2)
    if len(head) < 2:
        return None
    length = head[1]
    if length & _LONG_FORM:
        length = int.from_bytes(read(length - _LONG_FORM), "big")
    return head[0], read(length)


def _parts(content: bytes) -> list[tuple[int, bytes]]:
    """The elements of a constructed one."""
    found: list[tuple[int, bytes]] = []
    while content:
        length, start = content[1], 2
        if length & _LONG_FORM:
            start += length - _LONG_FORM
            length = int.from_bytes(content[2:start], "big")
        found.append((content[0], content[start : start + length]))
        content = content[start + length :]
    return found


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < _LONG_FORM else bytes([_LONG_FORM | 2]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def ask(port: int, username: str, password: str) -> bool:
    """Ask the server at a port whether a password is good."""
    login = _element(_OCTETS, f"{DN_PREFIX}{username}".encode()) + _element(_SIMPLE, password.encode())
    bind = _element(_BIND_REQUEST, _element(_INTEGER, b"\x03") + login)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(_element(_SEQUENCE, _element(_INTEGER, b"\x01") + bind))
        answer = _read(connection.makefile("rb").read)
    return answer is not None and _parts(_parts(answer[1])[1][1])[0][1] == bytes([_SUCCESS])


if __name__ == "__main__":
    sys.exit(0 if ask(int(sys.argv[1]), os.environ["PAM_USER"], os.environ["PAM_AUTHTOK"]) else 1)
