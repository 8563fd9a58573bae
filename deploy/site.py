"""The hooks of mkdocs.yml: they make a site of the pages as they are in the repository, where their links work on the forge too.

- The READMEs and other pages outside docs/ become pages of the site; README.md is its index.
- A link to a page leads to that page of the site, a link to any other file to the repository, at this version. A link to nothing is a warning,
  which ends a strict build. MkDocs itself checks the anchors.
- A page that Python-Markdown renders differently from CommonMark (what the forge renders) is a warning too.
"""

from __future__ import annotations

import logging
import posixpath
import re
from html import unescape
from itertools import pairwise, takewhile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from markdown import Extension
from markdown.treeprocessors import Treeprocessor
from markdown_it import MarkdownIt
from mkdocs.structure.files import File
from pymdownx.slugs import slugify

from dbupgrade import __version__
from dbupgrade.published import REPOSITORY

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from markdown import Markdown
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
OUTSIDE = ("*.md", "deploy/**/README.md", "examples/**/README.md", "images/README.md")
DECISIONS = "decisions/index.md"
BLOCKS = re.compile(r"<pre\b.*?</pre>|</?(?:h\d|ul|ol|li|table|tr)\b", re.DOTALL)
ITEM = re.compile(r" *(?:[-*+]|\d+[.)]) +")
COMMONMARK = MarkdownIt("commonmark").enable("table")
log = logging.getLogger("mkdocs.hooks.site")


class Links(Treeprocessor):
    """Rewrites the links of the page that is being rendered; MkDocs validates the result afterwards."""

    pages: dict[str, str]  # path in the repository → path in the site's sources
    page: str  # the path in the site's sources of the page that is being rendered

    def run(self, root: Element) -> None:
        """Rewrite `href` and `src`."""
        for element in root.iter():
            for attribute in {"href", "src"}.intersection(element.keys()):
                element.set(attribute, self.rewritten(element.get(attribute, "")))

    def rewritten(self, link: str) -> str:
        """The link as the site needs it. A link to nothing stays as it is, with a warning."""
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or not parts.path:
            return link
        here = in_repository(self.page)
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), parts.path))
        path = ROOT / target
        fragment = f"#{parts.fragment}" if parts.fragment else ""
        for page in (target, f"{target}/README.md", f"{target}/index.md"):
            if page in self.pages:
                return posixpath.relpath(self.pages[page], posixpath.dirname(self.page) or ".") + fragment
        if target.startswith("..") or not path.exists():
            log.warning("%s contains a link to %s, which does not exist", here, link)
            return link
        return f"{REPOSITORY}/{'tree' if path.is_dir() else 'blob'}/v{__version__}/{target}{fragment}"


class Repository(Extension):
    """The links of the repository."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name is Markdown's)
        """Register the processor, before that of MkDocs, which has priority 0."""
        md.treeprocessors.register(LINKS, "repository", 10)


LINKS = Links()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Headings get the anchors that the forge gives them; each page links to the repository."""
    config.markdown_extensions.append(Repository())  # type: ignore[arg-type]
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    config.extra["social"] = [
        {"icon": "material/source-repository", "link": REPOSITORY, "name": "Repository"}
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages outside docs/, and the list of the decisions."""
    for pattern in OUTSIDE:
        for path in ROOT.glob(pattern):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, in_site(name), abs_src_path=str(path)))
    files.append(File.generated(config, DECISIONS, content=decisions()))
    LINKS.pages = {in_repository(file.src_uri): file.src_uri for file in files}
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Remember which page is rendered next; a decision is found after the pages for users."""
    LINKS.page = page.file.src_uri
    if LINKS.page.startswith("decisions/"):
        page.meta["search"] = {"boost": 0.2}
    return as_python_markdown(markdown)


def on_page_content(html: str, *, page: Page, **_: object) -> str:
    """Warn of a page that has other headings, lists, tables or code on the forge, or in other places."""
    ours, theirs = (blocks(text) for text in (html, COMMONMARK.render(page.markdown or "")))
    if ours != theirs:
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False)))
        log.warning("%s differs from the forge from block %s on", page.file.src_uri, theirs[: same + 1][-3:])
    return html


def blocks(html: str) -> list[str]:
    """The tags of blocks, in order, and the text of code."""
    return [
        unescape(re.sub(r"<[^>]+>", "", found)).expandtabs(4).strip("\n")
        if found.startswith("<pre")
        else found
        for found in BLOCKS.findall(html)
    ]


def as_python_markdown(markdown: str) -> str:
    """The same text with lists that Python-Markdown reads like CommonMark.

    The content of an item is indented by four spaces, and the items of a list with empty lines in it have one before each.
    """
    lines = markdown.split("\n")
    indents, depths, apart = [0] * len(lines), [0] * len(lines), set()
    for item, content in pairwise(COMMONMARK.parse(markdown)):
        if item.type != "list_item_open" or not item.map:
            continue
        first, end = item.map
        marker = ITEM.match(lines[first])
        width = len(marker.group()) - indents[first] if marker else 0
        for number in range(first + 1, end):
            indents[number] += width
            depths[number] += 1
        if not content.hidden:
            apart.add(first)
    return "\n".join(
        ("\n" if number in apart else "") + "    " * depth + _without_indent(line, indent)
        for number, (line, indent, depth) in enumerate(zip(lines, indents, depths, strict=True))
    )


def _without_indent(line: str, width: int) -> str:
    """A line that continues a paragraph may have less of it."""
    return line[width:] if not line[:width].strip() else line.lstrip(" ")


def in_site(path: str) -> str:
    """The path in the site's sources of a file in the repository."""
    return "index.md" if path == "README.md" else path.removeprefix("docs/")


def in_repository(page: str) -> str:
    """The path in the repository of a page in the site's sources."""
    if page == "index.md":
        return "README.md"
    return page if (ROOT / page).exists() else f"docs/{page}"


def decisions() -> str:
    """A list of all decisions, the newest first."""
    paths = sorted((ROOT / "docs/decisions").glob("*.md"), reverse=True)
    titles = ((path.name, path.read_text().partition("\n")[0].removeprefix("# ")) for path in paths)
    return "# Decisions\n\n" + "".join(f"- [{title}]({name})\n" for name, title in titles)
