"""A pod's log for people."""

from collections.abc import AsyncIterator

import pytest

from dbupgrade.cli.lines import lines, readable


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('{"event":"applied","level":"info","message":"1 applied"}', "1 applied"),
        ('{"event":"skipped","level":"warning","message":"2.sql is old"}', "warning: 2.sql is old"),
        ('{"event":"lint","level":"error","message":"a\\n  b\\u001b[2J"}', "error: a\n  b[2J"),
        ('{"stmt":"select 1"}', '{"stmt":"select 1"}'),
        ('["message"]', '["message"]'),
        ("plain \x1b[31mred\x1b[0m\ttext", "plain [31mred[0m text"),
        ("", ""),
    ],
)
def test_a_line_is_read(line: str, wanted: str) -> None:
    assert readable(line) == wanted


async def test_lines_come_whole_however_they_arrive() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"on", b"e\ntwo\nth", b"ree \xff\n", b"\nend"):
            yield chunk

    assert [line async for line in lines(chunks())] == ["one", "two", "three \ufffd", "", "end"]
