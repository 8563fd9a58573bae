"""Waits for what a test expects, with a deadline in place of a sleep."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any, TypeVar, overload

from dbupgrade.kube.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
_SOONEST, _LATEST, _SHARE = 0.01, 0.1, 0.2  # seconds, and of the time that has passed
PATIENCE = 120.0
"""Seconds, many times what a machine needs that has nothing else to do: only a test that fails waits for them."""


@overload
async def eventually(check: Callable[[], Awaitable[T]], *, within: float = ..., what: str = ...) -> T: ...
@overload
async def eventually(check: Callable[[], T], *, within: float = ..., what: str = ...) -> T: ...
async def eventually(check: Callable[[], Any], *, within: float = PATIENCE, what: str = "") -> Any:
    """Call `check` until it returns something true, and return that. Its KubeErrors, OSErrors and assertions count as not yet."""
    began = time.monotonic()
    problem: Exception | None = None
    while (waited := time.monotonic() - began) < within:
        try:
            outcome = check()
            result = await outcome if inspect.isawaitable(outcome) else outcome
            if result:
                return result
        except (KubeError, OSError, AssertionError) as error:
            problem = error
        # Each look costs the API server and us some milliseconds: the longer it takes, the fewer.
        await asyncio.sleep(min(max(_SOONEST, waited * _SHARE), _LATEST))
    name = what or getattr(check, "__name__", repr(check))
    raise AssertionError(f"not within {within} s: {name}") from problem
