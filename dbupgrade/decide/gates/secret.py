"""Are there credentials? The Secret with a database URL, or a session of the AWS role."""

from dbupgrade.decide.gates.gate import OPEN, GateAnswer, Hold
from dbupgrade.decide.needs import ReadSecret
from dbupgrade.decide.observed import Observed


def look(observed: Observed) -> GateAnswer | ReadSecret:
    """Open when the Secret can be used."""
    secret = observed.secret
    if secret is None:
        return ReadSecret()
    return GateAnswer(Hold(secret.problem, secret.message, backoff=True)) if secret.problem else OPEN
