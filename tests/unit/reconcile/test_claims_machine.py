"""Any order of resources that come, wait, migrate and go: the claims do what this simple model does."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dbupgrade.objects import Key
from dbupgrade.reconcile.claims import Claimant, Claims

CLAIMANTS = [
    Claimant(f"2026-01-0{age}", f"uid-{name}", Key("shop", name))
    for name, age in zip("abcdef", "231142", strict=True)
]
DATABASES = ["red", "blue"]

who = st.sampled_from(CLAIMANTS)
which = st.sampled_from(DATABASES)


class ClaimsMachine(RuleBasedStateMachine):
    """Workers take resources from a queue of woken keys, one at a time, as the reconciler does."""

    def __init__(self) -> None:
        super().__init__()
        self.claims = Claims()
        self.holder: dict[str, Claimant] = {}
        self.waiting: dict[str, set[Claimant]] = {name: set() for name in DATABASES}
        self.woken: set[Key] = set()

    def place(self, claimant: Claimant) -> str | None:
        for name in DATABASES:
            if self.holder.get(name) == claimant or claimant in self.waiting[name]:
                return name
        return None

    def take_out(self, claimant: Claimant) -> None:
        name = self.place(claimant)
        if name:
            if self.holder.get(name) == claimant:
                del self.holder[name]
            self.waiting[name].discard(claimant)

    def reconcile(self, claimant: Claimant, name: str) -> None:
        """One that wants `name` asks, then holds or waits."""
        self.woken.discard(claimant.key)
        busy = self.claims.busy(name, claimant)
        others = self.waiting[name] - {claimant}
        held = name in self.holder and self.holder[name] != claimant
        mine = self.holder.get(name) == claimant
        assert bool(busy) == (held or (not mine and any(other < claimant for other in others)))
        self.woken |= self.claims.settle(name, claimant, holds=not busy, waits=bool(busy))
        self.take_out(claimant)
        if busy:
            self.waiting[name].add(claimant)
        else:
            self.holder[name] = claimant

    @rule(claimant=who, name=which)
    def wants(self, claimant: Claimant, name: str) -> None:
        self.reconcile(claimant, name)

    @rule(claimant=who, name=which)
    def says_that_it_holds(self, claimant: Claimant, name: str) -> None:
        """One with an intent from before a restart does not ask; the database of another stays the other's."""
        self.woken |= self.claims.settle(name, claimant, holds=True, waits=False)
        self.take_out(claimant)
        if name in self.holder:
            self.waiting[name].add(claimant)
        else:
            self.holder[name] = claimant

    @rule(claimant=who)
    def is_done(self, claimant: Claimant) -> None:
        self.woken |= self.claims.settle(self.place(claimant) or "red", claimant, holds=False, waits=False)
        self.take_out(claimant)

    @rule(claimant=who)
    def is_gone(self, claimant: Claimant) -> None:
        self.woken |= self.claims.forget(claimant)
        self.take_out(claimant)

    @rule()
    def all_that_were_woken_are_reconciled(self) -> None:
        """Nobody starves: afterwards a database that somebody waits for is held."""
        for _ in range(len(CLAIMANTS) * 2):
            for claimant in CLAIMANTS:
                name = self.place(claimant)
                if claimant.key in self.woken and name:
                    self.reconcile(claimant, name)
        for name in DATABASES:
            assert name in self.holder or not self.waiting[name]

    @invariant()
    def holders_and_waiters_are_the_models(self) -> None:
        for name in DATABASES:
            first = {min(self.waiting[name]).key} if self.waiting[name] else set()
            assert self.claims.next(name) == first
            free = [claimant for claimant in CLAIMANTS if not self.claims.busy(name, claimant)]
            if name in self.holder:
                assert free == [self.holder[name]]

    @invariant()
    def the_first_of_those_that_wait_for_a_free_database_may_take_it_or_knows(self) -> None:
        for name in DATABASES:
            if name not in self.holder and self.waiting[name]:
                first = min(self.waiting[name])
                assert self.claims.busy(name, first) == ""
                assert first.key in self.woken


TestClaims = ClaimsMachine.TestCase
TestClaims.settings = settings(max_examples=100, stateful_step_count=30)
