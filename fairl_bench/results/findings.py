"""Reads what an audit found from the records of a run: for each model, whether two sides differ, and in what."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from fairl_bench.material import Material
from fairl_bench.results.share_texts import percent_end
from fairl_bench.science.concepts import UNKNOWN, Interval, leaning, verdict
from fairl_bench.science.detectable import NAMED_FROM
from fairl_bench.values.ceiling import COIN, PAIR_ACCURACY
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.contents import ALONE, AUC, BESIDE, CHOICE, CONCEPT, DETECTABLE, FDR, REST, SHARE, SLOPE, WORD
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import PREFERRED, Examples
from fairl_bench.values.findings import (
    SCHEMA,
    ConceptFinding,
    Findings,
    Outcome,
    Separable,
    TextFinding,
    WordFinding,
)
from fairl_bench.values.phrases import listed
from fairl_bench.values.records import Record

BOTH_MODELS: Final = "both models"
SHOWN: Final = 10
"""Texts of the highest rewards that findings hold, and as many of the lowest."""
_NOT_READ: Final = "it is not read where the two sides are not told apart"
_ADDS_NOTHING: Final = "it adds nothing"
_TELLS_NOTHING: Final = "it does not help to tell which text of a pair is preferred"
_TEXTS: Final = "texts"
_ORDER: Final = {"named": 0, "cannot tell": 1, "ruled out": 2, None: 3}


def findings(material: Material, data: str, methods: Sequence[str] = ()) -> list[Findings]:
    """What was found of each model and replicate, by the reward of one method.

    It is the first of ``methods`` that has an attribution there; where none is named, the log-ratio of the two models
    if there is one, else the first method that is no reference row.
    """
    records = [record for record in material.records if record.data == data and record.slice == "all"]
    words = _words(records)
    found = []
    for model, replicate in dict.fromkeys((record.model, record.replicate) for record in records):
        of_world = [record for record in records if (record.model, record.replicate) == (model, replicate)]
        row = _deciding(material, of_world, methods)
        if row is not None:
            of_row = [record for record in of_world if record.row == row]
            found.append(_found(material, row, replicate, data, of_row, words.get((model, replicate), ())))
    return found


def of_method(material: Material, data: str, row: Row, replicate: int) -> Findings | None:
    """What was found by the reward of one row; None where it has no attribution there."""
    of_row = [
        record
        for record in material.records
        if (record.row, record.replicate, record.data, record.slice) == (row, replicate, data, "all")
    ]
    if not any(record.metric == REST for record in of_row):
        return None
    return _found(material, row, replicate, data, of_row, ())


def _deciding(material: Material, records: Sequence[Record], methods: Sequence[str]) -> Row | None:
    """The row whose reward is read, the first in the order of the suite; None where no reward was attributed."""
    known = dict.fromkeys(record.row for record in records if record.metric == REST)
    rows = [row for row in dict.fromkeys([*material.rows, *known]) if row in known]  # files have another order
    if methods:
        return next((row for method in methods for row in rows if row.method == method), None)
    references = set(material.references)
    by_models = (row for row in rows if row.method in references and material.given(row.method) == BOTH_MODELS)
    return next(by_models, next((row for row in rows if row.method not in references), None))


def _found(
    material: Material,
    row: Row,
    replicate: int,
    data: str,
    records: Sequence[Record],
    words: tuple[WordFinding, ...],
) -> Findings:
    """What the records of one row and replicate say."""
    separable = _separable(material.comparisons, records, row, data)
    numbers = _numbers(records)
    given = material.given(row.method)
    relations = _relations(material, row, replicate, data)
    concepts = _concepts(records, numbers, relations, of_pairs=given == _TEXTS)
    rest = numbers.get(("", REST), UNKNOWN)
    outcome = _outcome(separable, concepts)
    if not separable.shown:  # a reward that tells nothing apart is about something, but not about a difference
        concepts = tuple(one._replace(verdict=None, why=_NOT_READ) for one in concepts)
    found = Findings(
        model=row.model,
        replicate=replicate,
        method=row.method,
        given=given,
        data=data,
        outcome=outcome,
        verdict="",
        separable=separable,
        concepts=concepts,
        unexplained=rest,
        could_have_named=numbers.get(("", DETECTABLE), UNKNOWN).value,
        words=words,
        texts=_texts(material, row, replicate, data),
    )
    return found._replace(verdict=sentence(found))


def _outcome(separable: Separable, concepts: Sequence[ConceptFinding]) -> Outcome:
    if not separable.shown:
        return "no difference shown"
    return "named" if any(one.verdict == "named" for one in concepts) else "nothing named"


def _separable(comparisons: Iterable[Comparison], records: Sequence[Record], row: Row, data: str) -> Separable:
    """How well the reward tells the two sides apart, and what this many pairs could have shown."""
    place = (row, data, PREFERRED, PAIR_ACCURACY)
    own = next(
        (one for one in comparisons if (one.row, one.data, one.truth, one.metric) == place and not one.other), None
    )
    pairs = max((record.n for record in records if record.metric == PAIR_ACCURACY), default=0)
    told = [record.n for record in records if record.metric == REST and not math.isnan(record.value)]
    prompts = max(told, default=pairs)
    known = own is not None and not math.isnan(own.value)
    accuracy = Interval(own.value, own.low, own.high) if own is not None and known else UNKNOWN
    return Separable(accuracy, pairs, prompts, _power(prompts))


def _place(one: Comparison) -> tuple[Row, str, str, str]:
    return one.row, one.data, one.truth, one.metric


def _power(units: int) -> float:
    """The pair accuracy that is told from a coin toss four times in five, with so many independent pairs.

    >>> round(_power(500), 2)
    0.56
    """
    from fairl_bench.science.power import detectable

    return min(COIN + detectable(0.5 / math.sqrt(units)), 1.0) if units else math.nan


def _numbers(records: Iterable[Record]) -> Mapping[tuple[str, str], Interval]:
    """By truth and metric a number with the ends of its interval; means over runs."""
    values: dict[tuple[str, str], list[float]] = {}
    for record in records:
        values.setdefault((record.truth, record.metric), []).append(record.value)
    means = {key: sum(each) / len(each) for key, each in values.items()}
    return {
        (truth, metric): Interval(
            mean, means.get((truth, f"{metric}_low"), math.nan), means.get((truth, f"{metric}_high"), math.nan)
        )
        for (truth, metric), mean in means.items()
    }


class _Relations(NamedTuple):
    """What there is between concepts, by the name of the first."""

    one_share: Mapping[str, tuple[str, ...]]
    along: Mapping[str, tuple[str, ...]]
    correlation: Mapping[tuple[str, str], float]


def _relations(material: Material, row: Row, replicate: int, data: str) -> _Relations:
    """Which concepts share a share, and which go along with a named one, as the attribution has kept it."""
    found: dict[str, dict[str, dict[str, None]]] = {"one share": {}, "along": {}}
    correlation: dict[tuple[str, str], float] = {}
    for cell, rows in material.evidence("attribution"):
        if (cell.row, cell.replicate) != (row, replicate):
            continue
        columns = (rows[name].to_pylist() for name in ("data", "concept", "other", "relation", "correlation"))
        for of, concept, other, relation, rho in zip(*columns, strict=True):
            if of == data:
                correlation[concept, other] = rho
            if of == data and relation in found:
                found[relation].setdefault(concept, {})[other] = None
    shared, along = ({name: tuple(others) for name, others in each.items()} for each in found.values())
    return _Relations(shared, along, correlation)


def _concepts(
    records: Sequence[Record],
    numbers: Mapping[tuple[str, str], Interval],
    relations: _Relations,
    *,
    of_pairs: bool,
) -> tuple[ConceptFinding, ...]:
    """Each concept that was asked for: the named ones first, each kind by its share.

    ``of_pairs``: the reward is learnt from what was preferred, so that a concept must help to tell it.
    """
    why = {record.truth: record.note for record in records if record.metric == SHARE}
    found = []
    for truth in dict.fromkeys(record.truth for record in records if record.truth.startswith(CONCEPT)):
        name = truth.removeprefix(CONCEPT)
        share, slope, auc, alone, beside, choice = (
            numbers.get((truth, metric), UNKNOWN) for metric in (SHARE, SLOPE, AUC, ALONE, BESIDE, CHOICE)
        )
        unknown = math.isnan(share.value)
        found.append(
            ConceptFinding(
                name=name,
                verdict=None if unknown else verdict(share),
                share=share,
                slope=slope,
                auc=auc,
                alone=alone,
                beside=beside,
                choice=choice,
                with_it=relations.one_share.get(name, ()),
                shortcut_for=relations.along.get(name, ()),
                why=why.get(truth, "") if unknown else "",
            )
        )
    found = _on_their_own(found, relations, of_pairs=of_pairs)
    return tuple(sorted(found, key=lambda one: (_ORDER[one.verdict], -_size(one.share), one.name)))


def _on_their_own(concepts: Sequence[ConceptFinding], relations: _Relations, *, of_pairs: bool) -> list[ConceptFinding]:
    """The concepts, of which those that only go along with named ones are not named, and say so."""
    named = [one.name for one in concepts if one.verdict == "named"]
    leans = leaning({one.name: (one.share, one.beside) for one in concepts})
    why = dict.fromkeys(leans, _ADDS_NOTHING)
    if of_pairs:
        why |= {one.name: _TELLS_NOTHING for one in concepts if one.name in named and tells_nothing(one)}
    kept = [name for name in named if name not in why]
    if not kept:  # which of them it is cannot be told
        return list(concepts)
    found = []
    for one in concepts:
        along = tuple(name for name in one.shortcut_for if name in kept)
        if one.name not in why:
            found.append(one._replace(shortcut_for=along))
            continue
        nearest = max(kept, key=lambda name: abs(relations.correlation.get((one.name, name), 0.0)))
        along = along or (nearest,)
        said = f"{why[one.name]} beside {listed(kept)}"
        found.append(one._replace(verdict="cannot tell", shortcut_for=along, why=said))
    return found


def tells_nothing(one: ConceptFinding) -> bool:
    """Whether a concept is shown to add next to nothing to telling which text of a pair is preferred.

    Few pairs, or ones that are hardly told apart, show nothing of the kind.

    >>> one = ConceptFinding("politeness", "named", UNKNOWN, UNKNOWN, UNKNOWN)
    >>> choices = Interval(0.0, -0.001, 0.001), Interval(0.02, 0.004, 0.04), Interval(0.02, -0.1, 0.14), UNKNOWN
    >>> [tells_nothing(one._replace(choice=choice)) for choice in choices]
    [True, False, False, False]
    """
    return one.choice.low <= 0 and one.choice.high < NAMED_FROM


def _size(share: Interval) -> float:
    return -math.inf if math.isnan(share.value) else share.value


def _words(records: Iterable[Record]) -> Mapping[tuple[str, int], tuple[WordFinding, ...]]:
    """By model and replicate the words that are told apart, the surest first."""
    numbers: dict[tuple[str, int, str], dict[str, float]] = {}
    for record in records:
        if record.truth.startswith(WORD):
            of = record.model, record.replicate, record.truth.removeprefix(WORD)
            numbers.setdefault(of, {})[record.metric] = record.value
    found: dict[tuple[str, int], list[WordFinding]] = {}
    for (model, replicate, word), each in numbers.items():
        if each["word_q"] <= FDR:
            one = WordFinding(word, each["word_z"], each["word_log_odds"], each["word_q"])
            found.setdefault((model, replicate), []).append(one)
    return {of: tuple(sorted(each, key=lambda one: (-abs(one.z), one.word))) for of, each in found.items()}


def _texts(material: Material, row: Row, replicate: int, data: str) -> tuple[TextFinding, ...]:
    """The texts of the highest and of the lowest reward, which is the mean over runs."""
    sheets = [sheet for sheet in material.sheets([data]) if (sheet.model, sheet.replicate) == (row.model, replicate)]
    for sheet in sheets:
        rewards = [reward for run, reward in sheet.rewards.items() if sheet.at(run).row == row]
        if not rewards:
            continue
        reward = np.mean(rewards, 0)
        order = np.argsort(-reward, kind="stable")
        few = min(SHOWN, len(order) // 2)
        rows = [*order[:few], *order[len(order) - few :]]
        return tuple(_text(sheet.examples, int(at), float(reward[at])) for at in rows)
    return ()


def _text(examples: Examples, at: int, reward: float) -> TextFinding:
    side = {1: "preferred", -1: "rejected"}.get(int(examples.role[at]), "")
    return TextFinding(examples.text[at], examples.prompt[at], reward, side)


def as_json(found: Sequence[Findings]) -> str:
    """The text of ``findings.json``: the object of the one model, or of several a list under ``findings``."""
    plain = [one.plain() for one in found]
    content = plain[0] if len(plain) == 1 else {"schema": SCHEMA, "findings": plain}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


# --- sentences


def sentence(found: Findings) -> str:
    """The verdict as one sentence with its numbers."""
    if found.outcome == "no difference shown":
        return _nothing_shown(found)
    named = found.named
    unexplained = f"{_percent(found.unexplained.value)} of it remains unexplained"
    if not named:
        accuracy = found.separable.accuracy
        return (
            f"{_subject(found)} differ (pair accuracy {_percent(accuracy.value)}, 95 % interval "
            f"{_percent(accuracy.low)} to {_percent(accuracy.high)}), but none of the concepts that were judged "
            f"({_judged(found)} of {len(found.concepts)}) can be named as the reason; {unexplained}"
        )
    shares = listed([_with_share(one, first=at == 0) for at, one in enumerate(each_group_once(named))])
    return f"{_rewarded(found)} {shares}; {unexplained}"


def _judged(found: Findings) -> int:
    return sum(one.verdict is not None for one in found.concepts)


def each_group_once(concepts: Iterable[ConceptFinding]) -> list[ConceptFinding]:
    """The concepts in their order; of those that share one share the first, which names the others."""
    groups: dict[frozenset[str], ConceptFinding] = {}
    for one in concepts:
        groups.setdefault(frozenset((one.name, *one.with_it)), one)
    return list(groups.values())


def _nothing_shown(found: Findings) -> str:
    separable = found.separable
    if not math.isnan(separable.accuracy.value) and math.isnan(separable.accuracy.low):
        return (
            f"Nothing can be said: the {separable.pairs:,} pairs are of too few prompts for an interval of the pair "
            f"accuracy, which is {_percent(separable.accuracy.value)}; give more prompts"
        )
    found_one = f"a pair accuracy of {_percent(separable.could_have_found)} would have been found four times in five"
    pairs = f"{separable.pairs:,} pairs" if separable.pairs else "these pairs"
    by = "" if found.given == BOTH_MODELS else f" by {found.method}"  # another reward might
    return f"No difference between {_sides(found)} can be shown{by} with {pairs}; {found_one}"


def _sides(found: Findings) -> str:
    return "the two models" if found.given == BOTH_MODELS else "preferred and rejected texts"


def stands_in(one: ConceptFinding) -> bool:
    """Whether a concept would be named if it were asked for alone, and explains less than half of that beside others.

    >>> share, alone = Interval(0.02, 0.0, 0.04), Interval(0.34, 0.3, 0.38)
    >>> stands_in(ConceptFinding("length", "ruled out", share, UNKNOWN, UNKNOWN, alone))
    True
    """
    return one.verdict is not None and one.alone.low >= NAMED_FROM and one.share.value < one.alone.value / 2


def remarks(one: ConceptFinding) -> list[str]:
    """What there is to say of a concept beside its numbers, as sentences without their ends."""
    name = one.name.replace("-", " ")
    said = []
    if one.verdict is None:
        said.append(f"{name}: {one.why}")
    if one.with_it:
        said.append(f"{name} cannot be held apart from {listed(one.with_it)} on these texts; they share one share")
    if one.shortcut_for and one.why:
        said.append(f"{name} goes along with {listed(one.shortcut_for)}; {one.why}, so that it is not named")
    elif one.shortcut_for:
        said.append(f"{name} goes along with {listed(one.shortcut_for)}, so that one may stand for the other")
    if stands_in(one):
        alone, share = _percent(one.alone.value), _percent(one.share.value)
        said.append(f"{name} alone would explain {alone}, and {share} as one of all: it goes along with other concepts")
    if one.verdict == "named" and one.turns:
        said.append(f"{name}: beside the other concepts it points the other way than by itself")
    return said


def _subject(found: Findings) -> str:
    sides = _sides(found)
    return sides[0].upper() + sides[1:]


def _rewarded(found: Findings) -> str:
    if found.given == BOTH_MODELS:
        return f"{found.model} was rewarded for"
    return "The preferred texts are those with"


def _with_share(one: ConceptFinding, *, first: bool) -> str:
    """A concept with its share; the first one says of what."""
    of = " of what can be told apart" if first else ""
    interval = "95 % interval " if first else ""
    low, high = (f"{percent_end(end)} %" for end in (one.share.low, one.share.high))
    ends = f"{interval}{low} to {high}"
    return f"{one.phrase()} ({_percent(one.share.value)}{of}, {ends})"


def _percent(share: float) -> str:
    """A share as a whole percentage.

    >>> _percent(0.625), _percent(math.nan)
    ('62 %', 'n/a')
    """
    return "n/a" if math.isnan(share) else f"{round(100 * share)} %"
