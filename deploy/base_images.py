"""The base images of a Dockerfile by digest: a release is built from what their tags mean at that time, and says which that is.

python3 -m deploy.base_images images/migrate/Dockerfile ATLAS_IMAGE=mirror/dbupgrade-atlas:0.1.0

Prints `arguments`, an output of a step in a workflow: a build argument for each `ARG …_IMAGE` of the Dockerfile, those that are given
on the command line in place of its own. Needs docker buildx.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ARGUMENT = re.compile(r"^ARG (\w+_IMAGE)=(\S+)$", re.MULTILINE)


def images(dockerfile: str, given: Mapping[str, str]) -> dict[str, str]:
    """The references by the name of their argument."""
    own = dict(_ARGUMENT.findall(dockerfile))
    if unknown := set(given) - set(own):
        raise SystemExit(f"the Dockerfile has no argument {', '.join(sorted(unknown))}")
    return own | dict(given)


def pinned(reference: str) -> str:
    """The reference with the digest that its tag has now. Raises CalledProcessError when the registry does not have it."""
    command = ["docker", "buildx", "imagetools", "inspect", reference, "--format", "{{json .Manifest}}"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return f"{reference}@{found['digest']}"


def main(arguments: list[str]) -> int:
    """Run the command line."""
    path, *more = arguments
    given = dict(word.split("=", 1) for word in more)
    lines = [f"{name}={pinned(image)}" for name, image in images(Path(path).read_text(), given).items()]
    print("\n".join(["arguments<<END", *lines, "END"]))
    print("\n".join(lines), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
