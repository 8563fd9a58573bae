"""How the containers of a pod get to the database, decided once for all of them."""

from dataclasses import dataclass

from dbupgrade.api.spec.database import Connection, Dialect, UrlSecretRef
from dbupgrade.objects import Object

_VOLUME = "authority"


@dataclass(frozen=True)
class Authority:
    """The certificates used to verify the server: the key of a Secret, and the file that a container sees them as."""

    secret: str
    key: str
    folder: str
    file: str
    optional: bool = False
    """Whether the pod starts without the Secret, to report that it is missing."""

    @property
    def path(self) -> str:
        """The file's path in a container."""
        return f"{self.folder}/{self.file}"

    @property
    def volume(self) -> Object:
        """The certificates alone, not what is beside them in the Secret."""
        items = [{"key": self.key, "path": self.file}]
        optional = {"optional": True} if self.optional else {}
        return {"name": _VOLUME, "secret": {"secretName": self.secret, "items": items, **optional}}

    @property
    def mount(self) -> Object:
        """The certificates in a container."""
        return {"name": _VOLUME, "mountPath": self.folder, "readOnly": True}


@dataclass(frozen=True)
class Access:
    """Where the database is: a URL in a Secret, or the parts of spec.database.connection."""

    url: UrlSecretRef | None = None
    parts: Connection | None = None
    authority: Authority | None = None
    """None where the URL says all, or where the server's certificate is not verified with certificates of ours."""
    dialect: Dialect | None = None
    """What the server speaks, where that is known."""

    @property
    def authority_path(self) -> str | None:
        """Where a container finds the certificates."""
        return self.authority.path if self.authority else None

    @property
    def mounts(self) -> list[Object]:
        """What a container mounts that verifies the server."""
        return [self.authority.mount] if self.authority else []
