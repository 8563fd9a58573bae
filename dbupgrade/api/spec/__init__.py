"""The DBUpgrade resource as users write it: field names, types and defaults of the contract, and the rules about them.

The CRD is generated from these models (`api.crd`), so the API server and the operator read the same rules. All
models are frozen; unknown fields are ignored, as the API server prunes them.
"""

from typing import ClassVar

from pydantic import Field

from dbupgrade.api.spec.base import Model, Rule
from dbupgrade.api.spec.checks import Checks
from dbupgrade.api.spec.database import Database, Dialect
from dbupgrade.api.spec.migrations import Engine, Migrations
from dbupgrade.api.spec.policy import Approval, LintMode, Policy, seconds
from dbupgrade.api.spec.runner import Runner

_LINTS = '(has(self.policy) && self.policy.lint != "off")'
_APPROVAL = '(has(self.policy) && has(self.policy.approval) && self.policy.approval != "Never")'
_DEADLINE = "(has(self.runner) ? self.runner.activeDeadlineSeconds : 600)"
_MYSQL = '(has(self.database.aws) && self.database.aws.dialect == "mysql")'


class Spec(Model):
    """Desired state of a DBUpgrade."""

    RULES: ClassVar["tuple[Rule[Spec], ...]"] = (
        Rule(
            "migrations.engine",
            "must not be Psql with dialect mysql: Psql works with PostgreSQL only",
            f'self.migrations.engine != "Psql" || !{_MYSQL}',
            lambda spec: spec.migrations.engine is not Engine.PSQL or not spec.uses_mysql,
        ),
        Rule(
            "policy.lint",
            'must be "off" with engine Command, because the SQL that a command executes is not known in advance',
            f'!{_LINTS} || self.migrations.engine != "Command"',
            lambda spec: spec.policy.lint is LintMode.OFF or spec.migrations.engine is not Engine.COMMAND,
        ),
        Rule(
            "policy.approval",
            "must be Never with engine Command, because what a command does is not known in advance",
            f'!{_APPROVAL} || self.migrations.engine != "Command"',
            lambda spec: (
                spec.policy.approval is Approval.NEVER or spec.migrations.engine is not Engine.COMMAND
            ),
        ),
        Rule(
            "policy.lockTimeout",
            "must be less than spec.runner.activeDeadlineSeconds, which limits the whole Job",
            f"!has(self.policy) || !has(self.policy.lockTimeout) || duration(self.policy.lockTimeout).getSeconds() < {_DEADLINE}",
            lambda spec: seconds(spec.policy.lock_timeout or "0s") < spec.runner.active_deadline_seconds,
        ),
        Rule(
            "policy.statementTimeout",
            "must not be set with dialect mysql: MySQL can limit the time of SELECT statements only (MariaDB is treated like MySQL)",
            f"!has(self.policy) || !has(self.policy.statementTimeout) || !{_MYSQL}",
            lambda spec: spec.policy.statement_timeout is None or not spec.uses_mysql,
        ),
    )

    migrations: Migrations = Field(
        description="Location of the migrations, and the engine that applies them."
    )
    database: Database = Field(
        description="The database to migrate. Immutable: to migrate another database, create another DBUpgrade."
    )
    checks: Checks = Field(
        Checks(), description="Checks that must hold before a run starts, and after it has succeeded."
    )
    policy: Policy = Field(
        Policy(),
        description="Rules that migrations must satisfy before they are applied, and how much of an error message the status shows.",
    )
    runner: Runner = Field(Runner(), description="Settings of the Job and the pod of a run.")
    suspend: bool = Field(
        False,
        description="If true, no new run is started; a run in progress continues. Can be changed at any time. Defaults to false.",
    )

    @property
    def uses_mysql(self) -> bool:
        """Whether the database is one of AWS with dialect mysql; what a Secret's URL leads to is not known here."""
        return self.database.aws is not None and self.database.aws.dialect is Dialect.MYSQL
