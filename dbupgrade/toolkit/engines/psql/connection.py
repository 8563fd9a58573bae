"""How psql finds the database: the URL as the variables that libpq reads. An argument could be read by every process of the machine."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dbupgrade.api.failure import Failure
from dbupgrade.toolkit import address
from dbupgrade.toolkit.history.atlas import AtlasError

_VARIABLES = {
    "application_name": "PGAPPNAME",
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "gssencmode": "PGGSSENCMODE",
    "options": "PGOPTIONS",
    "password": "PGPASSWORD",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "user": "PGUSER",
}
_DEFAULTS = {"PGAPPNAME": "dbupgrade", "PGCONNECT_TIMEOUT": "10"}
_SHARED = {"PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGPASSFILE"}
"""What our own connection takes from the environment too; with others, psql would be led elsewhere than it."""
_AUTHORITIES = (ssl.get_default_verify_paths().openssl_cafile, "/etc/ssl/certs/ca-certificates.crt")
"""Where a system has the certificates of the public authorities; libpq does not look there."""
_OWN = ("PG", "DB_", "DATABASE_URL", "DEV_DATABASE_URL", "MIGRATE_", "ATLAS_")


def variables(url: str) -> dict[str, str]:
    """What `url` says, as variables of libpq. Raises AtlasError for a parameter that is not known."""
    parts = urlsplit(url)
    found = {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGDATABASE": unquote(parts.path.removeprefix("/")),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
    }
    options, unknown = [], []
    for name, _, value in (pair.partition("=") for pair in parts.query.split("&") if pair):
        if name == "search_path":  # which libpq does not know: a setting of the session
            options.append(f"-c search_path={_escaped(unquote(value))}")
        elif name == "options":
            options.append(unquote(value))
        elif name in _VARIABLES:
            found[_VARIABLES[name]] = unquote(value)
        else:
            unknown.append(unquote(name))
    if unknown:
        raise AtlasError(Failure.CONNECTION_SETTINGS, address.unknown_parameters(unknown))
    return {name: value for name, value in (found | {"PGOPTIONS": " ".join(options)}).items() if value}


def environment(url: str, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of psql. Raises AtlasError."""
    kept = {name: value for name, value in inherited.items() if name in _SHARED or not name.startswith(_OWN)}
    found = {**kept, **_DEFAULTS, **variables(url)}
    there = next((path for path in _AUTHORITIES if Path(path).is_file()), "")
    if there and found.get("PGSSLMODE", "").startswith("verify-"):
        found.setdefault("PGSSLROOTCERT", there)
    return found


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
