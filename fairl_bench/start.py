"""A run as a user asks for it, from Python or from the command line: a suite with values set, axes, an executor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairl_bench.errors import FairlError, suggest
from fairl_bench.values.coordinates import MATRIX

if TYPE_CHECKING:
    from fairl_bench.component import Spec
    from fairl_bench.engine.execute import Watcher
    from fairl_bench.executor import Executor
    from fairl_bench.pipeline import Finished
    from fairl_bench.suite.read import Study
    from fairl_bench.suite.registry import Registry

SuiteSource = str | Path | Mapping[str, Any]
"""The path of a YAML file, the name of a suite that comes with the package, or a suite's content as plain data."""
Changes = Mapping[str, Any] | Sequence[str]
"""Values of a suite by path: ``{"head.width": 32}``, or as the command line has them, ``["head.width=32"]``."""
Only = Mapping[str, Any]
"""Values of axes: ``{"method": ["a", "b"], "seed": 0}``."""


def read_suite(suite: SuiteSource, set: Changes) -> Study:
    """The study of a suite with these values set."""
    from fairl_bench.guards.isolation import isolated
    from fairl_bench.suite.named_files import located
    from fairl_bench.suite.read import read_study

    with isolated():
        return read_study(suite if isinstance(suite, Mapping) else located("suite", suite), _options(set))


def run_suite(
    suite: SuiteSource,
    watcher: Watcher,
    *,
    jobs: int,
    executor: str | Spec,
    address: str | None,
    store: str | Path | None,
    results: str | Path | None,
    only: Only | None,
    set: Changes,
    replace_results: bool,
    isolate: bool,
    command: Sequence[str],
) -> Finished:
    """Run a suite and write its results folder, page included; the ``watcher`` is called with the progress."""
    from fairl_bench.html.write import write_pages
    from fairl_bench.pipeline import run as run_study
    from fairl_bench.store.place import default_store, open_store

    axes = _axes(only or {})
    study = read_suite(suite, set)
    does = _executor(executor, address, jobs, study.registry)
    return run_study(
        study,
        open_store(store or default_store()),
        Path("results") / study.suite.name if results is None else Path(results),
        watcher,
        jobs=jobs,
        executor=does,
        only=axes or None,
        replace_results=replace_results,
        then=write_pages,
        isolate=isolate,
        command=command,
    )


def _options(set: Changes) -> Sequence[str]:
    """Values by path as options of the command line: ``head.width=32``."""
    if isinstance(set, list | tuple) and all(isinstance(option, str) for option in set):
        return list(set)
    if not isinstance(set, Mapping):
        raise FairlError(f"set={set!r:.60}: needs a mapping such as {{'head.width': 32}}")
    try:
        return [f"{path}={json.dumps(value)}" for path, value in set.items()]
    except (TypeError, ValueError) as error:
        raise FairlError(f"set={set!r:.60}: {error}; give plain data") from error


def _axes(only: Only) -> dict[str, list[str]]:
    """The values wanted of each axis, as text.  Raises `FairlError` for an axis that there is not."""
    if not isinstance(only, Mapping):
        raise FairlError(f"only={only!r:.60}: needs a mapping such as {{'method': ['a', 'b'], 'seed': 0}}")
    for axis, each in only.items():
        if not isinstance(each, str | int | list | tuple):
            raise FairlError(f"only: {axis} is {each!r:.60}; needs a value or a list of them")
    several = {axis: [each] if isinstance(each, str | int) else list(each) for axis, each in only.items()}
    axes = {axis: [str(value) for value in values] for axis, values in several.items()}
    for axis in axes:
        if axis not in MATRIX:
            raise FairlError(f"only: axis {axis!r} is unknown; {suggest(axis, MATRIX)}")
    return axes


def _executor(executor: str | Spec, address: str | None, jobs: int, registry: Registry) -> Executor:
    """The executor of this name or spec, with what was set of it.  Raises `FairlError` for what it does not have."""
    from pydantic import ValidationError

    from fairl_bench.executor import Executor

    spec = {"use": executor} if isinstance(executor, str) else dict(executor)
    name, known = spec.get("use"), registry.names("executor")
    if not isinstance(name, str) or name not in known:
        raise FairlError(f"executor {name!r} is unknown; {suggest(str(name), known)}")
    fields = set(registry.find("executor", name).model_fields)
    if address is not None and "address" not in fields:
        raise FairlError(f"address {address!r}: the executor {name!r} has none; the one of a cluster is 'ray'")
    if jobs > 1 and "jobs" not in fields:
        raise FairlError(f"jobs {jobs}: the executor {name!r} says itself how many it does at once; leave it out")
    set_apart = {"address": address, "jobs": jobs if jobs > 1 else None}
    spec |= {field: value for field, value in set_apart.items() if value is not None}
    try:
        return registry.build(Executor, spec)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "its fields"
        raise FairlError(
            f"executor {name!r}, {field}: {first['msg']}; from Python, give executor={{'use': {name!r}, ...}} with it"
        ) from error


def name_of(suite: SuiteSource) -> str:
    """What a suite is called in messages: its file, or the name that its data has."""
    return str(suite.get("name", "the suite")) if isinstance(suite, Mapping) else str(suite)
