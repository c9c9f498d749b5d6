"""Values set from outside a suite's own lines: ``--set``, ``defaults`` and the points of a ``product``.

A path names a value as the suite nests it, an entry of a list by its ``name`` or number:
``methods.max-entropy.temperature``, ``head.width``, ``evaluate.0.label``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from fairl_bench.engine.yaml import Document, Where, parse_value
from fairl_bench.errors import SuiteError, suggest

_FIXED = ("name", "plugins", "defaults", "product", "exclude")  # read before there are points


def assign(document: Document, path: str, value: Any, where: Where) -> Document:
    """The document with one value replaced or added; mistakes in it are later explained at ``where``."""
    content = deepcopy(document.content)
    *steps, last = _steps(content, path, where)
    target: Any = content
    for step in steps:
        if isinstance(target, dict):  # a section that has had its defaults so far
            target.setdefault(step, {})
        target = target[step]
    if isinstance(target, list) and not isinstance(last, int):
        raise SuiteError(f"{path!r} leads into a list; {suggest(str(last), _entries(target))}", *where)
    target[last] = value
    place = (*steps, last)
    lines = {at: line for at, line in document.lines.items() if at[: len(place)] != place}
    made = {place[:n]: where for n in range(1, len(place) + 1) if place[:n] not in lines}
    return Document(content, {**lines, **made}, document.path)


def set_option(document: Document, option: str) -> Document:
    """``--set path.to.field=value``; the value is YAML."""
    path, equals, text = option.partition("=")
    where = (Path(f"--set {option}"), None)
    if not equals or not path:
        raise SuiteError("needs path.to.field=value", *where)
    return assign(document, path, parse_value(text, where), where)


def with_defaults(document: Document) -> Document:
    """Every method starts from the ``defaults`` of its ``use:``; its own fields win."""
    defaults = document.content.get("defaults")
    methods = document.content.get("methods")
    if not isinstance(defaults, Mapping) or not isinstance(methods, list):
        return document
    content, lines = deepcopy(document.content), dict(document.lines)
    for index, method in enumerate(methods):
        use = method.get("use") if isinstance(method, Mapping) else None
        fields = defaults.get(use) if isinstance(use, str) else None
        for name, value in fields.items() if isinstance(fields, Mapping) else ():
            if name not in method:
                content["methods"][index][name] = deepcopy(value)
                given = ("defaults", str(use), name)
                inner = {at[3:]: line for at, line in document.lines.items() if at[:3] == given}
                lines |= {("methods", index, name, *at): line for at, line in inner.items()}
                lines["methods", index, name] = document.where(given)
    return Document(content, lines, document.path)


def points(document: Document) -> list[dict[str, Any]]:
    """Every point of ``product`` that ``exclude`` does not match; one empty point where there is no product."""
    product, exclude = document.content.get("product") or {}, document.content.get("exclude") or []
    if not isinstance(product, Mapping) or not all(isinstance(values, list) and values for values in product.values()):
        raise SuiteError("'product' needs lists of values by path", *document.where(("product",)))
    for path in product:
        if (first := path.partition(".")[0]) in _FIXED:
            raise SuiteError(f"'product' cannot vary {first!r}", *document.where(("product", path)))
    if not isinstance(exclude, list) or not all(isinstance(point, Mapping) and point for point in exclude):
        raise SuiteError("'exclude' needs a list of points of the product", *document.where(("exclude",)))
    for index, point in enumerate(exclude):
        for path in point:
            if path not in product:
                raise SuiteError(
                    f"'exclude' names {path!r}; {suggest(str(path), map(str, product))}",
                    *document.where(("exclude", index, path)),
                )
    every = [dict(zip(product, values, strict=True)) for values in itertools.product(*product.values())]
    for index, gone in enumerate(exclude):
        if not any(gone.items() <= point.items() for point in every):
            raise SuiteError("'exclude' names no point of the product", *document.where(("exclude", index)))
    left = [point for point in every if not any(gone.items() <= point.items() for gone in exclude)]
    if not left:
        raise SuiteError("'exclude' leaves no point of the product", *document.where(("exclude",)))
    return left


def at_point(document: Document, point: Mapping[str, Any]) -> Document:
    """The document at one point of its product."""
    for path, value in point.items():
        document = assign(document, path, value, document.where(("product", path)))
    return document


def _steps(content: Any, path: str, where: Where) -> list[str | int]:
    """The keys and numbers that lead to a value.  Names may hold dots: the longest that fits is taken."""
    words, steps = path.split("."), list[str | int]()
    while words:
        known = _entries(content)
        taken = next((n for n in range(len(words), 0, -1) if ".".join(words[:n]) in known), 0)
        if not taken and isinstance(content, Mapping):  # not there so far; a wrong name is refused when it is checked
            return [*steps, *words]
        if not taken:
            raise SuiteError(f"{path!r} leads nowhere at {words[0]!r}; {suggest(words[0], known)}", *where)
        step = known[".".join(words[:taken])]
        steps.append(step)
        content, words = content[step], words[taken:]
    return steps


def _entries(content: Any) -> dict[str, str | int]:
    """What a path may name next, and the key or number it stands for."""
    if isinstance(content, Mapping):
        return {str(key): key for key in content}
    if isinstance(content, Sequence) and not isinstance(content, str):
        numbers: dict[str, str | int] = {str(index): index for index in range(len(content))}
        names = {
            str(entry["name"]): i for i, entry in enumerate(content) if isinstance(entry, Mapping) and "name" in entry
        }
        return numbers | names
    return {}
