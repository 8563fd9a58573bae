"""Where a run is in its files, from the events of our engine (images/atlas/events.go). Pure but for the clock that it is given."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Place:
    """The statement that is executed."""

    file: str
    number: int
    """Of the file among those of the run, from 1."""
    of: int
    backend: int
    """The process of the session in the server."""
    statement: int = 0
    """Of the file, from 1; 0 before the first."""
    statements: int = 0
    line: int = 0
    since: float = 0.0
    """When the statement began, by the clock."""
    text: str = field(default="", repr=False)
    """Of the file, where the engine does not say at which statement it is."""

    @property
    def words(self) -> str:
        """For the beginning of a message."""
        line = f", line {self.line}" if self.text and self.line else ""
        return f"{self.file} ({self.number} of {self.of}{line})"

    def at(self, query: str, since: float) -> "Place":
        """The same at the statement that begins with `query`, and since then; where that stands several times, its line is not known."""
        begin = self.text.find(query)
        known = begin >= 0 and self.text.find(query, begin + 1) < 0
        return replace(self, line=self.text.count("\n", 0, begin) + 1 if known else 0, since=since)


class Tracker:
    """Follows the events of a run; `files` are the names of all that it applies, in order.

    Events come from one thread and the place is asked for in another: it is replaced as a whole.
    """

    def __init__(
        self, files: Sequence[str], clock: Callable[[], float], began: Callable[[Place], None]
    ) -> None:
        self._numbers = {name: number for number, name in enumerate(files, start=1)}
        self._clock = clock
        self._began = began
        self.place: Place | None = None
        """None between files, and as long as nothing was heard."""
        self._failed: Place | None = None

    def hear(self, line: str) -> None:
        """Take a line of the engine's; one that cannot be read is none of its events."""
        try:
            event = json.loads(line)
        except ValueError:
            return
        match event:
            case {"event": "file", "file": str(name), "backend": int(backend)}:
                self.begin(name, backend, event.get("statements", 0))
            case {"event": "statement", "statement": int(number)} if self.place:
                self._go_on(self.place, number, event.get("line", 0))
            case {"event": "error"}:
                self._failed, self.place = self.place, None
            case {"event": "fileEnd" | "runEnd"}:
                self.end()

    def end(self) -> None:
        """The file is over."""
        self.place = None

    def _go_on(self, place: Place, number: int, line: int) -> None:
        """A retried statement counts from its first attempt."""
        failed, since = self._failed, self._clock()
        if failed and (failed.file, failed.statement) == (place.file, number):
            since = failed.since
        self.place = replace(place, statement=number, line=line, since=since)

    def begin(self, name: str, backend: int, statements: int = 0, text: str = "") -> None:
        """A file is begun by the process `backend` of the server; of an engine that runs it as a whole, its text is given."""
        number = self._numbers.get(name)
        if number is None:
            return
        of, now = len(self._numbers), self._clock()
        self.place = Place(name, number, of, backend, statements=statements, since=now, text=text)
        self._began(self.place)
