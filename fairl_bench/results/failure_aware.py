"""Which methods of a suite learn from failures, and what each of them is to be held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from fairl_bench.errors import SuiteError
from fairl_bench.suite.yaml import load_written

_USE: Final = "failure-aware"
_NO_FAILURES: Final = ("all", "random")  # detectors that do not look for failures


class Comparators(NamedTuple):
    """What a failure-aware method is compared with: the method that is its base loss alone, and its controls.

    A control shares everything with it but the idea: it has no path for failures, or takes all pairs or random ones.
    """

    baselines: tuple[str, ...]
    controls: tuple[str, ...]


def comparators(suite: str) -> dict[str, Comparators]:
    """By name the methods of a suite, the text of ``suite.yaml``, that learn from failures, each with its comparators.

    >>> suite = '''methods:
    ...   - {name: mm, use: max-margin, margin: 0.8}
    ...   - {name: fa, use: failure-aware, base: {use: max-margin, margin: 0.8}, detector: {use: bottom-fraction}}
    ...   - {name: no, use: failure-aware, base: {use: max-margin, margin: 0.8}, detector: {use: all}}'''
    >>> comparators(suite)
    {'fa': Comparators(baselines=('mm',), controls=('no',))}
    """
    methods = list(_methods(suite))
    aware = [method for method in methods if method.get("use") == _USE]
    controls = [method for method in aware if _is_control(method)]
    return {
        str(method["name"]): Comparators(
            tuple(str(one["name"]) for one in methods if _without_name(one) == method.get("base")),
            tuple(str(one["name"]) for one in controls if one.get("base") == method.get("base")),
        )
        for method in aware
        if method not in controls
    }


def _methods(suite: str) -> Iterator[Mapping[str, Any]]:
    """The methods of a suite; none of one that cannot be read, such as a broken one."""
    try:
        listed = load_written(suite).get("methods")
    except SuiteError:
        return
    for method in listed if isinstance(listed, list) else ():
        if isinstance(method, Mapping) and "name" in method:
            yield method


def _is_control(method: Mapping[str, Any]) -> bool:
    """Whether a failure-aware method lacks what the method is about."""
    detector = method.get("detector")
    looks_for_none = isinstance(detector, Mapping) and detector.get("use") in _NO_FAILURES
    return looks_for_none or method.get("failure_head") is False


def _without_name(method: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in method.items() if field != "name"}
