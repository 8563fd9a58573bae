from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbupgrade.kube.errors import Unreachable
from dbupgrade.kube.listwatch import lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def stream(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def split(*chunks: bytes) -> list[bytes]:
    return [line async for line in lines(stream(list(chunks)))]


@given(
    st.lists(st.binary(min_size=1).map(lambda raw: b"x" + raw.replace(b"\n", b""))),
    st.lists(st.integers(0, 200)),
)
async def test_lines_come_out_whole_however_they_are_cut(expected: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(line + b"\n" for line in expected)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut <= len(whole))})
    chunks = [whole[start:end] for start, end in pairwise(places)]
    assert await split(*chunks) == expected


async def test_empty_lines_are_skipped() -> None:
    assert await split(b"a\n\n \nb\n\r\n") == [b"a", b"b"]


async def test_a_line_of_many_megabytes_is_one_line() -> None:
    assert await split(*[b"x" * 65536] * 64, b"\n") == [b"x" * 65536 * 64]


async def test_a_rest_without_a_newline_is_a_broken_connection() -> None:
    found = lines(stream([b"a\nha", b"lf"]))
    assert await anext(found) == b"a"
    with pytest.raises(Unreachable):
        await anext(found)
