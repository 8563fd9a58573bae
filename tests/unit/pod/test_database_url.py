"""Which database URLs are taken, and that a refusal repeats none of what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbupgrade.pod.connection.url import problem

GOOD = [
    "postgres://app:hunter2@db.shop:5432/orders?sslmode=require",
    "postgres://app:p%40ss%2Fword@db/orders",
    "postgres://app:!$&'()*+,;=:-._~@db/orders",
    "postgresql://app:hunter2@db:5432/orders",
    "mysql://app:hunter2@db:3306/orders",
    "mariadb://app@db/orders",
    "postgres://app:hunter2@[::1]:5432/orders",
    "postgres://app:hunter2@[2001:db8::10.0.0.1]/orders",
    "postgres://app:hunter2@db_1.shop-2.svc/orders",
    "postgres://app:hunter2@10.0.0.1/orders",
    "postgres://db",
    "postgres://app:hunter2@db/orders?x=a@b",
]

WHITE_SPACE = "it has white space or a control character (perhaps a line break at the end)"
SCHEME = "it does not begin with postgres://, postgresql://, mysql:// or mariadb://"
USERINFO = "user or password contains characters that must be percent-encoded"
ESCAPE = "it has a % that does not begin a percent-encoded character"
HOST = "its host or port cannot be read"
NO_HOST = "it has no host"
HOST_CHARACTERS = "its host contains characters that are not allowed in a host name"

BAD = [
    ("", "it is empty"),
    ("postgres://app:hunter2@db/orders\n", WHITE_SPACE),
    (" postgres://app:hunter2@db/orders", WHITE_SPACE),
    ("postgres://app:hun ter2@db/orders", WHITE_SPACE),
    ("postgres://app:hunter2@db/orders\x00", WHITE_SPACE),
    ("postgres://app:hunter2@db/orders\x7f", WHITE_SPACE),
    ("hunter2", SCHEME),
    ("postgres:app:hunter2@db/orders", SCHEME),
    ("oracle://app:hunter2@db/orders", SCHEME),
    ("://app:hunter2@db/orders", SCHEME),
    ("postgres://app:hunter2@x@db/orders", USERINFO),
    ("postgres://app:hunter2[@db/orders", USERINFO),
    ("postgres://app:hunter2é@db/orders", USERINFO),
    ("postgres://app:hunter2%@db/orders", USERINFO),
    ("postgres://app:hunter2%zz@db/orders", USERINFO),
    ("postgres://app:hunter2@db/orders?x=%zz", ESCAPE),
    ("postgres://app:hunter2@db:port/orders", HOST),
    ("postgres://app:hunter2@db:99999/orders", HOST),
    ("postgres://app:hunter2@[::1/orders", HOST),
    ("postgres:///orders", NO_HOST),
    ("postgres://app:hunter2@/orders", NO_HOST),
    ("postgres://app:hunter2@:5432/orders", NO_HOST),
    ("postgres://app:hun/ter2@db/orders", USERINFO),
    ("postgres://app:12/34@db/orders", USERINFO),
    ("postgres://app:12#34@db/orders", USERINFO),
    ("postgres://app/a@b", USERINFO),
    ("postgres://app:hunter2@d$b/orders", HOST_CHARACTERS),
    ("postgres://app:hunter2@db,other/orders", HOST_CHARACTERS),
    ("postgres://app:hunter2@d%20b/orders", HOST_CHARACTERS),
    ("postgres://app:hunter2@dbé/orders", HOST_CHARACTERS),
    ("postgres://app:hunter2@[fe80::1%25eth0]/orders", HOST_CHARACTERS),
]


@pytest.mark.parametrize("url", GOOD)
def test_a_well_formed_url_has_no_problem(url: str) -> None:
    assert problem(url) == ""


@pytest.mark.parametrize(("url", "words"), BAD)
def test_what_is_wrong_with_a_url(url: str, words: str) -> None:
    assert problem(url) == words


@given(st.one_of(st.text(), st.text(":/@%[]?#aB1é", max_size=20).map(lambda text: f"postgres://{text}")))
def test_the_words_are_never_the_urls_own(url: str) -> None:
    assert problem(url) in {"", *(words for _, words in BAD)}
