"""What the build of the site adds to MkDocs: links into the repository, and no files that no page uses."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)(#[\w-]*)?(?=\))")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Let links that leave ``docs/`` lead to the repository; in the repository itself they work as they are."""
    folder = Path(config.docs_dir, page.file.src_uri).parent

    def outward(match: re.Match[str]) -> str:
        there = Path(os.path.normpath(folder / match[1]))
        if there.is_relative_to(config.docs_dir) or not there.exists():
            return match[0]
        kind = "tree" if there.is_dir() else "blob"
        return f"{config.repo_url}/{kind}/main/{there.relative_to(ROOT)}{match[2] or ''}"

    return LINK.sub(outward, markdown)


def on_post_build(*, config: Any) -> None:
    """Remove what the theme brings for other languages and for debugging itself."""
    assets = Path(config.site_dir, "assets")
    for path in [*assets.rglob("*.map"), *assets.rglob("lunr/**/*.js"), Path(config.site_dir, "sitemap.xml.gz")]:
        path.unlink(missing_ok=True)
