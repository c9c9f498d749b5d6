"""The selections of a suite: variants of it with other rules for the epoch that is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fairl_bench.digests import canonical
from fairl_bench.errors import SuiteError
from fairl_bench.suite.overrides import assign
from fairl_bench.suite.yaml import Document
from fairl_bench.values.rows import SELECTION


def selections(document: Document) -> dict[str, Document]:
    """The document with each of its ``selections``, by name; without any, the document itself under the empty name.

    The fields of a selection replace those of ``training.stop``.
    """
    fields_of = document.content.get("selections") or {}
    return {str(name): _under(document, str(name), fields) for name, fields in fields_of.items()} or {"": document}


def _under(document: Document, name: str, fields: Mapping[str, Any]) -> Document:
    """The document with one selection."""
    training = document.content.get("training")
    if fields and isinstance(training, Mapping) and "stop" in training and training["stop"] is None:
        what = "'selections' changes fields of training.stop, which is null; give it a mapping"
        raise SuiteError(what, *document.where(("training", "stop")))
    for field, value in fields.items():
        where = document.where(("selections", name, field))
        document = assign(document, f"training.stop.{field}", value, where)
    return document


def named_variant(point: Mapping[str, Any], selection: str) -> str:
    """The name of a variant: its selection and its point of the product; empty without both.

    >>> named_variant({"head.width": 32}, "last")
    '{"head.width":32,"selection":"last"}'
    """
    whole = {SELECTION: selection, **point} if selection else dict(point)
    return canonical(whole) if whole else ""


def without_selection(variant: str) -> str:
    """The name of a variant without its selection.

    >>> without_selection('{"head.width":32,"selection":"last"}')
    '{"head.width":32}'
    """
    left = {path: value for path, value in json.loads(variant or "{}").items() if path != SELECTION}
    return canonical(left) if left else ""
