import random

import pytest

from dbupgrade.runtime.backoff import Backoff


def without_jitter(base: float = 1.0, cap: float = 10.0) -> Backoff[str]:
    return Backoff(base=base, cap=cap, jitter=0.0, rng=random.Random(1))


def test_waits_double_from_base_to_cap() -> None:
    backoff = without_jitter()
    assert [backoff.next("a") for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_each_key_has_its_own_waits() -> None:
    backoff = without_jitter()
    assert [backoff.next("a"), backoff.next("a"), backoff.next("b")] == [1, 2, 1]


def test_a_forgotten_key_starts_again() -> None:
    backoff = without_jitter()
    backoff.next("a")
    backoff.forget("a")
    backoff.forget("never seen")
    assert backoff.next("a") == 1


def test_any_number_of_failures_stays_at_the_cap() -> None:
    backoff = without_jitter(base=0.005, cap=1000.0)
    for _ in range(5000):
        last = backoff.next("a")
    assert last == 1000.0


def test_jitter_takes_off_up_to_its_share_and_adds_nothing() -> None:
    backoff: Backoff[int] = Backoff(base=1.0, cap=10.0, jitter=0.5, rng=random.Random(1))
    waits = [backoff.next(key) for key in range(1000)]
    assert 0.5 <= min(waits) < 0.55
    assert 0.95 < max(waits) <= 1.0


def test_jitter_does_not_slow_the_doubling() -> None:
    backoff: Backoff[str] = Backoff(base=1.0, cap=100.0, jitter=0.5, rng=random.Random(1))
    waits = [backoff.next("a") for _ in range(5)]
    assert all(full / 2 <= wait <= full for wait, full in zip(waits, [1, 2, 4, 8, 16], strict=True))


@pytest.mark.parametrize(
    ("base", "cap", "jitter"),
    [
        pytest.param(0.0, 1.0, 0.0, id="a base of nothing is a hot loop"),
        pytest.param(2.0, 1.0, 0.0, id="a cap below the base"),
        pytest.param(1.0, 2.0, 1.5, id="a jitter beyond the whole"),
        pytest.param(1.0, 2.0, -0.1, id="a negative jitter"),
    ],
)
def test_settings_without_sense_are_refused(base: float, cap: float, jitter: float) -> None:
    with pytest.raises(ValueError, match=r"back-off|jitter"):
        Backoff(base=base, cap=cap, jitter=jitter, rng=random.Random(1))
