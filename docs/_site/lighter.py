"""Make the built site lighter: it looks and works as before, in fewer bytes."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import minify_html

PALETTE = re.compile(r"<script>(var palette=.*?)</script>", re.S)
ICON = re.compile(r'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">(<path d="[^"]*"/>)</svg>')
CODE = re.compile(r'<span class="(?:n|o|p|p p-Indicator|w|l l-Scalar l-Scalar-Plain)">([^<]*)</span>')
SIGNATURE = re.compile(r'(?<=<div class="doc-signature highlight">).*?(?=</div>)', re.S)
LINES = re.compile(r"\s*\n\s*")  # the theme begins them before and after each tag
FROM_FOLDER = 'return location.protocol==="file:"?'


class Lighter:
    """What the pages of one build have in common is gathered as they pass, and written once, beside them."""

    def __init__(self) -> None:
        self.palette = ""
        self.icons: dict[str, str] = {}  # the class of each by its path

    def page(self, html: str, to_palette: str) -> str:
        """A page in fewer bytes; ``to_palette`` leads from it to the script that chooses light or dark."""
        if found := PALETTE.search(html):
            self.palette = found[1]
            html = html.replace(found[0], f'<script src="{to_palette}"></script>')
        before, start, rest = ICON.sub(self._icon, html).partition("<article")
        article, end, after = rest.rpartition("</article>")
        html = LINES.sub("", before) + start + article + end + LINES.sub("", after)
        # classes of mkdocstrings that no style here names, colours that the theme does not tell from plain code, and
        # what the search, whose index is made, need not read
        html = html.replace(" data-search-exclude", "")
        html = SIGNATURE.sub(lambda code: re.sub(r"</?span[^>]*>", "", code[0]), html)
        html = CODE.sub(r"\1", re.sub(r' class="doc [^"]*"', "", html))
        return minify_html.minify(html, keep_html_and_head_opening_tags=True)

    def _icon(self, found: re.Match[str]) -> str:
        name = self.icons.setdefault(found[1], f"icon-{len(self.icons)}")
        return f'<svg class="{name}"></svg>'

    def site(self, folder: Path) -> None:
        """Write what the pages share, make the index of the search lighter, and remove what no page uses."""
        (folder / "assets/javascripts/palette.js").write_text(self.palette)
        with (folder / "assets/site.css").open("a") as styles:
            styles.writelines(map(_rule, self.icons.values(), self.icons))
        for bundle in folder.glob("assets/javascripts/bundle.*.js"):
            # the index as a script is read from a folder, and as JSON from a server: the script does for both
            text = bundle.read_text()
            if text.count(FROM_FOLDER) == 1:
                bundle.write_text(text.replace(FROM_FOLDER, "return true?"))
                (folder / "search/search_index.json").unlink()
        for index in folder.glob("search/search_index.*"):
            index.write_text(searchable(index.read_text()))
        # what the theme brings for other languages, and for debugging itself
        for path in [
            *folder.glob("assets/**/*.map"),
            *folder.glob("assets/**/lunr/**/*.js"),
            folder / "sitemap.xml.gz",
        ]:
            path.unlink(missing_ok=True)


def _rule(name: str, path: str) -> str:
    """A rule of the style sheet by which an icon is drawn in the colour of the text around it."""
    image = quote(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">{path}</svg>', safe=" =:/<>\"'")
    return f"svg.{name} {{ background: currentColor; mask: url('data:image/svg+xml,{image}') center / contain }}\n"


def searchable(index: str) -> str:
    r"""The index of the search without the tags within its paragraphs, of which it shows those that match.

    >>> searchable(r'{"text": "<p>A <code>name</code>.</p>\n<ul>\n<li>a &lt; b</li>\n</ul>"}')
    '{"text": "<p>A name.</p><ul><li>a &lt; b</li></ul>"}'
    """
    return re.sub(r"(?<=>) *\\n *(?=<)", "", re.sub(r"</?(?:code|em|strong|a|span|br)\b[^<>]*>", "", index))
