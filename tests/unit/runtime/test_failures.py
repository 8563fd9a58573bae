from dbupgrade.runtime.failures import describe


class SafeError(Exception):
    safe_message = "the server said no"


def failing(depth: int, error: Exception) -> None:
    if depth:
        failing(depth - 1, error)
    raise error


def caught(error: Exception, depth: int = 0) -> Exception:
    try:
        failing(depth, error)
    except Exception as raised:  # noqa: BLE001 - whatever is given
        return raised
    raise AssertionError


def test_an_unknown_exception_shows_its_class_and_where_it_was_raised() -> None:
    fields = describe(caught(RuntimeError("postgres://app:hunter2@db/shop")))
    assert fields["error"] == "RuntimeError"
    assert fields["at"][-1].endswith("test_failures.py:11")
    assert "hunter2" not in str(fields)


def test_a_safe_message_is_shown() -> None:
    assert describe(caught(SafeError("hunter2")))["message"] == "the server said no"
    assert "hunter2" not in str(describe(caught(SafeError("hunter2"))))


def test_the_cause_shows_its_class_only() -> None:
    error = RuntimeError()
    error.__cause__ = ValueError("hunter2")
    assert describe(error)["cause"] == "ValueError"
    assert "hunter2" not in str(describe(error))


def test_of_a_deep_traceback_the_innermost_places_are_shown() -> None:
    places = describe(caught(RuntimeError(), depth=100))["at"]
    assert len(places) == 12
    assert places[-1].endswith("test_failures.py:11")


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert describe(RuntimeError())["at"] == []
