"""A DBUpgrade in a file."""

from pathlib import Path
from typing import Any

import yaml

from dbupgrade.api import names


class BadManifestError(Exception):
    """The file does not hold what can be applied; the message is for the person."""


def read(file: Path, namespace: str | None) -> dict[str, Any]:
    """The one DBUpgrade in `file`, which must not name another namespace than `namespace`. Raises BadManifestError."""
    try:
        found = [obj for obj in yaml.safe_load_all(file.read_text()) if obj is not None]
    except OSError as error:
        raise BadManifestError(f"{file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadManifestError(f"{file} is not YAML") from None
    match found:
        case [{"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": str()} as metadata}]:
            if namespace and metadata.get("namespace", namespace) != namespace:
                raise BadManifestError(
                    f"{file} is for the namespace {metadata['namespace']}, not for {namespace}"
                )
            if namespace:
                metadata["namespace"] = namespace
            return dict(found[0])
    raise BadManifestError(f"{file} must hold one {names.KIND} of {names.API_VERSION} with a name")
