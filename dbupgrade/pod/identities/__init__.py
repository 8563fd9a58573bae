"""Logging in to a database with a cloud's identity instead of a password: one module a cloud, entered here."""

from dbupgrade.api.spec.database import Database
from dbupgrade.pod.identities.aws import AwsIam
from dbupgrade.pod.identity import Identity

IDENTITIES: tuple[Identity, ...] = (AwsIam(),)


def of(database: Database) -> Identity | None:
    """The identity that a run logs in to `database` with; None when that is by user and password."""
    return next((identity for identity in IDENTITIES if identity.dialect(database)), None)
