"""The parts of kubernetes_asyncio that are used here, loaded without its models and API classes.

The package's `__init__` imports about 800 modules of generated models, which cost 35 MiB and half a second, and of which
we use none: objects are plain dicts. So the packages above the few modules that we need are put into `sys.modules`
without running their `__init__`. The version is pinned, and a test holds this to it.
"""

import importlib
import importlib.util
import sys
from types import ModuleType

_ROOT = "kubernetes_asyncio"
_CLIENT = f"{_ROOT}.client"
_BARE = (_ROOT, _CLIENT, f"{_CLIENT}.models")


def _load() -> None:
    """Register the bare packages, unless somebody has imported the whole package already."""
    if _ROOT in sys.modules:
        return
    spec = importlib.util.find_spec(_ROOT)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("kubernetes_asyncio is not installed")
    folder = spec.submodule_search_locations[0]
    for name in _BARE:
        module = ModuleType(name)
        module.__path__ = [folder + name.removeprefix(_ROOT).replace(".", "/")]
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    # kube_config takes these two from the package itself.
    client = sys.modules[_CLIENT]
    client.Configuration = importlib.import_module(f"{_CLIENT}.configuration").Configuration  # type: ignore[attr-defined]
    client.ApiClient = importlib.import_module(f"{_CLIENT}.api_client").ApiClient  # type: ignore[attr-defined]


_load()

from kubernetes_asyncio.client.api_client import ApiClient  # noqa: E402 - only after the bare packages are there
from kubernetes_asyncio.client.configuration import Configuration  # noqa: E402
from kubernetes_asyncio.config.config_exception import ConfigException  # noqa: E402
from kubernetes_asyncio.config.incluster_config import (  # noqa: E402
    SERVICE_CERT_FILENAME,
    SERVICE_HOST_ENV_NAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from kubernetes_asyncio.config.kube_config import load_kube_config  # noqa: E402

__all__ = [
    "SERVICE_CERT_FILENAME",
    "SERVICE_HOST_ENV_NAME",
    "SERVICE_TOKEN_FILENAME",
    "ApiClient",
    "ConfigException",
    "Configuration",
    "InClusterConfigLoader",
    "load_kube_config",
]
