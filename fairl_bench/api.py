"""The Python face: a notebook checks a suite, runs it, and reads what a run has left.

A suite is the path of a YAML file, the name of one that comes with the package (``detox``), or its content as plain
data: what YAML would give, with paths relative to the working directory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fairl_bench.errors import FairlError, UnknownName
from fairl_bench.start import Changes, SuiteSource, name_of, read_suite, run_suite

if TYPE_CHECKING:
    import pandas as pd

    from fairl_bench.material import Picture
    from fairl_bench.preview.checked import Checked
    from fairl_bench.results.results import StudyResults
    from fairl_bench.reward.saved import SavedRewards
    from fairl_bench.values.findings import Findings
    from fairl_bench.values.table import Table
    from fairl_bench.values.verdicts import Verdict


def check(
    suite: SuiteSource,
    *,
    store: str | Path | None = None,
    set: Changes = (),
) -> Checked:
    """Check a suite without running it, and say what a run would do and cost.  Raises `FairlError` where it is wrong.

    ``set`` changes values of the suite: ``{"head.width": 32}``.
    """
    from fairl_bench.preview.checked import check_study
    from fairl_bench.store.place import default_store, open_store

    study = read_suite(suite, set)
    return check_study(study, open_store(store or default_store()), name_of(suite))


def run(
    suite: SuiteSource,
    *,
    jobs: int = 1,
    executor: str | Mapping[str, Any] = "local",
    address: str | None = None,
    store: str | Path | None = None,
    results: str | Path | None = None,
    only: Mapping[str, Any] | None = None,
    set: Changes = (),
    replace_results: bool = False,
    isolate: bool = False,
) -> Results:
    """Run a suite, as ``fairl-bench run`` does: only what the store lacks is computed.

    The results folder is ``results/NAME``, or ``results``.  ``only`` takes these cells alone: ``{"method": ["a", "b"],
    "seed": 0}``.  ``executor`` is a name, or a spec such as ``{"use": "ray", "address": "auto"}``.  With ``isolate``,
    plugins work in a process of their own, as the command has it.  A part that fails is in `Results.failures`; what the
    user must change raises `FairlError`.
    """
    from fairl_bench.display.live import show_progress

    with show_progress() as progress:
        finished = run_suite(
            suite,
            progress.watcher(),
            jobs=jobs,
            executor=executor,
            address=address,
            store=store,
            results=results,
            only=only,
            set=set,
            replace_results=replace_results,
            isolate=isolate,
            command=("fairl_bench.run", name_of(suite)),
        )
    return Results._of(finished.results)


def audit(
    base: str | Path | None = None,
    expert: str | Path | None = None,
    *,
    prompts: str | Path | None = None,
    pairs: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    concepts: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    name: str | None = None,
    n: int | None = None,
    quick: bool = False,
    chat: bool = False,
    tokens: Literal["drawn", "text"] = "drawn",
    head: Literal["linear", "mlp"] | None = None,
    api_key_env: str | None = None,
    plugins: Sequence[str | Path] = (),
    jobs: int = 1,
    store: str | Path | None = None,
    results: str | Path | None = None,
) -> Results:
    """Audit two language models that complete ``prompts``, or ``pairs`` of texts, as ``fairl-bench audit`` does.

    ``concepts`` stand in the place of the usual ones, ``more`` beside them: by name, the spec of a judge such as
    ``{"use": "word-list", "words": ["bus"]}``.  The verdict is in `Results.findings`.  Raises `FairlError` for what is
    missing or wrong, before anything runs.
    """
    from fairl_bench.audits.few import few_told
    from fairl_bench.audits.request import AuditRequest
    from fairl_bench.audits.suite import audit_suite

    request = AuditRequest(
        base=None if base is None else str(base),
        expert=None if expert is None else str(expert),
        prompts=None if prompts is None else Path(prompts),
        pairs=None if pairs is None else Path(pairs),
        columns=columns or {},
        concepts=concepts,
        more=more or {},
        name=name,
        n=n,
        quick=quick,
        chat=chat,
        tokens=tokens,
        head=head,
        api_key_env=api_key_env,
        plugins=tuple(map(Path, plugins)),
    )
    suite = audit_suite(request)
    with few_told(request):
        return run(suite, jobs=jobs, store=store, results=results)


def read_results(folder: str | Path, *, plugins: Sequence[str | Path] = ()) -> Results:
    """The results in a folder that a run has written.  Raises `ResultsError` where it is none, or damaged.

    ``plugins`` are drop-in files with tables and figures of their own, or with parts of the rewards.
    """
    from fairl_bench.results.results import read_results as read_folder
    from fairl_bench.suite.registry import Registry

    return Results._of(read_folder(Path(folder), Registry([Path(path) for path in plugins])))


class Results:
    """What a run has left in its folder: numbers as pandas frames, tables, figures, rewards, claims and findings.

    Made by `run` and `read_results`.  Everything is read when it is first asked for.
    """

    _folder: StudyResults
    _intervals: bool

    @classmethod
    def _of(cls, folder: StudyResults, *, intervals: bool = False) -> Results:
        results = cls()
        results._folder, results._intervals = folder, intervals
        return results

    @property
    def folder(self) -> Path:
        """The results folder."""
        return self._folder.path

    @property
    def name(self) -> str:
        """The name of the suite."""
        return self._folder.name

    @cached_property
    def records(self) -> pd.DataFrame:
        """Every number on record, one row each, with the columns of ``records.parquet``."""
        from fairl_bench.results.frames import record_frame

        return record_frame(self._folder.records)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The reward of every example by every run, one row each, beside the example and its truth ``gold``."""
        from fairl_bench.results.frames import score_frame

        data = dict.fromkeys(record.data for record in self._folder.single_records)
        return score_frame(self._folder.sheets(data))

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The tables of the report, by name."""
        from fairl_bench.suite.report import tables_of
        from fairl_bench.views import make_tables, with_intervals

        if not self._intervals:
            return self._folder.tables
        guard = self._folder.guard
        report = with_intervals(self._folder.report, guard)
        return make_tables(tables_of(report, self._folder.asked.registry, guard), self._folder, guard)

    def table(self, name: str) -> Table:
        """One of the tables, by its name, a file of it, or its number.  Raises `FairlError` where there is none."""
        from fairl_bench.results.folder import table_name

        name = table_name(name)
        if name not in self.tables:
            raise self._no_table(name)
        return self.tables[name]

    def _no_table(self, name: str) -> FairlError:
        """Why there is no table of this name."""
        from fairl_bench.suite.report import names_to_ask_for

        registry = self._folder.asked.registry
        registered = registry.names("table")
        if name not in registered:
            if self._kept("tables", name):
                return _of_a_plugin("table", name)
            return UnknownName("table", name, {*registered, *self.tables})
        reason = "no number on record belongs into it"
        if told := [warning for warning in self.warnings if f"table {name!r}" in warning]:
            reason = "; ".join(told)
        elif name in self._folder.report:
            reason = f"its suite asks for it, and {reason}"
        elif name in names_to_ask_for(registry):
            reason = "its suite does not ask for it under 'report:'"
        return FairlError(f"{self.folder} has no table {name!r} (it has: {', '.join(self.tables) or 'none'}); {reason}")

    def _kept(self, room: str, name: str) -> bool:
        """True where the run left a file of this name."""
        return any(path.stem == name for path in (self.folder / room).glob("*"))

    def between(self, baseline: str, method: str) -> Results:
        """The same with Tables 2 and 3 of two other methods.  Raises `UnknownName` for one that was not run."""
        return Results._of(self._folder.between((baseline, method)), intervals=self._intervals)

    def with_intervals(self) -> Results:
        """The same with the 95 % interval of each number in Table 1."""
        return Results._of(self._folder, intervals=True)

    @cached_property
    def figures(self) -> Mapping[str, Picture]:
        """The figures that there is data for, by name."""
        from fairl_bench.figures.draw import pictures
        from fairl_bench.suite.report import figures_of

        guard = self._folder.guard
        return pictures(figures_of(self._folder.asked.registry, guard), self._folder, guard)

    def figure(self, name: str) -> Picture:
        """One of the figures.  Raises `UnknownName`."""
        if name not in self.figures:
            if self._kept("figures", name):
                raise _of_a_plugin("figure", name)
            raise UnknownName(f"{self.folder}: figure", name, self.figures)
        return self.figures[name]

    @cached_property
    def rewards(self) -> SavedRewards:
        """The recovered rewards, by cell; each is loaded when it is asked for."""
        from fairl_bench.results.folder import REWARDS
        from fairl_bench.reward.saved import SavedRewards

        return SavedRewards(self.folder / REWARDS, self._folder.asked.registry.drop_ins)

    @property
    def claims(self) -> Sequence[Verdict]:
        """The verdicts on the suite's claims; empty where it makes none."""
        return self._folder.verdicts

    @property
    def findings(self) -> Sequence[Findings]:
        """What an audit found of each model: one of them where it audited one; empty where the suite is no audit."""
        return self._folder.findings

    @property
    def failures(self) -> Mapping[str, str]:
        """Why the stages that failed did, by key; those that were skipped for it are not among them."""
        return self._folder.run.failed

    @property
    def notes(self) -> Sequence[str]:
        """What to know beside the numbers, such as which texts were read only in part."""
        return self._folder.notes

    @property
    def warnings(self) -> Sequence[str]:
        """Which tables and figures of plugins could not be made when they were asked for, and why."""
        return tuple(self._folder.warnings)

    def __repr__(self) -> str:
        parts = [f"results of suite {self.name!r} in {self.folder}: {len(self._folder.records):,} records"]
        return "; ".join([*parts, *self._summary()])

    def _repr_html_(self) -> str:
        """The first table, and what else there is, as Jupyter shows it."""
        first = next(iter(self.tables.values()), None)
        shown = "" if first is None else first._repr_html_()
        return f"{shown}<p>{escape(repr(self))}</p>"

    def _summary(self) -> Iterator[str]:
        """What there is beside the records."""
        yield f"tables {', '.join(self.tables) or 'none'}"
        yield f"{len(self.rewards)} rewards"
        if self.failures:
            yield f"{len(self.failures)} stages failed"


def _of_a_plugin(what: str, name: str) -> FairlError:
    """The error of a table or a figure that a run has left and that no known part makes."""
    return FairlError(f"{what} {name!r} was made by a plugin: name its file with --plugin (plugins= from Python)")
