"""What a pod is made for: its resource, the spec, the run and the operator's settings."""

from dataclasses import dataclass
from typing import Protocol

from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.pod.connection.access import Access


class Owner(Protocol):
    """The DBUpgrade that a Job belongs to."""

    @property
    def namespace(self) -> str:
        """Its namespace, where the Job runs."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def uid(self) -> str:
        """Its uid, which no other object has or will have."""

    @property
    def spec(self) -> Spec | None:
        """What is wanted; None when it cannot be used."""


@dataclass(frozen=True)
class JobSettings:
    """What the operator's settings say about Jobs."""

    crane_image: str
    runner_image: str
    atlas_image: str = ""
    """An image whose `atlas` the runner uses instead of its own engine; none when empty."""
    image_loosens_lint: bool = False
    """Whether an .atlas.hcl in an image may make the lint of policy.lint: error less strict."""
    insecure_registries: bool = False
    reads_secrets: bool = True
    """Whether the operator has checked the Secrets of a connection; if not, the pod checks them."""
    verifies_cloud_databases: bool = False
    """Whether the Secret with a token holds the certificates used to verify the server."""


@dataclass(frozen=True)
class Context:
    """What the containers of one pod are made from."""

    owner: Owner
    spec: Spec
    run: Run
    settings: JobSettings
    access: Access
    """How they get to the database."""
    schemes: tuple[str, ...]
    """How a database URL may begin."""
    plans: bool = False
    """Whether it makes the plan of a run for a person, and applies nothing."""

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """Names of the pull secrets without repetition, in the user's order: the migrations' own first."""
        references = (*self.spec.migrations.image_pull_secrets, *self.spec.runner.image_pull_secrets)
        return tuple(dict.fromkeys(reference.name for reference in references))
