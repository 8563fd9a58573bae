"""The log: one JSON object a line on standard output, constant event names, context as keys and values."""

import logging
import sys

import orjson
import structlog


def configure(level: str, *, for_people: bool) -> None:
    """Set structlog up for the process. `level` is debug, info, warning or error.

    Tracebacks are never rendered: an exception's text may hold what was in a variable.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _renderer(for_people=for_people),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout)
        if for_people
        else structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard module, with texts of their own: only that they complained is worth a line.
    logging.basicConfig(level=logging.ERROR, handlers=[_Forward()], force=True)


def _renderer(*, for_people: bool) -> structlog.typing.Processor:
    if for_people:
        return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    return structlog.processors.JSONRenderer(serializer=_to_json)


def _to_json(event: object, **_: object) -> bytes:
    return orjson.dumps(event, default=str)


class _Forward(logging.Handler):
    """A library's record: where it came from and the class of its exception, never its text."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as one of ours."""
        error = record.exc_info[0] if record.exc_info else None
        structlog.get_logger().error(
            "library_error",
            logger=record.name,
            at=f"{record.filename}:{record.lineno}",
            error=error.__name__ if error else None,
        )
