"""JSON that says one thing: no key twice, and no number that JSON cannot write."""

from __future__ import annotations

import json
import math
import sys
from typing import Any


def strict(text: str | bytes) -> Any:
    """What a text holds.  Raises `ValueError`, whose message follows "no JSON: ", also for what is nested too deep.

    >>> strict('{"a": [1, null]}')
    {'a': [1, None]}
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refused, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except ValueError as error:
        if "int_max_str_digits" in str(error):  # Python's own words are for programmers
            raise ValueError(f"a number in it has over {sys.get_int_max_str_digits()} digits") from error
        raise


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
        raise ValueError(f"it holds {twice[:60]!r} twice")
    return found


def _refused(constant: str) -> Any:
    raise ValueError(f"it holds {constant}, which is no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:60]} is too large")
    return value
