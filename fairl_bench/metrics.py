"""What an evaluator declares of each number that it gives: its name, which way is better, how it is called and bounded,
and how it is computed from weighted examples, so that it can be resampled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from fairl_bench.science.resampling import FORMS, CompletionForm, Form

Better = Literal["higher", "lower"]
_ARROWS: Final = {"higher": "↑", "lower": "↓", None: ""}


@dataclass(frozen=True)
class Metric:
    """A number that an evaluator gives, by its name in the records.

    Without a ``better`` side it gets no arrow, no rank and no verdict.  ``label`` is how tables call it; empty: its
    name with blanks.  Intervals stay inside ``bounds``.  ``resampled`` are the ways to compute it from weights of the
    examples, of which the first is taken that gives the numbers on record; without one its intervals rest on runs
    alone.
    """

    name: str
    better: Better | None = None
    label: str = ""
    bounds: tuple[float, float] | None = None
    resampled: tuple[Form | CompletionForm, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"a metric needs a name, got {self.name!r}")
        if self.better not in _ARROWS:
            raise ValueError(f"metric {self.name!r}: better is 'higher', 'lower' or None, got {self.better!r}")
        if self.bounds is not None:
            low, high = self.bounds
            if not low < high:
                raise ValueError(f"metric {self.name!r}: bounds need the least value first, got {self.bounds}")
            object.__setattr__(self, "bounds", (float(low), float(high)))
        if isinstance(self.resampled, Form | CompletionForm):
            raise ValueError(f"metric {self.name!r}: resampled needs a tuple of forms, got one form")

    @property
    def called(self) -> str:
        """The metric as a sentence calls it."""
        return self.label or self.name.replace("_", " ")

    @property
    def arrow(self) -> str:
        """Which way is better, as tables show it; empty where neither is."""
        return _ARROWS[self.better]

    @property
    def head(self) -> str:
        """The metric as a column is called: its name and which way is better."""
        return f"{self.called} {self.arrow}".strip()

    @property
    def sign(self) -> int:
        """What turns a difference into a gain: -1 where lower is better, else 1."""
        return -1 if self.better == "lower" else 1

    @property
    def widest(self) -> float:
        """The widest possible difference of two values."""
        return math.inf if self.bounds is None else self.bounds[1] - self.bounds[0]

    @property
    def said(self) -> str:
        """What is declared of it, in a few words."""
        side = f"{self.better} is better" if self.better else "neither side is better"
        ends = f"from {self.bounds[0]:g} to {self.bounds[1]:g}" if self.bounds else "without bounds"
        return f"called {self.called!r}, {side}, {ends}"

    def same_as(self, other: Metric) -> bool:
        """Whether both mean the same number, however each can be resampled."""
        return replace(self, resampled=()) == replace(other, resampled=())


class Metrics:
    """The metrics that evaluators declare, by name.

    Any name may be asked for: of a number that nobody declared, only the name is known.
    """

    def __init__(self, declared: Iterable[tuple[str, Metric]] = ()) -> None:
        self._metrics: dict[str, Metric] = {}
        self._makers: dict[str, str] = {}
        for maker, metric in declared:
            known = self._metrics.setdefault(metric.name, metric)
            more = tuple(form for form in metric.resampled if form not in known.resampled)
            self._metrics[metric.name] = replace(known, resampled=(*known.resampled, *more))
            self._makers.setdefault(metric.name, maker)

    def __getitem__(self, name: str) -> Metric:
        return self._metrics.get(name) or Metric(name)

    def __contains__(self, name: object) -> bool:
        return name in self._metrics

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def declared(self) -> Iterator[tuple[str, Metric]]:
        """Each metric with the evaluator that declares it."""
        return ((self._makers[name], metric) for name, metric in self._metrics.items())

    def or_else(self, others: Metrics) -> Metrics:
        """These, and of the others those that are not among them."""
        return Metrics([*self.declared(), *((maker, one) for maker, one in others.declared() if one.name not in self)])

    def plain(self) -> list[dict[str, Any]]:
        """The same as ``metrics.json`` keeps it."""
        return [
            {
                "name": metric.name,
                "better": metric.better,
                "label": metric.label,
                "bounds": metric.bounds and list(metric.bounds),
                "forms": [form.name for form in metric.resampled],
                "maker": maker,
            }
            for maker, metric in self.declared()
        ]

    @classmethod
    def read(cls, plain: Iterable[Mapping[str, Any]]) -> Metrics:
        """What `plain` says; of the ways to resample those that are ours, for a plugin's are in its code alone.

        Raises `LookupError`, `TypeError` or `ValueError` for anything else.
        """
        return cls(
            (
                str(one["maker"]),
                Metric(
                    name=one["name"],
                    better=one["better"],
                    label=str(one["label"]),
                    bounds=None if one["bounds"] is None else (float(one["bounds"][0]), float(one["bounds"][1])),
                    resampled=tuple(FORMS[name] for name in one["forms"] if name in FORMS),
                ),
            )
            for one in plain
        )
