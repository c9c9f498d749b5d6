"""What the build of the site adds to MkDocs: links into the repository, and no files that no page uses."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
FROM_FOLDER = 'return location.protocol==="file:"?'
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)(#[\w-]*)?(?=\))")


def on_files(files: Any, *, config: Any) -> Any:
    """Add the pages that are made of the code, of notebooks and of results."""
    sys.path.insert(0, str(Path(__file__).parent))  # MkDocs loads this file alone
    import gallery
    import notebooks
    import reference

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


def on_page_content(html: str, **_: Any) -> str:
    """Keep tables of measured numbers out of the search: nobody looks for them by their words."""
    return re.sub(r"<table>(?=(?:(?!</table>).)*\d\.\d\d)", "<table data-search-exclude>", html, flags=re.S)


def on_post_page(output: str, **_: Any) -> str:
    """Leave out the space between lines, but for that of code."""
    parts = re.split(r"(<(?:pre|textarea|script|style)\b.*?</(?:pre|textarea|script|style)>)", output, flags=re.S)
    # of mkdocstrings: classes that no style here names, and the colours of a thousand short signatures
    parts = [re.sub(r' class="doc [^"]*"', "", part) for part in parts]
    parts = [
        re.sub(r"</?span[^>]*>", "", part) if before.endswith('<div class="doc-signature highlight">') else part
        for before, part in zip(["", *parts], parts, strict=False)
    ]
    return "".join(part if i % 2 else re.sub(r"\s*\n\s*", "\n", part) for i, part in enumerate(parts))


@event_priority(-200)  # after the plugin 'offline' has written the index
def on_post_build(*, config: Any) -> None:
    """Remove what the theme brings for other languages and for debugging itself."""
    assets = Path(config.site_dir, "assets")
    for bundle in assets.glob("javascripts/bundle.*.js"):
        # the index as a script is read from a folder, and as JSON from a server: the script does for both
        text = bundle.read_text()
        if text.count(FROM_FOLDER) == 1:
            bundle.write_text(text.replace(FROM_FOLDER, "return true?"))
            Path(config.site_dir, "search", "search_index.json").unlink()
    for path in [*assets.rglob("*.map"), *assets.rglob("lunr/**/*.js"), Path(config.site_dir, "sitemap.xml.gz")]:
        path.unlink(missing_ok=True)
