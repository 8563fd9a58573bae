from __future__ import annotations

import pytest

from dbupgrade.api.spec.migrations import Engine
from dbupgrade.api.spec.policy import Policy
from dbupgrade.pod.connection import limits

POSTGRESQL, MYSQL = "postgres://u:p@h/d", "mysql://u:p@h/d"
LOCK, STATEMENT = Policy(lock_timeout="1s"), Policy(statement_timeout="1m")


@pytest.mark.parametrize(
    ("url", "engine", "policy", "words"),
    [
        (MYSQL, Engine.ATLAS, STATEMENT, "MySQL can limit the time of SELECT statements only (MariaDB is treated like MySQL): "),
        ("mariadb://u:p@h/d", Engine.COMMAND, STATEMENT, "remove spec.policy.statementTimeout"),
        (MYSQL, Engine.ATLAS, LOCK, ""),
        (MYSQL, Engine.COMMAND, LOCK, "engine Command receives spec.policy.lockTimeout in PGOPTIONS, which only PostgreSQL clients read"),
        (MYSQL, Engine.COMMAND, Policy(), ""),
        (POSTGRESQL, Engine.ATLAS, STATEMENT, ""),
        (POSTGRESQL, Engine.COMMAND, LOCK, ""),
        (f"{POSTGRESQL}?options=-c%20a=b", Engine.COMMAND, LOCK, "which the URL's parameter options overrides"),
        (f"{POSTGRESQL}?x=1&opt%69ons=-ca=b", Engine.COMMAND, STATEMENT, "spec.policy.statementTimeout in PGOPTIONS"),
        (f"{POSTGRESQL}?options=-c%20a=b", Engine.COMMAND, Policy(), ""),
        (f"{POSTGRESQL}?options=-c%20a=b", Engine.PSQL, LOCK, ""),
    ],
)  # fmt: skip
def test_a_limit_that_would_have_no_effect_is_refused(
    url: str, engine: Engine, policy: Policy, words: str
) -> None:
    found = limits.problem(url, engine, policy)
    assert (words in found, bool(found)) == (True, bool(words))
    assert "u:p" not in found
