"""Reads a suite file and checks it: every name, field, bound and reference, with each mistake at its line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from fairl_bench.component import PathText
from fairl_bench.errors import PluginError, SuiteError
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.metrics import Metrics
from fairl_bench.suite.explain import explain
from fairl_bench.suite.named_files import hint, is_file, located
from fairl_bench.suite.overrides import (
    at_point,
    points,
    refuse_many_cells,
    refuse_many_stages,
    set_option,
    with_defaults,
)
from fairl_bench.suite.references import mistakes
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.selections import named_variant, selections
from fairl_bench.suite.suite import ReadFrom, Suite
from fairl_bench.suite.unmeasured import unmeasured
from fairl_bench.suite.yaml import Document, load


class Study(NamedTuple):
    """A suite with its variants: one for every point of its product and each of its selections, by canonical JSON.

    Without a product and selections there is one variant, the suite itself, under the empty text.
    """

    suite: Suite
    variants: Mapping[str, Suite]
    registry: Registry
    document: Document

    def metrics(self) -> Metrics:
        """The metrics that the evaluators declare at any point of the product."""
        return Metrics(metric for suite in self.variants.values() for metric in suite.metrics().declared())


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
    variants, cells, every = dict[str, Suite](), 0, points(document, most)
    if not any(str(path).partition(".")[0] in _AXES for path in document.content.get("product") or {}):
        refuse_many_cells(document, len(every) * suite.cells(), most)
        refuse_many_stages(document, len(every) * suite.least_stages(), suite.limits.stages)
    for point in every:  # checked before it is named: a refused value may have no JSON
        for selection, document_there in selections(at_point(document, point)).items():
            same = not point and not selection
            at_selection = suite if same else _suite(document_there, registry, like=(document, suite))
            refuse_many_cells(document, cells := cells + at_selection.cells(), most)
            variants[named_variant(_written(point), selection)] = at_selection
    for place, message in unmeasured(suite, _evaluators(variants.values())):
        raise SuiteError(message, *document.where(place))
    return Study(suite, variants, registry, document)


def _evaluators(suites: Iterable[Suite]) -> list[Evaluator]:
    """The evaluators of some suites; one that several share is there once."""
    return list({id(evaluator): evaluator for suite in suites for evaluator in suite.evaluate}.values())


_AXES = ("models", "encoders", "methods", "replicates", "seeds", "evaluate")


def _written(value: object) -> Any:
    """A point of the product for the name of its variant: a secret stands by its variable."""
    if isinstance(value, Mapping):
        return {name: _written(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_written(entry) for entry in value]
    return value.written if isinstance(value, PathText) else value


def _suite(document: Document, registry: Registry, like: tuple[Document, Suite] | None = None) -> Suite:
    """The checked suite of a document; values that it shares with a suite that is checked already are taken from it."""
    content = document.content if like is None else _shared(document.content, *like)
    try:
        suite = Suite.model_validate(content, context=registry.context())
    except ValidationError as error:
        raise SuiteError(explain(document, error)) from error
    registry.check(suite)
    for place, message in mistakes(suite, registry):
        raise SuiteError(message, *document.where(place))
    return suite


def _shared(content: Mapping[str, Any], before: Document, suite: Suite) -> dict[str, Any]:
    """The content; where it is the same as ``before``, with the checked values of ``suite``."""
    shared = {key: value for key, value in content.items() if key not in ("product", "exclude")}  # it is one variant
    for key, value in shared.items():
        entry_before, checked = before.content.get(key), getattr(suite, key, None)
        if value is entry_before:
            shared[key] = checked
        elif isinstance(value, list) and isinstance(entry_before, list) and isinstance(checked, tuple):
            # of equal length: a path of the product changes entries and adds none
            triples = zip(value, entry_before, checked, strict=True) if len(value) == len(entry_before) else ()
            shared[key] = [checked_entry if entry is same else entry for entry, same, checked_entry in triples] or value
    return shared


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
    """The files of the suite's plugins.  Raises `SuiteError` where one does not exist."""
    names = document.content.get("plugins") or []
    if not isinstance(names, list) or not all(isinstance(path, str) for path in names):
        raise SuiteError("'plugins' needs a list of file names", *document.where(("plugins",)))
    paths = [located("plugin", name, name.folder) for name in names]
    for index, (name, path) in enumerate(zip(names, paths, strict=True)):
        if not is_file(path):
            wrong = f"plugin {str(name)!r} does not exist{hint('plugin', name)}"
            raise SuiteError(wrong, *document.where(("plugins", index)))
    return paths
