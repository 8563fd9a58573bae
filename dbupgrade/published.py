"""Where releases are published.

Written by `make manifests` from pyproject.toml ([tool.dbupgrade] and [project.urls]): change it there.
"""

IMAGES = "subbug"
CHARTS = "oci://registry-1.docker.io/subbugcharts"
REPOSITORY = "https://github.com/subbug/dbupgrade"


def image(name: str) -> str:
    """One of our images, without a tag: `operator`, `migrate`, `crane` or `atlas`."""
    return f"{IMAGES}/dbupgrade-{name}"
