"""How a run logs in with the identity of a cloud: with a token instead of a password, in a Secret of the run's own."""

from typing import ClassVar, Protocol

from dbupgrade.api.spec.database import Database, Dialect
from dbupgrade.pod.connection.access import Authority

# The keys of the Secret: the database URL with the token, and the certificates used to verify the server, if there are any.
KEY_URL, KEY_AUTHORITY = "url", "ca.pem"


class Identity(Protocol):
    """The identity of one cloud."""

    authority_path: ClassVar[str]
    """The folder in which a container sees the certificates; the URL names it."""

    def dialect(self, database: Database) -> Dialect | None:
        """What the server speaks; None for a database that does not log in with this identity."""
        ...

    def authority(self, secret: str) -> Authority:
        """The certificates in the Secret with the token."""
        return Authority(secret, KEY_AUTHORITY, self.authority_path, KEY_AUTHORITY)
