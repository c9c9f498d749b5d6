"""The tables of ``published``: the numbers of a source, and the check of its own arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fairl_bench.results.published import Number, Outcome, Published, checked, record_key
from fairl_bench.values.table import Table, Value

_WORDS: Final = {True: "holds", False: "CONTRADICTS", None: "derived"}


def number_table(published: Published) -> Table:
    """Every number with its source and our coordinates."""
    heads = tuple(("", name) for name in ("number", "published", "our method and metric", "our data", "source"))
    rows = tuple(_row(published, number) for number in published.numbers)
    notes = (f"{published.title}.", "± is what the source prints.")
    return Table("Published", heads, rows, notes, tuple(_tidy(published, number) for number in published.numbers))


def _row(published: Published, number: Number) -> tuple[str, ...]:
    """The cells of a published number."""
    key = record_key(published, number)
    spread = "" if number.sd is None else f" ± {number.sd:.{number.digits}f}"
    ours = " ".join(filter(None, (key.method, key.other and f"/ {key.other}", key.metric)))
    data = " ".join(filter(None, (key.data, "" if key.slice == "all" else key.slice, key.truth)))
    return number.id, number.printed + spread, ours, data, _source(number)


def _tidy(published: Published, number: Number) -> dict[str, Value]:
    """The values of a published number as the files of a table have them."""
    values: dict[str, Value] = {"id": number.id, "value": number.value, "sd": number.sd, "n": number.n}
    key = record_key(published, number)._asdict()
    return {**values, **key, "source": _source(number), "note": number.note}


def _source(number: Number) -> str:
    """The place of a number in its source."""
    return ", ".join(filter(None, (number.source.table, number.source.row)))


def check_table(published: Published) -> Table:
    """Every check: the result of the source's own numbers, beside what the source says."""
    outcomes = checked(published)
    rows = tuple(
        (outcome.check.source.table, outcome.check.sentence, outcome.computed, outcome.said, _WORDS[outcome.holds])
        for outcome in outcomes
    )
    wrong = sum(outcome.holds is False for outcome in outcomes)
    heads = tuple(("", name) for name in ("source", "it says", "its numbers give", "it prints", ""))
    notes = (f"{wrong} of {len(outcomes)} contradict the source's own numbers.",)
    return Table("Arithmetic", heads, rows, notes, tuple(map(_outcome, outcomes)))


def _outcome(outcome: Outcome) -> Mapping[str, Value]:
    """The values of a check as the files of a table have them."""
    return {
        "id": outcome.check.id,
        "sentence": outcome.check.sentence,
        "computed": outcome.computed,
        "said": outcome.said,
        "outcome": _WORDS[outcome.holds].lower(),
        "source": outcome.check.source.table,
    }
