"""The fixtures of the installation tests, for the suite with cert-manager."""

from __future__ import annotations

from e2e.installation.conftest import (  # noqa: F401 - fixtures and a hook, found by their names here
    api,
    chart,
    cluster,
    image,
    pytest_runtest_makereport,
    world,
)
