"""Sessions of roles and tokens made of them: against moto's STS, and against one that says what a test wants."""

from __future__ import annotations

import asyncio
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import aioboto3
import pytest
from aiohttp import web
from botocore.credentials import ReadOnlyCredentials

from dbupgrade.api.spec.database import Aws, Database
from dbupgrade.aws.sessions import Role, Sessions
from dbupgrade.aws.tokens import Tokens, token
from dbupgrade.clock import SystemClock
from dbupgrade.pod.identities.aws import refusal
from dbupgrade.pod.identity import AuthError
from e2e.aws import Session, Sts, Wanted, problem
from e2e.aws.sts import REGION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from dbupgrade.reconcile.tokens import Signer

CREDENTIALS = ReadOnlyCredentials("ASIAEXAMPLE", "secret+/=key", "session+/=token&%")
LEAK = "hunter2-session-token"


class Clock(SystemClock):
    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sts]:
    with Sts(tmp_path_factory.mktemp("sts") / "sts.log") as sts:
        sts.create_role("migrate", "shop/orders")
        sts.enforce()
        yield sts


@pytest.fixture
def sts(running: Sts, monkeypatch: pytest.MonkeyPatch) -> Sts:
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    return running


ROLE = Role("arn:aws:iam::123456789012:role/apps/db/migrate", "shop/orders", REGION)


def aws(**changes: object) -> Aws:
    given = {"roleArn": ROLE.arn, "region": REGION, "host": "db.example", "dbName": "d", "username": "u"}
    return Aws.model_validate({**given, **changes})


async def test_many_ask_and_sts_is_called_once_until_little_is_left(sts: Sts) -> None:
    clock = Clock()
    sessions = Sessions("", clock)
    before = len(sts.calls())
    found = await asyncio.gather(*(sessions.credentials(ROLE) for _ in range(20)))
    assert len(set(found)) == 1
    clock.ahead = timedelta(minutes=39)
    assert await sessions.credentials(ROLE) == found[0]
    assert len(sts.calls()) == before + 1
    clock.ahead = timedelta(minutes=41)
    assert await sessions.credentials(ROLE) != found[0]
    assert len(sts.calls()) == before + 2


async def test_the_session_of_a_token_that_was_refused_is_not_used_again(sts: Sts) -> None:
    clock = Clock()
    sessions = Sessions("", clock)
    first = await sessions.credentials(ROLE)
    refused = clock.now().replace(microsecond=0)  # as a status has it
    clock.ahead = timedelta(seconds=10)
    before = len(sts.calls())
    second = await sessions.credentials(ROLE, refused)
    assert second != first
    assert await sessions.credentials(ROLE, refused) == await sessions.credentials(ROLE) == second
    assert len(sts.calls()) == before + 1


async def test_a_resource_never_gets_the_session_of_another_one(sts: Sts) -> None:
    sessions = Sessions("")
    await sessions.credentials(ROLE)
    with pytest.raises(AuthError, match="AccessDenied"):
        await sessions.credentials(ROLE._replace(external_id="evil/orders"))


async def test_tokens_are_good(sts: Sts) -> None:
    signer: Signer = Tokens(Sessions(""), "certificates")
    database = Database.model_validate({"type": "awsRds", "aws": aws()})
    await signer.check(database, "shop/orders")
    data = await signer.make(database, "shop/orders")
    assert data["ca.pem"] == "certificates"
    assert "sslmode=verify-full" in data["url"]


@pytest.mark.parametrize("username", ["app", "app@team", "a&b=c+d e", "äpp%/?#"])
@pytest.mark.parametrize("port", [5432, 6000])
async def test_a_token_is_the_one_of_the_rds_client_and_its_signature_is_right(
    username: str, port: int
) -> None:
    given = aws(username=username, port=port)
    session = aioboto3.Session(*CREDENTIALS[:3], region_name="us-east-1")
    async with session.client("rds") as client:
        for _ in range(20):  # until both are made in the same second
            mine = token(given, CREDENTIALS)
            theirs = await client.generate_db_auth_token("db.example", port, username, REGION)
            if mine == theirs:
                break
    assert mine == theirs
    known = {CREDENTIALS.access_key: Session(CREDENTIALS.secret_key, str(CREDENTIALS.token))}
    wanted = Wanted("db.example", port, username, REGION)
    now = datetime.now(UTC)
    assert problem(mine, wanted, known, now) == ""
    assert problem(mine[:-1] + ("0" if mine[-1] != "0" else "1"), wanted, known, now) != ""
    assert problem(mine, wanted, known, now + timedelta(minutes=16)) == "it has expired"
    assert problem(mine, Wanted("other.example", port, username, REGION), known, now) != ""


# --- what AWS refuses --------------------------------------------------------------------------------------------


class Refusing:
    """An STS that answers with a failure as long as it has one, and Pod Identity's agent beside it."""

    def __init__(self) -> None:
        self.failure: tuple[int, str] | None = None
        self.refused_action = "AssumeRole"
        self.page: tuple[int, str] | None = None
        self.hangs = False
        self.calls = 0
        self.url = ""
        self.seen: list[tuple[str, dict[str, str]]] = []
        """What was asked for, and who asked: parameters of the call and headers."""

    async def answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        if self.hangs:
            await asyncio.sleep(60)
        if request.path == POD_IDENTITY:
            return self._pod_identity(request)
        asked = {name: values[0] for name, values in parse_qs((await request.read()).decode()).items()}
        action = asked["Action"]
        self.seen.append((action, {**asked, **request.headers}))
        if self.page:
            return web.Response(status=self.page[0], text=self.page[1], content_type="text/html")
        if self.failure is None or action != self.refused_action:
            return web.Response(text=given(action), content_type="text/xml")
        status, code = self.failure
        text = f"<ErrorResponse><Error><Code>{code}</Code><Message>{LEAK}</Message></Error></ErrorResponse>"
        return web.Response(status=status, text=text, content_type="text/xml")

    def _pod_identity(self, request: web.Request) -> web.Response:
        self.seen.append(("PodIdentity", dict(request.headers)))
        if self.failure:
            return web.Response(status=self.failure[0], text=LEAK)
        keys = {"AccessKeyId": "POD", "SecretAccessKey": "B", "Token": "own-session"}
        return web.json_response({**keys, "Expiration": "2099-01-01T00:00:00Z"})

    @property
    def actions(self) -> list[str]:
        return [action for action, _ in self.seen]

    def caller(self) -> str:
        """Whose key signed the last AssumeRole, and with which session."""
        headers = next(headers for action, headers in reversed(self.seen) if action == "AssumeRole")
        key = headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        return f"{key} {headers.get('X-Amz-Security-Token', '')}".strip()


POD_IDENTITY = "/v1/credentials"


def given(action: str) -> str:
    """A session: the customer's role's, or the operator's own."""
    key, session = ("A", "C") if action == "AssumeRole" else ("WEB", "own-session")
    return (
        f"<{action}Response><{action}Result><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>B</SecretAccessKey>"
        f"<SessionToken>{session}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{action}Result>"
        f"</{action}Response>"
    )


@pytest.fixture
async def refusing(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Refusing]:
    server = Refusing()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    yield server
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "AccessDenied"),
        (403, "ExpiredToken"),
        (403, "InvalidClientTokenId"),
        (403, "SignatureDoesNotMatch"),
        (403, "RegionDisabledException"),
        (400, "ValidationError"),
        (400, "Throttling"),
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
    ],
)
async def test_a_refusal_has_awss_code_and_nothing_of_its_words_and_is_not_remembered(
    refusing: Refusing, status: int, code: str
) -> None:
    refusing.failure = (status, code)
    sessions = Sessions("")
    with pytest.raises(AuthError) as raised:
        await sessions.credentials(ROLE)
    assert raised.value.code == code
    assert not raised.value.own
    said = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert LEAK not in said
    refusing.failure = None
    assert (await sessions.credentials(ROLE)).access_key == "A"


async def test_throttling_is_tried_again_a_few_times(refusing: Refusing) -> None:
    refusing.failure = (400, "Throttling")
    with pytest.raises(AuthError, match="Throttling"):
        await Sessions("").credentials(ROLE)
    assert refusing.calls == 3


async def test_a_silent_sts_is_given_up_and_others_do_not_wait_for_it(
    refusing: Refusing, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbupgrade.aws import sessions as module  # noqa: PLC0415

    monkeypatch.setattr(module, "_CALL_SECONDS", 3.0)
    refusing.hangs = True
    sessions = Sessions("")
    with pytest.raises(AuthError, match="Unreachable"):
        await sessions.credentials(ROLE)
    asked = refusing.calls  # none, where the machine was too busy to ask in time
    for name in ("two", "three"):
        with pytest.raises(AuthError, match="Unreachable"):
            await sessions.credentials(ROLE._replace(arn=f"{ROLE.arn}-{name}"))
    assert refusing.calls == asked


async def test_no_credentials_and_a_missing_token_file_are_the_operators(
    refusing: Refusing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(AuthError, match="NoCredentials"):
        await Sessions("").credentials(ROLE)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/operator")
    with pytest.raises(AuthError, match="NoCredentials"):
        await Sessions("").credentials(ROLE)
    assert refusing.calls == 0


async def test_an_arn_that_is_none_is_told_without_a_call(refusing: Refusing) -> None:
    with pytest.raises(AuthError, match="ValidationError"):
        await Sessions("").credentials(ROLE._replace(arn="arn"))
    assert refusing.calls == 0


@pytest.mark.parametrize(
    ("status", "page"),
    [
        (200, f"<html>{LEAK}</html>"),
        (200, f"<AssumeRoleResponse><SessionToken>{LEAK}"),
        (200, f"<AssumeRoleResponse><AssumeRoleResult>{LEAK}</AssumeRoleResult></AssumeRoleResponse>"),
        (403, f"<html>{LEAK}</html>"),
        (403, f"<html>{LEAK}<br>"),
        (502, f"{LEAK}: bad gateway"),
    ],
)
async def test_what_is_no_answer_of_sts_is_a_refusal_and_not_repeated(
    refusing: Refusing, status: int, page: str
) -> None:
    refusing.page = (status, page)
    sessions = Sessions("")
    with pytest.raises(AuthError) as raised:
        await sessions.credentials(ROLE)
    assert LEAK not in "".join(traceback.format_exception(raised.value))
    refusing.page = None
    assert (await sessions.credentials(ROLE)).access_key == "A"


# --- the operator's own identity -------------------------------------------------------------------------------------


@pytest.fixture
def nobody(refusing: Refusing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Refusing:
    """The process has no identity but what a test gives it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return refusing


@pytest.fixture
def web_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What EKS's webhook gives a pod whose service account has a role (IRSA)."""
    file = tmp_path / "service-account-token"
    file.write_text("first")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(file))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/operator")
    return file


async def test_web_identity_is_used(nobody: Refusing, web_identity: Path) -> None:
    assert (await Sessions("").credentials(ROLE)).access_key == "A"
    assert nobody.actions == ["AssumeRoleWithWebIdentity", "AssumeRole"]
    asked = nobody.seen[0][1]
    assert (asked["WebIdentityToken"], asked["RoleArn"].rpartition("/")[2]) == ("first", "operator")
    assert "Authorization" not in asked
    assert nobody.caller() == "WEB own-session"


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AccessDenied", "AWS rejects the operator's own identity"),
        ("InvalidIdentityToken", "the cluster's OIDC provider"),
        ("ExpiredTokenException", "credentials have expired"),
        ("IDPCommunicationError", "the call is retried"),
    ],
)
async def test_a_refused_web_identity_is_told_as_the_operators_and_its_next_token_is_read(
    nobody: Refusing, web_identity: Path, code: str, advice: str
) -> None:
    nobody.refused_action, nobody.failure = "AssumeRoleWithWebIdentity", (400, code)
    sessions = Sessions("")
    with pytest.raises(AuthError) as raised:
        await sessions.credentials(ROLE)
    assert (raised.value.code, raised.value.own) == (code, True)
    assert advice in refusal(aws(), "shop/orders", raised.value)
    assert LEAK not in "".join(traceback.format_exception(raised.value))
    assert "AssumeRole" not in nobody.actions
    assert nobody.calls <= 3  # more tries would take longer than is waited, and it would look unreachable
    nobody.failure = None
    await asyncio.to_thread(web_identity.write_text, "second")
    assert (await sessions.credentials(ROLE)).access_key == "A"
    assert nobody.seen[-2][1]["WebIdentityToken"] == "second"


async def test_pod_identity_is_used_and_its_failure_passes(
    nobody: Refusing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "eks-pod-identity-token"
    file.write_text("first")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{nobody.url}{POD_IDENTITY}")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    nobody.failure = (404, "none")
    sessions = Sessions("")
    with pytest.raises(AuthError, match="NoCredentials") as raised:
        await sessions.credentials(ROLE)
    assert LEAK not in "".join(traceback.format_exception(raised.value))
    assert set(nobody.actions) == {"PodIdentity"}
    nobody.failure = None
    file.write_text("second")
    assert (await sessions.credentials(ROLE)).access_key == "A"
    assert nobody.caller() == "POD own-session"
    assert nobody.seen[-2][1]["Authorization"] == "second"


async def test_a_profile_is_used_also_one_that_comes_later(
    nobody: Refusing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "operator")
    sessions = Sessions("")
    with pytest.raises(AuthError, match="NoCredentials"):
        await sessions.credentials(ROLE)
    assert nobody.calls == 0
    file.write_text("[operator]\naws_access_key_id = PROFILE\naws_secret_access_key = s\n")
    assert (await sessions.credentials(ROLE)).access_key == "A"
    assert nobody.caller() == "PROFILE"
