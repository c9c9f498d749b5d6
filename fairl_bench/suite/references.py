"""The references within a suite: every name of data, truths, methods, fields and metrics must stand for something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from fairl_bench.errors import DataError, PluginError, SuiteError, suggest
from fairl_bench.kinds.evaluator import Evaluator, Recovered
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import AskLikelihoods
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.metrics import Metric
from fairl_bench.suite.plugin_checks import placed
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.suite import PAIRS, Suite
from fairl_bench.suite.yaml import Place
from fairl_bench.values.contents import CONCEPT
from fairl_bench.values.data import DISCORDANT, GOLD, PREFERRED, Examples
from fairl_bench.values.sheets import THRESHOLD
from fairl_bench.values.truths import objective_of, objective_truth
from fairl_bench.views import ReportTable

Mistake = tuple[Place, str]
"""The place of a mistake, and a sentence about it."""


def mistakes(suite: Suite, registry: Registry) -> Iterator[Mistake]:
    """The mistakes of a suite, in the order in which it is written."""
    yield from _in_data(suite)
    yield from _in_defaults(suite, registry)
    yield from _in_evaluators(suite)
    yield from _in_methods(suite, registry)
    yield from _measured_twice(suite)
    yield from _declared_otherwise(suite)
    for name, table in suite.report.items():
        yield from _in_table(suite, ("report", name), table)
    if suite.slices and suite.slices.baseline is not None:
        yield from _unknown(("slices", "baseline"), "slices: method", [suite.slices.baseline], _methods(suite))
    yield from _in_claims(suite)


def _methods(suite: Suite) -> list[str]:
    """The names of the methods."""
    return [method.name for method in suite.methods]


def _in_data(suite: Suite) -> Iterator[Mistake]:
    """Mistakes in test sets: a name that is taken."""
    if "pairs" in suite.testsets:
        yield ("testsets", "pairs"), "a test set cannot be named 'pairs'"


def _in_defaults(suite: Suite, registry: Registry) -> Iterator[Mistake]:
    """Mistakes in the defaults: methods and fields that do not exist."""
    for use in suite.defaults:
        if use not in registry.names("method"):
            yield ("defaults", use), f"defaults: method {use!r} is unknown; {suggest(use, registry.names('method'))}"
            continue
        fields = registry.find("method", use).model_fields
        for field in suite.defaults[use]:
            yield from _unknown(("defaults", use, field), f"defaults.{use}: field", [field], fields)


def _in_evaluators(suite: Suite) -> Iterator[Mistake]:
    """Mistakes in evaluators: data and truths that they need and the suite does not have."""
    for index, evaluator in enumerate(suite.evaluate):
        place = ("evaluate", index)
        yield from _unknown(place, "evaluate: data", sorted(evaluator.needs()), suite.datasets())
        yield from _unknown(place, "evaluate: truth", sorted(evaluator.truths()), _truths(suite))
        unknown = [*_unknown(place, "evaluate: model", evaluator.models, [model.name for model in suite.models])]
        yield from unknown
        there = suite if unknown else suite.of_models(evaluator.evaluates)
        for data in sorted(evaluator.needs()):
            yield from _empty_part(suite, place, data)
            for truth in sorted(evaluator.truths_of(data) - _known(there, data)):
                yield place, f"evaluate: {_lack(there, data, truth)}"
        if evaluator.takes():
            yield from _not_in_sources(there, place, evaluator)


def _in_methods(suite: Suite, registry: Registry) -> Iterator[Mistake]:
    """Mistakes in methods: truths that they learn from and the training pairs do not have, and what a source lacks."""
    for index, method in enumerate(suite.methods):
        place = ("methods", index)
        for truth in sorted(method.part.truths() - _known(suite, "pairs/train")):
            yield place, f"methods: {method.name!r} asks for a truth: {_lack(suite, 'pairs/train', truth)}"
        labels = sorted(method.part.truths() - {PREFERRED})
        if len(labels) > 1:
            several = " and ".join(map(repr, labels))
            yield place, f"methods: {method.name!r} asks for the labels of {several}; let all its detectors read one"
        for truth in labels:
            yield from _no_labels(suite, place, method.name, truth)
        for model in suite.models:
            try:
                part = placed(method.part, model.part)
                registry.check(part)
            except (DataError, PluginError) as error:
                yield place, f"methods: {method.name!r} on model {model.name!r}: {error}"
            else:
                for reason in _untold(part):
                    yield place, f"methods: {method.name!r} on model {model.name!r}: {reason}"


def _refused(asked: AskLikelihoods) -> str:
    return asked.lm.refuses_likelihoods(asked.temperature, values=asked.values)


def _untold(part: Method | Evaluator) -> Iterator[str]:
    """Why language models cannot tell the likelihoods that a part asks for."""
    for role, asked in part.upstream().items():
        if isinstance(asked, AskLikelihoods) and (reason := _refused(asked)):
            yield f"its language model {role!r} cannot tell how likely a text is: {reason}"


def _in_claims(suite: Suite) -> Iterator[Mistake]:
    """Mistakes in claims: repeated identifiers, and methods, data, metrics and selections that do not exist."""
    ids = set[str]()
    for index, claim in enumerate(suite.claims):
        place = ("claims", index)
        if claim.id in ids:
            yield place, f"claims: the id {claim.id!r} is given twice"
        ids.add(claim.id)
        yield from _unknown(place, "claims: method", [claim.better, *claim.comparators()], _methods(suite))
        yield from _unknown(place, "claims: data", [claim.data], suite.datasets())
        yield from _unknown((*place, "truth"), "claims: truth", [claim.truth], _truths(suite))
        yield from _unknown_metrics(suite, place, "claims", [claim.metric])
        yield from _unknown((*place, "under"), "claims: selection", claim.under, suite.selections)


def _no_labels(suite: Suite, place: Place, method: str, truth: str) -> Iterator[Mistake]:
    """Mistakes of models whose truth has only numbers, for a method that learns from labels."""
    for model in suite.models:
        name = objective_of(truth)
        objective = model.part.objectives().get(name)
        labelled = model.part.labelled() if objective is None else objective.labelled
        if model.part.judged() and not labelled:
            how = f"make {name!r} a judge" if name else "give its 'gold' a 'label_above', or a judge"
            lack = f"model {model.name!r} has only numbers; {how} that gives labels"
            yield place, f"methods: {method!r} asks for the labels of the truth {truth!r}: {lack}"


def _empty_part(suite: Suite, place: Place, data: str) -> Iterator[Mistake]:
    """The mistake of evaluating on a part of the pairs that is empty by ``split``."""
    part = data.partition("/")[2]
    if data in PAIRS and getattr(suite.split, part, 1) == 0:
        yield place, f"evaluate: {data!r} holds no pair, for split.{part} is 0; raise it, or evaluate on other data"


def _not_in_sources(suite: Suite, place: Place, evaluator: Evaluator) -> Iterator[Mistake]:
    """Mistakes of models whose source lacks what an evaluator takes from it."""
    for model in suite.models:
        try:
            part = evaluator.of(Recovered(model.part, _Unrecovered(), None, model.name))
        except SuiteError as error:
            yield place, str(error)
        except DataError as error:
            yield place, f"evaluate: model {model.name!r}: {error}"
        else:
            for reason in _untold(part):
                yield place, f"evaluate: {evaluator.use!r} on model {model.name!r}: {reason}"


class _Unrecovered(Judge):
    """Stands for a reward that is yet to be recovered."""

    def judge(self, examples: Examples) -> NoReturn:
        """Not implemented: a suite is only checked with it."""
        raise NotImplementedError


def _measured_twice(suite: Suite) -> Iterator[Mistake]:
    """Mistakes of evaluators that give the same number of the same data: their records could not be told apart."""
    seen: set[tuple[str, str, str, str]] = set()
    for index, evaluator in enumerate(suite.evaluate):
        models = [model.name for model in suite.models if evaluator.evaluates(model.name)]
        for data in evaluator.data or ("what it makes itself",):
            truths_of = evaluator.measured() or {""}
            numbers = {(evaluator.use, data, truth, model) for truth in truths_of for model in models}
            if twice := sorted({truth for _, _, truth, _ in numbers & seen}):
                truths = ", ".join(filter(None, twice)) or "no truth"
                yield ("evaluate", index), f"evaluate: {evaluator.use!r} measures {data!r} against {truths} twice"
            seen |= numbers


def _in_table(suite: Suite, place: Place, table: ReportTable) -> Iterator[Mistake]:
    """Mistakes in a table of the report: data, truths, metrics, methods, models and concepts that the suite lacks."""
    name = ".".join(map(str, place))
    yield from _unknown((*place, "data"), f"{name}: data", table.datasets(), suite.datasets())
    yield from _unknown((*place, "truth"), f"{name}: data", table.truths_by_data(), ("pairs", *suite.datasets()))
    of_two = ((two.data, two.truth) for two in table.disagreements())
    for data, truth in dict.fromkeys([*((data, table.truth_of(data)) for data in table.datasets()), *of_two]):
        if data in suite.datasets() and objective_of(truth) and truth not in _known(suite, data):
            yield (*place, "truth"), f"{name}: {_lack(suite, data, truth)}"
    yield from _unknown_metrics(suite, (*place, "metrics"), name, table.measures())
    methods = (*(table.pair() or ()), *table.shown_methods())
    yield from _unknown((*place, "methods"), f"{name}: method", methods, _methods(suite))
    yield from _unknown(place, f"{name}: model", table.models(), [model.name for model in suite.models])
    yield from _unknown(place, f"{name}: concept", table.concepts(), _concepts(suite))
    yield from _without_slice(suite, (*place, "slices"), name, table)
    yield from _without_threshold(suite, (*place, "data"), name, table)


def _without_slice(suite: Suite, place: Place, name: str, table: ReportTable) -> Iterator[Mistake]:
    """Mistakes of slices that the suite does not evaluate."""
    if DISCORDANT in table.shown_slices() and not (suite.slices and suite.slices.discordant):
        yield (
            place,
            f"{name}: the slice {DISCORDANT!r} is not evaluated; add 'slices: {{discordant: true}}' to the suite",
        )


def _concepts(suite: Suite) -> list[str]:
    """The names of the concepts that evaluators measure."""
    truths = dict.fromkeys(truth for evaluator in suite.evaluate for truth in sorted(evaluator.measured()))
    return [truth.removeprefix(CONCEPT) for truth in truths if truth.startswith(CONCEPT)]


def _without_threshold(suite: Suite, place: Place, name: str, table: ReportTable) -> Iterator[Mistake]:
    """Mistakes of data without a threshold, so that no text is right or wrong there."""
    for two in table.disagreements():
        if two.data in suite.datasets() and not _has_threshold(suite, two.data, two.truth):
            lacking = f"no evaluator gives {two.data!r} a threshold against {two.truth}"
            yield place, f"{name}: {lacking}; add a 'classification' that chooses one"


def _has_threshold(suite: Suite, data: str, truth: str) -> bool:
    """True where an evaluator gives this data a threshold against this truth."""
    return any(
        data in evaluator.data
        and truth in evaluator.measured()
        and any(metric.name == THRESHOLD for metric in evaluator.metrics)
        and THRESHOLD not in evaluator.not_measured()
        for evaluator in suite.evaluate
    )


def _unknown_metrics(suite: Suite, place: Place, what: str, names: Sequence[str]) -> Iterator[Mistake]:
    """Mistakes of metrics that no evaluator of the suite declares."""
    yield from _unknown(place, f"{what}: metric", names, sorted(suite.metrics()))


def _declared_otherwise(suite: Suite) -> Iterator[Mistake]:
    """Mistakes of metrics that two evaluators declare differently."""
    declared: dict[str, tuple[str, Metric]] = {}
    for index, evaluator in enumerate(suite.evaluate):
        for metric in evaluator.metrics:
            first_use, first = declared.setdefault(metric.name, (evaluator.use, metric))
            if not metric.same_as(first):
                message = (
                    f"{evaluator.use!r} and {first_use!r} both declare the metric {metric.name!r}, and not as the same"
                )
                yield ("evaluate", index), f"evaluate: {message}: {metric.said} and {first.said}; rename one"


def _unknown(place: Place, what: str, names: Iterable[str], known: Iterable[str]) -> Iterator[Mistake]:
    """Mistakes of names that are not among the known ones."""
    known = tuple(known)
    for name in names:
        if name not in known:
            yield place, f"{what} {name!r} is unknown; {suggest(name, known)}"


def _known(suite: Suite, data: str) -> frozenset[str]:
    """The truths that a data set has for every model."""
    if data not in PAIRS:
        return frozenset(_of_gold(suite.testsets[data]))
    return frozenset.intersection(*(frozenset({PREFERRED, *_of_gold(model.part)}) for model in suite.models))


def _of_gold(texts: Source | TestSet) -> tuple[str, ...]:
    """The truth ``gold`` and those of its objectives, where they are known."""
    return (GOLD, *map(objective_truth, texts.objectives())) if texts.judged() else ()


def _truths(suite: Suite) -> tuple[str, ...]:
    """The truths that any data have, with ``gold`` whether they have it or not."""
    every: list[Source | TestSet] = [*(model.part for model in suite.models), *suite.testsets.values()]
    return tuple(dict.fromkeys((PREFERRED, GOLD, *(truth for texts in every for truth in _of_gold(texts)))))


def _lack(suite: Suite, data: str, truth: str) -> str:
    """A sentence on what is missing for a truth of this data."""
    if truth == PREFERRED:
        return f"test set {data!r} has no truth 'preferred': only pairs have; use 'gold'"
    if objective_of(truth) and GOLD in _known(suite, data):
        return f"data {data!r} has no truth {truth!r}; {suggest(truth, sorted(_known(suite, data)))}"
    if data not in PAIRS:
        return f"test set {data!r} has no truth {truth!r}; give it a 'gold:'"
    bare = next(model.name for model in suite.models if not model.part.judged())
    return f"data {data!r} has no truth 'gold': model {bare!r} has no judge; give it a 'gold:'"
