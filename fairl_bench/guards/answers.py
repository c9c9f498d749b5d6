"""Checks of what parts return: each answer is checked before anything reads it, and turned into plain arrays.

A part that returns something else (a text for a score, a vector too few, a label that is none) ends its own stage with
a sentence that says what it returned and what it should return.  Numbers must fit into the float32 that they are stored
as; whether they are finite is checked in `fairl_bench.store.checks`.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import DataError, NotFinite
from fairl_bench.kinds import LM, Encoder, Evaluator, Method, Prompts
from fairl_bench.values.data import GOLD, PREFERRED, Examples, Floats, Pairs, Truth, Vectors
from fairl_bench.values.language_models import Model
from fairl_bench.values.records import Evidence, Measure
from fairl_bench.values.training import Reward

_LONGEST = 200  # characters of a name that becomes the name of a column, an array or a record
_MOST = float(np.finfo(np.float32).max)
_TAKEN = ("title", "seconds", "host", "pid", "trained_together")  # facts that each stage has of its own


def scores(method: Method, found: object, n: int) -> Floats:
    """The reward of each of ``n`` texts ``[n]`` float64.  Raises `DataError` and `NotFinite`."""
    what = f"method {method.use!r} scores {n} texts with"
    array = _numbers(what, found, "return one number a text")
    if array.shape != (n,):
        raise DataError(f"{what} an array of shape {list(array.shape)}; return one number a text, [{n}]")
    return np.asarray(_within_float32(what, array, "keep rewards small"), np.float64)


def vectors(encoder: Encoder, found: object, n: int) -> Vectors:
    """The vector of each of ``n`` texts ``[n, d]`` float32.  Raises `DataError` and `NotFinite`."""
    what = f"encoder {encoder.use!r} turned {n} texts into"
    array = _numbers(what, found, "return one row a text")
    if array.ndim != 2:
        raise DataError(f"{what} an array of shape {list(array.shape)}; return one row a text, [{n}, d]")
    if len(array) != n:
        raise DataError(f"{what} {len(array)} vectors; return one row a text, [{n}, d]")
    if n and not array.shape[1]:
        raise DataError(f"{what} vectors of no dimension; return at least one number a text")
    return np.ascontiguousarray(_within_float32(what, array, "scale the vectors"), np.float32)


def rewards(methods: Sequence[Method], found: object) -> list[Reward]:
    """The rewards that `fit_many` returned, one for each method.  Raises `DataError` and `NotFinite`."""
    if not isinstance(found, list | tuple) or len(found) != len(methods):
        got = f"{len(found)} rewards" if isinstance(found, list | tuple) else _spelled(found)
        raise DataError(f"method {methods[0].use!r}: fit_many gave {got} for {len(methods)} runs; return one a run")
    return [reward(method, entry) for method, entry in zip(methods, found, strict=True)]


def reward(method: Method, found: object) -> Reward:
    """A fitted reward whose arrays, history and facts can be kept as they are.  Raises `DataError` and `NotFinite`."""
    what = f"method {method.use!r}: fit"
    if not isinstance(found, Reward):
        raise DataError(f"{what} gave {_spelled(found)}; return a fairl_bench.Reward")
    for part in ("arrays", "history", "facts"):
        if not isinstance(getattr(found, part), Mapping):
            raise DataError(f"{what} gave a Reward whose {part} are {_spelled(getattr(found, part))}; make them a dict")
    arrays = {_name(f"{what} gave an array", name): _array(what, name, entry) for name, entry in found.arrays.items()}
    history = {_name(f"{what} gave a history", name): _column(what, name, one) for name, one in found.history.items()}
    facts = {_name(f"{what} gave a fact", name): _fact(what, name, entry) for name, entry in found.facts.items()}
    return Reward(arrays, history, facts)


def _array(what: str, name: str, found: object) -> NDArray[np.float32]:
    given = f"{what} gave as the array {name!r}"
    array = _numbers(given, found, "keep numbers in it")
    kept = _within_float32(given, array, "keep it small").astype(np.float32)
    # whole numbers are indices or counts, and mean nothing rounded
    if _is_whole(found) and not np.array_equal(kept.astype(np.float64), array):
        raise DataError(f"{given} whole numbers above 2^24, which float32 rounds; keep them in two arrays, or in facts")
    return kept


def _is_whole(found: object) -> bool:
    try:
        return np.asarray(found).dtype.kind in "iu"
    except Exception:  # a tensor that learns: no whole numbers
        return False


def _column(what: str, name: str, found: object) -> list[float]:
    array = _numbers(f"{what} gave as the history {name!r}", found, "make it one number an epoch")
    if array.ndim != 1:
        raise DataError(f"{what} gave the history {name!r} of shape {list(array.shape)}; make it one number an epoch")
    return [float(number) for number in array]


def _fact(what: str, name: str, found: object) -> float | int | str | bool:
    if name in _TAKEN:
        raise DataError(f"{what} gave a fact {name!r}, which each stage has of its own; give it another name")
    plain = (
        found.item() if isinstance(found, np.generic) or (isinstance(found, np.ndarray) and not found.ndim) else found
    )
    if not isinstance(plain, float | int | str | bool):
        raise DataError(f"{what} gave as the fact {name!r} {_spelled(found)}; make it a number, a text, true or false")
    if isinstance(plain, str):
        return texts(f"{what}: fact {name!r}", (plain,))[0]
    return plain


def model(lm: LM, found: object, folder: Path) -> Model:
    """A language model that has been made.  Raises `DataError`."""
    what = f"language model {lm.use!r}: make"
    if not isinstance(found, Model) or not isinstance(found.folder, Path) or not isinstance(found.facts, Mapping):
        raise DataError(f"{what} gave {_spelled(found)}; return a fairl_bench.Model of a folder")
    elsewhere = type(lm).complete is not LM.complete  # what completes by itself may need no files
    if not found.folder.is_dir() or not (elsewhere or any(found.folder.iterdir())):
        raise DataError(f"{what} left nothing in {found.folder}; write the model's files into site.folder")
    return Model(found.folder, {name: _fact(what, _name(what, name), entry) for name, entry in found.facts.items()})


def completions(lm: LM, found: object, n: int) -> tuple[str, ...]:
    """One text a prompt.  Raises `DataError`."""
    made = texts(f"language model {lm.use!r}: complete", found)
    if len(made) != n:
        raise DataError(f"language model {lm.use!r} completed {n} prompts with {len(made)} texts; return one a prompt")
    return made


def prompts(part: Prompts, found: object) -> tuple[str, ...]:
    """The prompts.  Raises `DataError`."""
    return texts(f"prompts {part.use!r}", found)


def texts(what: str, found: object) -> tuple[str, ...]:
    """A column of texts as a tuple.  Raises `DataError` for what is none, and for a text that no file can hold."""
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise DataError(f"{what} gave {_spelled(found)}; return a sequence of texts")
    made = tuple(found)
    for row, text in enumerate(made):
        if not isinstance(text, str):
            raise DataError(f"{what} gave {_spelled(text)} in row {row}; every entry needs to be a text")
        if not text.isascii() and text.encode("utf-8", "replace").decode() != text:
            raise DataError(f"{what} gave a text with half of a character in row {row}: {ascii(text)[:60]}; mend it")
    return tuple(str(text) for text in made) if any(type(text) is not str for text in made) else made


def pairs(use: str, found: object) -> Pairs:
    """The pairs of a source, as tuples and plain arrays.  Raises `DataError`."""
    what = f"source {use!r}"
    if not isinstance(found, Pairs):
        raise DataError(f"{what} gave {_spelled(found)}; return fairl_bench.Pairs")
    columns = {
        name: texts(f"{what}: {name}", getattr(found, name)) for name in ("preferred", "rejected", "prompt", "group")
    }
    made = Pairs(columns["preferred"], columns["rejected"], columns["prompt"], columns["group"])
    return replace(made, truths=truths(what, found.truths, 2 * len(made)))


def examples(use: str, found: object) -> Examples:
    """The examples of a test set, as tuples and plain arrays.  Raises `DataError`."""
    what = f"test set {use!r}"
    if not isinstance(found, Examples):
        raise DataError(f"{what} gave {_spelled(found)}; return fairl_bench.Examples")
    columns = {name: texts(f"{what}: {name}", getattr(found, name)) for name in ("text", "prompt", "group")}
    n = len(columns["text"])
    for name, column in columns.items():
        if len(column) != n:
            raise DataError(f"{what} gave {n} texts and {len(column)} entries of {name!r}; give one each")
    pair, role = _whole(f"{what}: pair", found.pair, n, np.int64), _whole(f"{what}: role", found.role, n, np.int8)
    known = truths(what, found.truths, n)
    return Examples(columns["text"], columns["prompt"], columns["group"], pair, role, known)


def truths(what: str, found: object, n: int) -> dict[str, Truth]:
    """The truths of ``n`` texts by name.  Raises `DataError` and `NotFinite`."""
    if not isinstance(found, Mapping):
        raise DataError(f"{what} gave {_spelled(found)} as truths; return a dict of fairl_bench.Truth by name")
    made = {}
    for name, truth in found.items():
        _name(f"{what} gave a truth", name)
        if not isinstance(truth, tuple) or len(truth) != 2:
            raise DataError(
                f"{what} gave {_spelled(truth)} as the truth {name!r}; return fairl_bench.Truth(value, label)"
            )
        given = f"{what} gave as the values of the truth {name!r}"
        value = _numbers(given, truth[0], "return one number a text")
        if value.shape != (n,):
            raise DataError(f"{given} shape {list(value.shape)} for {n} texts; return one number a text")
        label = _whole(f"{what} gave as the labels of the truth {name!r}", truth[1], n, np.int8)
        if wrong := sorted(set(np.unique(label).tolist()) - {-1, 0, 1}):
            raise DataError(
                f"{what} gave the labels {wrong[:5]} of the truth {name!r}; a label is 1 good, -1 bad or 0 unknown"
            )
        made[name] = Truth(np.asarray(value, np.float64), label)
    return made


def judged(use: str, found: object, n: int) -> dict[str, Truth]:
    """What a judge says of ``n`` texts.  Raises `DataError` and `NotFinite`."""
    what = f"judge {use!r}"
    made = truths(what, found, n)
    if GOLD not in made:
        raise DataError(f"{what} gave no truth {GOLD!r} (it gave: {', '.join(made) or 'none'}); return one")
    if PREFERRED in made:
        raise DataError(f"{what} gave a truth {PREFERRED!r}, which is the pairs' own; give it another name")
    return made


def measures(evaluator: Evaluator, found: object) -> list[Measure | Evidence]:
    """The numbers of an evaluator, each at a place of its own, and at most one table.  Raises `DataError`."""
    what = f"evaluator {evaluator.use!r}"
    if isinstance(found, str | Measure | Evidence | Mapping) or not isinstance(found, Iterable):
        raise DataError(f"{what} gave {_spelled(found)}; return a list of fairl_bench.Measure")
    made = [one if isinstance(one, Evidence) else _measure(what, one) for one in found]
    declared = {metric.name for metric in evaluator.metrics}
    if unsaid := next((one.metric for one in made if isinstance(one, Measure) and one.metric not in declared), None):
        raise DataError(f"{what} gave {unsaid!r}, which it does not declare; add Metric({unsaid!r}) to its 'metrics'")
    seen = set()
    for one in made:
        where = (one.data, one.truth, one.metric, one.slice) if isinstance(one, Measure) else "a table of evidence"
        if where in seen:
            place = f"{one.metric!r} of {one.data!r}" if isinstance(one, Measure) else where
            raise DataError(f"{what} gave {place} twice; give each number its own metric, truth or slice")
        seen.add(where)
    return made


def _measure(what: str, found: object) -> Measure:
    if not isinstance(found, Measure):
        raise DataError(f"{what} gave {_spelled(found)}; make it a fairl_bench.Measure")
    for name in ("data", "truth", "metric", "note", "slice"):
        given = getattr(found, name)
        if not isinstance(given, str):
            raise DataError(f"{what} gave a measure whose {name} is {_spelled(given)}; make it a text")
        if name != "note":
            _name(f"{what} gave a measure with the {name}", given, empty=name == "truth")
    place = f"{what} gave {found.metric!r} of {found.data!r} as"
    if isinstance(found.value, bool | np.bool_) or not isinstance(found.value, numbers.Real):
        raise DataError(f"{place} {_spelled(found.value)}; make it a number")
    value = float(found.value)
    if math.isinf(value):
        raise DataError(f"{place} {value}; where it is not defined, give NaN with a note")
    if math.isnan(value) and not found.note:
        raise DataError(f"{place} NaN without a note; say why it is not defined")
    if isinstance(found.n, bool) or not isinstance(found.n, numbers.Integral) or not 0 <= found.n < 2**63:
        raise DataError(f"{what} gave {found.metric!r} of {found.data!r} with n = {found.n!r:.40}; n counts examples")
    note = texts(f"{what}: note", (found.note,))[0]
    return found._replace(value=value, n=int(found.n), note=note)


# --- arrays and names


def _numbers(what: str, found: Any, advice: str) -> Floats:
    """Anything that holds real numbers, as float64, or as the float32 it is.  Raises `DataError` for all else."""
    if hasattr(found, "detach") and hasattr(found, "cpu"):  # a tensor, which may be on another device
        found = found.detach().cpu()
        found = found.float() if str(getattr(found, "dtype", "")) == "torch.bfloat16" else found
    if isinstance(found, np.ma.MaskedArray) and found.dtype.kind in "fiu":
        found = np.ma.filled(found.astype(np.float64), np.nan)
    if found is None or isinstance(found, str | bytes | Mapping) or hasattr(found, "__next__"):
        raise DataError(f"{what} {_spelled(found)}; {advice}")
    try:
        array = np.asarray(found)
    except Exception as error:  # rows of different lengths, and whatever an object's own __array__ raises
        raise DataError(f"{what} {_spelled(found)} that is no array ({type(error).__name__}); {advice}") from error
    if array.size == 0 and array.dtype.kind in "fiub":
        return array.astype(np.float64)
    if array.dtype.kind not in "fiu":
        raise DataError(f"{what} an array of {_KINDS.get(array.dtype.kind, str(array.dtype))}; {advice}")
    if array.dtype in (np.float32, np.float64):  # vectors may be many: not copied
        return cast("Floats", array)
    return array.astype(np.float64)


_KINDS = {"c": "complex numbers", "b": "true and false", "O": "objects", "U": "texts", "S": "bytes", "M": "dates"}


def _within_float32(what: str, array: Floats, advice: str) -> Floats:
    """The same array, where each number that is finite stays so as a float32.  Raises `NotFinite`."""
    if array.dtype == np.float32:
        return array
    large = np.flatnonzero(np.isfinite(array) & (np.abs(array) > _MOST))
    if len(large):
        raise NotFinite(
            f"{what} {array.ravel()[large[0]]:g} in entry {large[0]}, which is infinite as a float32; {advice}"
        )
    return array


def _whole(what: str, found: object, n: int, kind: type[np.signedinteger[Any]]) -> NDArray[Any]:
    """A column of ``n`` whole numbers that this type holds.  Raises `DataError`."""
    array = _numbers(what, found, "return one whole number a text")
    if array.shape != (n,):
        raise DataError(f"{what}: shape {list(array.shape)} for {n} texts; give one whole number a text")
    bounds = np.iinfo(kind)
    if not (np.isfinite(array) & (array == np.round(array)) & (array >= bounds.min) & (array <= bounds.max)).all():
        raise DataError(
            f"{what}: {sorted(set(array.tolist()))[:3]}, not whole numbers of {bounds.bits} bits; mend them"
        )
    return array.astype(kind)


def _name(what: str, name: object, *, empty: bool = False) -> str:
    """A name that files and tables can hold.  Raises `DataError`."""
    fits = isinstance(name, str) and (name or empty) and len(name) <= _LONGEST
    if isinstance(name, str) and fits and name.isprintable() and name == name.strip() != _RESERVED:
        return str(name)
    raise DataError(f"{what} {name!r:.60}; a name needs 1 to {_LONGEST} printable characters")


_RESERVED = "__metadata__"  # safetensors has it for itself


def _spelled(found: object) -> str:
    """A value in a few words, also where its own ``__repr__`` is broken."""
    kind = type(found).__name__
    try:
        text = repr(found)
    except Exception:
        return f"a {kind}"
    if found is None or isinstance(found, bool | int | float | complex):
        return text[:40]
    if isinstance(found, str):
        return f"the text {text[:40]}"
    return f"a {kind}"
