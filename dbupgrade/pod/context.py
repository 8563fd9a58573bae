"""What a pod is made for, without the rest of what is known of a resource."""

from typing import Protocol

from dbupgrade.api.spec import Spec


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
