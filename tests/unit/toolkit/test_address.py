"""URLs from parts, and settings of the session in them."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbupgrade.pod.connection import url as database_url
from dbupgrade.toolkit import address

PARTS = {"host": "db", "port": "5432", "name": "shop", "user": "app", "password": "", "ssl_mode": "require"}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ({}, "postgres://app@db:5432/shop?sslmode=require"),
        ({"password": "hunter2"}, "postgres://app:hunter2@db:5432/shop?sslmode=require"),
        (
            {"password": "p@s:/?#[]% +"},
            "postgres://app:p%40s%3A%2F%3F%23%5B%5D%25%20%2B@db:5432/shop?sslmode=require",
        ),
        ({"user": "a@b", "name": "my shop/x"}, "postgres://a%40b@db:5432/my%20shop%2Fx?sslmode=require"),
        ({"host": "::1"}, "postgres://app@[::1]:5432/shop?sslmode=require"),
        ({"host": "[2001:db8::2]", "port": "6000"}, "postgres://app@[2001:db8::2]:6000/shop?sslmode=require"),
        (
            {"host": "10.0.0.7", "ssl_mode": "verify-full"},
            "postgres://app@10.0.0.7:5432/shop?sslmode=verify-full",
        ),
    ],
)
def test_a_url_is_built_from_parts(parts: dict[str, str], url: str) -> None:
    assert address.build(**PARTS | parts) == url


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ({"port": "0"}, "DB_PORT"),
        ({"port": "65536"}, "DB_PORT"),
        ({"port": "5432/x"}, "DB_PORT"),
        ({"port": "\u0665"}, "DB_PORT"),
        ({"ssl_mode": "on"}, "DB_SSLMODE"),
        ({"host": "db:5432"}, "DB_HOST"),
        ({"host": "db/x"}, "DB_HOST"),
        ({"host": "/run/postgresql"}, "DB_HOST"),
        ({"host": "u@db"}, "DB_HOST"),
    ],
)
def test_parts_that_make_no_url_are_named(parts: dict[str, str], names: str) -> None:
    with pytest.raises(address.BadAddressError, match=names) as caught:
        address.build(**PARTS | {"password": "hunter2"} | parts)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("mode", ["allow", "prefer", "verify-ca"])
def test_every_sslmode_of_postgresql_is_known(mode: str) -> None:
    assert address.build(**PARTS | {"ssl_mode": mode}).endswith(f"?sslmode={mode}")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["schema"], "schema (use search_path)"),
        (["pgbouncer", "currentSchema"], "currentSchema (use search_path), pgbouncer"),
        (["ssl"], "ssl (use sslmode)"),
        (["hunter2@h"], "***"),
    ],
)
def test_parameters_that_nobody_knows_are_named(names: list[str], told: str) -> None:
    expected = f"the URL of the database has parameters that neither the driver nor the server knows: {told}"
    assert address.unknown_parameters(names) == expected


def test_a_parameter_is_taken_out_of_a_url() -> None:
    url = "postgres://u:p%2F@h/d?sslmode=disable&a%20b=1&schema=x"
    assert address.without(url, "schema") == "postgres://u:p%2F@h/d?sslmode=disable&a%20b=1"
    assert address.without(url, "a b") == "postgres://u:p%2F@h/d?sslmode=disable&schema=x"
    assert address.without(url, "nothing") == url


@given(user=TEXT, password=TEXT, name=TEXT)
def test_whatever_the_parts_hold_comes_back_out_of_the_url(user: str, password: str, name: str) -> None:
    url = address.build(**PARTS | {"user": user, "password": password, "name": name})
    assert database_url.problem(url) == ""
    parts = urlsplit(url)
    assert [unquote(part or "") for part in (parts.username, parts.password, parts.path[1:])] == [
        user,
        password,
        name,
    ]


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("postgres://u@h/d", "-c lock_timeout=30000"),
        ("postgres://u@h/d?sslmode=disable", "-c lock_timeout=30000"),
        ("postgres://u@h/d?options=-c%20geqo%3Doff", "-c geqo=off -c lock_timeout=30000"),
        ("postgres://u@h/d?options=-c+geqo%3Doff&sslmode=disable", "-c geqo=off -c lock_timeout=30000"),
        ("postgres://u@h/d?options=", "-c lock_timeout=30000"),
        ("postgres://u@h/d?options=-c%20lock_timeout%3D1s", "-c lock_timeout=1s -c lock_timeout=30000"),
    ],
)
def test_settings_join_the_options(url: str, options: str) -> None:
    given = address.with_settings(url, {"lock_timeout": 30_000})
    assert parse_qs(urlsplit(given).query)["options"] == [options]
    before, after = (parse_qs(urlsplit(u).query) for u in (url, given))
    assert before.get("sslmode") == after.get("sslmode")


@pytest.mark.parametrize(
    ("url", "settings"), [("mysql://u@h/d", {"lock_timeout": 1}), ("postgres://u@h/d?x=%20", {})]
)
def test_without_settings_a_url_stays(url: str, settings: dict[str, int]) -> None:
    assert address.with_settings(url, settings) == url


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgres://a:b@h/d", "postgres://a:b@h/d"),
        (
            "postgres://a:b@h/d?sslmode=require&schema=x&options=-c%20a%3Db",
            "postgres://a:b@h/d?sslmode=require",
        ),
        ("postgres://a:b@h/d?pgbouncer=true", "postgres://a:b@h/d"),
        (
            "postgres://a:b@h/d?sslrootcert=%2Fhere&sslcert=/not-here&sslmode=verify-full",
            "postgres://a:b@h/d?sslrootcert=%2Fhere&sslmode=verify-full",
        ),
        ("mysql://a:b@h/d", "mysql://a:b@h/d?tls=preferred"),
        ("mysql://a:b@h/d?sslaccept=strict&charset=x", "mysql://a:b@h/d?tls=preferred"),
        ("mariadb://a:b@h/d?tls=skip-verify&parseTime=true", "mariadb://a:b@h/d?tls=skip-verify"),
    ],
)
def test_a_url_for_the_lock_has_only_what_a_connection_needs(url: str, wanted: str) -> None:
    assert address.to_connect(url, lambda path: path == "/here") == wanted
