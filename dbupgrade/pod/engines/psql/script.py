"""The script around psql that applies the *.sql of a folder.

One session of psql does everything, so that its advisory lock covers the run and ends with it. The script needs sh, the
usual tools (busybox is enough) and psql; all input comes in variables. Guarantees: docs/engines.md.
"""

from dbupgrade.pod.scripts import script

SCRIPT = script("engines/psql/psql.sh")
"""Applies what is pending in MIGRATIONS. BASELINE may be set; the connection is in DATABASE_URL or in libpq's variables."""

# What the script uses, and what others have to know of it.
HISTORY = "dbupgrade_migrations"
TRANSACTION_CONSTRAINT = "a_file_must_not_end_its_own_transaction"
