"""What applies the files of a folder: one module an engine, entered here by its name in spec.migrations.engine."""

from collections.abc import Callable, Mapping

from dbupgrade.pod.report import Report
from dbupgrade.toolkit.call import Call
from dbupgrade.toolkit.engines import atlas, psql

ENGINES: Mapping[str, Callable[[Call], Report]] = {"Atlas": atlas.apply, "Psql": psql.apply}
"""Each applies what is pending and reports on it; raises AtlasError, FolderError, RefusedError and BadEnvironmentError."""
