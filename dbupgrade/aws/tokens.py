"""Tokens for databases: signed here, with the session of the customer's role. Contract, section 6."""

from datetime import datetime

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from dbupgrade.api.spec.database import Aws
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

    async def check(self, aws: Aws, external_id: str, refused: datetime | None = None) -> None:
        """See that a token can be made, with a session that was given after `refused`. Raises AuthError."""
        await self._sessions.credentials(_role(aws, external_id), refused)

    async def make(self, aws: Aws, external_id: str) -> dict[str, str]:
        """The Secret's content with a fresh token. Raises AuthError."""
        credentials = await self._sessions.credentials(_role(aws, external_id))
        return iam.secret_data(aws, token(aws, credentials), self._authority)


def token(aws: Aws, credentials: ReadOnlyCredentials) -> str:
    """A presigned request to connect, without its scheme.

    As the RDS client of botocore makes it, whose model of the whole service would cost memory for nothing.
    """
    url = f"{_SCHEME}{aws.server_host}:{aws.server_port}/"
    request = AWSRequest("GET", url, params={"Action": "connect", "DBUser": aws.username})
    SigV4QueryAuth(credentials, SERVICE, aws.region, expires=TOKEN_SECONDS).add_auth(request)
    return str(request.url).removeprefix(_SCHEME)


def _role(aws: Aws, external_id: str) -> Role:
    return Role(aws.role_arn, external_id, aws.region)
