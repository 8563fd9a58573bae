"""The Secrets with the tokens of runs that authenticate with IAM: written, renewed and removed, never another's."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import structlog

from dbupgrade.api import names
from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run
from dbupgrade.api.spec.database import Database
from dbupgrade.decide.observed import Resource
from dbupgrade.kube.errors import AlreadyExists, Conflict, Forbidden, NotFound
from dbupgrade.pod import identities
from dbupgrade.pod.identity import AuthError
from dbupgrade.pod.job import owner_reference

_log = structlog.get_logger()


class Signer(Protocol):
    """Makes tokens for a database; `resource` is the namespace/name of who asks. All raise AuthError."""

    async def check(self, database: Database, resource: str, refused: datetime | None = None) -> None:
        """See that a token can be made, with a session that was given after `refused`."""

    async def make(self, database: Database, resource: str) -> dict[str, str]:
        """Return the Secret's content with a fresh token."""


class SecretWrites(Protocol):
    """The calls on Secrets. All raise a KubeError."""

    async def secret(self, namespace: str, name: str) -> dict[str, Any]:
        """Return a Secret object."""

    async def create_secret(self, namespace: str, body: Mapping[str, Any]) -> None:
        """Create a Secret."""

    async def replace_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        """Replace a Secret of the body's resourceVersion."""

    async def delete_secret(self, namespace: str, name: str, uid: str) -> None:
        """Delete a Secret if it has that uid."""


class NoTokenError(Exception):
    """The run gets no token; says why, and what to do about it."""

    def __init__(self, safe_message: str) -> None:
        self.safe_message = safe_message
        super().__init__(safe_message)


class TokenSecrets:
    """Looks after the Secrets; without a `signer` (AWS is off) it only removes them."""

    def __init__(self, writes: SecretWrites, signer: Signer | None) -> None:
        self._writes = writes
        self._signer = signer

    @property
    def enabled(self) -> bool:
        """Whether tokens can be made at all."""
        return self._signer is not None

    async def check(self, resource: Resource) -> str:
        """Why no token can be made for the resource; empty when one can.

        The session of a token that the database refused is not trusted: it may be of a role that was made anew since.
        """
        run = resource.status.run
        refused = run.finished_at if run and run.failure is Failure.TOKEN_REFUSED else None
        if self._signer is None:
            return ""
        try:
            await self._signer.check(_database(resource), _full_name(resource), refused)
        except AuthError as error:
            return _refusal(resource, error)
        return ""

    async def write(self, resource: Resource, run: Run) -> None:
        """Put a fresh token into the run's Secret. Raises NoTokenError or a KubeError."""
        if self._signer is None or run.token_secret is None:
            raise ValueError("a token was to be made where none is used")
        try:
            data = await self._signer.make(_database(resource), _full_name(resource))
        except AuthError as error:
            raise NoTokenError(_refusal(resource, error)) from None
        body = _secret(resource, run, run.token_secret, data)
        try:
            await self._writes.create_secret(resource.namespace, body)
        except AlreadyExists:
            found = await self._writes.secret(resource.namespace, run.token_secret)
            if not _is_of(found, resource):
                raise NoTokenError(
                    f"Secret {run.token_secret}, which the run needs for its token, does not belong to the operator: "
                    "delete that Secret"
                ) from None
            body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
            await self._writes.replace_secret(resource.namespace, run.token_secret, body)

    async def remove(self, resource: Resource, name: str) -> None:
        """Remove a Secret if it is the resource's. Raises a KubeError.

        A name in a status is not a proof: users who may write statuses must not be able to have other Secrets deleted.
        """
        try:
            found = await self._writes.secret(resource.namespace, name)
            if _is_of(found, resource):
                await self._writes.delete_secret(resource.namespace, name, found["metadata"]["uid"])
        except (NotFound, Conflict):
            return
        except Forbidden as error:
            # The end of a run is not held back by it: the token runs out, and the resource's end removes the Secret.
            _log.warning("token_not_removed", secret=name, error=error.safe_message)


def _database(resource: Resource) -> Database:
    if resource.spec is None:
        raise ValueError("the gates let an invalid spec pass")
    return resource.spec.database


def _refusal(resource: Resource, error: AuthError) -> str:
    """What the cloud said, and what to check."""
    database = _database(resource)
    identity = identities.of(database)
    return identity.refusal(database, _full_name(resource), error) if identity else error.code


def _full_name(resource: Resource) -> str:
    return f"{resource.namespace}/{resource.name}"


def _is_of(secret: Mapping[str, Any], resource: Resource) -> bool:
    """Whether the Secret is one that the operator made for the resource."""
    metadata = secret["metadata"]
    owners = (owner["uid"] for owner in metadata.get("ownerReferences") or () if owner.get("controller"))
    return resource.uid in owners and (metadata.get("labels") or {}).get(names.LABEL_UID) == resource.uid


def _secret(resource: Resource, run: Run, name: str, data: dict[str, str]) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": resource.namespace,
        "labels": {"app.kubernetes.io/managed-by": "dbupgrade", names.LABEL_UID: resource.uid},
        "annotations": {
            names.ANNOTATION_RESOURCE: resource.name,
            names.ANNOTATION_SEQUENCE: str(run.sequence),
        },
        "ownerReferences": [owner_reference(resource)],
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": metadata,
        "stringData": data,
    }
