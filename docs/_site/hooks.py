"""What the build of the site adds to MkDocs: links into the repository, and no files that no page uses."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import gallery
import notebooks
import reference
from lighter import Lighter
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).parents[2]
LIGHTER = Lighter()
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)(#[\w-]*)?(?=\))")


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages that are made of the code, of notebooks and of results."""
    for name, text in {**reference.pages(config.extra["repository"]), "gallery.md": gallery.page()}.items():
        files.append(File.generated(config, name, content=text))
    for name, page in notebooks.pages(execute=config.extra["execute"]):
        files.append(File.generated(config, f"examples/{name}.md", content=page.text))
        for beside, content in page.files.items():
            files.append(File.generated(config, f"examples/{beside}", content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Let links that leave ``docs/`` lead to the repository; in the repository itself they work as they are."""
    folder = Path(config.docs_dir, page.file.src_uri).parent
    if page.file.src_uri.startswith("reference/"):
        page.meta["hide"] = ["footer"]  # nobody reads a reference from page to page

    def outward(match: re.Match[str]) -> str:
        there = Path(os.path.normpath(folder / match[1]))
        if there.is_relative_to(config.docs_dir) or not there.exists():
            return match[0]
        kind = "tree" if there.is_dir() else "blob"
        return f"{config.extra['repository']}/{kind}/main/{there.relative_to(ROOT)}{match[2] or ''}"

    if page.file.src_uri == "reference/parts.md":  # each part is described on a page that is made of the code
        markdown = re.sub(
            r"^\| (\w+) \| `([\w-]+)` \|", r"| [\1](parts/\1.md) | [`\2`](parts/\1.md#\2) |", markdown, flags=re.M
        )
    return LINK.sub(outward, markdown)


def on_page_content(html: str, *, page: Any, **_: Any) -> str:
    """Keep out of the search what nobody looks for there: numbers, code of Python's names, what other pages say, too.

    Options without a default have none in their table, either.
    """
    if page.file.src_uri in ("reference/parts.md", "gallery.md"):
        page.meta["search"] = {"exclude": True}
    # a number stays on one line with its spread and its mark
    html = re.sub(r"(?<=\d) (±|[¹°])(?: (?=\d))?", lambda found: found[0].replace(" ", "\u00a0"), html)
    html = html.replace("<code>Sentinel.UNSET</code>", "")  # how click writes that an option has no default
    if not page.file.src_uri.startswith(("how-to/", "reference/")) or "/api-" in page.file.src_uri:
        html = re.sub(r'<div class="((?:[\w-]+ )*)highlight">', r'<div class="\1highlight" data-search-exclude>', html)
    return re.sub(r"<table>(?=(?:(?!</table>).)*\d\.\d\d)", "<table data-search-exclude>", html, flags=re.S)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Make a page lighter."""
    return LIGHTER.page(output, get_relative_url("assets/javascripts/palette.js", page.url))


@event_priority(-200)  # after the plugin 'offline' has written the index
def on_post_build(*, config: Any) -> None:
    """Make the files beside the pages lighter, and their number smaller."""
    LIGHTER.site(Path(config.site_dir))
