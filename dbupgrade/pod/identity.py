"""How a run logs in with the identity of a cloud: with a token instead of a password, in a Secret of the run's own."""

from typing import ClassVar, Protocol

from dbupgrade.api.spec.database import Database, Dialect
from dbupgrade.pod.connection.access import Authority

# The keys of the Secret: the database URL with the token, and the certificates used to verify the server, if there are any.
KEY_URL, KEY_AUTHORITY = "url", "ca.pem"


class AuthError(Exception):
    """The cloud issued no token; `code` is the cloud's own, or one of ours. Free of credentials, and the same each time.

    The cloud's words are not repeated: those about a signature hold the request with its session token. `own`: it is the
    operator's own identity that was refused, before that of the database was asked for.
    """

    def __init__(self, code: str, *, own: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.own = own


class Identity(Protocol):
    """The identity of one cloud."""

    authority_path: ClassVar[str]
    """The folder in which a container sees the certificates; the URL names it."""

    def dialect(self, database: Database) -> Dialect | None:
        """What the server speaks; None for a database that does not log in with this identity."""
        ...

    def refusal(self, database: Database, resource: str, error: AuthError) -> str:
        """Why the resource (namespace/name) gets no token for `database`, and what to check."""
        ...

    def authority(self, secret: str) -> Authority:
        """The certificates in the Secret with the token."""
        return Authority(secret, KEY_AUTHORITY, self.authority_path, KEY_AUTHORITY)
