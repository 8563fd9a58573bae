"""Which engine reads which report."""

from dbupgrade.api.spec.migrations import Engine
from dbupgrade.pod import report
from dbupgrade.pod.engines import command, psql
from dbupgrade.pod.report import Report


def parse(engine: str | None, log: str, *, exit_code: int, secrets: tuple[str, ...] = ()) -> Report:
    """The report in `log`, what the container `migrate` printed before it ended with `exit_code`."""
    if engine == Engine.COMMAND:
        return command.parse(log, exit_code=exit_code, secrets=secrets)
    read = psql.parse if engine == Engine.PSQL else report.parse
    return read(log, succeeded=exit_code == 0, secrets=secrets)
