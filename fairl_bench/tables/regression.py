"""The table of ``regress``: published numbers beside those that were measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from fairl_bench.results.published import Published
from fairl_bench.results.regress import Line
from fairl_bench.values.rows import differing, named
from fairl_bench.values.table import Table, Value

_VERDICTS: Final = ("reproduced", "differs", "not comparable")


def regression_table(lines: Sequence[Line], published: Published) -> Table:
    """A line for each number; where several models, encoders or variants were measured, each is named."""
    shown = differing(line.setting for line in lines if line.measured)
    rows = tuple((*named(line.setting, shown), *_shown(line)) for line in lines)
    heads = [*shown, "published number", "kind", "published", "measured", "difference", "interval", "verdict", "why"]
    counts = {verdict: sum(line.verdict == verdict for line in lines) for verdict in _VERDICTS}
    left = sum(not number.method for number in published.numbers)
    notes = [
        f"{published.title}: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) + ".",
        "Value: measured less published, with Welch's 90 % interval (± as printed, over runs), which must lie within "
        "the margin. Ordering: the gain of the first over the second, paired, with the 95 % interval of Table 1; it "
        "holds where it is shown to be better still.",
        *([f"{left} numbers of the file are no numbers of a run."] if left else []),
    ]
    return Table("Regression", tuple(("", name) for name in heads), rows, tuple(notes), tuple(map(_tidy, lines)))


def _shown(line: Line) -> tuple[str, ...]:
    """The cells of a line, from the number's name on."""
    ends = "" if math.isnan(line.low) else f"[{line.low:+.3f}, {line.high:+.3f}]"
    gap = "" if math.isnan(line.difference) else f"{line.difference:+.3g}" if line.kind == "exact" else ""
    gap = gap or ("" if math.isnan(line.difference) else f"{line.difference:+.3f}")
    return line.id, line.kind, line.published, line.measured, gap, ends, line.verdict, line.why


def _tidy(line: Line) -> dict[str, Value]:
    """The values of a line as the files of a table have them."""
    values: dict[str, Value] = {"number": line.id, "kind": line.kind, **line.setting._asdict()}
    values |= {"published": line.published, "measured": line.measured}
    values |= {"difference": line.difference, "low": line.low, "high": line.high}
    return {**values, "verdict": line.verdict, "why": line.why}
