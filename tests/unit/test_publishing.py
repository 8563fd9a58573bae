"""The names under which releases are published."""

from __future__ import annotations

import re

import pytest

from deploy import publishing
from deploy.publishing import Names

HUB = Names("subbug", "oci://registry-1.docker.io/subbugcharts", "https://github.com/subbug/dbupgrade")
OWN = Names("ghcr.io/acme/db", "oci://ghcr.io/acme/charts", "https://git.acme.example/tools/dbupgrade")


@pytest.mark.parametrize(
    ("hub", "own"),
    [
        ("image: subbug/dbupgrade-operator:0.1.0", "image: ghcr.io/acme/db/dbupgrade-operator:0.1.0"),
        ("`subbug/dbupgrade-crane`", "`ghcr.io/acme/db/dbupgrade-crane`"),
        (
            "ARG ATLAS_IMAGE=docker.io/subbug/dbupgrade-atlas:0.1.0",
            "ARG ATLAS_IMAGE=ghcr.io/acme/db/dbupgrade-atlas:0.1.0",
        ),
        ("repository: oci://registry-1.docker.io/subbugcharts\n", "repository: oci://ghcr.io/acme/charts\n"),
        (
            "oci://registry-1.docker.io/subbugcharts/dbupgrade-operator",
            "oci://ghcr.io/acme/charts/dbupgrade-operator",
        ),
        (
            "git::https://github.com/subbug/dbupgrade.git//deploy",
            "git::https://git.acme.example/tools/dbupgrade.git//deploy",
        ),
        (
            r"^https://github.com/subbug/dbupgrade/\.github/",
            r"^https://git.acme.example/tools/dbupgrade/\.github/",
        ),
    ],
)
def test_names_change_and_change_back(hub: str, own: str) -> None:
    assert publishing.renamed(hub, HUB, OWN) == own
    assert publishing.renamed(own, OWN, HUB) == hub


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: dbupgrade.subbug.learning/v1alpha1",
        "deploy/helm/dbupgrade-operator",
        "mirror.example.com/subbug/dbupgrade-operator:0.1.0",
        "subbug/dbupgrade-something",
        "oci://registry-1.docker.io/subbug",
        "https://github.com/subbug/dbupgrade-examples",
    ],
)
def test_what_is_not_ours_stays(text: str) -> None:
    assert publishing.renamed(text, HUB, OWN) == text


@pytest.mark.parametrize(
    ("images", "full"),
    [
        ("subbug", "docker.io/subbug"),
        ("acme/tools", "docker.io/acme/tools"),
        ("ghcr.io/acme", "ghcr.io/acme"),
        ("localhost:5001", "localhost:5001"),
        ("localhost", "localhost"),
    ],
)
def test_images_with_their_registry(images: str, full: str) -> None:
    assert Names(images, "", "").full_images == full


@pytest.mark.parametrize(
    ("images", "charts", "wrong"),
    [
        ("subbug", "oci://registry-1.docker.io/subbug", True),
        ("subbug", "oci://registry-1.docker.io/subbugcharts", False),
        ("ghcr.io/acme", "oci://ghcr.io/acme", True),
        ("ghcr.io/acme", "oci://ghcr.io/acme/charts", False),
    ],
)
def test_a_chart_must_not_overwrite_an_image(images: str, charts: str, wrong: bool) -> None:
    assert Names(images, charts, "").overwrite_each_other is wrong


def test_pages_name_no_images_of_others() -> None:
    """What the generator would not find is a misspelt name."""
    ours = {publishing.CURRENT.images, publishing.CURRENT.full_images}
    found = [
        (str(path.relative_to(publishing.ROOT)), prefix)
        for path in publishing.pages()
        for prefix in re.findall(
            r"([\w.:/$-]+)/dbupgrade-(?:operator|migrate|crane|atlas)[:@]", path.read_text()
        )
    ]
    assert {prefix for _, prefix in found} >= ours
    placeholders = re.compile(r"\$?REGISTRY$")
    assert [
        (path, prefix) for path, prefix in found if prefix not in ours and not placeholders.match(prefix)
    ] == []
