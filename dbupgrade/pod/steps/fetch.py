"""The script of the init container `fetch-migrations`, and how to read what it left behind.

It runs in any image with crane, sh and tar (busybox is enough). The user's input comes in environment variables
only. Its last words go to the container's termination message: `error=Class`, or what was fetched.
"""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from dbupgrade.api.spec import Spec
from dbupgrade.api.spec.migrations import Delivery
from dbupgrade.api.status import Failure, Run
from dbupgrade.pod import folder
from dbupgrade.pod.container import HOME, TEMPORARY, defaults, escape
from dbupgrade.pod.context import Context
from dbupgrade.pod.engine import MigrationEngine
from dbupgrade.pod.folder import FILES, WORK_PATH
from dbupgrade.pod.report import Report
from dbupgrade.pod.step import Step
from dbupgrade.pod.view import ContainerView

Object = dict[str, Any]

PULL_SECRETS_PATH = "/pull-secrets"
MAX_KIB = 256 * 1024

SAID = {
    "MANIFEST_UNKNOWN": "the registry has the repository, but neither this tag nor this digest in it",
    "NAME_UNKNOWN": "the registry has no such repository",
    "404 Not Found": "the registry has no such image",
    "no child with platform": "the image does not exist for the node's architecture",
    "TOOMANYREQUESTS": "the registry takes no more requests for now",
    "no such host": "the registry's host name is not known",
    "connection refused": "nothing listens where the registry should be",
    "i/o timeout": "the registry does not answer",
    "x509:": "the registry's certificate is not trusted",
    **dict.fromkeys(
        ("DENIED", "UNAUTHORIZED", "401 Unauthorized", "403 Forbidden"),
        "the registry does not allow to read it with these pull secrets",
    ),
}
"""Words of crane's, and what they mean; of several, as each pull secret is tried, the first here tells most."""
_WORDS = " ".join(f"'{word}'" for word in SAID)

SCRIPT = rf"""
set -eu
export LC_ALL=C
fail() {{ printf 'error=%s\nsaid=%s\n' "$1" "${{3:-}}" > /dev/termination-log; echo "$2" >&2; exit 1; }}

case "$(uname -m)" in
  x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; armv7*) arch=arm/v7 ;; i?86) arch=386 ;; *) arch=$(uname -m) ;;
esac
insecure=; [ "$INSECURE" != true ] || insecure=--insecure

# Each pull secret in turn, then without any.
reference=
for config in {PULL_SECRETS_PATH}/* /anonymous; do
  export DOCKER_CONFIG="$config"
  if reference=$(crane digest $insecure --platform "linux/$arch" --full-ref "$IMAGE" 2>> "$HOME/crane"); then break; fi
  reference=
done
if [ -z "$reference" ]; then
  cat "$HOME/crane" >&2
  for word in {_WORDS}; do
    if grep -qF "$word" "$HOME/crane"; then fail {Failure.FETCH} "no credentials led to the image" "$word"; fi
  done
  fail {Failure.FETCH} "no credentials led to the image"
fi

# A pipe would hide a failure of crane, so its exit code goes through a file.
mkdir -p "{WORK_PATH}/{FILES}"
extract() {{
  rm -f "$HOME/export"
  {{ crane export $insecure --platform "linux/$arch" "$reference" - || echo failed > "$HOME/export"; }} |
    tar -x --no-same-permissions -f - -C "{WORK_PATH}/{FILES}" -- "${{FOLDER#/}}" 2> "$HOME/tar"
}}
if ! extract; then
  # busybox cannot write into a folder that it has just made read-only, but leaves alone one that is there.
  if grep -q 'Permission denied' "$HOME/tar" && chmod -R u+w "{WORK_PATH}/{FILES}" && extract; then :
  else extracted=no; fi
fi
[ ! -e "$HOME/export" ] || fail {Failure.FETCH} "crane could not read the image"

folder="{WORK_PATH}/{FILES}$FOLDER"
[ ! -L "$folder" ] || fail {Failure.UNSAFE_LINK} "the folder is a symbolic link"
[ -d "$folder" ] || fail {Failure.MISSING_FOLDER} "the image has no folder $FOLDER"
# A layer need not have an entry for the folder itself, which is what busybox misses then.
if [ "${{extracted:-yes}}" = no ] && ! grep -qi 'not found in archive' "$HOME/tar"; then
  cat "$HOME/tar" >&2
  if grep -qiE 'hard ?link' "$HOME/tar"; then fail {Failure.UNSAFE_LINK} "a hard link leaves the folder"; fi
  fail {Failure.FETCH} "tar could not extract the folder"
fi
leaving=$(find "$folder" -type l | while IFS= read -r link; do
  target=$(readlink -f "$link" || true)
  case "$target" in "$folder"/*) ;; *) echo "$link" ;; esac
done)
[ -z "$leaving" ] || fail {Failure.UNSAFE_LINK} "links that leave the folder: $leaving"
size=$(du -sk "$folder" | cut -f1)
[ "$size" -le {MAX_KIB} ] || fail {Failure.FOLDER_TOO_LARGE} "the folder has $size KiB"
last=$(find "$folder" -maxdepth 1 -name '*.sql' \( -type f -o -type l \) | sort | tail -n 1)
[ -n "$last" ] || fail {Failure.EMPTY_FOLDER} "the folder holds no *.sql"

last=${{last##*/}}
printf 'digest=%s\nlast=%s\n' "${{reference##*@}}" "${{last%%_*}}" > /dev/termination-log
"""


@dataclass(frozen=True)
class Fetched:
    """What the fetch said: the image's digest and the version of its last file, or why it failed."""

    digest: str | None = None
    last: str = ""
    failure: Failure | None = None
    error: str | None = None
    """What the registry said, in our words."""


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
    )


class Fetch(Step):
    """Takes the folder of migrations out of the image."""

    name: ClassVar[str] = "fetch-migrations"

    def wanted(self, spec: Spec, engine: MigrationEngine) -> bool:
        """Unless the image itself is mounted, or nobody reads the folder."""
        return engine.reads_folder and spec.migrations.delivery is Delivery.EXTRACT

    def container(self, context: Context) -> Object:
        """Any image with crane, sh and tar; it has the pull secrets and no database URL."""
        spec, settings = context.spec, context.settings
        mounts = [{"name": "work", "mountPath": WORK_PATH}, TEMPORARY]
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
        del spec
        fetched = parse(view.message)
        return Report(failure=fetched.failure or Failure.FETCH, error=fetched.error)

    def recorded(self, run: Run, view: ContainerView) -> Run:
        """`run` with what was fetched."""
        fetched = parse(view.message)
        return run.model_copy(update={"digest": fetched.digest, "image_version": fetched.last or None})


def _pull_secret(index: int, name: str) -> Object:
    """The Secret as a Docker configuration folder; a missing one is passed over, as the kubelet does."""
    item = {"key": ".dockerconfigjson", "path": f"{index:03d}/config.json"}
    return {"secret": {"name": name, "optional": True, "items": [item]}}
