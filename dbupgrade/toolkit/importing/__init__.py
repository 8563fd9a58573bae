"""Folders and histories of other migration tools, for `import`."""

from dbupgrade.toolkit.importing import dbmate, flyway, golang_migrate, goose, liquibase
from dbupgrade.toolkit.importing.model import Format

FORMATS: dict[str, Format] = {
    "dbmate": dbmate.FORMAT,
    "flyway": flyway.FORMAT,
    "golang-migrate": golang_migrate.FORMAT,
    "goose": goose.FORMAT,
    "liquibase": liquibase.FORMAT,
}
"""By the name that `import --from` takes."""
