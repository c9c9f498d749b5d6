"""Write constraints.txt: the versions, in this environment, of all that ``fairl-bench[offline]`` needs.

``tox run -e constraints`` runs it in an environment that was made for it.  A version's local part, as in ``2.9.1+cpu``,
is left out, so that the same file serves machines with a GPU.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
EXTRAS = ("offline",)
HEAD = """\
# What the tests ran with: pip install -c constraints.txt 'fairl-bench[offline]'
# Made by 'tox run -e constraints'; do not edit.
"""


def needed() -> Iterator[Requirement]:
    """What the project asks for itself, with the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(line for name in EXTRAS for line in project["optional-dependencies"][name])]
    return map(Requirement, asked)


def pinned(asked: Iterable[Requirement]) -> dict[str, str]:
    """The versions of these requirements and of all that they need, by name, as they are installed here."""
    found, left, seen = dict[str, str](), [(one, "") for one in asked], set[tuple[str, str]]()
    while left:
        requirement, extra_of_parent = left.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra_of_parent}):
            continue
        try:
            here = distribution(name)
        except PackageNotFoundError:
            raise SystemExit(f"{name} is not installed here; run 'tox run -e constraints'") from None
        found[name] = Version(here.version).public
        for extra in {"", *requirement.extras} - {extra for of, extra in seen if of == name}:
            seen.add((name, extra))
            left += [(Requirement(line), extra) for line in here.requires or ()]
    return found


if __name__ == "__main__":
    lines = [f"{name}=={version}\n" for name, version in sorted(pinned(needed()).items())]
    (ROOT / "constraints.txt").write_text(HEAD + "".join(lines), encoding="utf-8")
    print(f"constraints.txt: {len(lines)} packages")
