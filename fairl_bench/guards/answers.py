"""Checks of what parts return: each answer is checked before anything reads it, and turned into plain arrays.

A part that returns something else (a text for a score, a vector too few, a label that is none) ends its own stage with
a sentence that says what it returned and what it should return.  Numbers must fit into the float32 that they are stored
as; whether they are finite is checked in `fairl_bench.store.checks`.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fairl_bench.component import NAME
from fairl_bench.errors import DataError, NotFinite, suggest
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.lm import LM, Prompts
from fairl_bench.kinds.method import Method
from fairl_bench.values.data import GOLD, PREFERRED, Examples, Floats, Pairs, Truth, Vectors
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.language_models import DrawnTexts, Model
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.records import Evidence, Measure
from fairl_bench.values.training import Reward

_LONGEST = 200  # characters of a name that becomes the name of a column, an array or a record
_MOST = float(np.finfo(np.float32).max)
_TAKEN = ("title", "seconds", "host", "pid", "trained_together")  # facts that each stage has of its own


def scores(method: Method, answer: object, n: int) -> Floats:
    """The reward of each of ``n`` texts ``[n]`` float64.  Raises `DataError` and `NotFinite`."""
    what = f"method {method.use!r} scores {n} texts with"
    array = _numbers(what, answer, "return one number a text")
    if array.shape != (n,):
        raise DataError(f"{what} an array of shape {list(array.shape)}; return one number a text, [{n}]")
    return np.asarray(_within_float32(what, array, "keep rewards small"), np.float64)


def vectors(encoder: Encoder, answer: object, n: int) -> Vectors:
    """The vector of each of ``n`` texts ``[n, d]`` float32.  Raises `DataError` and `NotFinite`."""
    what = f"encoder {encoder.use!r} turned {n} texts into"
    array = _numbers(what, answer, "return one row a text")
    if array.ndim != 2:
        raise DataError(f"{what} an array of shape {list(array.shape)}; return one row a text, [{n}, d]")
    if len(array) != n:
        raise DataError(f"{what} {len(array)} vectors; return one row a text, [{n}, d]")
    if n and not array.shape[1]:
        raise DataError(f"{what} vectors of no dimension; return at least one number a text")
    return np.ascontiguousarray(_within_float32(what, array, "scale the vectors"), np.float32)


def rewards(methods: Sequence[Method], answer: object) -> list[Reward]:
    """The rewards that `fit_many` returned, one for each method.  Raises `DataError` and `NotFinite`."""
    if not isinstance(answer, list | tuple) or len(answer) != len(methods):
        got = f"{len(answer)} rewards" if isinstance(answer, list | tuple) else _spelled(answer)
        raise DataError(f"method {methods[0].use!r}: fit_many gave {got} for {len(methods)} runs; return one a run")
    return [reward(method, fitted) for method, fitted in zip(methods, answer, strict=True)]


def reward(method: Method, answer: object) -> Reward:
    """A fitted reward whose arrays, history and facts can be kept as they are.  Raises `DataError` and `NotFinite`."""
    what = f"method {method.use!r}: fit"
    if not isinstance(answer, Reward):
        raise DataError(f"{what} gave {_spelled(answer)}; return a fairl_bench.Reward")
    for part in ("arrays", "history", "facts"):
        if not isinstance(getattr(answer, part), Mapping):
            raise DataError(
                f"{what} gave a Reward whose {part} are {_spelled(getattr(answer, part))}; make them a dict"
            )
    arrays = {_name(f"{what} gave an array", name): _array(what, name, entry) for name, entry in answer.arrays.items()}
    history = {
        _name(f"{what} gave a history", name): _column(what, name, column) for name, column in answer.history.items()
    }
    facts = {_name(f"{what} gave a fact", name): _fact(what, name, entry) for name, entry in answer.facts.items()}
    return Reward(arrays, history, facts)


def _array(what: str, name: str, answer: object) -> NDArray[np.float32]:
    """An array of a reward as float32.  Raises `DataError` and `NotFinite`."""
    prefix = f"{what} gave as the array {name!r}"
    array = _numbers(prefix, answer, "keep numbers in it")
    kept = _within_float32(prefix, array, "keep it small").astype(np.float32)
    # whole numbers are indices or counts, and mean nothing rounded
    if _is_whole(answer) and not np.array_equal(kept.astype(np.float64), array):
        raise DataError(
            f"{prefix} whole numbers above 2^24, which float32 rounds; keep them in two arrays, or in facts"
        )
    return kept


def _is_whole(answer: object) -> bool:
    """True where an array holds whole numbers."""
    try:
        return np.asarray(answer).dtype.kind in "iu"
    except Exception:  # a tensor that learns: no whole numbers
        return False


def _column(what: str, name: str, answer: object) -> list[float]:
    """A column of a history.  Raises `DataError`."""
    array = _numbers(f"{what} gave as the history {name!r}", answer, "make it one number an epoch")
    if array.ndim != 1:
        raise DataError(f"{what} gave the history {name!r} of shape {list(array.shape)}; make it one number an epoch")
    return [float(number) for number in array]


def _fact(what: str, name: str, answer: object) -> float | int | str | bool:
    """A fact about a part's work.  Raises `DataError`."""
    if name in _TAKEN:
        raise DataError(f"{what} gave a fact {name!r}, which each stage has of its own; give it another name")
    plain = (
        answer.item()
        if isinstance(answer, np.generic) or (isinstance(answer, np.ndarray) and not answer.ndim)
        else answer
    )
    if not isinstance(plain, float | int | str | bool):
        raise DataError(f"{what} gave as the fact {name!r} {_spelled(answer)}; make it a number, a text, true or false")
    if isinstance(plain, str):
        return texts(f"{what}: fact {name!r}", (plain,))[0]
    return plain


def model(lm: LM, answer: object, folder: Path) -> Model:
    """A language model that has been made.  Raises `DataError`."""
    what = f"language model {lm.use!r}: make"
    if not isinstance(answer, Model) or not isinstance(answer.folder, Path) or not isinstance(answer.facts, Mapping):
        raise DataError(f"{what} gave {_spelled(answer)}; return a fairl_bench.Model of a folder")
    elsewhere = type(lm).complete is not LM.complete  # what completes by itself may need no files
    if not answer.folder.is_dir() or not (elsewhere or any(answer.folder.iterdir())):
        raise DataError(f"{what} left nothing in {answer.folder}; write the model's files into site.folder")
    return Model(answer.folder, {name: _fact(what, _name(what, name), entry) for name, entry in answer.facts.items()})


def completions(lm: LM, answer: object, n: int) -> DrawnTexts:
    """The completions, one text for each prompt, with their tokens where they are known.  Raises `DataError`."""
    what = f"language model {lm.use!r}: complete"
    written, drawn, facts = answer if isinstance(answer, DrawnTexts) else (answer, None, {})
    completed = texts(what, written)
    if len(completed) != n:
        raise DataError(
            f"language model {lm.use!r} completed {n} prompts with {len(completed)} texts; return one a prompt"
        )
    if not isinstance(facts, Mapping):
        raise DataError(f"{what} gave {_spelled(facts)} as facts; make them a dict")
    told = {name: _fact(what, _name(what, name), entry) for name, entry in facts.items()}
    return DrawnTexts(completed, drawn_tokens(what, drawn, n), told)


def drawn_tokens(what: str, answer: object, n: int) -> DrawnTokens | None:
    """The tokens of ``n`` texts as plain arrays; None where they are not known.  Raises `DataError`."""
    if answer is None:
        return None
    if not isinstance(answer, DrawnTokens):
        raise DataError(f"{what} gave {_spelled(answer)} as tokens; return fairl_bench.DrawnTokens, or None")
    if len(answer) != n:
        raise DataError(f"{what} gave the tokens of {len(answer)} texts for {n}; give one row a text")
    ids = _whole(f"{what} gave as tokens", answer.ids, len(answer.ids), np.int32)
    if len(ids) and ids.min() < 0:
        raise DataError(f"{what} gave the token {ids.min()}; a token is its number in the vocabulary, from 0")
    offsets = _whole(f"{what} gave as the offsets of tokens", answer.offsets, n + 1, np.int64)
    vocabulary = texts(f"{what}: vocabulary", answer.vocabulary)
    log = np.asarray(_numbers(f"{what} gave as log-probabilities", answer.log_probability, "give one a text"))
    return DrawnTokens(ids, offsets, np.asarray(answer.ended, np.bool_), vocabulary, log.astype(np.float64))


def likelihoods(lm: LM, answer: object, n: int) -> Likelihoods:
    """How likely each of ``n`` texts is.  Raises `DataError` and `NotFinite`."""
    what = f"language model {lm.use!r}: likelihoods"
    if not isinstance(answer, Likelihoods):
        raise DataError(f"{what} gave {_spelled(answer)}; return fairl_bench.Likelihoods")
    if len(answer) != n:
        raise DataError(f"{what} gave those of {len(answer)} texts for {n}; return one row a text")
    for column in (answer.total, answer.token):  # and with the total what it holds of whole texts
        if not np.isfinite(column).all():
            raise NotFinite(f"{what} are not finite; use dtype float32, or look at the model's weights")
    return answer


def prompts(part: Prompts, answer: object) -> tuple[str, ...]:
    """The prompts.  Raises `DataError`."""
    return texts(f"prompts {part.use!r}", answer)


def texts(what: str, answer: object) -> tuple[str, ...]:
    """A column of texts as a tuple.  Raises `DataError` for what is none, and for a text that no file can hold."""
    if isinstance(answer, str | bytes | Mapping) or not isinstance(answer, Iterable):
        raise DataError(f"{what} gave {_spelled(answer)}; return a sequence of texts")
    column = tuple(answer)
    for row, text in enumerate(column):
        if not isinstance(text, str):
            raise DataError(f"{what} gave {_spelled(text)} in row {row}; every entry needs to be a text")
        if not text.isascii() and text.encode("utf-8", "replace").decode() != text:
            raise DataError(f"{what} gave a text with half of a character in row {row}: {ascii(text)[:60]}; mend it")
    return tuple(str(text) for text in column) if any(type(text) is not str for text in column) else column


def pairs(use: str, answer: object) -> Pairs:
    """The pairs of a source, as tuples and plain arrays.  Raises `DataError`."""
    what = f"source {use!r}"
    if not isinstance(answer, Pairs):
        raise DataError(f"{what} gave {_spelled(answer)}; return fairl_bench.Pairs")
    columns = {
        name: texts(f"{what}: {name}", getattr(answer, name)) for name in ("preferred", "rejected", "prompt", "group")
    }
    plain = Pairs(columns["preferred"], columns["rejected"], columns["prompt"], columns["group"])
    drawn = drawn_tokens(what, answer.drawn, 2 * len(plain))
    plain = replace(plain, truths=truths(what, answer.truths, 2 * len(plain)), drawn=drawn)
    return replace(plain, weight=_weight(what, answer.weight), dropped=_dropped(what, answer.dropped))


def _weight(what: str, answer: object) -> tuple[float, ...]:
    """How much each pair counts; nothing where all count alike.  Raises `DataError` and `NotFinite`."""
    weight = np.asarray(_numbers(f"{what} gave as weights", answer, "give one number a pair"), np.float64)
    if weight.ndim != 1 or (weight <= 0).any() or not np.isfinite(weight).all():
        raise DataError(f"{what} gave a weight that is no finite number above 0; leave the pair out, or weigh it")
    return tuple(weight.tolist())


def _dropped(what: str, answer: object) -> dict[str, int]:
    """How many pairs were left out, by the reason.  Raises `DataError`."""
    if not isinstance(answer, Mapping):
        raise DataError(f"{what} gave {_spelled(answer)} as what it dropped; return a dict of numbers by reason")
    for name, n in answer.items():
        _name(f"{what} gave a reason", name)
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise DataError(
                f"{what} gave {_spelled(n)} as the number of pairs dropped as {name!r}; give a whole number"
            )
    return dict(answer)


def examples(use: str, answer: object) -> Examples:
    """The examples of a test set, as tuples and plain arrays.  Raises `DataError`."""
    what = f"test set {use!r}"
    if not isinstance(answer, Examples):
        raise DataError(f"{what} gave {_spelled(answer)}; return fairl_bench.Examples")
    columns = {name: texts(f"{what}: {name}", getattr(answer, name)) for name in ("text", "prompt", "group")}
    n = len(columns["text"])
    for name, column in columns.items():
        if len(column) != n:
            raise DataError(f"{what} gave {n} texts and {len(column)} entries of {name!r}; give one each")
    pair, role = _whole(f"{what}: pair", answer.pair, n, np.int64), _whole(f"{what}: role", answer.role, n, np.int8)
    plain_truths, drawn = truths(what, answer.truths, n), drawn_tokens(what, answer.drawn, n)
    return Examples(columns["text"], columns["prompt"], columns["group"], pair, role, plain_truths, drawn)


def truths(what: str, answer: object, n: int) -> dict[str, Truth]:
    """The truths of ``n`` texts by name.  Raises `DataError` and `NotFinite`."""
    if not isinstance(answer, Mapping):
        raise DataError(f"{what} gave {_spelled(answer)} as truths; return a dict of fairl_bench.Truth by name")
    plain = {}
    for name, truth in answer.items():
        _name(f"{what} gave a truth", name)
        if not isinstance(truth, tuple) or len(truth) != 2:
            raise DataError(
                f"{what} gave {_spelled(truth)} as the truth {name!r}; return fairl_bench.Truth(value, label)"
            )
        prefix = f"{what} gave as the values of the truth {name!r}"
        value = _numbers(prefix, truth[0], "return one number a text")
        if value.shape != (n,):
            raise DataError(f"{prefix} shape {list(value.shape)} for {n} texts; return one number a text")
        label = _whole(f"{what} gave as the labels of the truth {name!r}", truth[1], n, np.int8)
        if wrong := sorted(set(np.unique(label).tolist()) - {-1, 0, 1}):
            raise DataError(
                f"{what} gave the labels {wrong[:5]} of the truth {name!r}; a label is 1 good, -1 bad or 0 unknown"
            )
        plain[name] = Truth(np.asarray(value, np.float64), label)
    return plain


def judged(use: str, answer: object, n: int) -> dict[str, Truth]:
    """The truths that a judge gives ``n`` texts.  Raises `DataError` and `NotFinite`."""
    what = f"judge {use!r}"
    by_name = truths(what, answer, n)
    if GOLD not in by_name:
        raise DataError(f"{what} gave no truth {GOLD!r} (it gave: {', '.join(by_name) or 'none'}); return one")
    if PREFERRED in by_name:
        raise DataError(f"{what} gave a truth {PREFERRED!r}, which is the pairs' own; give it another name")
    return by_name


def measures(evaluator: Evaluator, answer: object) -> list[Measure | Evidence]:
    """The numbers of an evaluator, each at a place of its own, and its tables.  Raises `DataError`."""
    what = f"evaluator {evaluator.use!r}"
    if isinstance(answer, str | Measure | Evidence | Mapping) or not isinstance(answer, Iterable):
        raise DataError(f"{what} gave {_spelled(answer)}; return a list of fairl_bench.Measure")
    results = [(_evidence if isinstance(result, Evidence) else _measure)(what, result) for result in answer]
    declared = {metric.name for metric in evaluator.metrics}
    if undeclared := next(
        (result.metric for result in results if isinstance(result, Measure) and result.metric not in declared), None
    ):
        near = suggest(undeclared, declared)
        hint = f"{near} if not, " if near.startswith("did you mean") else ""
        advice = f"{hint}add Metric({undeclared!r}) to its 'metrics'"
        raise DataError(f"{what} gave {undeclared!r}, which it does not declare; {advice}")
    seen = set()
    for result in results:
        if isinstance(result, Evidence):
            key: tuple[str, ...] = (result.name,)
            place, advice = f"evidence with the name {result.name!r}", "give each table a name of its own"
        else:
            key = (result.data, result.truth, result.metric, result.slice)
            place, advice = f"{result.metric!r} of {result.data!r}", "give each number its own metric, truth or slice"
        if key in seen:
            raise DataError(f"{what} gave {place} twice; {advice}")
        seen.add(key)
    return results


def _measure(what: str, answer: object) -> Measure:
    """A measure with plain numbers and texts.  Raises `DataError`."""
    if not isinstance(answer, Measure):
        raise DataError(f"{what} gave {_spelled(answer)}; make it a fairl_bench.Measure")
    for name in ("data", "truth", "metric", "note", "slice"):
        value = getattr(answer, name)
        if not isinstance(value, str):
            raise DataError(f"{what} gave a measure whose {name} is {_spelled(value)}; make it a text")
        if name != "note":
            _name(f"{what} gave a measure with the {name}", value, empty=name == "truth")
    place = f"{what} gave {answer.metric!r} of {answer.data!r} as"
    if isinstance(answer.value, bool | np.bool_) or not isinstance(answer.value, numbers.Real):
        raise DataError(f"{place} {_spelled(answer.value)}; make it a number")
    number = float(answer.value)
    if math.isinf(number):
        raise DataError(f"{place} {number}; where it is not defined, give NaN with a note")
    if math.isnan(number) and not answer.note:
        raise DataError(f"{place} NaN without a note; say why it is not defined")
    if isinstance(answer.n, bool) or not isinstance(answer.n, numbers.Integral) or not 0 <= answer.n < 2**63:
        raise DataError(
            f"{what} gave {answer.metric!r} of {answer.data!r} with n = {answer.n!r:.40}; n counts examples"
        )
    note = texts(f"{what}: note", (answer.note,))[0]
    return answer._replace(value=number, n=int(answer.n), note=note)


def _evidence(what: str, answer: Evidence) -> Evidence:
    """A table whose columns have one length, and whose name a folder can have.  Raises `DataError`."""
    if answer.name and not (isinstance(answer.name, str) and re.fullmatch(NAME, answer.name)):
        raise DataError(f"{what} gave evidence the name {answer.name!r:.60}; use letters, digits and .+-_ alone")
    lengths = {str(name): len(column) for name, column in answer.columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{what} gave evidence with columns of {lengths} rows; give each column as many")
    return answer


# --- arrays and names


def _numbers(what: str, answer: Any, advice: str) -> Floats:
    """Anything that holds real numbers, as float64, or as the float32 it is.  Raises `DataError` for all else."""
    if hasattr(answer, "detach") and hasattr(answer, "cpu"):  # a tensor, which may be on another device
        answer = answer.detach().cpu()
        answer = answer.float() if str(getattr(answer, "dtype", "")) == "torch.bfloat16" else answer
    if isinstance(answer, np.ma.MaskedArray) and answer.dtype.kind in "fiu":
        answer = np.ma.filled(answer.astype(np.float64), np.nan)
    if answer is None or isinstance(answer, str | bytes | Mapping) or hasattr(answer, "__next__"):
        raise DataError(f"{what} {_spelled(answer)}; {advice}")
    try:
        array = np.asarray(answer)
    except Exception as error:  # rows of different lengths, and whatever an object's own __array__ raises
        raise DataError(f"{what} {_spelled(answer)} that is no array ({type(error).__name__}); {advice}") from error
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


def _whole(what: str, answer: object, n: int, kind: type[np.signedinteger[Any]]) -> NDArray[Any]:
    """A column of ``n`` whole numbers that this type holds.  Raises `DataError`."""
    array = _numbers(what, answer, "return one whole number a text")
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


def _spelled(answer: object) -> str:
    """A value in a few words, also where its own ``__repr__`` is broken."""
    kind = type(answer).__name__
    try:
        text = repr(answer)
    except Exception:
        return f"a {kind}"
    if answer is None or isinstance(answer, bool | int | float | complex):
        return text[:40]
    if isinstance(answer, str):
        return f"the text {text[:40]}"
    return f"a {kind}"
