"""Claims on databases: one holder each, waiters by age, and whoever waits is woken."""

import pytest

from dbupgrade.objects import Key
from dbupgrade.reconcile.claims import Claimant, Claims


def claimant(name: str, created: str = "2026-01-01T00:00:00Z") -> Claimant:
    return Claimant(created, f"uid-{name}", Key("shop", name))


OLD, YOUNG = claimant("old"), claimant("young", "2026-01-02T00:00:00Z")


def holds(claims: Claims, who: Claimant, database: str = "db") -> set[Key]:
    return claims.settle(database, who, holds=True, waits=False)


def waits(claims: Claims, who: Claimant, database: str = "db") -> set[Key]:
    return claims.settle(database, who, holds=False, waits=True)


def leaves(claims: Claims, who: Claimant, database: str = "db") -> set[Key]:
    return claims.settle(database, who, holds=False, waits=False)


def test_a_database_that_nobody_wants_is_free() -> None:
    assert Claims().busy("db", OLD) == ""
    assert Claims().next("db") == set()


def test_a_held_database_is_busy_for_others_and_names_the_holder() -> None:
    claims = Claims()
    holds(claims, YOUNG)
    assert claims.busy("db", OLD) == "young is migrating it"
    assert claims.busy("db", YOUNG) == ""
    assert claims.busy("other", OLD) == ""


def test_the_oldest_waiter_comes_first() -> None:
    claims = Claims()
    holds(claims, claimant("holder"))
    waits(claims, YOUNG)
    waits(claims, OLD)
    assert leaves(claims, claimant("holder")) == {OLD.key}, "one is woken at a time"
    assert claims.busy("db", OLD) == ""
    assert claims.busy("db", YOUNG) == "old has waited longer"


def test_one_that_is_older_than_all_that_wait_goes_before_them() -> None:
    claims = Claims()
    waits(claims, YOUNG)
    assert claims.busy("db", OLD) == ""


def test_of_two_of_the_same_age_the_uid_decides() -> None:
    claims = Claims()
    one, other = claimant("a"), claimant("b")
    waits(claims, one)
    waits(claims, other)
    assert [claims.busy("db", who) for who in (one, other)] == ["", "a has waited longer"]


@pytest.mark.parametrize("ending", ["leaves", "forgotten", "waits", "goes elsewhere"])
def test_waiters_are_woken_when_the_holder_is_done(ending: str) -> None:
    claims = Claims()
    holds(claims, OLD)
    waits(claims, YOUNG)
    woken = {
        "leaves": lambda: leaves(claims, OLD),
        "forgotten": lambda: claims.forget(OLD),
        "waits": lambda: waits(claims, OLD),
        "goes elsewhere": lambda: holds(claims, OLD, "other"),
    }[ending]()
    assert woken == {YOUNG.key}


def test_waiters_are_woken_when_the_first_of_them_gives_up() -> None:
    claims = Claims()
    waits(claims, OLD)
    waits(claims, YOUNG)
    assert claims.busy("db", YOUNG)
    assert leaves(claims, OLD) == {YOUNG.key}
    assert claims.busy("db", YOUNG) == ""


def test_saying_the_same_again_wakes_nobody() -> None:
    claims = Claims()
    holds(claims, OLD)
    waits(claims, YOUNG)
    assert holds(claims, OLD) == set()
    assert waits(claims, YOUNG) == set()
    assert claims.next("db") == {YOUNG.key}


def test_leaving_twice_or_without_having_come_does_nothing() -> None:
    claims = Claims()
    assert leaves(claims, OLD) == set()
    assert claims.forget(OLD) == set()
    holds(claims, OLD)
    claims.forget(OLD)
    assert claims.forget(OLD) == set()


def test_a_waiter_that_takes_the_database_waits_no_longer() -> None:
    claims = Claims()
    waits(claims, OLD)
    holds(claims, OLD)
    assert claims.next("db") == set()
    assert claims.busy("db", YOUNG) == "old is migrating it"


@pytest.mark.parametrize("late", [OLD, claimant("younger", "2026-01-03T00:00:00Z")])
def test_of_two_that_say_they_hold_a_database_the_second_waits(late: Claimant) -> None:
    claims = Claims()
    holds(claims, YOUNG)
    assert holds(claims, late) == set()
    assert claims.next("db") == {late.key}
    assert claims.busy("db", late) == "young is migrating it"
    assert claims.busy("db", YOUNG) == ""
    assert leaves(claims, YOUNG) == {late.key}
    holds(claims, late)
    assert claims.busy("db", YOUNG) == f"{late.key.name} is migrating it"
    assert claims.next("db") == set()


def test_the_second_holder_that_leaves_takes_nothing_from_the_first() -> None:
    claims = Claims()
    holds(claims, YOUNG)
    holds(claims, OLD)
    assert leaves(claims, OLD) == set()
    assert claims.busy("db", OLD) == "young is migrating it"
    assert claims.next("db") == set()


def test_a_second_holder_gives_up_what_it_held_before() -> None:
    claims, third = Claims(), claimant("third")
    holds(claims, YOUNG)
    holds(claims, OLD, "other")
    waits(claims, third, "other")
    assert holds(claims, OLD) == {third.key}
    assert claims.busy("other", third) == ""


def test_a_database_that_nobody_wants_any_more_is_forgotten() -> None:
    claims = Claims()
    holds(claims, OLD)
    leaves(claims, OLD)
    waits(claims, YOUNG)
    claims.forget(YOUNG)
    assert not claims._databases
    assert not claims._of
