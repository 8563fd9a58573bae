"""What a log may say of an exception: any text that it carries might hold a credential."""

import traceback
from typing import Any

_LOCATIONS = 12


def describe(error: BaseException) -> dict[str, Any]:
    """Return log fields: the class, where it was raised (innermost last), never a value.

    The message is that of the attribute `safe_message`, where the exception's author gave one.
    """
    fields: dict[str, Any] = {"error": type(error).__name__, "at": _locations(error)}
    safe_message = getattr(error, "safe_message", None)
    if safe_message is not None:
        fields["message"] = safe_message
    if error.__cause__ is not None:
        fields["cause"] = type(error.__cause__).__name__
    return fields


def _locations(error: BaseException) -> list[str]:
    frames = traceback.walk_tb(error.__traceback__)
    return [f"{frame.f_code.co_filename}:{line}" for frame, line in frames][-_LOCATIONS:]
