"""Files that are named by path, or by the name of one that comes with the package: suites, drop-ins, published numbers.

They lie in the same folders to one another whether the package runs from a checkout, beside it, or from a wheel, in
``fairl_bench/shipped``: so ``../plugins/x.py`` in a suite leads to its plugin.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

from fairl_bench.errors import suggest

What = Literal["suite", "plugin", "published"]


class _Kind(NamedTuple):
    """What files of a kind are called, where they lie, how their names end, and which command lists them."""

    called: str
    folder: str
    suffix: str
    listed_by: str


KINDS: Final[Mapping[What, _Kind]] = {
    "suite": _Kind("suite", "suites", ".yaml", "fairl-bench list suites"),
    "plugin": _Kind("plugin", "plugins", ".py", "fairl-bench plugins"),
    "published": _Kind("file of published numbers", "results/published", ".yaml", "fairl-bench list published"),
}
_PACKAGE: Final = Path(__file__).parent.parent


@cache
def shipped(what: What) -> Mapping[str, Path]:
    """The files of a kind that come with the package, by name: ``detox``, ``paper/pythia-410m``."""
    in_wheel = _PACKAGE / "shipped"
    folder = (in_wheel if in_wheel.is_dir() else _PACKAGE.parent) / KINDS[what].folder
    files = sorted(folder.rglob(f"*{KINDS[what].suffix}"))
    return {file.relative_to(folder).as_posix().removesuffix(KINDS[what].suffix): file for file in files}


def located(what: What, name: str | Path, beside: Path = Path()) -> Path:
    """The file that a name stands for: one ``beside``, else one that comes with the package, else the name as a path.

    Its suffix may be left out.  A name is looked up and never made into a path: none leads out of the shipped folders.
    """
    suffix = KINDS[what].suffix
    here = (beside / name, beside / f"{name}{suffix}")
    found = next(filter(is_file, here), None)
    return found or shipped(what).get(Path(name).as_posix().removesuffix(suffix), here[0])


def hint(what: What, name: str | Path) -> str:
    """What to add to a sentence on a name that is no file: those near it that come with the package, and their list.

    >>> hint("plugin", "capital")
    "; did you mean 'capitals'? 'fairl-bench plugins' lists what comes with the package"
    >>> hint("suite", "folder/mine.yaml")
    ''
    """
    near = suggest(Path(name).as_posix().removesuffix(KINDS[what].suffix), shipped(what))
    listed = f"'{KINDS[what].listed_by}' lists what comes with the package"
    if near.startswith("did you mean"):
        return f"; {near} {listed}"
    is_path = bool(Path(name).suffix) or Path(name).name != str(name)
    return "" if is_path else f"; {listed}"


def is_file(path: Path) -> bool:
    """True where there is such a file; False for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def first_sentence(file: Path) -> str:
    """What a shipped file says of itself: the first sentence of its comment or docstring; nothing is run."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        said = ast.get_docstring(ast.parse(text)) or ""
    else:
        comment = re.match(r"(?:#.*\n)*", text)
        said = re.sub(r"(?m)^# ?", "", comment[0]) if comment else ""
    return re.split(r"(?<=[.?!])\s(?=[A-Z`])", " ".join(said.split()))[0]
