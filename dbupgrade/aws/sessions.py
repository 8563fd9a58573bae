"""Sessions of customers' roles, from STS by the operator's own identity.

The operator's identity is whatever the standard chain finds: environment, web identity (IRSA), Pod Identity, profile.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from weakref import WeakValueDictionary

import aioboto3
import structlog
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import exceptions
from botocore.credentials import ReadOnlyCredentials

from dbupgrade.clock import Clock, SystemClock
from dbupgrade.pod.identities.aws import NO_CREDENTIALS, UNREACHABLE, UNREADABLE
from dbupgrade.pod.identity import AuthError

SESSION_NAME = "dbupgrade-operator"
SESSION_SECONDS = 3600  # every role allows it, and no role that was assumed from another one allows more
# A token is good no longer than its session: one of 15 minutes is made of what has more than that left.
RENEW_BEFORE = timedelta(minutes=20)
_WHOLE_SECOND = timedelta(seconds=1)  # statuses have no finer times: it may have been that much later
_CALL_SECONDS = 10.0
_CONFIG = AioConfig(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
# While STS is not there nobody waits for it, so that workers are left for databases that need no AWS.
_NOT_ASKED_SECONDS = 15.0

_log = structlog.get_logger()


class Role(NamedTuple):
    """A role as one resource assumes it; another resource's session of the same role is another one."""

    arn: str
    external_id: str
    region: str


@dataclass(frozen=True)
class _Session:
    credentials: ReadOnlyCredentials
    given: datetime
    expires: datetime


class Sessions:
    """Assumes roles, one call at a time for each, and keeps the sessions as long as they are good for a token.

    `region` is where STS is asked, that of the database when empty.
    """

    def __init__(self, region: str, clock: Clock | None = None) -> None:
        self._region = region
        self._clock = clock or SystemClock()
        self._sessions: dict[Role, _Session] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._own: aioboto3.Session | None = None
        self._unreachable: dict[str, float] = {}

    async def credentials(self, role: Role, refused: datetime | None = None) -> ReadOnlyCredentials:
        """The session of a role, given after `refused`, with enough of its life left to make a token. Raises AuthError."""
        lock = self._locks.setdefault(role.arn, asyncio.Lock())
        async with lock:
            session = self._sessions.get(role)
            if session is None or not self._is_good(session, refused):
                session = await self._assume(role)
                self._forget_expired()
                self._sessions[role] = session
            return session.credentials

    def _is_good(self, session: _Session, refused: datetime | None) -> bool:
        enough = session.expires - self._clock.now() >= RENEW_BEFORE
        return enough and (refused is None or session.given >= refused + _WHOLE_SECOND)

    def _forget_expired(self) -> None:
        now = self._clock.now()
        self._sessions = {role: kept for role, kept in self._sessions.items() if kept.expires > now}

    async def _assume(self, role: Role) -> _Session:
        region = self._region or role.region
        loop = asyncio.get_running_loop()
        if loop.time() < self._unreachable.get(region, 0.0):
            raise AuthError(UNREACHABLE)
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                session = await self._ask(role, region)
        except Exception as error:  # noqa: BLE001 - botocore lets out more than its own, with the whole answer as words
            self._own = None  # it may have been made of credentials that are better by now
            refused = _refused(error)
            if refused.code == UNREACHABLE:
                self._unreachable[region] = loop.time() + _NOT_ASKED_SECONDS
            _log.warning(
                "role_not_assumed",
                role=role.arn,
                code=refused.code,
                error=type(error).__name__,
                request=_request_id(error),
            )
            raise refused from None  # AWS's words may hold a session token
        _log.info("role_assumed", role=role.arn, expires=session.expires.isoformat())
        return session

    async def _ask(self, role: Role, region: str) -> _Session:
        asked = self._clock.now()
        if self._own is None:
            core = AioSession()
            # For the calls by which the operator's own identity is found too: they would take longer than is waited.
            core.set_default_client_config(_CONFIG)
            self._own = aioboto3.Session(botocore_session=core, region_name=region)
        async with self._own.client("sts", region_name=region) as sts:
            answer = await sts.assume_role(
                RoleArn=role.arn,
                RoleSessionName=SESSION_NAME,
                ExternalId=role.external_id,
                DurationSeconds=SESSION_SECONDS,
            )
        given = answer["Credentials"]
        credentials = ReadOnlyCredentials(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
        )
        return _Session(credentials, asked, given["Expiration"])


def _refused(error: Exception) -> AuthError:
    match error:
        case exceptions.ClientError():
            own = error.operation_name != "AssumeRole"
            return AuthError(str(error.response.get("Error", {}).get("Code", "Unknown")), own=own)
        case (
            exceptions.NoCredentialsError()
            | exceptions.CredentialRetrievalError()
            | exceptions.ProfileNotFound()
        ):
            return AuthError(NO_CREDENTIALS)
        case exceptions.PartialCredentialsError() | exceptions.MetadataRetrievalError():
            return AuthError(NO_CREDENTIALS)
        case exceptions.HTTPClientError() | exceptions.ConnectionError() | TimeoutError():
            return AuthError(UNREACHABLE)
        case exceptions.ParamValidationError():
            return AuthError("ValidationError")
        case OSError():
            return AuthError(NO_CREDENTIALS)  # the file of a web identity's token, for example
        case exceptions.BotoCoreError():
            return AuthError(type(error).__name__)
        case _:
            return AuthError(UNREADABLE)  # an answer without a session in it, or none of AWS's


def _request_id(error: Exception) -> str | None:
    """AWS's number of the request, by which CloudTrail finds it."""
    if not isinstance(error, exceptions.ClientError):
        return None
    found = error.response.get("ResponseMetadata", {}).get("RequestId")
    return str(found) if found else None
