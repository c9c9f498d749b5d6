"""What a shell may complete: names of parts, kinds, suites and results folders, and what ``--only`` can be limited to.

The script that a shell loads is click's: ``_FAIRL_BENCH_COMPLETE=bash_source fairl-bench`` prints it, and the same with
``zsh_source`` and ``fish_source``.  A name is looked up when Tab is pressed; where that fails, nothing is offered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from click import Context, Parameter

_RUN: Final = "run.json"  # what every results folder has
OTHER_LISTS: Final = ("concepts", "suites", "published")
"""What ``list`` takes besides the kinds."""


def starting(names: Iterable[str], incomplete: str, help: str | None = None) -> list[CompletionItem]:
    """The names that start so, as a shell is told them."""
    return [CompletionItem(name, help=help) for name in names if name.startswith(incomplete)]


def kinds(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """What ``list`` takes: the kinds of part, and the other lists."""
    from fairl_bench.kinds import KINDS

    return starting((*KINDS, *OTHER_LISTS), incomplete)


def parts(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The parts of every kind, each with its kind, those of ``--plugin`` too."""
    from fairl_bench.kinds import KINDS
    from fairl_bench.suite.registry import Registry

    registry = Registry(context.params.get("plugin") or ())
    known = [(kind, name) for kind in KINDS for name in registry.names(kind)]
    return [item for kind, name in known for item in starting([name], incomplete, kind)]


def concepts(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The judges that say how much of something a text has, each with what it measures."""
    from fairl_bench.suite.concepts import concepts as concepts_of
    from fairl_bench.suite.registry import Registry

    found = concepts_of(Registry(context.params.get("plugin") or ()))
    return [item for one in found for item in starting([one.name], incomplete, one.measures or None)]


def executors(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The parts that do the work of a run."""
    from fairl_bench.suite.registry import Registry

    return starting(Registry().names("executor"), incomplete)


def results(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """The results folders below ``results/``, or below the folder that is written so far; else any folder."""
    before = incomplete[: incomplete.rfind("/") + 1] or "results/"
    found = sorted(file.parent.as_posix() for pattern in (_RUN, f"*/{_RUN}") for file in Path(before).glob(pattern))
    dot = "./" if incomplete.startswith("./") else ""  # which a path does not keep
    # a shell that is told of folders forgets what it was told before
    return [CompletionItem(incomplete, type="dir"), *starting((dot + name for name in found), incomplete)]


def only(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """``AXIS=VALUE`` for every value of the matrix of the suite that stands before; the axes alone where none does."""
    from fairl_bench.suite.named_files import located
    from fairl_bench.values.coordinates import MATRIX

    # the words of a line whose last option still lacks its value are not told apart by click
    suite = context.params.get("suite") or next(iter(context.args), None)
    if suite is None:
        return starting((f"{axis}=" for axis in MATRIX), incomplete)
    return starting(_values(located("suite", suite)), incomplete)


def _values(suite: Path) -> list[str]:
    """The axes of a suite's matrix with each of their values; nothing where the file cannot be read."""
    from fairl_bench.errors import FairlError
    from fairl_bench.suite.yaml import load
    from fairl_bench.values.coordinates import MATRIX

    try:
        content: Mapping[str, Any] = load(suite).content
    except (FairlError, OSError):
        return []
    return [f"{axis}={name}" for axis in MATRIX for name in _names(content.get(f"{axis}s"))]


def _names(entries: object) -> list[str]:
    """The names of the entries of a list of a suite, such as its methods or its seeds."""
    if not isinstance(entries, list):
        return []
    names = [entry.get("name") if isinstance(entry, Mapping) else entry for entry in entries]
    return [str(name) for name in names if name is not None]
