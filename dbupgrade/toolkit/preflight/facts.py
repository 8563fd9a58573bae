"""What a PostgreSQL says of itself, of the user of a run, and of what the pending files name. Plain data."""

from dataclasses import dataclass, field

from dbupgrade.toolkit.sql.names import Name


@dataclass(frozen=True)
class Server:
    """The server, and who the run is there."""

    user: str
    database: str
    version: int
    """As in server_version_num: 150004."""
    is_superuser: bool = False
    is_standby: bool = False
    read_only: str | None = None
    """Where default_transaction_read_only was set, as pg_settings calls it; None while it is off."""
    may_create_schemas: bool = True
    """Whether the user has CREATE on the database."""


@dataclass(frozen=True)
class Connections:
    """How many connections there may be, and are. Limits of -1 are none."""

    needed: int = 3
    """How many a run has at once, of which it has one when it asks."""
    most: int = 100
    """Of all users together, without those that are reserved for others."""
    used: int = 0
    most_of_role: int = -1
    used_by_role: int = 0
    most_of_database: int = -1
    used_in_database: int = 0


@dataclass(frozen=True)
class Owner:
    """Who something belongs to."""

    name: str
    is_us: bool
    """Whether the user has the owner's rights, directly or by inheritance."""
    is_member: bool = False
    """Whether it may at least become the owner, with SET ROLE."""
    is_superuser: bool = False


@dataclass(frozen=True)
class Schema:
    """A schema, and what the user may do in it."""

    owner: Owner
    may_use: bool = True
    may_create: bool = True


@dataclass(frozen=True)
class Relation:
    """A table, view, sequence or index, and what the user may do with it, be it with some of its columns only."""

    owner: Owner
    privileges: frozenset[str] = frozenset()
    of: Name | None = None
    """The table of an index, with which it goes."""


@dataclass(frozen=True)
class Extension:
    """An extension that can be created."""

    is_installed: bool = False
    is_trusted: bool = True
    """Whether users with CREATE on the database may create it; otherwise only superusers, and users whom the provider allows to."""


@dataclass(frozen=True)
class OpenTransaction:
    """Another session that holds a lock on a table."""

    table: Name
    pid: int
    user: str
    application: str
    seconds: float | None
    """How long its transaction has been open; None where the server does not say."""


@dataclass(frozen=True)
class History:
    """Where the engine records what was applied, and makes what is not there."""

    schema: str
    table: str


@dataclass(frozen=True)
class Run:
    """What is known of the current run."""

    connections: int = 3
    """How many it has at once."""
    is_pooled: bool = False
    begins_read_write: bool = False
    """Whether the engine begins the transactions of files so, whatever the default is."""


@dataclass(frozen=True)
class Facts:
    """All of it. What could not be asked of is in `unread`, in words, and is empty here."""

    server: Server
    connections: Connections = field(default_factory=Connections)
    path: tuple[str, ...] = ("public",)
    """The schemas of the search path that exist and may be used."""
    schemas: dict[str, Schema] = field(default_factory=dict)
    relations: dict[Name, Relation] = field(default_factory=dict)
    """Those that have a name that the files use, in every schema."""
    types: dict[Name, Owner] = field(default_factory=dict)
    routines: dict[Name, Owner] = field(default_factory=dict)
    """Functions and procedures by their name; of several with one name, one that the user owns."""
    extensions: dict[str, Extension] = field(default_factory=dict)
    transactions: tuple[OpenTransaction, ...] = ()
    history: History | None = None
    is_pooled: bool = False
    begins_read_write: bool = False
    """Whether the engine begins the transactions of files READ WRITE, whatever the default is."""
    unread: tuple[str, ...] = ()
