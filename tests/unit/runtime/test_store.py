from collections.abc import Iterable

import pytest

from dbupgrade.objects import Key, Object, key_of, uid_of
from dbupgrade.runtime.store import Packed, Store
from tests.unit.runtime.fakes import an_object


def labels_of(obj: Object) -> Iterable[str]:
    return list(obj["metadata"]["labels"])


@pytest.fixture
def store() -> Store:
    return Store({"label": labels_of})


def test_an_object_is_found_by_its_key(store: Store) -> None:
    orders = an_object("orders", "1")
    assert store.put(orders) is None
    assert store.get(Key("shop", "orders")) is orders
    assert store.get(Key("other", "orders")) is None
    assert len(store) == 1


def test_an_object_without_a_namespace_has_an_empty_one_in_its_key() -> None:
    node = {"metadata": {"name": "node-1", "uid": "u"}}
    assert key_of(node) == Key("", "node-1")
    assert uid_of(node) == "u"


def test_a_newer_object_replaces_and_returns_the_one_before(store: Store) -> None:
    old, new = an_object("orders", "1"), an_object("orders", "2")
    store.put(old)
    assert store.put(new) is old
    assert store.values() == [new]


def test_an_index_finds_all_objects_with_the_value(store: Store) -> None:
    both, one = an_object("both", "1", labels=["a", "b"]), an_object("one", "2", labels=["a"])
    store.put(both)
    store.put(one)
    assert store.by_index("label", "a") == [both, one]
    assert store.by_index("label", "b") == [both]
    assert store.by_index("label", "c") == []


def test_an_index_follows_a_changed_object(store: Store) -> None:
    store.put(an_object("orders", "1", labels=["a", "b"]))
    changed = an_object("orders", "2", labels=["b", "c"])
    store.put(changed)
    assert store.by_index("label", "a") == []
    assert store.by_index("label", "b") == [changed]
    assert store.by_index("label", "c") == [changed]


def test_a_removed_object_is_returned_and_leaves_its_indices(store: Store) -> None:
    orders = an_object("orders", "1", labels=["a"])
    store.put(orders)
    assert store.remove(Key("shop", "orders")) is orders
    assert store.remove(Key("shop", "orders")) is None
    assert store.by_index("label", "a") == []
    assert len(store) == 0


def test_index_values_that_nothing_has_any_more_take_no_memory(store: Store) -> None:
    for number in range(100):
        store.put(an_object("orders", str(number), labels=[f"run-{number}"]))
    assert list(store._indices["label"]) == ["run-99"]


def test_an_indexer_may_name_a_value_twice() -> None:
    store = Store({"twice": lambda _: ["a", "a"]})
    orders = an_object("orders", "1")
    store.put(orders)
    assert store.by_index("twice", "a") == [orders]
    store.remove(key_of(orders))
    assert store.by_index("twice", "a") == []


def test_an_unknown_index_is_a_bug_of_the_caller(store: Store) -> None:
    with pytest.raises(KeyError):
        store.by_index("owner", "x")


def test_an_indexer_that_raises_leaves_the_store_as_it_was(store: Store) -> None:
    old = an_object("orders", "1", labels=["a"])
    store.put(old)
    broken = an_object("orders", "2")
    del broken["metadata"]["labels"]
    with pytest.raises(KeyError):
        store.put(broken)
    assert store.values() == [old]
    assert store.by_index("label", "a") == [old]


def test_the_store_may_change_while_somebody_goes_through_it(store: Store) -> None:
    for name in ("a", "b", "c"):
        store.put(an_object(name, "1"))
    for obj in store:
        store.remove(key_of(obj))
    assert len(store) == 0


class TestPacked:
    def test_it_gives_back_what_was_put_until_that_is_replaced_or_removed(self) -> None:
        store, key = Store(objects=Packed()), Key("shop", "orders")
        old, new = an_object("orders", "1"), an_object("orders", "2")
        assert store.put(old) is None
        assert store.get(key) == old
        assert store.put(new) == old
        assert (store.values(), list(store), len(store)) == ([new], [new], 1)
        assert store.remove(key) == new
        assert (store.get(key), store.remove(key), len(store)) == (None, None, 0)

    def test_what_it_gives_is_a_copy_of_the_callers_own(self) -> None:
        store = Store(objects=Packed())
        obj = an_object("orders", "1")
        store.put(obj)
        obj["metadata"]["name"] = "changed"
        found = store.get(Key("shop", "orders"))
        assert found == an_object("orders", "1")

    def test_it_may_change_while_somebody_goes_through_it(self) -> None:
        store = Store(objects=Packed())
        for name in ("a", "b", "c"):
            store.put(an_object(name, "1"))
        for obj in store:
            store.remove(key_of(obj))
            store.remove(Key("shop", "c"))
        assert len(store) == 0
