"""The documentation site as `make site` builds it: whole, and loading nothing from elsewhere; what is dead in a page ends the build."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tests.packaging.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

DEAD = """\
# Dead

[a page](nothing.md), [a file](../examples/nothing.yaml), [a page outside](../deploy/nothing/README.md), [a heading](lock.md#nothing),
[a heading here](#nothing), [a heading of the README](../README.md#nothing), [absolute](/docs/lock.md)
"""


def _build(config: Path, site: Path) -> str:
    """What MkDocs prints; a build with warnings fails."""
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config), "--site-dir", str(site)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert bool(done.returncode) == ("WARNING" in done.stderr), done.stderr
    return done.stderr


class _Addresses(HTMLParser):
    """What a browser loads by itself to show one page, and the links in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") not in {"canonical", "next", "prev"}:
            self.loaded.append(given["href"] or "")
        elif tag == "a":
            self.links.append(given.get("href") or "")
        else:
            self.loaded += [value or "" for name, value in attrs if name in {"src", "srcset", "data"}]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    warnings = _build(REPOSITORY / "mkdocs.yml", made)
    assert "WARNING" not in warnings, warnings
    return made


def test_pages_outside_docs_are_pages_of_the_site(site: Path) -> None:
    index = (site / "index.html").read_text()
    assert 'href="install/"' in index
    assert 'href="deploy/helm/dbupgrade-operator/"' in index
    assert 'href="../../../install/"' in (site / "deploy/helm/dbupgrade-operator/index.html").read_text()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    loaded = {address for page in pages for address in _Addresses(page.read_text()).loaded}
    loaded |= {
        found for sheet in site.rglob("*.css") for found in re.findall(r"url\(([^)]+)\)", sheet.read_text())
    }
    assert len(pages) > 80
    assert not [address for address in loaded if re.match(r"[\"']?(https?:)?//", address)]
    # What the theme's script would ask of other servers: the stars of a repository, and Mermaid.
    assert not [
        page for page in pages if re.search(r'data-md-component="source"|class="mermaid"', page.read_text())
    ]


def test_everything_that_a_page_refers_to_is_there(site: Path) -> None:
    """Also what stands in a page as HTML, which MkDocs does not look at."""
    for page in site.rglob("index.html"):
        found = _Addresses(page.read_text())
        for address in found.links + found.loaded:
            parts = urlsplit(address)
            if not parts.scheme and parts.path:
                assert (page.parent / unquote(parts.path)).exists(), (page, address)


def test_the_search_finds_a_reason(site: Path) -> None:
    index = json.loads((site / "search/search_index.json").read_text())
    assert [
        doc for doc in index["docs"] if doc["location"].startswith("status/") and "JobPending" in doc["text"]
    ]


def test_a_dead_link_or_anchor_ends_the_build(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "docs", tmp_path / "docs")
    (tmp_path / "docs/dead.md").write_text(DEAD)
    config = tmp_path / "mkdocs.yml"
    config.write_text(
        f"INHERIT: {REPOSITORY}/mkdocs.yml\nhooks: [{REPOSITORY}/deploy/site.py]\ndocs_dir: docs\nnot_in_nav: '*'\n"
    )
    warnings = _build(config, tmp_path / "site")
    for link in re.findall(r"\]\(([^)]+)\)", DEAD):
        assert f"'{link}'" in warnings.replace("'index.md#nothing'", "'../README.md#nothing'")
