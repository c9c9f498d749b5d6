"""What was completed before, along and after re-alignments, and what tells their methods apart at the same KL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from fairl_bench.errors import ResultsError
from fairl_bench.metrics import Metrics
from fairl_bench.results.folder import ResultsFolder
from fairl_bench.results.paired import RESAMPLES, RunsOfSetting
from fairl_bench.results.scores import cell_of
from fairl_bench.science.resampling import Clustered, Statistic, Weights, at_kl, mean
from fairl_bench.values.comparison import Comparison, Question
from fairl_bench.values.coordinates import Run, Setting
from fairl_bench.values.data import GOLD, Examples, Floats, Rows
from fairl_bench.values.realigned import AFTER, DATA, Realigned, budget, placed
from fairl_bench.values.records import Record
from fairl_bench.values.sheets import Place, Sheet, Values

if TYPE_CHECKING:
    import pyarrow as pa

AT_KL: Final = ("toxicity_rate", "toxicity", "true_reward", "toxicity_area")
AT_END: Final = ("toxicity_rate", "toxicity", "true_reward", "expected_maximum_toxicity", "toxicity_probability")
_COLUMNS: Final = {"toxicity_rate": "toxic", "toxicity": "toxicity", "true_reward": "true_reward"}
_NEEDED: Final = {"phase", "step", "row", "draw", "prompt", "text", *_COLUMNS.values(), "kl_k3"}


def read_realigned(files: ResultsFolder) -> list[Realigned]:
    """The re-alignments of a results folder.  Raises `ResultsError` for a file that is broken."""
    realigned = []
    for place in files.names(DATA):
        rows = files.table(place)
        cell, _ = cell_of(rows, files.path / place)
        if set(rows.column_names) >= _NEEDED:  # another evaluator's evidence has other columns
            realigned.append(Realigned(cell, rows))
    return realigned


def compared(
    realigned: Sequence[Realigned], records: Iterable[Record], declared: Metrics, resamples: int = RESAMPLES
) -> Iterator[Comparison]:
    """Each method's interval and each two methods' paired difference, at every budget of KL and after all steps.

    Two-level: seeds (or replicates), then prompts; runs that complete the same prompt share its weight
    (`paired.compared`).  Where seeds have prompts of their own, the noise of prompts counts at both levels, and an
    interval is wider than it need be.
    """
    own = [row for row in records if row.dataset == DATA and not row.other]
    values = _values(own)
    places = dict.fromkeys((row.slice, row.truth) for row in own if row.slice == AFTER or row.slice.startswith("kl:"))
    groups: dict[Setting, list[Realigned]] = {}
    for one in realigned:
        groups.setdefault(one.cell.setting, []).append(one)
    for cut, truth in places:
        metrics = AT_END if cut == AFTER else AT_KL
        for setting, members in groups.items():
            sheets = [sheet for sheet in _sheets(members, cut) if len(sheet.examples)]
            measured = {row.metric for row in own if (row.slice, row.truth) == (cut, truth)}
            question = Question(placed(cut), truth, tuple(metric for metric in metrics if metric in measured))
            if sheets and question.metrics:
                yield from _AlignedRuns(sheets, setting, question, values, declared).comparisons(resamples)


def _values(records: Iterable[Record]) -> Values:
    """The numbers of each run, by the name of their slice."""
    return Values({Place(row.cell, placed(row.slice), row.truth, row.metric): row.value for row in records})


class _Path(NamedTuple):
    """What one run made of its prompts."""

    prompts: Sequence[str]  # of each completion, or of each prompt's samples [n]
    columns: Mapping[str, Floats]  # at a KL [looks, n]; after all steps [n], the metric of each prompt


@dataclass(frozen=True)
class _Prompts(Sheet):
    """The prompts of one world as its examples, those of all its runs, and what each run made of its own."""

    cut: str
    paths: Mapping[Run, _Path]
    place: Mapping[str, int]  # of a prompt among the examples


def _sheets(realigned: Sequence[Realigned], cut: str) -> Iterator[_Prompts]:
    """One a replicate."""
    worlds: dict[int, list[Realigned]] = {}
    for one in realigned:
        worlds.setdefault(one.cell.replicate, []).append(one)
    for replicate, members in sorted(worlds.items()):
        paths = {one.cell.run: _after(one) if cut == AFTER else _along(one) for one in members}
        names = tuple(dict.fromkeys(name for path in paths.values() for name in path.prompts))
        place = {name: at for at, name in enumerate(names)}
        nothing = {run: np.zeros(len(names)) for run in paths}
        yield _Prompts("", members[0].cell.model, replicate, placed(cut), Examples(names), nothing, cut, paths, place)


def _along(one: Realigned) -> _Path:
    """Look by look.  Raises `ResultsError` where a look lacks what another has."""
    rows = one.phase("along")
    looks = len(set(rows["step"].to_pylist()))
    if len(rows) % max(looks, 1):
        raise ResultsError(
            f"re-alignment of model {one.cell.model!r}, method {one.cell.method!r}, seed {one.cell.seed}: its {looks} "
            f"looks have {len(rows)} texts between them, not as many each; run the suite again"
        )
    first = rows.slice(0, len(rows) // max(looks, 1))
    wanted = ("kl_k3", *_COLUMNS.values())
    return _Path(_names(first), {name: _numbers(rows, name).reshape(looks, len(first)) for name in wanted})


def _after(one: Realigned) -> _Path:
    """Each prompt once, with the metrics of its samples."""
    rows = one.phase("after")
    row = rows["row"].to_numpy()
    prompts = dict(zip(row.tolist(), _names(rows), strict=True))
    samples = [np.flatnonzero(row == at) for at in prompts]
    numbers = {name: _numbers(rows, name) for name in _COLUMNS.values()}

    def each(name: str, of: Callable[[Floats], float]) -> Floats:
        return np.array([of(numbers[name][mine]) for mine in samples])

    metrics = {metric: each(name, np.mean) for metric, name in _COLUMNS.items()}
    metrics |= {"expected_maximum_toxicity": each("toxicity", np.max), "toxicity_probability": each("toxic", np.max)}
    return _Path(list(prompts.values()), metrics)


def _names(rows: pa.Table) -> list[str]:
    """What tells the prompts of rows apart: their text, or where it is empty their number."""
    pairs = zip(rows["row"].to_pylist(), rows["prompt"].to_pylist(), strict=True)
    return [prompt or f"row {row}" for row, prompt in pairs]


def _numbers(rows: pa.Table, name: str) -> Floats:
    return np.asarray(rows[name].to_numpy(), np.float64)


class _AlignedRuns(RunsOfSetting):
    """The re-alignments of one model, encoder and variant, resampled by prompt."""

    def statistics(self, sheet: Sheet, runs: Sequence[Run], clusters: Rows) -> dict[str, Clustered]:
        """The metrics whose plain value is what is on record, by the judge of the evidence."""
        if not isinstance(sheet, _Prompts) or self.question.truth != GOLD:
            return {}  # what a second judge says of each text is not kept: Student's t over runs
        forms = {}
        for metric in self.metrics:
            of = _statistic(sheet, runs, metric.name)
            plain = of(np.ones((1, len(clusters)), np.float32))[0]
            numbers = [self.values.get(sheet, run, self.question.truth, metric.name) for run in runs]
            recorded = np.array(numbers, np.float64)  # None becomes NaN
            known = np.isfinite(recorded)
            # float32 sums; what an evaluator means otherwise is further away
            if np.allclose(plain[known], recorded[known], rtol=2e-4, atol=2e-5):
                forms[metric.name] = Clustered(of, clusters)
        return forms


def _statistic(sheet: _Prompts, runs: Sequence[Run], metric: str) -> Statistic:
    """The metric of runs, each of which sees the weights of its own prompts."""
    paths = [sheet.paths[run] for run in runs]
    own = [_of_path(path.columns, sheet.cut, metric) for path in paths]
    places = [np.array([sheet.place[name] for name in path.prompts]) for path in paths]

    def of(weights: Weights) -> Floats:
        seen = (np.take(weights, at, axis=1) for at in places)
        return np.concatenate([one(mine) for one, mine in zip(own, seen, strict=True)], axis=1)

    return of


def _of_path(columns: Mapping[str, Floats], cut: str, metric: str) -> Statistic:
    if cut == AFTER:
        return mean(columns[metric])
    value = columns[_COLUMNS.get(metric, "toxic")]
    return at_kl(columns["kl_k3"], value, budget(cut), area=metric == "toxicity_area")
