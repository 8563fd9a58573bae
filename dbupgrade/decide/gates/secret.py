"""Are there credentials? The Secret with a database URL, or a session of the AWS role."""

from dbupgrade.decide.gates.gate import OPEN, Answer, Hold
from dbupgrade.decide.needs import ReadSecret
from dbupgrade.decide.observed import Observed


def look(observed: Observed) -> Answer | ReadSecret:
    """Open when the Secret can be used."""
    secret = observed.secret
    if secret is None:
        return ReadSecret()
    return Answer(Hold(secret.problem, secret.message, backoff=True)) if secret.problem else OPEN
