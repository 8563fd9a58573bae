"""Tokens for databases: signed here, with the session of the customer's role. Contract, section 6."""

from datetime import datetime

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from dbupgrade.api.spec.database import Aws, Database
from dbupgrade.aws.sessions import Role, Sessions
from dbupgrade.pod.identities import aws as iam

TOKEN_SECONDS = 900  # RDS takes none that lives longer
SERVICE = "rds-db"
_SCHEME = "https://"


class Tokens:
    """Makes what is in the Secret of a run; `authority` are certificates of the databases, and empty without any."""

    def __init__(self, sessions: Sessions, authority: str = "") -> None:
        self._sessions = sessions
        self._authority = authority

    async def check(self, database: Database, resource: str, refused: datetime | None = None) -> None:
        """See that a token can be made, with a session that was given after `refused`. Raises AuthError."""
        await self._sessions.credentials(_role(iam.settings(database), resource), refused)

    async def make(self, database: Database, resource: str) -> dict[str, str]:
        """The Secret's content with a fresh token. Raises AuthError."""
        aws = iam.settings(database)
        credentials = await self._sessions.credentials(_role(aws, resource))
        return iam.secret_data(aws, token(aws, credentials), self._authority)


def token(aws: Aws, credentials: ReadOnlyCredentials) -> str:
    """A presigned request to connect, without its scheme.

    As the RDS client of botocore makes it, whose model of the whole service would cost memory for nothing.
    """
    url = f"{_SCHEME}{aws.server_host}:{aws.server_port}/"
    request = AWSRequest("GET", url, params={"Action": "connect", "DBUser": aws.username})
    SigV4QueryAuth(credentials, SERVICE, aws.region, expires=TOKEN_SECONDS).add_auth(request)
    return str(request.url).removeprefix(_SCHEME)


def _role(aws: Aws, resource: str) -> Role:
    """The role; its ExternalId is the resource, so that no other one can use it."""
    return Role(aws.role_arn, resource, aws.region)
