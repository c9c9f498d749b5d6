"""Reads re-alignments from a results folder, and compares their methods at the same KL and after all steps."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from fairl_bench.errors import ResultsError
from fairl_bench.metrics import Metric, Metrics
from fairl_bench.results.evidence import read_evidence, tables_of
from fairl_bench.results.folder import ResultsFolder
from fairl_bench.results.paired import RESAMPLES, RunsOfSetting
from fairl_bench.science.resampling import Clustered, CompletionForm, CompletionSample, Statistic, Weights
from fairl_bench.values.comparison import Comparison, Question
from fairl_bench.values.coordinates import Run, Setting
from fairl_bench.values.data import GOLD, Examples, Floats, Rows
from fairl_bench.values.realigned import AFTER, DATA, Realigned, budget, placed
from fairl_bench.values.records import Record
from fairl_bench.values.sheets import Place, Sheet, Values

if TYPE_CHECKING:
    import pyarrow as pa

_NEEDED: Final = {"phase", "step", "row", "draw", "prompt", "text", "toxic", "toxicity", "true_reward", "kl_k3"}


def read_realigned(files: ResultsFolder) -> list[Realigned]:
    """The re-alignments of a results folder.  Raises `ResultsError` for a file that is broken."""
    return [
        Realigned(*evidence)
        for table in tables_of(files)
        for evidence in read_evidence(files, table)
        if set(evidence.rows.column_names) >= _NEEDED  # another evaluator's evidence has other columns
    ]


def compared(
    realigned: Sequence[Realigned],
    records: Iterable[Record],
    declared: Metrics,
    resamples: int = RESAMPLES,
    *,
    references: Container[str] = (),
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
        measured = {row.metric for row in single if (row.slice, row.truth) == (cut, truth)}
        metrics = tuple(name for name in declared if name in measured and _is_compared(declared[name], cut))
        for setting, members in groups.items():
            sheets = [sheet for sheet in _sheets(members, cut) if len(sheet.examples)]
            question = Question(placed(cut), truth, metrics)
            if sheets and metrics:
                runs = _AlignedRuns(sheets, setting, question, values, declared, references)
                yield from runs.comparisons(resamples)


def _values(records: Iterable[Record]) -> Values:
    """The numbers of each run, by the name of their slice."""
    return Values({Place(row.cell, placed(row.slice), row.truth, row.metric): row.value for row in records})


def _is_compared(metric: Metric, cut: str) -> bool:
    """Whether methods are compared in a metric: at the same KL where it has a better side, else where it is resampled.

    After all steps each method has paid its own KL, and differences in most of what is measured say little.
    """
    return bool(_forms(metric, cut)) or (cut != AFTER and metric.better is not None)


def _forms(metric: Metric, cut: str) -> list[CompletionForm]:
    """The ways to resample a metric there."""
    on = "prompts" if cut == AFTER else "paths"
    return [form for form in metric.resampled if isinstance(form, CompletionForm) and form.on == on]


class _Path(NamedTuple):
    """The measures of one run's completions."""

    prompts: Sequence[str]  # the name of each prompt
    sample: CompletionSample


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
    for replicate, members in sorted(worlds.items()):
        paths = {member.cell.run: _after(member) if cut == AFTER else _along(member, budget(cut)) for member in members}
        names = tuple(dict.fromkeys(name for path in paths.values() for name in path.prompts))
        position = {name: at for at, name in enumerate(names)}
        zeros = {run: np.zeros(len(names)) for run in paths}
        yield _Prompts("", members[0].cell.model, replicate, placed(cut), Examples(names), zeros, cut, paths, position)


def _along(realignment: Realigned, budget: float) -> _Path:
    """The measures at each look.  Raises `ResultsError` where a look has fewer texts than another."""
    rows, cell = realignment.phase("along"), realignment.cell
    looks = len(set(rows["step"].to_pylist()))
    if len(rows) % max(looks, 1):
        raise ResultsError(
            f"re-alignment of model {cell.model!r}, method {cell.method!r}, seed {cell.seed}: its {looks} "
            f"looks have {len(rows)} texts between them, not as many each; run the suite again"
        )
    first = rows.slice(0, len(rows) // max(looks, 1))
    columns = {name: column.reshape(looks, len(first)) for name, column in _numbers(rows).items()}
    return _Path(_names(first), CompletionSample(columns, np.arange(len(first)), budget))


def _after(realignment: Realigned) -> _Path:
    """The samples of each prompt after all steps."""
    rows = realignment.phase("after")
    names = dict(zip(rows["row"].to_pylist(), _names(rows), strict=True))
    codes = {row: code for code, row in enumerate(names)}
    prompt = np.array([codes[row] for row in rows["row"].to_pylist()], np.int64)
    return _Path(list(names.values()), CompletionSample(_numbers(rows), prompt))


def _names(rows: pa.Table) -> list[str]:
    """The names of the prompts of rows: their text, or where it is empty their number."""
    pairs = zip(rows["row"].to_pylist(), rows["prompt"].to_pylist(), strict=True)
    return [prompt or f"row {row}" for row, prompt in pairs]


def _numbers(rows: pa.Table) -> dict[str, Floats]:
    """The columns of rows that hold numbers or truth values."""
    import pyarrow as pa

    kinds = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean)
    names = [field.name for field in rows.schema if any(is_kind(field.type) for is_kind in kinds)]
    return {name: np.asarray(rows[name].to_numpy(), np.float64) for name in names}


class _AlignedRuns(RunsOfSetting):
    """The re-alignments of one model, encoder and variant, resampled by prompt."""

    def statistics(self, sheet: Sheet, runs: Sequence[Run], clusters: Rows) -> dict[str, Clustered]:
        """The metrics whose unweighted value is the recorded one, as functions of weights."""
        if not isinstance(sheet, _Prompts) or self.question.truth != GOLD:
            return {}  # a second judge's answer for each text is not kept: Student's t over runs
        statistics = {}
        for metric in self.metrics:
            numbers = [self.values.get(sheet, run, self.question.truth, metric.name) for run in runs]
            recorded = np.array(numbers, np.float64)  # None becomes NaN
            defined = np.isfinite(recorded)
            for form in _forms(metric, sheet.cut):
                of = _statistic(sheet, runs, form)
                plain = of(np.ones((1, len(clusters)), np.float32))[0]
                # float32 sums; another meaning of the metric is further away
                if np.allclose(plain[defined], recorded[defined], rtol=2e-4, atol=2e-5):
                    statistics[metric.name] = Clustered(of, clusters)
                    break
        return statistics


def _statistic(sheet: _Prompts, runs: Sequence[Run], form: CompletionForm) -> Statistic:
    """The metric of runs as a function of weights; each run takes the weights of its own prompts."""
    paths = [sheet.paths[run] for run in runs]
    statistics = [form.of(path.sample) for path in paths]
    positions = [np.array([sheet.position[name] for name in path.prompts]) for path in paths]

    def of(weights: Weights) -> Floats:
        weights_of_runs = (np.take(weights, at, axis=1) for at in positions)
        return np.concatenate([of_run(own) for of_run, own in zip(statistics, weights_of_runs, strict=True)], axis=1)

    return of
