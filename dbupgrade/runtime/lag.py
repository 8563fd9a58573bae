"""The lag gauge: for how long nothing was heard of a kind, at the worst of its reflectors.

Several reflectors may watch one kind, a namespace each; the gauge has one value for the kind.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dbupgrade.telemetry.metrics import INFORMER_LAG_SECONDS

_ages: dict[str, list[Callable[[], float]]] = {}


@contextmanager
def reported(kind: str, age: Callable[[], float]) -> Iterator[None]:
    """Show `age` (seconds) in the kind's gauge for the time of the block."""
    ages = _ages.setdefault(kind, [])
    ages.append(age)
    INFORMER_LAG_SECONDS.labels(kind).set_function(lambda: max((each() for each in tuple(ages)), default=0.0))
    try:
        yield
    finally:
        ages.remove(age)
        if not ages:
            del _ages[kind]
            INFORMER_LAG_SECONDS.remove(kind)
