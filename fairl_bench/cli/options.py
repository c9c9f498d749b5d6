"""The arguments and options that several commands share, and the numbers that options take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from fairl_bench.cli import completion
from fairl_bench.textfiles import number_of, whole_of

if TYPE_CHECKING:
    from fairl_bench.suite.named_files import What

    _NumberType = click.ParamType[float]
else:
    _NumberType = click.ParamType  # takes no type in earlier versions


class Number(_NumberType):
    """A finite number; ``nan``, ``inf`` and ``1_000``, which Python takes for numbers, are none."""

    name = "float"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number of a text.  Fails with the text where it is none."""
        number = number_of(value) if isinstance(value, str) else value
        if number is None:
            self.fail(f"{str(value)[:60]!r} is no finite number; write one such as 0.5, -3 or 1e-4", param, ctx)
        return float(number)


class Whole(click.IntRange):
    """A whole number within bounds, in plain digits."""

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of a text.  Fails with the text where it is none, or is outside."""
        number = whole_of(value) if isinstance(value, str) else value
        if number is None:
            self.fail(f"{str(value)[:60]!r} is no whole number; write it in digits alone", param, ctx)
        return int(super().convert(number, param, ctx))


class NamedFile(click.Path):
    """A file, or the name of one that comes with the package; which one a name stands for is said on stderr."""

    def __init__(self, what: What) -> None:
        super().__init__(path_type=Path)
        self.what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path of the file.  Raises `FairlError` for a name that stands for none."""
        from fairl_bench.errors import FairlError
        from fairl_bench.guards.printable import safe
        from fairl_bench.suite.named_files import KINDS, hint, is_file, located

        name = Path(str(super().convert(value, param, ctx)))
        path = located(self.what, name)
        if ctx is not None and ctx.resilient_parsing:  # a shell asks how a word may end
            return path
        if path != name:
            click.echo(f"{name}: {safe(str(path))}", err=True)
        elif not is_file(path) and not path.is_absolute() and (more := hint(self.what, name)):
            raise FairlError(f"{KINDS[self.what].called} {str(name)!r} does not exist{more}")
        return path

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names of what comes with the package, and files."""
        from fairl_bench.suite.named_files import shipped

        return [*super().shell_complete(ctx, param, incomplete), *completion.starting(shipped(self.what), incomplete)]


SUITE = click.argument("suite", type=NamedFile("suite"))
RESULTS = click.argument("results", type=click.Path(path_type=Path), shell_complete=completion.results)
SET = click.option("--set", "options", multiple=True, metavar="PATH=VALUE", help="Set a value, e.g. head.width=32.")
STORE = click.option("--store", metavar="PLACE", help="Folder or URL of finished work.  [default: FAIRL_STORE]")
PLUGIN = click.option("--plugin", multiple=True, type=NamedFile("plugin"), help="A drop-in: its file, or its name.")
EXECUTOR = click.option(
    "--executor",
    metavar="NAME",
    default="local",
    show_default=True,
    shell_complete=completion.executors,
    help="What does the work: local, this machine; ray, a Ray cluster; or another by name.",
)
FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "md", "tex", "csv", "json", "markdown", "latex"]),
    default="terminal",
    show_default=True,
    help="What to print it as.",
)
INTERVALS = click.option("--intervals", is_flag=True, help="Show the 95 % interval of each number of Table 1.")
METHODS = click.option("--methods", metavar="A,B", help="The two methods of Tables 2 and 3, the baseline first.")
POSITIVE = click.option(
    "--positive",
    type=click.Choice(["good", "bad"]),
    default="good",
    show_default=True,
    help="For a CSV file: the class of F1 and average precision; papers on toxicity mostly mean the toxic (bad) texts.",
)


def two_methods(option: str) -> tuple[str, str]:
    """The two names of ``--methods A,B``.  Raises `FairlError` where they are not two."""
    from fairl_bench.errors import FairlError

    names = option.split(",")
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise FairlError(f"--methods {option}: needs two different methods, A,B")
    return names[0], names[1]


def columns_by_field(option: str | None) -> dict[str, str]:
    """``preferred=A,rejected=B`` as columns by field."""
    from fairl_bench.errors import FairlError

    found = {}
    for entry in option.split(",") if option else ():
        field, equals, column = entry.partition("=")
        if not equals or not field.strip() or not column.strip():
            raise FairlError(f"--columns {option}: needs FIELD=COLUMN, as preferred=chosen,rejected=other")
        found[field.strip()] = column.strip()
    return found
