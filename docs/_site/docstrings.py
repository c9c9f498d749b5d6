"""Docstrings as the site shows them: doctests are blocks of code, and a class lists its fields as they stand in it."""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

import griffe

DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.M)


class Shown(griffe.Extension):
    """What mkdocstrings reads of a docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Put doctests of a docstring into fences."""
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(lambda match: f"```pycon\n{match[0]}\n```", obj.docstring.value)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Add the fields of a class, with what their comments say, to its docstring."""
        fields = [member for member in cls.members.values() if _is_field(member)]
        if not fields or cls.docstring is None:
            return
        lines = cls.filepath.read_text().splitlines()
        shown = dedent("\n".join("\n".join(lines[one.lineno - 1 : one.endlineno]) for one in fields))
        cls.docstring.value += f"\n\n```text\n{shown}\n```"


def _is_field(member: Any) -> bool:
    if not isinstance(member, griffe.Attribute) or member.name.startswith("_") or "property" in member.labels:
        return False
    return bool(member.annotation and not member.docstring and member.lineno)
