"""``${VAR}`` in the texts of a suite: replaced by the value of the environment; secrets are written by name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from fairl_bench.component import PathText
from fairl_bench.guards.secrets import MASK, keep_secret, looks_secret

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_FORM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_NESTED = re.compile(r"\$\{[^{}]*\$\{")


class WrongVariable(ValueError):
    """A ``${...}`` that cannot be replaced, and why."""


def resolved(text: str, folder: Path) -> PathText:
    """The text with each ``${VAR}`` and ``${VAR:-default}`` replaced.

    A path that a variable starts is from the working directory.  Raises `WrongVariable`.
    """
    if _NESTED.search(text):
        raise WrongVariable("a ${...} within another is not replaced; set one variable to the whole text")
    first = _VARIABLE.match(text)
    replaced = PathText(_VARIABLE.sub(lambda match: _value(match)[1], text))
    replaced.written = _VARIABLE.sub(_written, text)
    replaced.raw = text
    replaced.folder = Path.cwd() if first and os.environ.get(_named(first)[0]) else folder
    return replaced


def as_written(text: str, folder: Path) -> PathText:
    """The text with its variables unchanged."""
    unchanged = PathText(text)
    unchanged.raw = unchanged.written = text
    unchanged.folder = folder
    return unchanged


def _named(match: re.Match[str]) -> tuple[str, str | None]:
    """The variable's name and default in a ``${...}``.  Raises `WrongVariable`."""
    form = _FORM.fullmatch(match.group(1))
    if form is None:
        raise WrongVariable(f"{match.group()!r} names no variable; write ${{NAME}} or ${{NAME:-default}}")
    return form.group(1), form.group(2)


def _value(match: re.Match[str]) -> tuple[str, str]:
    """The variable's name, and its value or default."""
    name, default = _named(match)
    value = os.environ.get(name) or default
    if value is None:
        raise WrongVariable(f"${{{name}}} is not set; set it: {name}=... fairl-bench ...")
    return name, value


def _written(match: re.Match[str]) -> str:
    """The value of a variable; of a secret its name in ``${}``, and the value is kept secret."""
    name, value = _value(match)
    if not looks_secret(name):
        return value
    keep_secret(value, f"${{{name}}}" if os.environ.get(name) else MASK)
    return f"${{{name}}}"
