"""The DBUpgrade resource as users write it: field names, types and defaults of the contract.

The CRD is generated from these models (`api.crd`), so the API server and the operator read the same rules. All
models are frozen; unknown fields are ignored, as the API server prunes them.
"""

from pydantic import Field

from dbupgrade.api.spec.base import Model, Rule, rules
from dbupgrade.api.spec.checks import Checks
from dbupgrade.api.spec.database import Database
from dbupgrade.api.spec.migrations import Migrations
from dbupgrade.api.spec.policy import Policy
from dbupgrade.api.spec.runner import Runner

LINT_NEEDS_ATLAS = (
    "policy.lint needs engine Atlas: only there it is known which files are new to the database"
)
LINT_NEEDS_POSTGRESQL = "policy.lint knows PostgreSQL only: dialect mysql cannot be linted"
PSQL_NEEDS_POSTGRESQL = "engine Psql works with PostgreSQL only: dialect mysql needs another engine"
WAIT_NEEDS_POSTGRESQL = "waitForDatabaseSeconds works with PostgreSQL only: leave it out with dialect mysql"

_LINTS = '(has(self.policy) && self.policy.lint != "off")'


class Spec(Model):
    """What a user asks for."""

    model_config = rules(
        Rule(
            'self.migrations.engine != "Psql" || !has(self.database.aws) || self.database.aws.dialect != "mysql"',
            PSQL_NEEDS_POSTGRESQL,
        ),
        Rule(
            "!has(self.runner) || self.runner.waitForDatabaseSeconds == 0 || !has(self.database.aws)"
            ' || self.database.aws.dialect != "mysql"',
            WAIT_NEEDS_POSTGRESQL,
        ),
        Rule(f'!{_LINTS} || self.migrations.engine == "Atlas"', LINT_NEEDS_ATLAS),
        Rule(
            f'!{_LINTS} || !has(self.database.aws) || self.database.aws.dialect != "mysql"',
            LINT_NEEDS_POSTGRESQL,
        ),
    )

    migrations: Migrations
    database: Database
    checks: Checks = Checks()
    policy: Policy = Policy()
    runner: Runner = Runner()
    suspend: bool = Field(False, description="Start nothing new; a run in progress goes on.")
