"""Certificates that the settings name by a file."""

import ssl
from pathlib import Path

from dbupgrade.settings import ENVIRONMENT_PREFIX, BadSettingsError


def read(path: str, setting: str) -> str:
    """The certificates in the file of a setting, which must be some; empty without a file. Raises BadSettingsError."""
    if not path:
        return ""
    try:
        text = Path(path).read_text()
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "the file has none"
        message = f"{ENVIRONMENT_PREFIX}{setting}: no certificates in PEM can be read from {path}: {reason}"
        raise BadSettingsError(message) from error
    return text
