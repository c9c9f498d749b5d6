"""Numbers of the command line: read as every other reader of them does, not as Python reads its own source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fairl_bench.textfiles import number_of, whole_of

if TYPE_CHECKING:
    _ParamType = click.ParamType[float]
else:
    _ParamType = click.ParamType  # takes no type in earlier versions


class Number(_ParamType):
    """A finite number; ``nan``, ``inf`` and ``1_000``, which Python takes for numbers, are none."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number of a text.  Fails with the text where it is none."""
        found = number_of(value) if isinstance(value, str) else value
        if found is None:
            self.fail(f"{value[:60]!r} is no finite number; write one such as 0.5, -3 or 1e-4", param, ctx)
        return float(found)


class Whole(click.IntRange):
    """A whole number within bounds, in plain digits."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number of a text.  Fails with the text where it is none, or is outside."""
        if isinstance(value, str) and whole_of(value) is None:
            self.fail(f"{value[:60]!r} is no whole number; write it in digits alone", param, ctx)
        return super().convert(value, param, ctx)
