"""The gates before a run, in order. A gate is evaluated only if all gates before it are open."""

from dbupgrade.decide.gates import busy, checks, secret, spec, turn
from dbupgrade.decide.gates.gate import OPEN, Gate, GateAnswer
from dbupgrade.decide.needs import Need
from dbupgrade.decide.observed import Observed

SPEC = Gate("spec", spec.look)
TURN = Gate("turn", turn.look)
SECRET = Gate("secret", secret.look)
CHECKS = Gate("checks", checks.look)
BUSY = Gate("busy", busy.look)
GATES: tuple[Gate, ...] = (SPEC, TURN, SECRET, CHECKS, BUSY)


class Walk:
    """One walk through the gates, which may pause between two of them; no gate is evaluated twice."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self._passed = 0
        self._found = OPEN

    def through(self, last: Gate) -> GateAnswer | Need:
        """What the gates up to `last` say together: the first that holds the run back, and what the checks found."""
        for gate in GATES[self._passed : GATES.index(last) + 1]:
            if self._found.held:
                break
            answer = gate.look(self._observed)
            if not isinstance(answer, GateAnswer):
                return answer
            self._passed += 1
            self._found = GateAnswer(answer.held, answer.checks or self._found.checks)
        return self._found
