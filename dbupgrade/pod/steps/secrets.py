"""The container `check-secrets`, where the operator does not read Secrets: the pod says what is missing or wrong in them.

It comes first, before anything is fetched. It takes the Secrets as optional, as without them no container would start.
"""

from typing import ClassVar

from dbupgrade.api.spec import Spec
from dbupgrade.objects import Object
from dbupgrade.pod import runner
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.report import Report
from dbupgrade.pod.step import Step
from dbupgrade.pod.view import ContainerView


class CheckSecrets(Step):
    """Checks the Secrets of the connection."""

    name: ClassVar[str] = "check-secrets"

    def wanted(self, context: Context, engine: MigrationEngine) -> bool:
        """If the operator has not checked them; a Secret with a token is the operator's own."""
        del engine
        return not context.settings.reads_secrets and context.run.token_secret is None

    def container(self, context: Context) -> Object:
        """The runner."""
        return runner.checking(context, self.name)

    def why(self, view: ContainerView, spec: Spec | None) -> Report:
        """What is missing or wrong."""
        del spec
        return runner.reported(view)
