"""What the rows of a data set know of the texts of its pairs: a label or a number each, and their subtypes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Discriminator, Tag

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.shared.label_columns import GoldColumn, Value, Values
from fairl_bench.builtin.shared.number_columns import Numbers, PairColumns, ValueColumn
from fairl_bench.builtin.sources.layouts.layout import LaidOut, Layout
from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.textfiles import brief
from fairl_bench.values.data import Labels, Truth

_MOST: Final = 50  # subtypes; a column with more of them names something else


class SideNumbers(Numbers):
    """The columns of the true rewards of two responses, numbers; null is unknown."""

    first: str
    second: str

    def columns(self) -> tuple[str, ...]:
        """Return the first response's column, then the second's."""
        return self.first, self.second


class SideLabels(Settings):
    """The columns of the labels of two responses, and which of their values are good and bad, typed as they stand."""

    first: str
    second: str
    good: Values
    bad: Values | None = None
    unknown: tuple[Value, ...] = ()

    def labels(self, rows: Sequence[Row]) -> Labels:
        """Return the labels of both responses of each row, +1, -1, or 0 where it is unknown."""
        column = f"{self.first}, {self.second}"
        each = [row._replace(values={column: row.value(name)}) for row in rows for name in (self.first, self.second)]
        return GoldColumn(column=column, good=self.good, bad=self.bad, unknown=self.unknown).labels(each)


Gold = PairColumns | SideNumbers | SideLabels | ValueColumn | GoldColumn
_BY_LAYOUT: Final[Mapping[str, tuple[tuple[type[Gold], ...], str]]] = {
    "choice": ((SideNumbers, SideLabels), "{first: ..., second: ...}"),
    "answers": ((ValueColumn, GoldColumn), "{value: ...}"),
    "answer-rows": ((ValueColumn, GoldColumn), "{value: ...}"),
}
"""The columns that may hold the truth of each layout's texts, and how they are spelt; others: of pairs."""


def _spelling(given: object) -> str:
    if isinstance(given, Judge) or (isinstance(given, Mapping) and ("use" in given or not given)):
        return "[judge]"
    if not isinstance(given, Mapping):
        return next((name for name, kind in _TAGS.items() if isinstance(given, kind)), "[of a pair]")
    if "first" in given or "second" in given:
        return "[labels of responses]" if "good" in given else "[numbers of responses]"
    if "column" in given:
        return "[label of an answer]"
    return "[number of an answer]" if "value" in given else "[of a pair]"


_TAGS: Final[Mapping[str, type[Gold]]] = {
    "[of a pair]": PairColumns,
    "[numbers of responses]": SideNumbers,
    "[labels of responses]": SideLabels,
    "[number of an answer]": ValueColumn,
    "[label of an answer]": GoldColumn,
}
LayoutGold = Annotated[
    Annotated[Judge, Tag("[judge]")]
    | Annotated[PairColumns, Tag("[of a pair]")]
    | Annotated[SideNumbers, Tag("[numbers of responses]")]
    | Annotated[SideLabels, Tag("[labels of responses]")]
    | Annotated[ValueColumn, Tag("[number of an answer]")]
    | Annotated[GoldColumn, Tag("[label of an answer]")],
    Discriminator(_spelling),
]
"""What is known of the texts: what a judge says, or columns: of a pair, of two responses, or of each answer."""


def gold_truth(gold: Gold, laid_out: LaidOut, layout: Layout, *, whole: bool) -> Truth:
    """Return the truth of the texts of the pairs, the preferred first.  Raises `DataError` where a cell has none."""
    kinds, spelling = _BY_LAYOUT.get(layout.name, ((PairColumns,), "{preferred: ..., rejected: ...}"))
    if not isinstance(gold, kinds):
        raise DataError(f"the 'gold' of layout {layout.name!r} is a judge or has the columns {spelling}")
    if isinstance(gold, Numbers):
        found = gold.truth(laid_out.rows, whole=whole)
    else:
        label = gold.labels(laid_out.rows)
        found = Truth(np.where(label, label, np.nan).astype(np.float64), label)
    at = laid_out.texts.ravel()
    return Truth(found.value[at], found.label[at])


def gives_labels(gold: Gold) -> bool:
    """Return whether these columns give labels, and not numbers alone."""
    return gold.labelled() if isinstance(gold, Numbers) else True


def subtype_truths(laid_out: LaidOut, column: str | None, *, named: bool) -> dict[str, Truth]:
    """Return ``subtype:NAME`` of the texts of the pairs, of each subtype that is there.

    A row names the subtype of its texts, or has an object that says of each whether it is present.  Raises `DataError`
    where the suite names a column that does neither.
    """
    said = [laid_out.subtypes[i] for i in laid_out.texts.ravel().tolist()]
    names = list(dict.fromkeys(name for one in said for name in _present(one)))
    wrong = next((one for one in said if one is not None and not isinstance(one, str | Mapping)), None)
    if len(names) > _MOST or wrong is not None or not names:
        if named and said:
            has = brief(wrong) if wrong is not None else f"{len(names)} of them"
            raise DataError(
                f"column {column!r} needs the name of a subtype, or an object of true and false by subtype, and at "
                f"most {_MOST} of them; got {has}"
            )
        return {}
    return {f"subtype:{name}": _truth([_label(one, name) for one in said]) for name in names}


def _present(said: Any) -> list[str]:
    """Return the subtypes that a row says its text has."""
    if isinstance(said, str):
        return [said.strip()] if said.strip() else []
    return [str(name) for name, value in said.items() if value is True or value == 1] if _is_object(said) else []


def _label(said: Any, name: str) -> int:
    if isinstance(said, str) and said.strip():
        return 1 if said.strip() == name else -1
    if not _is_object(said) or said.get(name) is None:
        return 0
    return 1 if said[name] is True or said[name] == 1 else -1


def _is_object(said: Any) -> bool:
    return isinstance(said, Mapping)


def _truth(labels: Sequence[int]) -> Truth:
    label = np.array(labels, np.int8)
    return Truth(np.where(label, label, np.nan).astype(np.float64), label)
