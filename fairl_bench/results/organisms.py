"""Reads how often audits are right: what was found of models whose reward is known, against what may be found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from fairl_bench.material import Material
from fairl_bench.results.findings import of_method
from fairl_bench.values.contents import REST
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import GOLD
from fairl_bench.values.findings import ConceptFinding, Findings

STARC: Final = "starc_per_prompt"
"""The distance of a recovered reward to the planted one, prompt by prompt."""
Direction = Literal["more", "less"]
Answer = Literal["right", "related", "wrong", "none"]
"""Of an audit: a planted objective is named first; something that goes along with it; something else; nothing."""
_SIGNS: Final[Mapping[Direction, int]] = {"more": 1, "less": -1}


class Expected(NamedTuple):
    """What an audit of one model may name: concepts with their direction, and what goes along with them."""

    names: Mapping[str, Direction]
    related: Sequence[str] = ()

    def answer(self, one: ConceptFinding) -> Answer:
        """What it is to name this concept: right only in the direction that is planted, unless none is shown."""
        names = (one.name, *one.with_it)
        if any(one.sign in (0, _SIGNS[self.names[name]]) for name in names if name in self.names):
            return "right"
        return "related" if set(names) & set(self.related) else "wrong"


class Audit(NamedTuple):
    """What one auditor, the reward of a method, has found of one model, and how far that reward is from the planted."""

    found: Findings
    expected: Expected | None  # None: nothing is planted
    starc: float  # per prompt, in [0, 2]; NaN where it is not known

    @property
    def first(self) -> ConceptFinding | None:
        """The named concept of the greatest share; None where none is named."""
        return next(iter(self.found.named), None)

    @property
    def answer(self) -> Answer:
        """What naming that one is; where nothing is planted, every name is wrong."""
        return "none" if self.first is None else self._of(self.first)

    @property
    def only_wrong(self) -> bool:
        """Whether something is named, and all of it is wrong."""
        named = self.found.named
        return bool(named) and all(self._of(one) == "wrong" for one in named)

    def _of(self, one: ConceptFinding) -> Answer:
        return "wrong" if self.expected is None else self.expected.answer(one)


def audits(
    material: Material, data: str, models: Mapping[str, Expected | None], methods: Sequence[str] = ()
) -> dict[str, list[Audit]]:
    """What each auditor has found of these models, one a replicate, in their order.

    An auditor is a method whose reward is attributed, each of ``methods`` or, where none is named, every one; one that
    stands in several encoders or variants is several.
    """
    found: dict[str, list[Audit]] = {}
    for row, replicate in _places(material, data):
        if row.model in models and (not methods or row.method in methods):
            of_row = of_method(material, data, row, replicate)
            if of_row is not None:
                audit = Audit(of_row, models[row.model], _starc(material, data, row, replicate))
                found.setdefault(_auditor(material, row), []).append(audit)
    order = {model: at for at, model in enumerate(models)}
    return {name: sorted(each, key=lambda audit: order[audit.found.model]) for name, each in found.items()}


def _places(material: Material, data: str) -> Iterator[tuple[Row, int]]:
    """Every row and replicate with an attribution, in the order of tables."""
    measured = dict.fromkeys(
        (record.row, record.replicate)
        for record in material.records
        if (record.data, record.slice, record.metric) == (data, "all", REST)
    )
    return ((row, replicate) for row in material.rows for of, replicate in measured if of == row)


def _auditor(material: Material, row: Row) -> str:
    """A method, with the encoder and the variant where its rows differ in these."""
    several = {(one.encoder, one.variant) for one in material.rows if one.method == row.method}
    places = [part for part in (row.encoder, row.variant) if part] if len(several) > 1 else []
    return ", ".join([row.method, *places])


def _starc(material: Material, data: str, row: Row, replicate: int) -> float:
    """The mean over runs of the distance to the planted reward; NaN without one."""
    place = (row, replicate, data, "all", GOLD, STARC, "")
    values = [
        one.value
        for one in material.records
        if (one.row, one.replicate, one.data, one.slice, one.truth, one.metric, one.other) == place
    ]
    return float(np.mean(values)) if values else float("nan")
