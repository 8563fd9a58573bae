"""What can be known of a run before it changes anything: facts that one reader collects, and checks that judge them.

`read` (pending) takes the files apart, `read` (reader) asks the database, and `preflight` judges.
"""

from dbupgrade.toolkit.preflight.checks import CHECKS
from dbupgrade.toolkit.preflight.facts import Facts
from dbupgrade.toolkit.preflight.finding import ERROR, INFO, WARNING, Finding
from dbupgrade.toolkit.preflight.pending import Pending

_ORDER = (ERROR, WARNING, INFO)


def preflight(facts: Facts, pending: Pending) -> tuple[Finding, ...]:
    """All findings, errors first; of several that one command fixes, only the first."""
    found = [finding for check in CHECKS for finding in check(facts, pending)]
    if facts.unread:
        message = f"the run may not read {', '.join(facts.unread)}, so that was not checked"
        found.append(Finding(check="facts", severity=INFO, message=message, fix=""))
    once: dict[str, Finding] = {}
    for finding in sorted(found, key=lambda finding: _ORDER.index(finding.severity)):
        once.setdefault(finding.fix or finding.message, finding)
    return tuple(once.values())
