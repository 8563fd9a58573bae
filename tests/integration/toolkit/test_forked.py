"""The process from which the tests fork commands."""

from tests.integration.harness import forked


def test_a_forked_command_finds_all_of_our_modules_imported() -> None:
    assert forked.missing() == []
