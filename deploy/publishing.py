"""Where releases are published: one setting, in pyproject.toml, from which all pages, examples and manifests get it.

    python3 -m deploy.publishing     print it, as outputs of a step in a workflow

What the files say now is in `dbupgrade/published.py`. After a change of the setting, `deploy.generate` replaces these names wherever they
are written. Needs nothing but Python.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dbupgrade import published

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
MODULE = ROOT / "dbupgrade/published.py"
PAGES = (
    "*.md", "*.yml", "Makefile", "Dockerfile", "docs/**/*", "examples/**/*", "images/**/*", "deploy/**/*", ".github/**/*",
)  # fmt: skip
SUFFIXES = {"", ".hcl", ".json", ".md", ".tf", ".tpl", ".txt", ".yaml", ".yml"}
"""Files in which names stand as text; code imports them."""
DEFAULT_REGISTRY = "docker.io/"
_SAME_REGISTRY = "registry-1.docker.io/"  # what Helm has to call it


@dataclass(frozen=True)
class Names:
    """Prefix of the images without the registry that is the default, OCI location of the charts, URL of the repository."""

    images: str
    charts: str
    repository: str

    @property
    def full_images(self) -> str:
        """The prefix with its registry, for builders that know no default."""
        first = self.images.partition("/")[0]
        known = "." in first or ":" in first or first == "localhost"
        return self.images if known else DEFAULT_REGISTRY + self.images

    @property
    def overwrite_each_other(self) -> bool:
        """Whether a chart would take the place of an image: to a registry both are one kind of thing, and here they have one name."""
        charts = self.charts.removeprefix("oci://").replace(_SAME_REGISTRY, DEFAULT_REGISTRY)
        return charts == self.full_images


CURRENT = Names(published.IMAGES, published.CHARTS, published.REPOSITORY)
"""What the files say."""


def wanted() -> Names:
    """The setting. Raises SystemExit where it cannot be meant."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    own = project["tool"]["dbupgrade"]
    images = own["images"].removeprefix(DEFAULT_REGISTRY)
    names = Names(images, own["charts"], project["project"]["urls"]["Repository"])
    if names.overwrite_each_other:
        raise SystemExit(
            f"pyproject.toml: images and charts are both in {names.full_images}: the chart dbupgrade-operator "
            "would overwrite the image dbupgrade-operator; give the charts a location of their own"
        )
    return names


def files() -> Iterator[tuple[Path, str]]:
    """Every file that is written by people and has a name in it, with the names of the setting."""
    names = wanted()
    yield MODULE, module(MODULE.read_text(), names)
    for path in pages():
        text = path.read_text()
        if (changed := renamed(text, CURRENT, names)) != text:
            yield path, changed


def pages() -> Iterator[Path]:
    """The files in which names stand as text."""
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file() and path.suffix in SUFFIXES:
                yield path


def module(text: str, names: Names) -> str:
    """`dbupgrade/published.py` with other names."""
    values = {"IMAGES": names.images, "CHARTS": names.charts, "REPOSITORY": names.repository}
    for constant, value in values.items():
        text = re.sub(rf'^{constant} = ".*"$', f'{constant} = "{value}"', text, flags=re.MULTILINE)
    return text


def renamed(text: str, old: Names, new: Names) -> str:
    """The text with the new names; the default of a build argument (`ATLAS_IMAGE=…`) has the registry in it."""
    prefixes = "|".join(re.escape(prefix) for prefix in (old.full_images, old.images))
    pattern = re.compile(
        rf"(?P<charts>{re.escape(old.charts)})(?![\w-])"
        rf"|(?P<repository>{re.escape(old.repository)})(?![\w-])"
        rf"|(?P<argument>_IMAGE=)?(?<![\w./-])(?:{prefixes})(?=/dbupgrade-(?:operator|migrate|crane|atlas)\b)"
    )

    def replacement(found: re.Match[str]) -> str:
        if found["charts"]:
            return new.charts
        if found["repository"]:
            return new.repository
        return f"_IMAGE={new.full_images}" if found["argument"] else new.images

    return pattern.sub(replacement, text)


def main() -> None:
    """Print the setting for a workflow."""
    names = wanted()
    host, _, path = names.charts.removeprefix("oci://").partition("/")
    print(f"images={names.full_images}")
    print(f"registry={names.full_images.partition('/')[0]}")
    print(f"charts={host}/{path}")
    print(f"charts-registry={host}")
    print(f"repository={names.repository}")


if __name__ == "__main__":
    main()
