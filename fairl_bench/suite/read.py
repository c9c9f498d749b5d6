"""From a file to a checked suite: every name, field, bound and reference resolved, each mistake at its line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from pydantic import ValidationError

from fairl_bench.component import PathText
from fairl_bench.data import GOLD, PREFERRED, Examples
from fairl_bench.errors import PluginError, SuiteError, suggest
from fairl_bench.kinds import Evaluator, Judge, Recovered
from fairl_bench.metrics import Metric, Metrics
from fairl_bench.suite.explain import explain
from fairl_bench.suite.overrides import at_point, points, refuse_many_cells, set_option, with_defaults
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.selections import named_variant, selections
from fairl_bench.suite.suite import PAIRS, ReadFrom, Suite
from fairl_bench.suite.yaml import Document, Place, is_file, load
from fairl_bench.views import ReportTable


class Study(NamedTuple):
    """A suite at every point of its product and under each of its selections, as ``variants`` by canonical JSON.

    Without either there is one variant, the suite itself, under the empty text.
    """

    suite: Suite
    variants: Mapping[str, Suite]
    registry: Registry
    document: Document

    def metrics(self) -> Metrics:
        """The metrics that the evaluators declare at any point of the product."""
        return Metrics(one for suite in self.variants.values() for one in suite.metrics().declared())


def read_study(source: Path | Mapping[str, Any], options: Sequence[str] = ()) -> Study:
    """The study of a file, or of the data of one, under ``--set`` options.

    Raises `SuiteError`, with the line of each mistake in a file.
    """
    document = load(source)
    for option in options:
        document = set_option(document, option)
    document = with_defaults(document)
    registry = _registry(document)
    suite = _suite(document, registry)
    suite._source = ReadFrom(document.content)
    most = suite.limits.cells
    variants, cells, found = dict[str, Suite](), 0, points(document, most)
    if not any(str(path).partition(".")[0] in _AXES for path in document.content.get("product") or {}):
        refuse_many_cells(document, len(found) * suite.cells(), most)
    for point in found:  # checked before it is named: what is refused may have no JSON
        for selection, placed in selections(at_point(document, point)).items():
            same = not point and not selection
            here = suite if same else _suite(placed, registry, like=(document, suite))
            refuse_many_cells(document, cells := cells + here.cells(), most)
            variants[named_variant(_written(point), selection)] = here
    return Study(suite, variants, registry, document)


_AXES = ("models", "encoders", "methods", "replicates", "seeds", "evaluate")


def _written(value: object) -> Any:
    """A point of the product as its variant is named: a secret by its variable."""
    if isinstance(value, Mapping):
        return {name: _written(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_written(entry) for entry in value]
    return value.written if isinstance(value, PathText) else value


def read_suite(path: Path) -> tuple[Suite, Registry]:
    """The suite of a file without a product, and the registry with its plugins."""
    study = read_study(path)
    return study.suite, study.registry


def _suite(document: Document, registry: Registry, like: tuple[Document, Suite] | None = None) -> Suite:
    """The checked suite of a document; what it shares with one that was checked before is taken from there."""
    content = document.content if like is None else _shared(document.content, *like)
    try:
        suite = Suite.model_validate(content, context=registry.context())
    except ValidationError as error:
        raise SuiteError(explain(document, error)) from error
    registry.check(suite)
    for place, message in _loose_ends(suite, registry):
        raise SuiteError(message, *document.where(place))
    return suite


def _shared(content: Mapping[str, Any], before: Document, suite: Suite) -> dict[str, Any]:
    """The content with the checked values of ``suite`` in the place of what is the same as ``before``."""
    made = {key: value for key, value in content.items() if key not in ("product", "exclude")}  # it is one variant
    for key, value in made.items():
        known, checked = before.content.get(key), getattr(suite, key, None)
        if value is known:
            made[key] = checked
        elif isinstance(value, list) and isinstance(known, list) and isinstance(checked, tuple):
            # as many: a path of the product names an entry and adds none
            triples = zip(value, known, checked, strict=True) if len(value) == len(known) else ()
            made[key] = [done if entry is same else entry for entry, same, done in triples] or value
    return made


def _registry(document: Document) -> Registry:
    """The registry with the suite's plugins.  Raises `PluginError` with the line of one that is broken."""
    paths = _plugins(document)
    try:
        return Registry(paths)
    except PluginError as error:
        named = [i for i, path in enumerate(paths) if f"{path.resolve()}" in str(error)]
        path, line = document.where(("plugins", named[0]) if named else ("plugins",))
        raise PluginError(f"{path}:{line}: {error}") from error


def _plugins(document: Document) -> list[Path]:
    named = document.content.get("plugins") or []
    if not isinstance(named, list) or not all(isinstance(path, str) for path in named):
        raise SuiteError("'plugins' needs a list of file names", *document.where(("plugins",)))
    for index, name in enumerate(named):
        if not is_file(name.folder / name):
            raise SuiteError(f"plugin {str(name)!r} does not exist", *document.where(("plugins", index)))
    return [name.folder / name for name in named]


def _loose_ends(suite: Suite, registry: Registry) -> Iterator[tuple[Place, str]]:
    """Everything that names what is not there: data, truths, methods, metrics."""
    if "pairs" in suite.testsets:
        yield ("testsets", "pairs"), "a test set cannot be named 'pairs'"
    for use in suite.defaults:
        if use not in registry.names("method"):
            yield ("defaults", use), f"defaults: method {use!r} is unknown; {suggest(use, registry.names('method'))}"
            continue
        fields = registry.find("method", use).model_fields
        for field in suite.defaults[use]:
            yield from _names(("defaults", use, field), f"defaults.{use}: field", [field], fields)
    for index, evaluator in enumerate(suite.evaluate):
        place = ("evaluate", index)
        yield from _names(place, "evaluate: data", sorted(evaluator.needs()), suite.datasets())
        yield from _names(place, "evaluate: truth", sorted(evaluator.truths()), (PREFERRED, GOLD))
        for data in sorted(evaluator.needs()):
            yield from _no_part(suite, place, data)
            for truth in sorted(evaluator.truths_of(data) - _known(suite, data)):
                yield place, f"evaluate: {_lack(suite, data, truth)}"
        if evaluator.takes():
            yield from _lacking(suite, place, evaluator)
    for index, method in enumerate(suite.methods):
        for truth in sorted(method.part.truths() - _known(suite, "pairs/train")):
            yield ("methods", index), f"methods: {method.name!r} asks for a truth: {_lack(suite, 'pairs/train', truth)}"
        if GOLD in method.part.truths():
            yield from _no_labels(suite, ("methods", index), method.name)
    yield from _told_twice(suite)
    yield from _declared_otherwise(suite)
    methods = [method.name for method in suite.methods]
    for name, table in suite.report.items():
        yield from _table(suite, ("report", name), table)
    if suite.slices:
        yield from _names(("slices", "baseline"), "slices: method", [suite.slices.baseline], methods)
    ids = set[str]()
    for index, claim in enumerate(suite.claims):
        place = ("claims", index)
        if claim.id in ids:
            yield place, f"claims: the id {claim.id!r} is given twice"
        ids.add(claim.id)
        yield from _names(place, "claims: method", [claim.better, *claim.comparators()], methods)
        yield from _names(place, "claims: data", [claim.data], suite.datasets())
        yield from _metrics(suite, place, "claims", [claim.metric])
        yield from _names((*place, "under"), "claims: selection", claim.under, suite.selections)


def _no_labels(suite: Suite, place: Place, method: str) -> Iterator[tuple[Place, str]]:
    """A method that learns from labels, where a model's truth has only numbers."""
    for model in suite.models:
        if model.part.judged() and not model.part.labelled():
            lack = f"model {model.name!r} has only numbers; give its 'gold' a 'label_above'"
            yield place, f"methods: {method!r} asks for the labels of the truth 'gold': {lack}"


def _no_part(suite: Suite, place: Place, data: str) -> Iterator[tuple[Place, str]]:
    """A part of the pairs that is to be judged and gets none."""
    part = data.partition("/")[2]
    if data in PAIRS and getattr(suite.split, part, 1) == 0:
        yield place, f"evaluate: {data!r} holds no pair, for split.{part} is 0; raise it, or evaluate on other data"


def _lacking(suite: Suite, place: Place, evaluator: Evaluator) -> Iterator[tuple[Place, str]]:
    """What an evaluator that takes something from a model's source does not find there."""
    for model in suite.models:
        try:
            evaluator.of(Recovered(model.part, _Unrecovered(), None, model.name))
        except SuiteError as error:
            yield place, str(error)


class _Unrecovered(Judge):
    """Stands for a reward that is yet to be recovered."""

    def judge(self, examples: Examples) -> NoReturn:
        """Nothing: a suite is only checked with it."""
        raise NotImplementedError


def _told_twice(suite: Suite) -> Iterator[tuple[Place, str]]:
    """Two evaluators that give the same number of the same data: a record says which only by its coordinates."""
    seen: set[tuple[str, str, frozenset[str]]] = set()
    for index, evaluator in enumerate(suite.evaluate):
        for data in evaluator.data or ("what it makes itself",):
            number = (evaluator.use, data, evaluator.measured())
            if number in seen:
                truths = ", ".join(sorted(evaluator.measured())) or "no truth"
                yield ("evaluate", index), f"evaluate: {evaluator.use!r} measures {data!r} against {truths} twice"
            seen.add(number)


def _table(suite: Suite, place: Place, table: ReportTable) -> Iterator[tuple[Place, str]]:
    """What a table of the report asks for and the suite does not have."""
    what = ".".join(map(str, place))
    yield from _names((*place, "data"), f"{what}: data", table.datasets(), suite.datasets())
    yield from _names((*place, "truth"), f"{what}: data", table.truths_by_data(), ("pairs", *suite.datasets()))
    yield from _metrics(suite, (*place, "metrics"), what, table.measures())
    methods = [method.name for method in suite.methods]
    yield from _names((*place, "methods"), f"{what}: method", table.pair() or (), methods)
    yield from _cut(suite, (*place, "data"), what, table)


def _cut(suite: Suite, place: Place, what: str, table: ReportTable) -> Iterator[tuple[Place, str]]:
    """Data that no evaluator finds a threshold for: what is right there cannot be said."""
    for _, data, truth, *_ in table.disagreements():
        judges = [one for one in suite.evaluate if "threshold" in {metric.name for metric in one.metrics}]
        if data in suite.datasets() and not any(data in one.data and truth in one.measured() for one in judges):
            yield place, f"{what}: no evaluator gives {data!r} a threshold against {truth}; add a 'classification'"


def _metrics(suite: Suite, place: Place, what: str, names: Sequence[str]) -> Iterator[tuple[Place, str]]:
    """Metrics that no evaluator of the suite declares."""
    yield from _names(place, f"{what}: metric", names, sorted(suite.metrics()))


def _declared_otherwise(suite: Suite) -> Iterator[tuple[Place, str]]:
    """Metrics that two evaluators declare, and not as the same number."""
    declared: dict[str, tuple[str, Metric]] = {}
    for index, evaluator in enumerate(suite.evaluate):
        for metric in evaluator.metrics:
            other, first = declared.setdefault(metric.name, (evaluator.use, metric))
            if not metric.same_as(first):
                message = (
                    f"{evaluator.use!r} and {other!r} both declare the metric {metric.name!r}, and not as the same"
                )
                yield ("evaluate", index), f"evaluate: {message}: {metric.said} and {first.said}; rename one"


def _names(place: Place, what: str, names: Iterable[str], known: Iterable[str]) -> Iterator[tuple[Place, str]]:
    known = tuple(known)
    for name in names:
        if name not in known:
            yield place, f"{what} {name!r} is unknown; {suggest(name, known)}"


def _known(suite: Suite, data: str) -> frozenset[str]:
    """The truths that a data set has for every model."""
    if data in PAIRS:
        judged = all(model.part.judged() for model in suite.models)
        return frozenset({PREFERRED, GOLD} if judged else {PREFERRED})
    return frozenset({GOLD} if suite.testsets[data].judged() else ())


def _lack(suite: Suite, data: str, truth: str) -> str:
    if truth == PREFERRED:
        return f"test set {data!r} has no truth 'preferred': only pairs have; use 'gold'"
    if data not in PAIRS:
        return f"test set {data!r} has no truth {truth!r}; give it a 'gold:'"
    bare = next(model.name for model in suite.models if not model.part.judged())
    return f"data {data!r} has no truth 'gold': model {bare!r} has no judge; give it a 'gold:'"
