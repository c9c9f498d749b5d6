"""Reference rows: which rows are bounds, that they stand first, and what is said beside a method's name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

from fairl_bench.values.coordinates import Row
from fairl_bench.values.rows import named
from fairl_bench.values.run_facts import MethodFacts
from fairl_bench.values.table import Value

T = TypeVar("T")

Methods = Mapping[str, MethodFacts]
"""What is known of each method by its name, in the suite's order; empty where nothing is known."""

NOTHING_KNOWN: Final[Methods] = {}
_USUAL: Final = "texts"  # what every method is given, so that it need not be said


def references_of(methods: Methods) -> tuple[str, ...]:
    """The names of the reference rows, in the suite's order.

    >>> references_of({"oracle": MethodFacts("truth", True), "length": MethodFacts("texts", False)})
    ('oracle',)
    """
    return tuple(name for name, facts in methods.items() if facts.reference)


def references_first(rows: Mapping[Row, T], methods: Methods) -> dict[Row, T]:
    """The same rows, those of references before all others; beside that, their order stays."""
    references = set(references_of(methods))
    return {row: rows[row] for row in sorted(rows, key=lambda row: row.method not in references)}


def count_references(rows: Iterable[Row], methods: Methods) -> int:
    """The number of rows that are references."""
    references = set(references_of(methods))
    return sum(row.method in references for row in rows)


def with_given(method: str, methods: Methods, model: str = "") -> str:
    """A method's name, and behind it in brackets what it was given, where that is more than texts.

    What is estimated says so: on this model, or on any where none is named.

    >>> methods = {"log-ratio": MethodFacts("both models", True), "length": MethodFacts("texts", False)}
    >>> with_given("log-ratio", methods), with_given("length", methods), with_given("nobody", methods)
    ('log-ratio (both models)', 'length', 'nobody')
    >>> methods = {"log-ratio": MethodFacts("both models", True, estimated={"toy": "from 64 completions"})}
    >>> with_given("log-ratio", methods, "toy"), with_given("log-ratio", methods, "another")
    ('log-ratio (both models, estimated)', 'log-ratio (both models)')
    """
    given = _given(method, methods, model)
    return f"{method} ({given})" if given not in ("", _USUAL) else method


def _given(method: str, methods: Methods, model: str = "") -> str:
    """What a method was given, and whether that is estimated; empty where nothing is known of it."""
    facts = methods.get(method)
    if facts is None:
        return ""
    estimated = facts.estimated.get(model) if model else facts.estimated
    return f"{facts.given}, estimated" if estimated else facts.given


def labelled(row: Row, shown: Iterable[str], methods: Methods) -> list[str]:
    """The texts of these axes of a row, with what its method was given behind its name."""
    axes = list(shown)
    return [
        with_given(text, methods, row.model) if axis == "method" else text
        for axis, text in zip(axes, named(row, axes), strict=True)
    ]


def reference_notes(rows: Iterable[Row], methods: Methods) -> list[str]:
    """The notes of a table on its reference rows and on what stands in brackets; none where there is neither."""
    places = dict.fromkeys((row.method, row.model) for row in rows)
    names = dict.fromkeys(method for method, _ in places)
    references = [name for name in references_of(methods) if name in names]
    notes = []
    if references:
        listed = ", ".join(with_given(name, methods) for name in references)
        notes.append(
            f"Reference rows stand first, with what they were given: {listed}. They are neither ranked nor compared."
        )
    if any(with_given(name, methods) != name for name in names if name not in references):
        notes.append("Behind a method's name, in brackets: what it was given beside the texts of the pairs.")
    return [*notes, *_estimate_notes(places, methods)]


def _estimate_notes(places: Iterable[tuple[str, str]], methods: Methods) -> Iterator[str]:
    """A note for each model on the methods that read estimated likelihoods."""
    of: dict[tuple[str, str], list[str]] = {}
    for method, model in places:
        if method in methods and (how := methods[method].estimated.get(model)):
            of.setdefault((model, how), []).append(method)
    for (model, how), names in of.items():
        yield f"{model}, {', '.join(names)}: how likely the aligned model finds a text is estimated, {how}."


def as_values(row: Row, methods: Methods) -> dict[str, Value]:
    """What is known of a row's method as a CSV or JSON file keeps it; empty where nothing is."""
    facts = methods.get(row.method)
    given = None if facts is None else _given(row.method, methods, row.model)
    return {"given": given, "reference": None if facts is None else int(facts.reference)}
