"""A suite is checked without being run: names, fields, references and data files; then what a run would do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fairl_bench.engine.planner import plan
from fairl_bench.guards.isolation import isolated
from fairl_bench.preview.estimate import Work, estimate
from fairl_bench.preview.split_sizes import Sizes, checked_sizes
from fairl_bench.store.store import Store
from fairl_bench.suite.parts import check_parts
from fairl_bench.suite.read import Study
from fairl_bench.suite.unread import cut_off
from fairl_bench.values.dropped import told

_MOST = 20  # sentences on texts that would be cut off


@dataclass(frozen=True)
class Checked:
    """A suite that can be run, and what a run would do; as text, what ``fairl-bench check`` prints."""

    suite: str  # its file, or its name
    cells: int
    variants: int
    remarks: tuple[str, ...]  # what to know before the work is done
    notes: tuple[str, ...]  # the sizes of splits, and which texts would be read only in part
    stages: Mapping[str, tuple[int, int]]  # by kind: how many are finished, and how many there are
    texts: int | None  # to embed; None: a source cannot tell its size beforehand
    steps: int | None  # to train, at most
    models: int  # language models to make or look up
    completions: int | None  # to draw from them, at most; None: as for ``texts``
    likelihoods: int | None  # texts that they are to read for how likely these are; None: as for ``texts``
    seconds: float | None  # roughly, on two cores; without language models where the size of one is not known
    apart: bool  # whether that is so

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return str(self)

    def _lines(self) -> Iterator[str]:
        variants = f", {self.variants} variants" if self.variants > 1 else ""
        yield f"{self.suite}: fine; {self.cells} cells{variants}"
        yield from (f"note: {remark}" for remark in self.remarks)
        width = max(11, *map(len, self.stages))
        for kind, (finished, total) in self.stages.items():
            yield f"  {kind:<{width}} {total:>5}" + (f", {finished} finished" if finished else "")
        yield from self.notes
        texts = "an unknown number of" if self.texts is None else f"{self.texts:,}"
        steps = "an unknown number of" if self.steps is None else f"at most {self.steps:,}"
        yield f"to do: {texts} texts to embed, {steps} steps to train"
        if self.models or self.completions != 0 or self.likelihoods != 0:
            draw = "an unknown number of" if self.completions is None else f"{self.completions:,}"
            read = "an unknown number of" if self.likelihoods is None else f"{self.likelihoods:,}"
            likely = "" if self.likelihoods == 0 else f", {read} likelihoods to read"
            models = f"{self.models} language models to make or look up"
            yield f"and {models}, {draw} completions to draw{likely}"
        if self.seconds:
            roughly = f"{self.seconds:.0f} s" if self.seconds < 100 else f"{self.seconds / 60:.0f} min"
            apart = ", language models apart" if self.apart else ""
            yield f"roughly {roughly} on two cores with the small encoder{apart}"
        elif self.seconds is not None:
            missing = sum(total - finished for finished, total in self.stages.values())
            yield f"{missing} stages to compute, a moment's work" if missing else "nothing to compute"


def check_study(study: Study, store: Store, name: str) -> Checked:
    """Check a study under the name that is shown.  Raises `FairlError` where it cannot be run."""
    with isolated():
        remarks = check_parts(study)
        whole = plan(study)
        notes = [*_split_lines(checked_sizes(study, whole, store)), *cut_off(study)[:_MOST]]
        work = estimate(whole, store, study.registry)
    return _checked(study, name, len(whole.cells), tuple(remarks), tuple(notes), work)


def _checked(
    study: Study, name: str, cells: int, remarks: tuple[str, ...], notes: tuple[str, ...], work: Work
) -> Checked:
    return Checked(
        suite=name,
        cells=cells,
        variants=len(study.variants),
        remarks=remarks,
        notes=notes,
        stages=work.stages,
        texts=work.texts,
        steps=work.steps,
        models=work.models,
        completions=work.completions,
        likelihoods=work.likelihoods,
        seconds=work.seconds(),
        apart=work.operations is None,
    )


def _split_lines(sizes: Iterable[Sizes], most: int = 20) -> Iterator[str]:
    """One line for each model and sizes of its split, with the replicates that have them; at most so many lines."""
    alike: dict[tuple[str, str], list[int]] = {}
    for split in sizes:
        alike.setdefault((split.model, _parts(split)), []).append(split.replicate)
    for number, ((model, each), replicates) in enumerate(alike.items()):
        if number == most:
            yield f"and {len(alike) - most} more splits"
            return
        yield f"split of {model}, replicate{'s' if len(replicates) > 1 else ''} {_ranges(replicates)}: {each}"


def _parts(split: Sizes) -> str:
    """The sizes of the parts, and what was dropped, with the reasons by count."""
    kept = [f"{n:,} {name}" for name, n in split.counts.items() if name != "dropped"]
    why = told(split.dropped)
    return ", ".join([*kept, f"{sum(split.dropped.values()):,} dropped{': ' if why else ''}{why}"])


def _ranges(numbers: list[int]) -> str:
    """Whole numbers, those in a row as a range.

    >>> _ranges([0, 1, 2, 5])
    '0-2, 5'
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
