"""Names of Jobs and databases, which must never change with a newer operator."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbupgrade.api.names import API_VERSION, database_label, digest, job_name

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
parts = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
names = st.lists(parts, min_size=1, max_size=12).map(".".join).map(lambda name: name[:253].rstrip("-."))


def test_the_group_and_version() -> None:
    assert API_VERSION == "dbupgrade.subbug.learning/v1alpha1"


@given(names, st.uuids(), st.integers(1, 10**6))
def test_a_job_name_is_a_legal_label_for_any_legal_resource(name: str, uid: object, sequence: int) -> None:
    result = job_name(name, str(uid), sequence)
    assert len(result) <= 63
    assert LABEL.fullmatch(result)
    assert result.startswith(name.replace(".", "-")[:20].rstrip("-"))


@pytest.mark.parametrize("name", ["a" * 253, "a" * 51 + "-" + "b" * 100, "a." * 126 + "a", "a"])
def test_a_long_name_is_cut(name: str) -> None:
    result = job_name(name, "uid", 1)
    assert len(result) <= 63
    assert LABEL.fullmatch(result)


def test_a_job_name_differs_by_uid_and_sequence_and_is_the_same_again() -> None:
    found = {job_name("orders", uid, sequence) for uid in ("a", "b") for sequence in (1, 2, 12)}
    assert len(found) == 6
    assert job_name("orders", "a", 1) in found


def test_long_names_that_begin_alike_differ_by_uid() -> None:
    assert job_name("a" * 253, "uid-1", 1) != job_name("a" * 253, "uid-2", 1)


def test_names_are_the_same_in_every_version() -> None:
    assert job_name("orders.shop", "0b7c9a52", 3) == "orders-shop-6d2c62e4da"
    assert database_label(("secret", "shop", "orders-db", "url")) == "a782336ba2ccb11f04f7489f32dc49d3"


texts = st.lists(st.text("ab", max_size=3), min_size=1, max_size=4)


@given(texts, texts)
def test_a_digest_knows_where_each_part_ends(one: list[str], other: list[str]) -> None:
    assert (digest(*one, length=16) == digest(*other, length=16)) == (one == other)


@given(st.lists(st.text(), min_size=1, max_size=4).map(tuple))
def test_a_database_label_is_a_legal_label_value(identity: tuple[str, ...]) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", database_label(identity))
