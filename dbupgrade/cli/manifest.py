"""A DBUpgrade in a file."""

import sys
from pathlib import Path
from typing import Any

import yaml

from dbupgrade.api import names

STANDARD_INPUT = "-"


class BadManifestError(Exception):
    """The file does not contain what is needed; the message is for the person."""


def read(file: Path, namespace: str | None) -> dict[str, Any]:
    """The one DBUpgrade in `file` (or standard input), which must not name another namespace than `namespace`. Raises BadManifestError."""
    try:
        text = sys.stdin.read() if str(file) == STANDARD_INPUT else file.read_text()
        found = [obj for obj in yaml.safe_load_all(text) if obj is not None]
    except OSError as error:
        raise BadManifestError(f"{file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadManifestError(f"{file} is not valid YAML") from None
    match found:
        case [{"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": str()} as metadata}]:
            if namespace and metadata.get("namespace", namespace) != namespace:
                raise BadManifestError(
                    f"{file} is for the namespace {metadata['namespace']}, not for {namespace}"
                )
            if namespace:
                metadata["namespace"] = namespace
            return dict(found[0])
    raise BadManifestError(f"{file} must contain exactly one {names.KIND} ({names.API_VERSION}) with a name")
