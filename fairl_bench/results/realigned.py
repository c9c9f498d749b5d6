"""Reads re-alignments from a results folder, and compares their methods at the same KL and after all steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from fairl_bench.errors import ResultsError
from fairl_bench.metrics import Metrics
from fairl_bench.results.folder import REALIGNED, ResultsFolder
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
    for name in files.names(REALIGNED):
        rows = files.table(name)
        cell, _ = cell_of(rows, files.path / name)
        if set(rows.column_names) >= _NEEDED:  # another evaluator's evidence has other columns
            realigned.append(Realigned(cell, rows))
    return realigned


def compared(
    realigned: Sequence[Realigned], records: Iterable[Record], declared: Metrics, resamples: int = RESAMPLES
) -> Iterator[Comparison]:
    """The interval of each method and the paired difference of each two, at every budget of KL and after all steps.

    Two-level: seeds (or replicates), then prompts; runs that complete the same prompt share its weight
    (`paired.compared`).  Where seeds have prompts of their own, the noise of prompts counts at both levels, and an
    interval is wider than it need be.
    """
    single = [row for row in records if row.dataset == DATA and not row.other]
    values = _values(single)
    cuts = dict.fromkeys((row.slice, row.truth) for row in single if row.slice == AFTER or row.slice.startswith("kl:"))
    groups: dict[Setting, list[Realigned]] = {}
    for realignment in realigned:
        groups.setdefault(realignment.cell.setting, []).append(realignment)
    for cut, truth in cuts:
        metrics = AT_END if cut == AFTER else AT_KL
        for setting, members in groups.items():
            sheets = [sheet for sheet in _sheets(members, cut) if len(sheet.examples)]
            measured = {row.metric for row in single if (row.slice, row.truth) == (cut, truth)}
            question = Question(placed(cut), truth, tuple(metric for metric in metrics if metric in measured))
            if sheets and question.metrics:
                yield from _AlignedRuns(sheets, setting, question, values, declared).comparisons(resamples)


def _values(records: Iterable[Record]) -> Values:
    """The numbers of each run, by the name of their slice."""
    return Values({Place(row.cell, placed(row.slice), row.truth, row.metric): row.value for row in records})


class _Path(NamedTuple):
    """The measures of one run's completions."""

    prompts: Sequence[str]  # of each completion, or of each prompt's samples [n]
    columns: Mapping[str, Floats]  # at a KL [looks, n]; after all steps [n], the metric of each prompt


@dataclass(frozen=True)
class _Prompts(Sheet):
    """A sheet whose examples are the prompts of all runs of one world, with the measures of each run."""

    cut: str
    paths: Mapping[Run, _Path]
    position: Mapping[str, int]  # of a prompt among the examples


def _sheets(realigned: Sequence[Realigned], cut: str) -> Iterator[_Prompts]:
    """A sheet for each replicate."""
    worlds: dict[int, list[Realigned]] = {}
    for realignment in realigned:
        worlds.setdefault(realignment.cell.replicate, []).append(realignment)
    measures = _after if cut == AFTER else _along
    for replicate, members in sorted(worlds.items()):
        paths = {member.cell.run: measures(member) for member in members}
        names = tuple(dict.fromkeys(name for path in paths.values() for name in path.prompts))
        position = {name: at for at, name in enumerate(names)}
        zeros = {run: np.zeros(len(names)) for run in paths}
        yield _Prompts("", members[0].cell.model, replicate, placed(cut), Examples(names), zeros, cut, paths, position)


def _along(realignment: Realigned) -> _Path:
    """The measures at each look.  Raises `ResultsError` where a look has fewer texts than another."""
    rows, cell = realignment.phase("along"), realignment.cell
    looks = len(set(rows["step"].to_pylist()))
    if len(rows) % max(looks, 1):
        raise ResultsError(
            f"re-alignment of model {cell.model!r}, method {cell.method!r}, seed {cell.seed}: its {looks} "
            f"looks have {len(rows)} texts between them, not as many each; run the suite again"
        )
    first = rows.slice(0, len(rows) // max(looks, 1))
    wanted = ("kl_k3", *_COLUMNS.values())
    return _Path(_names(first), {name: _numbers(rows, name).reshape(looks, len(first)) for name in wanted})


def _after(realignment: Realigned) -> _Path:
    """The measures of each prompt's samples after all steps."""
    rows = realignment.phase("after")
    row = rows["row"].to_numpy()
    prompts = dict(zip(row.tolist(), _names(rows), strict=True))
    samples = [np.flatnonzero(row == at) for at in prompts]
    numbers = {name: _numbers(rows, name) for name in _COLUMNS.values()}

    def each(name: str, of: Callable[[Floats], float]) -> Floats:
        return np.array([of(numbers[name][of_prompt]) for of_prompt in samples])

    metrics = {metric: each(name, np.mean) for metric, name in _COLUMNS.items()}
    metrics |= {"expected_maximum_toxicity": each("toxicity", np.max), "toxicity_probability": each("toxic", np.max)}
    return _Path(list(prompts.values()), metrics)


def _names(rows: pa.Table) -> list[str]:
    """The names of the prompts of rows: their text, or where it is empty their number."""
    pairs = zip(rows["row"].to_pylist(), rows["prompt"].to_pylist(), strict=True)
    return [prompt or f"row {row}" for row, prompt in pairs]


def _numbers(rows: pa.Table, name: str) -> Floats:
    return np.asarray(rows[name].to_numpy(), np.float64)


class _AlignedRuns(RunsOfSetting):
    """The re-alignments of one model, encoder and variant, resampled by prompt."""

    def statistics(self, sheet: Sheet, runs: Sequence[Run], clusters: Rows) -> dict[str, Clustered]:
        """The metrics whose unweighted value is the recorded one, as functions of weights."""
        if not isinstance(sheet, _Prompts) or self.question.truth != GOLD:
            return {}  # a second judge's answer for each text is not kept: Student's t over runs
        forms = {}
        for metric in self.metrics:
            of = _statistic(sheet, runs, metric.name)
            plain = of(np.ones((1, len(clusters)), np.float32))[0]
            numbers = [self.values.get(sheet, run, self.question.truth, metric.name) for run in runs]
            recorded = np.array(numbers, np.float64)  # None becomes NaN
            defined = np.isfinite(recorded)
            # float32 sums; another meaning of the metric is further away
            if np.allclose(plain[defined], recorded[defined], rtol=2e-4, atol=2e-5):
                forms[metric.name] = Clustered(of, clusters)
        return forms


def _statistic(sheet: _Prompts, runs: Sequence[Run], metric: str) -> Statistic:
    """The metric of runs as a function of weights; each run takes the weights of its own prompts."""
    paths = [sheet.paths[run] for run in runs]
    statistics = [_statistic_of_run(path.columns, sheet.cut, metric) for path in paths]
    positions = [np.array([sheet.position[name] for name in path.prompts]) for path in paths]

    def of(weights: Weights) -> Floats:
        weights_of_runs = (np.take(weights, at, axis=1) for at in positions)
        return np.concatenate([of_run(own) for of_run, own in zip(statistics, weights_of_runs, strict=True)], axis=1)

    return of


def _statistic_of_run(columns: Mapping[str, Floats], cut: str, metric: str) -> Statistic:
    """The metric of one run as a function of the weights of its prompts."""
    if cut == AFTER:
        return mean(columns[metric])
    value = columns[_COLUMNS.get(metric, "toxic")]
    return at_kl(columns["kl_k3"], value, budget(cut), area=metric == "toxicity_area")
