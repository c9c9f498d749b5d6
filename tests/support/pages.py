"""The blocks of code on the pages of ``docs``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"
FENCED = re.compile(r"^(?:<!-- ([a-z ]+)(?:: ([^\n]*?))? -->\n)?```(\w*)([^\n]*)\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A block: its page, its mark with what the mark says, the language, and the text."""

    page: str
    mark: str
    said: str
    language: str
    text: str


def blocks(path: Path) -> list[Block]:
    """The blocks of a page, from top to bottom."""
    name = str(path.relative_to(DOCS))
    return [
        Block(name, mark, said, language, text) for mark, said, language, _, text in FENCED.findall(path.read_text())
    ]


def pages(*, tutorials: bool = False) -> list[Path]:
    """The pages that are written by hand, with or without the tutorials, which have a test of their own."""
    return [path for path in sorted(DOCS.rglob("*.md")) if tutorials or path.parent.name != "tutorials"]


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of each ``fairl-bench`` on the lines of a block."""
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        words = shlex.split(re.sub(r"\$\(.*?\)", "X", line).replace(";", " ; "), comments=True)
        for i, word in enumerate(words):
            if word in ("fairl-bench", ".venv/bin/fairl-bench"):
                rest = words[i + 1 :]
                ends = (j for j, one in enumerate(rest) if one.startswith(("|", "&", ";", "<", ">")))
                yield rest[: next(ends, len(rest))]
