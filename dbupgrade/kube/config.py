"""Where the API server is and who we are: a kubeconfig, or the files that Kubernetes mounts into a pod.

The result is the client package's Configuration. Its `refresh_api_key_hook` runs before each request and keeps the bearer
token current: service account tokens rotate on disk about hourly, those of exec plugins run out.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dbupgrade.kube.errors import ConfigurationError
from dbupgrade.kube.package import (
    SERVICE_CERT_FILENAME,
    SERVICE_HOST_ENV_NAME,
    SERVICE_TOKEN_FILENAME,
    ConfigException,
    Configuration,
    InClusterConfigLoader,
    load_kube_config,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

POOL_CONNECTIONS = 100
REFRESH_SECONDS = 60.0


async def load(kubeconfig: str | None = None, context: str | None = None) -> Configuration:
    """Find the cluster: `kubeconfig`, then $KUBECONFIG, then the pod's service account, then ~/.kube/config.

    Raises ConfigurationError.
    """
    path = kubeconfig or os.environ.get("KUBECONFIG")
    if not path and os.environ.get(SERVICE_HOST_ENV_NAME):
        return in_cluster()
    return await from_kubeconfig(path or str(Path.home() / ".kube" / "config"), context)


def in_cluster(
    token_file: str = SERVICE_TOKEN_FILENAME,
    ca_file: str = SERVICE_CERT_FILENAME,
    environ: Mapping[str, str] | None = None,
) -> Configuration:
    """Use the service account of the pod; its token file is read again at most once a minute."""
    configuration = _new()
    loader = InClusterConfigLoader(
        token_file, ca_file, environ=dict(os.environ if environ is None else environ)
    )
    try:
        loader.load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise ConfigurationError(f"in-cluster configuration: {error}") from error
    return configuration


async def from_kubeconfig(path: str, context: str | None = None) -> Configuration:
    """Use a kubeconfig: client certificates, tokens, token files and exec plugins."""
    if not _exists(path):
        raise ConfigurationError(f"kubeconfig {path} does not exist")
    configuration = _new()
    try:
        loader = await load_kube_config(path, context, configuration, persist_config=False)
    except Exception as error:  # noqa: BLE001 - see below
        # The loader raises KeyError, AssertionError, yaml errors and more for a file that is not as it should be. They
        # may quote credentials, so this is the one place that does not chain.
        raise ConfigurationError(f"kubeconfig {path}: {_words(error)}") from None
    configuration.refresh_api_key_hook = _periodic(loader.load_and_set)
    return configuration


def default_namespace(kubeconfig: str | None = None, context: str | None = None) -> str:
    """The namespace that a person means who names none: the context's, or the pod's own; else `default`.

    Looks where `load` looks. Raises ConfigurationError for a file that is no kubeconfig.
    """
    path = kubeconfig or os.environ.get("KUBECONFIG")
    if not path and os.environ.get(SERVICE_HOST_ENV_NAME):
        return _read(Path(SERVICE_TOKEN_FILENAME).parent / "namespace") or "default"
    contexts: dict[str, Any] = {}
    for part in (path or str(Path.home() / ".kube" / "config")).split(os.pathsep):
        try:
            found = yaml.safe_load(_read(Path(part))) or {}
            context = context or found.get("current-context")
            contexts = {**{item["name"]: item["context"] for item in found.get("contexts") or ()}, **contexts}
        except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
            raise ConfigurationError(f"kubeconfig {part}: {_words(error)}") from None
    return str((contexts.get(context or "") or {}).get("namespace") or "default")


def _exists(path: str) -> bool:
    """Whether any of the files in a kubeconfig's path is there."""
    return any(Path(part).exists() for part in path.split(os.pathsep))


def _read(path: Path) -> str:
    """The text of a file; nothing when there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _new() -> Configuration:
    configuration = Configuration()
    configuration.connection_pool_maxsize = POOL_CONNECTIONS
    # Python 3.13 refuses authorities without key identifiers, which many clusters in use still have and every other
    # client accepts. Chain, dates and host name are checked as before.
    configuration.disable_strict_ssl_verification = True
    return configuration


def _periodic(refresh: Callable[[Configuration], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """Make a hook from the loader that reads token files and runs exec plugins again, one caller at a time.

    The package only offers a background task for this, which dies at the plugin's first failure.
    """
    lock = asyncio.Lock()
    last = time.monotonic()

    async def hook(configuration: Configuration) -> None:
        nonlocal last
        if time.monotonic() - last < REFRESH_SECONDS:
            return
        async with lock:
            if time.monotonic() - last >= REFRESH_SECONDS:
                last = time.monotonic()
                await refresh(configuration)

    return hook


_MISSING = re.compile(r"Expected object with name (?P<name>\S+) in \S+/(?P<kind>context|user|cluster)s list")


def _words(error: Exception) -> str:
    """Say what is wrong without quoting the file (yaml errors do) or the output of an exec plugin."""
    if isinstance(error, yaml.YAMLError):
        return "not valid YAML"
    if not isinstance(error, ConfigException | OSError):
        return "not a kubeconfig: an entry is missing or of the wrong type"
    text = str(error)
    if missing := _MISSING.search(text):
        return f"there is no {missing['kind']} {missing['name']}"
    return (text.partition(". ")[0] if text.startswith("exec:") else text)[:200]
