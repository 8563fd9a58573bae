"""No literal, no URL and no password of the database in what is reported."""

from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbupgrade.pod.redact import (
    MAX_BYTES,
    cut,
    mask_error,
    mask_statement,
    remove_secrets,
    url_secrets,
)

SECRET = "hunter2"

STATEMENTS = [
    pytest.param("create role x password 'hunter2'", "create role x password '***'", id="a literal"),
    pytest.param("select 'it''s hunter2', id from t", "select '***', id from t", id="a doubled quote"),
    pytest.param(r"select E'it\'s hunter2', id", "select '***', id", id="an escape string"),
    pytest.param(
        r"select e'\\', 'hunter2'", "select '***', '***'", id="an escape string that ends in a backslash"
    ),
    pytest.param("select $$it's hunter2$$, id", "select $$***$$, id", id="dollar quotes"),
    pytest.param("do $body$ x $$ 'hunter2' $body$ y", "do $$***$$ y", id="dollar quotes with a tag"),
    pytest.param("do $é$ hunter2 $é$ y", "do $$***$$ y", id="a tag that is not ASCII"),
    pytest.param("select x$a$, 'y$a$hunter2'", "select x$a$, '***'", id="dollars in a name quote nothing"),
    pytest.param(
        "select $1, $2 from t where a = 'hunter2'", "select $1, $2 from t where a = '***'", id="parameters"
    ),
    pytest.param("values ('hunter2", "values ('***'", id="a literal without an end"),
    pytest.param("do $$ hunter2", "do $$***$$", id="dollar quotes without an end"),
    pytest.param('identified by "hunter2"', "identified by '***'", id="MySQL's double quotes"),
    pytest.param(
        'insert into "users" ("id") values (1)', "insert into \"users\" ('***') values (1)", id="a name"
    ),
    pytest.param(
        'alter table "shop"."users" add x int', 'alter table "shop"."users" add x int', id="a long name"
    ),
    pytest.param("select `a`.`b c` from `t`", "select `a`.`b c` from `t`", id="MySQL's names"),
    pytest.param("select `it's`, 'hunter2'", "select '***', '***'", id="a MySQL name with a quote"),
    pytest.param(
        "select U&'hunter2', N'hunter2', x'aa'", "select U&'***', N'***', x'***'", id="other prefixes"
    ),
    pytest.param("select 1 -- hunter2\nfrom t", "select 1 from t", id="a comment"),
    pytest.param("select /* hunter2 */ 1", "select 1", id="a comment in the line"),
    pytest.param("select 1 /* hunter2", "select 1", id="a comment without an end"),
    pytest.param("select 1 # hunter2\nfrom t", "select 1 from t", id="MySQL's comment"),
    pytest.param("-- it's\nselect 'hunter2'", "select '***'", id="a quote in a comment opens nothing"),
    pytest.param("/* it's */ select 'hunter2'", "select '***'", id="nor in the other comment"),
    pytest.param("select '-- ', 'hunter2'", "select '***', '***'", id="a comment in a literal is none"),
    pytest.param("select '/*', 'hunter2', '*/'", "select '***', '***', '***'", id="nor the other one"),
    pytest.param("select 1,\n\t 2", "select 1, 2", id="white space"),
    pytest.param("", "", id="nothing"),
    pytest.param("values (4111111111111111, 42)", "values (***, 42)", id="a long number"),
    pytest.param("values (123456, 12345, -1234567)", "values (***, 12345, -***)", id="six digits and more"),
    pytest.param("limit 1234567.5", "limit ***.5", id="a long number with a fraction"),
    pytest.param("drop table t_20240101000000", "drop table t_20240101000000", id="digits in a name"),
    pytest.param("drop table t20240101000000", "drop table t20240101000000", id="digits that end a name"),
]

READ_DIFFERENTLY = [
    pytest.param(r"values ('C:\', 'hunter2')", id="a backslash before the quote"),
    pytest.param(r'values ("C:\", "hunter2")', id="the same in double quotes"),
    pytest.param(r"values ('it\'s hunter2', 'x')", id="MySQL's escape"),
    pytest.param("/* a /* b */ it's */ select 'hunter2'", id="a comment in a comment"),
    pytest.param("select /*! 'it''s */ 'hunter2'", id="MySQL's code in a comment"),
    pytest.param("# don't\nselect 'hunter2'", id="a comment for MySQL, an operator for PostgreSQL"),
    pytest.param("select a --'b\nhunter2'", id="a comment for PostgreSQL, two signs for MySQL"),
]


@pytest.mark.parametrize(("statement", "masked"), STATEMENTS)
def test_a_statement_is_shown_without_its_literals(statement: str, masked: str) -> None:
    assert mask_statement(statement) == masked


@pytest.mark.parametrize("statement", READ_DIFFERENTLY)
def test_what_the_dialects_read_differently_hides_all_that_follows(statement: str) -> None:
    assert SECRET not in mask_statement(statement)
    assert mask_statement(statement).endswith("***")


USERS = "insert into users (id, name) values (1, 'hunter2')"
ERRORS = [
    pytest.param(
        'pq: invalid input syntax for type integer: "hunter2"',
        'pq: invalid input syntax for type integer: "***"',
        id="a value",
    ),
    pytest.param(
        'pq: invalid input syntax for type integer: "users" hunter2 ""',
        'pq: invalid input syntax for type integer: "***"',
        id="a value that holds quotes and a name",
    ),
    pytest.param('pq: relation "users" does not exist', 'pq: relation "users" does not exist', id="a name"),
    pytest.param(
        'pq: null value in column "name" of relation "users" violates not-null constraint',
        'pq: null value in column "name" of relation "users" violates not-null constraint',
        id="two names",
    ),
    pytest.param(
        'pq: bad "hunter2" and "x" hunter2 "y" after', 'pq: bad "***" after', id="all up to the last quote"
    ),
    pytest.param(
        """pq: unterminated quoted string at or near "'hunter2 """,
        'pq: unterminated quoted string at or near "***"',
        id="a rest of the statement",
    ),
    pytest.param('syntax error at or near ")"', 'syntax error at or near ")"', id="punctuation"),
    pytest.param('syntax error at or near "!hunter2"', 'syntax error at or near "***"', id="no punctuation"),
    pytest.param('invalid input value: "!!"', 'invalid input value: "***"', id="a value of punctuation"),
    pytest.param('pq: odd "hunter2', 'pq: odd "***"', id="a quote without an end"),
    pytest.param("Duplicate entry 'hunter2' for key 'x'", "Duplicate entry '***'", id="MySQL's value"),
    pytest.param("Unknown column 'name' here", "Unknown column 'name' here", id="MySQL's name"),
    pytest.param(
        "Table 'shop.users' doesn't exist", "Table 'shop.users' doesn't exist", id="MySQL's name of a table"
    ),
    pytest.param(
        "Incorrect value: 'shop.users' isn't one",
        "Incorrect value: '***'t one",
        id="a value that ends in a name",
    ),
    pytest.param(
        "Table 'hunter2.secret' doesn't exist",
        "Table '***'t exist",
        id="a table that the statement does not name",
    ),
    pytest.param(
        "Incorrect integer value: 'it's hunter2' for column 'id'",
        "Incorrect integer value: '***'",
        id="MySQL's value that holds a quote",
    ),
    pytest.param(
        "You have an error; use near 'values ('hunter2')' at line 1",
        "You have an error; use near '***'",
        id="a rest of the statement in MySQL",
    ),
    pytest.param("dial postgres://u:hunter2@h/db failed", "dial *** failed", id="a URL"),
    pytest.param("""parse "postgres://u:hunter2@h": bad""", 'parse "***"', id="a URL in quotes"),
    pytest.param("at postgres://u:hun'ter@h and 'hunter2'", "at ***", id="a URL that holds a quote"),
    pytest.param("pq: no\n  such\tthing", "pq: no such thing", id="white space"),
    pytest.param("pq: value 4111111111111111 of 12345", "pq: value *** of 12345", id="a long number"),
    pytest.param("Key (id)=(123456) exists", "Key (id)=(***) exists", id="a number of six digits"),
    pytest.param("table t_20240101000000 exists", "table t_20240101000000 exists", id="digits in a name"),
]


@pytest.mark.parametrize(("error", "masked"), ERRORS)
def test_an_error_is_shown_without_values(error: str, masked: str) -> None:
    assert mask_error(error, USERS) == masked


@pytest.mark.parametrize(
    "statement",
    [
        "do $$ begin raise exception 'no hunter2 here'; end $$",
        "do $$ begin -- it's wrong\n raise exception 'no % here', 'hunter2'; end $$",
        "do $x$ begin raise exception using message = $m$no hunter2 here$m$; end $x$",
        "signal sqlstate '45000' set message_text = \"no hunter2 here\"",
    ],
)
def test_a_literal_that_an_error_gives_back_without_quotes_is_masked(statement: str) -> None:
    masked = mask_error("pq: no hunter2 here", statement)
    assert masked in {"pq: ***", "pq: no *** here"}


def test_a_word_that_the_statement_has_only_in_a_literal_is_no_name() -> None:
    assert SECRET not in mask_error('pq: role "hunter2" does not exist', "create role x password 'hunter2'")


LOOKED_AT = 8192
SLOW = [
    pytest.param("a.", id="the beginning of a URL"),
    pytest.param("a+", id="a scheme without an end"),
    pytest.param("role ", id="words"),
    pytest.param("table ", id="words before names"),
    pytest.param("'", id="quotes"),
    pytest.param("'a", id="literals"),
    pytest.param("\\'", id="escaped quotes"),
    pytest.param('"\\', id="double quotes and backslashes"),
    pytest.param("$a$", id="dollar quotes"),
    pytest.param("$a", id="tags without an end"),
    pytest.param("/*", id="comments in comments"),
    pytest.param("--x", id="signs that may be comments"),
    pytest.param("`", id="MySQL's quotes"),
    pytest.param("near '", id="rests of statements"),
    pytest.param("1", id="digits"),
]


@pytest.mark.parametrize("part", SLOW)
def test_of_a_text_that_is_made_to_be_slow_only_the_beginning_is_looked_at(part: str) -> None:
    text = part * (200_000 // len(part))
    beginning = text[:LOOKED_AT]
    assert mask_statement(text) == mask_statement(beginning)
    assert len(mask_statement(text)) <= LOOKED_AT * 2
    masked = mask_error(text, text)
    assert masked == mask_error(beginning, beginning)
    assert len(masked) <= LOOKED_AT * 2


@pytest.mark.parametrize("quote", ["'{}'", "'{}", '"{}"', "$${}$$", "-- {}", "/* {} */", "E'{}'"])
def test_a_literal_that_the_cut_goes_through_is_masked(quote: str) -> None:
    statement = "select " + "a, " * 2700 + quote.format("hunter2 " * 100)
    assert len(statement) > LOOKED_AT
    assert SECRET not in mask_statement(statement)


def test_a_url_that_the_cut_goes_through_is_masked() -> None:
    error = "word " * 1630 + "postgres://app:hunter2" + "x" * 100
    assert LOOKED_AT - 50 < error.index("://") < LOOKED_AT
    assert mask_error(error, "") == "word " * 1630 + "***"


# --- passwords of the URL ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "spellings"),
    [
        pytest.param("postgres://u:hunter2@h/db", ["hunter2"], id="plain"),
        pytest.param("postgres://u:p%40ss%2Fw@h/db", ["p%40ss%2Fw", "p@ss/w"], id="percent-encoded"),
        pytest.param("postgres://u:p$s%40@h/db", ["p$s%40", "p$s@", "p%24s%40"], id="encoded again"),
        pytest.param("mysql://u@h/db?password=hunter2&x=1", ["hunter2"], id="in the query"),
        pytest.param("postgres://u:a@h/db?sslpassword=b%20c", ["a", "b%20c", "b c"], id="both"),
    ],
)
def test_each_spelling_of_a_password_is_known(url: str, spellings: list[str]) -> None:
    secrets = url_secrets(url)
    assert secrets[0] == url
    assert set(spellings) <= set(secrets)
    for spelling in (url, *spellings):
        assert remove_secrets(f"<{spelling}>", secrets) == "<***>"


def test_a_url_that_cannot_be_read_is_itself_a_secret() -> None:
    assert url_secrets("postgres://u:p@[h") == ("postgres://u:p@[h",)
    assert remove_secrets("see", url_secrets("")) == "see"


def test_of_two_secrets_the_longer_one_goes_first() -> None:
    secrets = url_secrets("postgres://u:abc@h/db?password=abcdef")
    assert remove_secrets("abcdef", secrets) == "***"


# --- any secret, in any literal ----------------------------------------------------------------------------------

# The secret is spelled in letters that nothing else in a statement has.
secrets = st.text("QZ", min_size=3, max_size=12)
noise = st.text("ab '\"\\$`#-/*;\n", max_size=8)
code = st.sampled_from(
    [
        "select ",
        "a, ",
        "-- it's\n",
        "/* it's */ ",
        "x$b$c ",
        "$1 ",
        "insert into t values (",
        ", ",
        "\n",
        "E ",  # without the space it would make the next literal one with escapes
        " ",
    ]
)


def single(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def escape(text: str) -> str:
    return " E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def dollar(text: str) -> str:
    return f" $tag${text}$tag$"


def mysql_double(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mysql_single(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


POSTGRES, MYSQL = [single, escape, dollar], [mysql_single, mysql_double]


@st.composite
def literals(draw: st.DrawFn, secret: str, kinds: list[int], dialect: int) -> str:
    forms = (POSTGRES, MYSQL)[dialect]
    form = forms[draw(st.sampled_from(kinds)) % len(forms)]
    return form(draw(noise) + secret + draw(noise))


@settings(max_examples=400)
@given(data=st.data(), secret=secrets, dialect=st.integers(0, 1))
def test_a_secret_in_a_literal_of_a_statement_never_survives(
    data: st.DataObject, secret: str, dialect: int
) -> None:
    statement = ""
    for _ in range(data.draw(st.integers(1, 4))):
        statement += data.draw(code) + data.draw(literals(secret, [0, 1, 2], dialect)) + " "
    assert secret not in mask_statement(statement)
    assert secret not in mask_error(f'pq: invalid input syntax: "{secret}" in "{statement}"', statement)


@settings(max_examples=200)
@given(secret=secrets, before=noise, after=noise)
@example(secret="QQQ", before="a' ", after="")
def test_a_secret_in_a_quoted_value_of_an_error_never_survives(secret: str, before: str, after: str) -> None:
    value = before + secret + after
    for error in (
        f'pq: invalid input syntax for type integer: "{value}"',
        f"Incorrect value: '{value}' for x",
    ):
        assert secret not in mask_error(error, "insert into t (a, b) values (1)")


@given(secret=secrets, extra=st.text("$&+,;=!*'()%/:@ é", max_size=5))
def test_a_url_password_never_survives_in_any_of_its_spellings(secret: str, extra: str) -> None:
    password = secret + extra
    known = url_secrets(f"postgres://app:{quote(password, safe='')}@db/orders")
    for spelling in (password, quote(password, safe=""), quote(password)):
        assert secret not in remove_secrets(f"login with {spelling} failed", known)


@given(st.text(max_size=3000))
@example("é" * 600)
@example("x" * MAX_BYTES)
@example("x" * MAX_BYTES + "x")
@example("😀" * 256 + "y")
def test_a_text_is_cut_to_a_kibibyte_between_characters(text: str) -> None:
    result = cut(text)
    assert len(result.encode()) <= MAX_BYTES
    if len(text.encode()) <= MAX_BYTES:
        assert result == text
    else:
        assert result.endswith("…")
        assert text.startswith(result[:-1])
        assert len(result.encode()) > MAX_BYTES - 4


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("another kind of database", "another kind of database"),
        ("the password b was refused", "the password *** was refused"),
        ("mysql://a:b@host", "mysql://a:***@host"),
        ("password=b", "password=***"),
        ("'b'", "'***'"),
    ],
)
def test_a_secret_of_a_few_characters_is_masked_where_it_stands_as_a_value(text: str, shown: str) -> None:
    assert remove_secrets(text, ("b",)) == shown
