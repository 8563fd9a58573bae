"""What `status --watch` prints after the list."""

from __future__ import annotations

from dbupgrade.cli import view
from dbupgrade.cli.actions.watching import changes
from tests.unit.cli.builders import seen

WAITING, READY = (view.list_row(seen(states)) for states in ("", "Ready"))
KEY, OTHER = ("shop", "app"), ("shop", "other")


def test_only_what_is_another_row_is_printed_again() -> None:
    assert changes({KEY: WAITING}, {KEY: WAITING}) == []
    assert changes({KEY: WAITING}, {KEY: READY}) == [READY]
    assert changes({KEY: READY}, {KEY: READY, OTHER: WAITING}) == [WAITING]


def test_a_resource_that_is_gone_is_told_once() -> None:
    assert changes({KEY: READY, OTHER: READY}, {KEY: READY}) == [
        (READY[0], READY[1], "Deleted", "", READY[4], READY[5])
    ]
    assert changes({KEY: READY}, {KEY: READY}) == []


def test_rows_that_come_later_stand_in_the_same_columns() -> None:
    widths = view.columns((view.LIST_HEADS, READY))
    first = view.table(view.LIST_HEADS, [READY])
    assert view.row_line(READY, widths) == first[1]
