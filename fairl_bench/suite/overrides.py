"""Values that replace those in the lines of a suite: by ``--set``, ``defaults`` and the points of a ``product``.

A path names a value as the suite nests it, an entry of a list by its ``name`` or number:
``methods.max-entropy.temperature``, ``head.width``, ``evaluate.0.label``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairl_bench.errors import SuiteError, suggest
from fairl_bench.suite.events import DEPTH, VALUES
from fairl_bench.suite.yaml import Document, Lined, Listed, Where, parse_value

_FIXED = ("name", "plugins", "defaults", "product", "exclude", "selections")  # read before there are points


def assign(document: Document, path: str, value: object, where: Where) -> Document:
    """The document with one value replaced or added; mistakes in it are later explained at ``where``."""
    steps = _steps(document.content, path, where)
    return document._replace(content=_with(document.content, steps, path, value, where))


def _with(content: Any, steps: Sequence[str | int], path: str, value: Any, where: Where) -> Any:
    """The content with the value at these steps; everything beside the way there is shared, not copied."""
    step, *rest = steps
    if isinstance(content, list) and not isinstance(step, int):
        raise SuiteError(f"{path!r} leads into a list; {suggest(str(step), _entries(content))}", *where)
    kind = Lined if isinstance(content, Mapping) else Listed
    changed: Any = kind(content, getattr(content, "lines", {}))
    if not rest or (isinstance(content, Mapping) and step not in content):
        changed.lines[step] = where
    below = content.get(step, Lined()) if isinstance(content, Mapping) else content[step]  # a section with its defaults
    changed[step] = _with(below, rest, path, value, where) if rest else value
    return changed


def set_option(document: Document, option: str) -> Document:
    """The document with ``--set path.to.field=value``; the value is YAML."""
    path, equals, text = option.partition("=")
    where = (Path(f"--set {option}"), None)
    if not equals or not path:
        raise SuiteError("needs path.to.field=value", *where)
    return assign(document, path, parse_value(text, where), where)


def with_defaults(document: Document) -> Document:
    """The document in which every method has the ``defaults`` of its ``use:``; its own fields take precedence."""
    defaults = document.content.get("defaults")
    methods = document.content.get("methods")
    if not isinstance(defaults, Mapping) or not isinstance(methods, Listed):
        return document
    changed, left = methods.copy(), VALUES
    for index, method in enumerate(methods):
        use = method.get("use") if isinstance(method, Lined) else None
        fields = defaults.get(use) if isinstance(use, str) else None
        lacking = [name for name in fields if name not in method] if isinstance(fields, Mapping) else []
        if not lacking or not isinstance(fields, Mapping):
            continue
        changed[index] = method.copy()
        for name in lacking:
            where = document.where(("defaults", str(use), name))
            left -= _values(fields[name])
            if left < 0:
                raise SuiteError(f"'defaults' writes out more than {VALUES:,} values into the methods", *where)
            changed[index][name] = fields[name]
            changed[index].lines[name] = where
    content = document.content.copy()
    content["methods"] = changed
    return document._replace(content=content)


def _values(value: object) -> int:
    """The number of values in a value, with itself."""
    entries = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return 1 + sum(map(_values, entries))


def points(document: Document, most: int) -> list[dict[str, Any]]:
    """Every point of ``product`` that ``exclude`` does not match; one empty point where there is no product.

    More than ``most`` are refused before they are written out.
    """
    product, exclude = document.content.get("product") or {}, document.content.get("exclude") or []
    if not isinstance(product, Mapping) or not all(isinstance(values, list) and values for values in product.values()):
        raise SuiteError("'product' needs lists of values by path", *document.where(("product",)))
    for path in product:
        if (first := str(path).partition(".")[0]) in _FIXED or not isinstance(path, str):
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
    n = math.prod(map(len, product.values()))
    if n > most:
        count = f"{n:,}" if n < 10**12 else "more than a million million"  # Python writes no number of any length
        raise SuiteError(_too_many(f"the product has {count} points", most), *document.where(("product",)))
    every = [dict(zip(product, values, strict=True)) for values in itertools.product(*product.values())]
    gone = _excluded(document, product, exclude, n)
    left = [point for index, point in enumerate(every) if not gone >> index & 1]
    if not left:
        raise SuiteError("'exclude' leaves no point of the product", *document.where(("exclude",)))
    return left


def _excluded(
    document: Document, product: Mapping[str, Sequence[Any]], exclude: Sequence[Mapping[str, Any]], n: int
) -> int:
    """The points that are left out, as the bits of a number, which is quick for many points and exclusions."""
    left_out, inner = 0, 1
    having: dict[str, list[int]] = {}  # of each path, the points that have each of its values
    for path in reversed(list(product)):
        size = len(product[path])
        # a value holds for ``inner`` points in a row, once every ``inner * size``
        row, period = (1 << inner) - 1, inner * size
        every = sum(row << start for start in range(0, n, period)) if exclude else 0
        having[path] = [every << (inner * at) for at in range(size)]
        inner = period
    for index, point in enumerate(exclude):
        matching = (1 << n) - 1
        for path, value in point.items():
            of_path = 0
            for product_value, mask in zip(product[path], having[path], strict=True):
                of_path |= mask if product_value == value else 0
            matching &= of_path
        if not matching:
            raise SuiteError("'exclude' names no point of the product", *document.where(("exclude", index)))
        left_out |= matching
    return left_out


def refuse_many_cells(document: Document, cells: int, most: int) -> None:
    """Raise `SuiteError` where a suite has more cells than its ``limits`` allow."""
    if cells > most:
        place = next(key for key in ("product", "seeds", "replicates", "methods") if key in document.content)
        raise SuiteError(_too_many(f"the suite has {cells:,} cells or more", most), *document.where((place,)))


def refuse_many_stages(document: Document, stages: int, most: int) -> None:
    """Raise `SuiteError` where a suite has more stages to plan than its ``limits`` allow."""
    if stages > most:
        raise SuiteError(
            f"the suite has more than {most:,} stages to plan, which 'limits: {{stages: {most}}}' allows; take fewer "
            "cells, evaluators, test sets or shards, or raise that limit",
            *document.where(("limits",)),
        )


def _too_many(what: str, most: int) -> str:
    return f"{what}, and 'limits: {{cells: {most}}}' allows {most:,}; take fewer values, or raise that limit"


def at_point(document: Document, point: Mapping[str, Any]) -> Document:
    """The document at one point of its product."""
    for path, value in point.items():
        document = assign(document, path, value, document.where(("product", path)))
    return document


def _steps(content: Any, path: str, where: Where) -> list[str | int]:
    """The keys and numbers that lead to a value.  Names may contain dots: the longest name that fits is taken."""
    words, steps = path.split("."), list[str | int]()
    if len(words) > DEPTH:
        raise SuiteError(f"a path has at most {DEPTH} steps, got {len(words)}", *where)
    while words:
        names = _entries(content)
        taken = next((n for n in range(len(words), 0, -1) if ".".join(words[:n]) in names), 0)
        if not taken and isinstance(content, Mapping):  # not there so far; a wrong name is refused when it is checked
            return [*steps, *words]
        if not taken:
            raise SuiteError(f"{path!r} leads nowhere at {words[0]!r}; {suggest(words[0], names)}", *where)
        step = names[".".join(words[:taken])]
        steps.append(step)
        content, words = content[step], words[taken:]
    return steps


def _entries(content: object) -> dict[str, str | int]:
    """The names that may come next in a path, each with its key or number."""
    if isinstance(content, Mapping):
        return {str(key): key for key in content}
    if isinstance(content, Sequence) and not isinstance(content, str):
        numbers: dict[str, str | int] = {str(index): index for index in range(len(content))}
        names = {
            str(entry["name"]): i for i, entry in enumerate(content) if isinstance(entry, Mapping) and "name" in entry
        }
        return numbers | names
    return {}
