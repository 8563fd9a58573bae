"""The script of the init container `fetch-migrations`, and how to read its result.

It runs in any image with crane, sh and tar (busybox is enough). The user's input comes in environment variables
only. Its last words go to the container's termination message: `error=Class`, or what was fetched.
"""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

from dbupgrade.api.failure import Failure
from dbupgrade.api.run import Run
from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.migrations import Delivery
from dbupgrade.objects import Object
from dbupgrade.pod import folder, runner
from dbupgrade.pod.container import HOME, TEMPORARY, defaults, escape, values
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.folder import WORK_PATH
from dbupgrade.pod.report import Report
from dbupgrade.pod.scripts import script
from dbupgrade.pod.step import Step
from dbupgrade.pod.view import ContainerView

PULL_SECRETS_PATH = "/pull-secrets"

SAID = {
    "MANIFEST_UNKNOWN": "the registry has the repository, but not this tag or digest",
    "NAME_UNKNOWN": "the registry does not have this repository",
    "404 Not Found": "the registry does not have this image",
    "no child with platform": "the image is not available for the node's architecture",
    "TOOMANYREQUESTS": "the registry's rate limit is exceeded",
    "no such host": "the registry's host name cannot be resolved",
    "connection refused": "the registry refused the connection",
    "i/o timeout": "the registry does not respond",
    "x509:": "the registry's certificate is not trusted",
    **dict.fromkeys(
        ("DENIED", "UNAUTHORIZED", "401 Unauthorized", "403 Forbidden"),
        "the registry denied access: the repository may not exist, or the pull secrets do not grant access to it",
    ),
}
"""Output of crane, and what it means. If several match, because each pull secret is tried, the first one here is the most specific."""
_IMAGES = {"IMAGE": "{image}", "ATLAS_IMAGE": "the image of the operator's setting atlasImage"}
SCRIPT = script("steps/fetch.sh")


@dataclass(frozen=True)
class Fetched:
    """What the fetch said: the image's digest and the version of its last file, or why it failed."""

    digest: str | None = None
    last: str = ""
    failure: Failure | None = None
    error: str | None = None
    """What the registry said, in our words."""
    of: str = ""
    """The variable of the image that the registry said it of."""


def parse(message: str) -> Fetched:
    """Read a termination message; anything unexpected in it is dropped, never copied."""
    values = dict(line.split("=", 1) for line in message.splitlines() if "=" in line)
    failure = values.get("error")
    digest, last = values.get("digest", ""), values.get("last", "").removesuffix(".sql")
    return Fetched(
        digest=digest if re.fullmatch(r"sha256:[0-9a-f]{64}", digest) else None,
        last=last if re.fullmatch(r"[A-Za-z0-9.-]{1,128}", last) else "",
        failure=Failure(failure) if failure in set(Failure) else None,
        error=SAID.get(values.get("said", "")),
        of=values.get("of", "") if values.get("of") in _IMAGES else "",
    )


class Fetch(Step):
    """Takes the folder of migrations out of the image."""

    name: ClassVar[str] = "fetch-migrations"

    def wanted(self, context: Context, engine: MigrationEngine) -> bool:
        """Unless the image itself is mounted, or the engine does not read the folder."""
        return engine.reads_folder and context.spec.migrations.delivery is Delivery.EXTRACT

    def container(self, context: Context) -> Object:
        """Any image with crane, sh and tar; it has the pull secrets and no database URL."""
        spec, settings = context.spec, context.settings
        mounts = [{"name": "work", "mountPath": WORK_PATH}, TEMPORARY]
        brings = runner.brings_atlas(context)
        if brings:
            mounts.append({"name": "atlas", "mountPath": runner.ATLAS_PATH})
        if context.pull_secrets:
            mounts.append({"name": "pull-secrets", "mountPath": PULL_SECRETS_PATH})
        return {
            "name": self.name,
            "image": settings.crane_image,
            "command": ["sh", "-c", escape(SCRIPT)],
            "env": [
                {"name": "IMAGE", "value": escape(spec.migrations.image)},
                {"name": "FOLDER", "value": escape(folder.path(spec))},
                {"name": "INSECURE", "value": "true" if settings.insecure_registries else "false"},
                *values({"ATLAS_IMAGE": settings.atlas_image if brings else None}),
                HOME,
            ],
            "volumeMounts": mounts,
            **defaults(spec),
        }

    def volumes(self, context: Context) -> list[Object]:
        """The pull secrets, if there are any."""
        sources = [_pull_secret(index, name) for index, name in enumerate(context.pull_secrets)]
        return [{"name": "pull-secrets", "projected": {"sources": sources}}] if sources else []

    def why(self, view: ContainerView, spec: Spec | None) -> Report:
        """What is wrong with the image or its folder."""
        fetched = parse(view.message)
        named = _IMAGES[fetched.of].format(image=spec.migrations.image) if spec and fetched.of else None
        error = ": ".join(part for part in (named, fetched.error) if part) or None
        return Report(failure=fetched.failure or Failure.FETCH, error=error)

    def recorded(self, run: Run, view: ContainerView) -> Run:
        """`run` with what was fetched."""
        fetched = parse(view.message)
        return replace(run, digest=fetched.digest, image_version=fetched.last or None)


def _pull_secret(index: int, name: str) -> Object:
    """The Secret as a Docker configuration folder; a missing one is passed over, as the kubelet does."""
    item = {"key": ".dockerconfigjson", "path": f"{index:03d}/config.json"}
    return {"secret": {"name": name, "optional": True, "items": [item]}}
