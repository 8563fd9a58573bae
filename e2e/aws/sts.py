"""STS and IAM over HTTP, by moto's server, which checks keys, signatures, policies and ExternalId."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

import boto3

from e2e.aws.verifier import Session
from e2e.ports import free_port, keep_port

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

REGION = "eu-central-1"
ACCOUNT = "123456789012"
_READY_SECONDS = 240.0  # it is slow to load, and the machine is shared
_USER = "operator"


@dataclass(frozen=True)
class Role:
    """A customer's role."""

    arn: str


class Sts:
    """A running server with one IAM user, the operator's; use it as a context manager."""

    def __init__(self, log: Path, host: str = "127.0.0.1") -> None:
        self._log = log
        self._recorded = log.with_suffix(".calls")
        self.url = f"http://{host}:{free_port()}"
        self._host = host
        self._kept: socket.socket | None = None

    def __enter__(self) -> Self:
        self.start()
        self._iam = self._client("anybody", "anybody")  # nobody is asked who they are yet
        key = self._create_user("admin", "*")
        self._iam = self._client(key["AccessKeyId"], key["SecretAccessKey"])
        self._key = self._create_user(_USER, "sts:AssumeRole")
        self.secrets = {str(self._key["SecretAccessKey"])}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._kept:
            self._kept.close()

    def start(self) -> None:
        """Start the server; a new one knows of nothing."""
        port = self.url.rpartition(":")[2]
        if self._kept:
            self._kept.close()
        with self._log.open("ab") as output:
            # It must not outlive the tests, whatever ends them.
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "--"),
                    *(sys.executable, "-m", "moto.server", "-H", self._host, "-p", port),
                ],
                env={**os.environ, "MOTO_RECORDER_FILEPATH": str(self._recorded)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                self._get("/moto-api/data.json")
            except OSError as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    said = self._log.read_text(errors="replace")[-2000:]
                    raise AssertionError(f"moto's server did not start: {said}") from error
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.wait()
        self._kept = keep_port(int(self.url.rpartition(":")[2]))

    # --- what an administrator does ----------------------------------------------------------------------------------

    def _client(self, key: str, secret: str) -> Any:
        return boto3.client(
            "iam",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    def _create_user(self, name: str, action: str) -> Any:
        """Make a user who may do that, and a key for it."""
        self._iam.create_user(UserName=name)
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        self._iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=_policy(statement))
        return self._iam.create_access_key(UserName=name)["AccessKey"]

    def create_role(self, name: str, external_id: str) -> Role:
        """Make a role that trusts the operator for that ExternalId."""
        role = self._iam.create_role(
            RoleName=name, Path="/apps/db/", AssumeRolePolicyDocument=self._trust(external_id)
        )
        return Role(str(role["Role"]["Arn"]))

    def trust(self, name: str, external_id: str) -> None:
        """Change whom a role trusts."""
        self._iam.update_assume_role_policy(RoleName=name, PolicyDocument=self._trust(external_id))

    def _trust(self, external_id: str) -> str:
        return _policy(
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{_USER}"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
            }
        )

    def enforce(self) -> None:
        """Check who calls, from now on, and note every request."""
        self._post("/moto-api/reset-auth", b"0")
        self._post("/moto-api/recorder/start-recording", b"")

    # --- what the operator is given and does ---------------------------------------------------------------------------

    def environment(self, *, secret: str = "") -> dict[str, str]:
        """The operator's settings and credentials; another `secret` makes the credentials wrong."""
        return {
            "DBUPGRADE_AWS_ENABLED": "true",
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_ACCESS_KEY_ID": str(self._key["AccessKeyId"]),
            "AWS_SECRET_ACCESS_KEY": secret or str(self._key["SecretAccessKey"]),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def calls(self) -> list[Mapping[str, str]]:
        """The parameters of every AssumeRole that was recorded."""
        found = []
        for line in self._recorded.read_text().splitlines() if self._recorded.exists() else ():
            entry = json.loads(line)
            body = base64.b64decode(entry["body"]) if entry.get("body_encoded") else entry["body"].encode()
            found.append(dict(parse_qsl(body.decode())))
        return [call for call in found if call.get("Action") == "AssumeRole"]

    def sessions(self) -> dict[str, Session]:
        """Every session that was given, by access key."""
        given = json.loads(self._get("/moto-api/data.json"))["sts"].get("AssumedRole", [])
        return {
            role["access_key_id"]: Session(role["secret_access_key"], role["session_token"]) for role in given
        }

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:  # noqa: S310 - our own server
            return bytes(answer.read())

    def _post(self, path: str, body: bytes) -> None:
        request = urllib.request.Request(  # noqa: S310
            self.url + path, data=body, method="POST", headers={"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(request, timeout=60).close()  # noqa: S310


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
