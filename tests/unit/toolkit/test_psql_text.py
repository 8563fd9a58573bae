"""Files for psql, as PostgreSQL's parser can read them."""

from __future__ import annotations

import pytest

from dbupgrade.toolkit.sql import parser
from dbupgrade.toolkit.sql.psql_text import plain


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\\set ON_ERROR_STOP on\nselect 1;", "                     \nselect 1;"),
        ("\\echo 'it''s'\nselect 1;", "             \nselect 1;"),
        ("select 'a\\b', E'it\\'s \\i x', \"a\\b\", $$ \\i x $$, $x$ ; \\i $$ $x$;", None),
        ("-- \\i x\n/* \\i /* ; */ \\i */ select 1;", None),
        ("select * from :\"tbl\" where a = :'v' and b = :n and c::int = 1;",
         "select * from \"…\"    where a =  'v' and b = …  and c::int = 1;"),
        ("select a[1:2], a::text, b:: text from t;", None),
        ("select 'drop table t' \\gexec\nselect 2;", "select 'drop table t' ;     \nselect 2;"),
        ("select 1 \\; select 2;", "select 1  ; select 2;"),
        ("\\echo a \\\\ select 1;", "           select 1;"),
        ("copy t from stdin;\n1\t'\n2\t$$;\n\\.\nselect 1;", "copy t from stdin;\n   \n     \n  \nselect 1;"),
        ("copy t from stdin with (format csv); \na\n\\.\r\nselect 1;", "copy t from stdin with (format csv); \n \n   \nselect 1;"),
        ("copy t to stdout;\nselect 1;", None),
        ("select $1, a$b$c from t; select $$;$$;", None),
        ("", None),
    ],
)  # fmt: skip
def test_what_the_server_would_see(text: str, seen: str | None) -> None:
    found = plain(text).text
    assert found.replace("\r", " ") == (text if seen is None else seen)
    assert [len(line) for line in found.split("\n")] == [len(line) for line in text.split("\n")]
    parser.statements(found)


def test_commands_that_run_what_is_not_in_the_text_are_told() -> None:
    text = "\\set a 1\n\\i other.sql\nselect 1;\nselect 'x' \\gexec\n\\! rm x\n\\if :a\n\\endif\nselect 1 as a \\gset\n\\copy t from x\n"
    assert plain(text).unread == (
        (2, "\\i"),
        (4, "\\gexec"),
        (5, "\\!"),
        (6, "\\if"),
        (9, "\\copy"),
    )
