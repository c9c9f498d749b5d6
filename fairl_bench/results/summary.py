"""A run in a few sentences: what was run, and what was found by the tests that the marks of tables rest on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from fairl_bench.material import Material
from fairl_bench.metrics import Metric
from fairl_bench.results.audited import audited
from fairl_bench.results.failure_aware import comparators
from fairl_bench.results.findings import remarks
from fairl_bench.results.places import Tests, compared_pairs, places_by_group
from fairl_bench.results.under_selections import DEPENDS, apart_from_selection
from fairl_bench.science.ranks import Place
from fairl_bench.values.comparison import ALPHA
from fairl_bench.values.coordinates import Group, Row
from fairl_bench.values.findings import Findings
from fairl_bench.values.phrases import listed
from fairl_bench.values.records import Record
from fairl_bench.values.rows import summary
from fairl_bench.values.verdicts import Verdict
from fairl_bench.views import ReportTable, questions

_THRESHOLD_FREE: Final = "auc"  # says something whatever the threshold and however rare a class is
_LISTED: Final = 4  # names in a sentence, ...
FEW_FINDINGS: Final = 3
"""Findings that are told and drawn one by one; of more the tables are."""
_UNTESTED: Final = "there is no test of it, with one run of each method"
_REMARKS: Final = 4  # on the concepts of an audit; its table has all
_FEW: Final = 2  # ... and beside the best method
_OUTCOMES: Final = ("supported", "refuted", "equivalent", DEPENDS, "inconclusive")


class Measured(NamedTuple):
    """A number that the report compares methods by."""

    data: str
    truth: str
    metric: str


# --- what was run


def what_was_run(material: Material) -> str:
    """The methods, models, replicates, seeds, pairs and data of a run, in a sentence or two."""
    if not material.rows:
        return "Nothing has finished."
    if len(material.findings) == 1:
        return _audited(material, material.findings[0])
    who = f"{_methods(material)} the reward behind the pairs of {_models(material)}"
    pairs, judged = _pairs(material), _and(material.data, 6)
    first = f"{who}{_times(material)}{f': {pairs}' if pairs else ''}."
    return f"{first} They are judged on {judged}." if judged else first


def _audited(material: Material, found: Findings) -> str:
    """Who wrote the pairs of an audit, how many there are, and what they were read by."""
    sides, held_out = audited(material, found), found.separable.pairs
    pairs = f"{sides.pairs:,} pairs" if sides.by_models else f"{sides.pairs:,} pairs of a preferred and a rejected text"
    pairs += f", of which {held_out:,} were held out" if sides.pairs > held_out else ""
    wrote = f"{sides.base} and {sides.expert} completed the same prompts: " if sides.by_models else ""
    measured = sum(one.verdict is not None for one in found.concepts)
    left = len(found.concepts) - measured
    against = f"{_count(measured, 'concept')}{f'; {left} more were not judged' if left else ''}"
    return f"{wrote}{pairs}. On {found.data} the reward of {found.method} was held against {against}."


def _methods(material: Material) -> str:
    names = dict.fromkeys(row.method for row in material.rows)
    references = [name for name in names if name in set(material.references)]
    n = len(names) - len(references)
    rows = f"the reference row{'s' if len(references) > 1 else ''} {_and(references)}"
    if not n:
        return f"T{rows[1:]} stand for" if len(references) > 1 else f"T{rows[1:]} stands for"
    beside = f", beside {rows}," if references else ""
    return f"{_count(n, 'method')}{beside} learnt"


def _models(material: Material) -> str:
    """The models, with what differs besides."""
    models = list(dict.fromkeys(row.model for row in material.rows))
    encoders = list(dict.fromkeys(row.encoder for row in material.rows))
    variants = {row.variant for row in material.rows}
    with_encoders = f", read by the encoder{'s' if len(encoders) > 1 else ''} {_and(encoders)}"
    points = f", at {len(variants)} points of the suite" if len(variants) > 1 else ""
    return f"{_and(models)}{with_encoders}{points}"


def _times(material: Material) -> str:
    """How often: replicates draw the data and the split anew, seeds the training."""
    measured = {record.replicate for record in material.records}
    replicates = len(material.run.replicates or measured)
    seeds = len(material.run.seeds or {record.seed for record in material.records} - {None})
    often = [f"in {replicates} replicates"] * (replicates > 1) + [f"with {seeds} training seeds"] * (seeds > 1)
    each = " each" if len(often) > 1 else ""
    so_far = f" (so far {_count(len(measured), 'replicate')})" if 0 < len(measured) < replicates else ""
    return f", {' '.join(often)}{each}{so_far}" if often else ""


def _pairs(material: Material) -> str:
    """How many pairs there are to learn from and to test on, in one replicate."""
    splits = [stage for stage in material.run.stages if stage.get("kind") == "split"]
    parts = {name: [int(stage[name]) for stage in splits if name in stage] for name in ("train", "test")}
    if not all(parts.values()):
        return ""
    return f"{_range(parts['train'])} pairs to learn from and {_range(parts['test'])} to test on"


def _range(counts: Sequence[int]) -> str:
    """
    >>> _range([350, 350]), _range([1200, 349, 350])
    ('350', '349 to 1,200')
    """
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


# --- what was found


def what_was_found(material: Material) -> list[str]:
    """What tables say first, and the verdicts of audits and on claims; without any the best methods, and what FA adds.

    Differences are those of the marks in tables: by Holm's adjusted p of `Material.comparisons`.
    """
    if material.headlines or material.findings or material.verdicts:
        claims = _claims(material.verdicts) if material.verdicts else ()
        return [*material.headlines, *_findings(material.findings), *claims]
    tests = compared_pairs(material.comparisons)
    return [*_best(material, tests), *_failure_aware(material, tests), *_few(material)]


def _findings(findings: Sequence[Findings]) -> Iterator[str]:
    """The verdict of each audit, and what is to be said of its concepts; of many how they came out."""
    if len(findings) > FEW_FINDINGS:
        outcomes = Counter(found.outcome for found in findings)
        told = (
            (outcomes["named"], "a concept is named"),
            (outcomes["nothing named"], "the two sides differ, but no concept can be named as the reason"),
            (outcomes["no difference shown"], "no difference is shown"),
        )
        yield f"Of {len(findings)} audits: {'; '.join(f'in {n} {what}' for n, what in told if n)}."
        return
    for found in findings:
        of = f"{found.model}, replicate {found.replicate}: " if len(findings) > 1 else ""
        yield f"{of}{found.verdict}."
        read = [one for one in found.concepts if one.verdict and found.separable.shown]
        said = [f"{remark[0].upper()}{remark[1:]}." for one in read for remark in remarks(one)]
        if said:
            yield " ".join(said[:_REMARKS])


def _claims(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """How many claims came out in which way, and which; then those that were expected to come out otherwise."""
    by_place = {(one.claim.id, apart_from_selection(one.setting)): one for one in verdicts}
    settings = {setting for _, setting in by_place}
    claims = _count(len({claim for claim, _ in by_place}), "claim")
    whole = claims if len(settings) == 1 else f"{len(by_place)} verdicts on {claims} in {len(settings)} settings"
    parts = []
    for outcome in _OUTCOMES:
        ids = [claim for (claim, _), one in by_place.items() if one.verdict == outcome]
        if ids:
            parts.append((len(ids), f"{_came_out(outcome, ids)} ({_and(dict.fromkeys(ids))})"))
    if len(parts) == 1 and len(by_place) > 1:
        yield f"All {whole} {parts[0][1]}."
    else:
        yield f"Of {whole}, {_and([f'{n} {told}' for n, told in parts], len(parts))}."
    if unmet := dict.fromkeys(verdict.claim.id for verdict in verdicts if not verdict.met):
        yield f"Otherwise than the suite expects: {_and(unmet, 8)}."


def _came_out(outcome: str, ids: Sequence[str]) -> str:
    if outcome == DEPENDS:
        return outcome if len(ids) == 1 else outcome.replace("depends", "depend")
    return f"{_are(ids)} {outcome}"


def main_columns(material: Material) -> list[Measured]:
    """The one number of each data set that the first screen is about: AUC, else the first that has a better side.

    Slices of a data set stand in the tables alone.
    """
    columns = [column for column in _columns(material) if column.data in material.data]
    metrics = [column.metric for column in columns if material.metrics[column.metric].better]
    if not metrics:
        return []
    metric = _THRESHOLD_FREE if _THRESHOLD_FREE in metrics else metrics[0]
    return [column for column in columns if column.metric == metric]


def _columns(material: Material) -> Iterator[Measured]:
    """Every number by which the report compares methods."""
    report = {name: part for name, part in material.report.items() if isinstance(part, ReportTable)}
    for question in questions(report):
        for metric in question.metrics:
            yield Measured(question.data, question.truth, metric)


def _best(material: Material, tests: Tests) -> Iterator[str]:
    """Who is best in the main number of each data set, and who is not shown to be worse; nothing without a number."""
    columns = [(column, means) for column in main_columns(material) if (means := _means(material, column))]
    if columns:
        metric = material.metrics[columns[0][0].metric]
        yield f"Best in {metric.called}: {'; '.join(_best_in(*column, metric, tests) for column in columns)}."


def _best_in(column: Measured, means: Mapping[Row, float], metric: Metric, tests: Tests) -> str:
    """The best method of a column, with the company that it has."""

    def group_of(row: Row) -> Group:
        return Group.of(row.setting, column.data, column.truth, column.metric)

    groups = places_by_group(means, group_of, metric.better, tests)
    if len(groups) > 1:
        return f"on {column.data} {_best_everywhere(list(filter(None, groups.values())))}"
    (places,) = groups.values()
    first = (min if metric.better == "lower" else max)(means, key=lambda row: means[row])
    return f"{first.method} on {column.data} ({means[first]:.3f}; {_company(first, places)})"


def _company(first: Row, places: Mapping[Row, Place]) -> str:
    """Who shares the first place with a row."""
    n, others = len(places) - 1, [row.method for row, place in places.items() if place.rank == 1 and row != first]
    if not places:
        return _UNTESTED
    if not others:
        return f"shown to be better than the next of {n + 1} methods"
    if len(others) <= _FEW:
        return f"{_and(others)} {_are(others)} not shown to be worse"
    none_worse = f"none of the other {n} methods is shown to be worse"
    return none_worse if len(others) == n else f"{len(others)} of the other {n} methods are not shown to be worse"


def _best_everywhere(by_setting: Sequence[Mapping[Row, Place]]) -> str:
    """Which methods are among the best in how many settings."""
    n = len(by_setting)
    often = Counter(row.method for places in by_setting for row, place in places.items() if place.rank == 1)
    if not often:
        return _UNTESTED
    always = [method for method, times in often.items() if times == n]
    if always:
        return f"{_and(always)}, not shown to be worse than any other in all {n} settings"
    method, times = often.most_common(1)[0]
    return f"no method in all {n} settings; {method} in {times}"


def _means(material: Material, column: Measured) -> dict[Row, float]:
    """The mean of each row that is ranked, over its runs."""
    references = set(material.references)
    records: dict[Row, list[Record]] = {}
    for record in material.records:
        measured = Measured(record.data, record.truth, record.metric)
        if measured == column and record.slice == "all" and not record.other and record.method not in references:
            records.setdefault(record.row, []).append(record)
    means = {row: summary(of_row)[0] for row, of_row in records.items()}
    return {row: mean for row, mean in means.items() if not math.isnan(mean)}


# --- what learning from failures adds


class _Tally(NamedTuple):
    """How many comparisons show that failure-aware methods are better, worse, and neither."""

    better: int
    worse: int
    neither: int

    def said(self, than: str) -> str:
        """
        >>> _Tally(0, 3, 5).said("controls")
        'shown to be worse than their controls in 3 of 8 comparisons and better in none'
        >>> _Tally(0, 0, 4).said("baselines")
        'not shown to differ from their baselines in any of 4 comparisons'
        """
        n = _count(sum(self), "comparison")
        if not self.better and not self.worse:
            return f"not shown to differ from their {than} in any of {n}"
        if self.better > self.worse:
            return f"shown to be better than their {than} in {self.better} of {n} and worse in {self.worse or 'none'}"
        return f"shown to be worse than their {than} in {self.worse} of {n} and better in {self.better or 'none'}"


def _failure_aware(material: Material, tests: Tests) -> Iterator[str]:
    """Whether the failure-aware methods differ from their baselines and their controls, over all columns."""
    aware = comparators(material.suite)
    others = {
        "baselines": {name: each.baselines for name, each in aware.items()},
        "controls": {name: each.controls for name, each in aware.items()},
    }
    tallies = {than: _tally(material, tests, of_methods) for than, of_methods in others.items()}
    parts = [tally.said(than) for than, tally in tallies.items() if sum(tally)]
    if parts:
        yield f"Methods that learn from failures are {'; they are '.join(parts)}."


def _tally(material: Material, tests: Tests, others: Mapping[str, Sequence[str]]) -> _Tally:
    """The comparisons of methods with their others in all columns of the report, by what they show."""
    columns, shown = set(_columns(material)), Counter[int]()
    for one in material.comparisons:
        sign = (one.other in others.get(one.method, ())) - (one.method in others.get(one.other, ()))
        p = tests.get(one.group, {}).get((one.method, one.other), math.nan)
        if sign and Measured(one.data, one.truth, one.metric) in columns and not math.isnan(p):
            gain = sign * material.metrics[one.metric].sign * one.value
            shown[0 if p > ALPHA else 1 if gain > 0 else -1] += 1
    return _Tally(shown[1], shown[-1], shown[0])


def _few(material: Material) -> Iterator[str]:
    """That so few replicates can show little, where that is so."""
    from fairl_bench.science.moderated import LEAST_BLOCKS  # with scipy, which a list of figures does without

    units = [one.units for one in material.comparisons if one.unit == "replicate"]
    if units and 1 < max(units) < LEAST_BLOCKS:
        yield f"{max(units)} replicates can show little."


# --- words


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _and(names: Iterable[str], most: int = _LISTED) -> str:
    """Names in a sentence; of many the first."""
    return listed(names, most)
