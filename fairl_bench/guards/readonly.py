"""Values that parts may read and must not change, and a check that they did not.

The vectors of a data set are read by every method: if one method wrote into them, the numbers of all would change.
numpy refuses to write into these arrays.  Where a library writes into them all the same, as torch does, the check finds
that the values differ afterwards.
"""

from __future__ import annotations

import linecache
import re
import traceback
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import FrozenInstanceError, fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from fairl_bench.component import Component, parts_within
from fairl_bench.errors import Changed

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A", bound=np.generic)


class _Refused(TypeError):
    """Something tried to change a read-only mapping."""


class ReadOnly(dict[K, V]):
    """A mapping that refuses to be changed; a copy of it, also in another process, is a plain dict."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise _Refused("this mapping is read-only; change dict(...) of it")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[dict[K, V]], tuple[dict[K, V]]]:
        return dict, (dict(self),)

    def __copy__(self) -> dict[K, V]:
        return dict(self)


def read_only(array: NDArray[A]) -> NDArray[A]:
    """A view that numpy refuses to write into; the array itself can still be written."""
    if not isinstance(array, np.ndarray):  # what a plugin gives instead is refused where it is kept
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def freeze_arrays(value: object, *names: str) -> None:
    """Make these arrays of a frozen value read-only: it is shared by all who are given it."""
    for name in names:
        object.__setattr__(value, name, read_only(getattr(value, name)))


@contextmanager
def unchanged_by(part: Component | Sequence[Component], *, look: bool | None = None, **given: object) -> Iterator[None]:
    """Let a part read inside what is ``given``.  Raises `Changed` where it changes any of it, or tries to.

    The values are compared before and after.  Built-in parts are not checked here, as their tests do it, unless
    ``look`` is true.
    """
    parts = [part] if isinstance(part, Component) else list(part)
    look = bool(_foreign(parts)) if look is None else look
    before = _fingerprints(given) if look else {}

    def changed() -> list[str]:
        after = _fingerprints(given) if look else {}
        return [name for name in {**before, **after} if before.get(name) != after.get(name)]

    try:
        # torch warns that it cannot refuse to write; that is why the values are compared
        with _without("The given (NumPy array|buffer) is not writable") if look else nullcontext():
            yield
    except (Exception, SystemExit) as error:
        if not isinstance(error, Changed) and (what := changed() or _refused_places(error, given)):
            raise Changed(_sentence(parts, what[0], error)) from error
        raise
    if what := changed():
        raise Changed(_sentence(parts, what[0]))


@contextmanager
def _without(warning: str) -> Iterator[None]:
    """Ignore a warning inside."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", warning)
        yield


def _foreign(parts: Sequence[Component]) -> list[Component]:
    """The parts of plugins among these and within them."""
    every = (inner for part in parts for inner in parts_within(part))
    return [part for part in every if not type(part).__module__.startswith("fairl_bench.")]


# --- fingerprints of values


class _Names(frozenset[object]):
    """The keys of a mapping."""


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """The innermost values within a value, each with its path, such as ``task.train.vectors``."""
    if is_dataclass(value):
        inner = {f".{field.name}": getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        inner = {f".{field}": getattr(value, field) for field in value._fields}
    elif isinstance(value, tuple | list) and value and not isinstance(value[0], str | int | float):
        inner = {f"[{at}]": entry for at, entry in enumerate(value)}
    elif isinstance(value, Mapping):
        inner = {f"[{key!r}]" if name else str(key): entry for key, entry in value.items()}
        if name:
            yield name, _Names(value)
    else:
        yield name, value
        return
    for step, entry in inner.items():
        yield from _leaves(entry, f"{name}{step}")


def _fingerprints(given: Mapping[str, object]) -> dict[str, object]:
    """A fingerprint of every innermost value, by its path."""
    return {name: _fingerprint(leaf) for name, leaf in _leaves(given)}


def _fingerprint(leaf: object) -> object:
    """A value that differs when the leaf does."""
    if type(leaf).__module__ == "torch" and hasattr(leaf, "numpy"):
        leaf = leaf.detach().cpu().numpy()  # type: ignore[attr-defined]
    if isinstance(leaf, np.ndarray):
        if leaf.dtype.hasobject:
            return leaf.shape, repr(leaf.tolist())
        return leaf.shape, leaf.dtype.str, zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data)
    if isinstance(leaf, Path):
        return _files(leaf)
    if isinstance(leaf, str | _Names):
        return hash(leaf)
    # texts and numbers do not change, so that it is enough to know which ones they are
    return tuple(map(id, leaf)) if isinstance(leaf, list) else id(leaf)


def _files(path: Path) -> object:
    """The names, sizes and times of a folder's files."""
    files = ((file, file.stat()) for file in sorted(path.rglob("*")) if file.is_file()) if path.is_dir() else ()
    return tuple((str(file), status.st_size, status.st_mtime_ns) for file, status in files)


# --- messages


def _refused_places(error: BaseException, given: Mapping[str, object]) -> list[str]:
    """The paths of what a part tried to write into, as far as its line of code shows; empty for other errors."""
    if isinstance(error, FrozenInstanceError):
        return [name for name, _ in _leaves(given) if f"'{_last(name)}'" in str(error)]
    if not isinstance(error, _Refused) and not (isinstance(error, ValueError | TypeError) and _READ_ONLY in str(error)):
        return []
    kind = _Names if isinstance(error, _Refused) else np.ndarray
    leaves = [(name, leaf) for name, leaf in _leaves(given) if isinstance(leaf, kind)]
    for frame, line in _frames(error):
        code = linecache.getline(frame.f_code.co_filename, line)
        arrays = [value for value in _mentioned(code, frame) if isinstance(value, np.ndarray)]
        shared = [name for array in arrays for name, leaf in leaves if _overlap(leaf, array)]
        if places := shared or [name for name, _ in leaves if re.search(rf"\.{_last(name)}\b", code)]:
            return sorted(places, key=lambda name: _likeness(name, code), reverse=True)
    return ["a mapping"] if isinstance(error, _Refused) else []


_READ_ONLY = "read-only"  # stands in each of numpy's messages about it


def _likeness(name: str, code: str) -> tuple[bool, int]:
    """The likeness of a path and a line of code: whether all of the path is in it, and how many of its words are."""
    words = set(re.findall(r"\w+", code))
    return name in code.replace('"', "'"), len(words.intersection(re.findall(r"\w+", name)))


def _overlap(leaf: object, array: NDArray[np.generic]) -> bool:
    """True where two arrays share memory."""
    return isinstance(leaf, np.ndarray) and np.may_share_memory(leaf, array)


def _last(name: str) -> str:
    """The last name of a path: of ``reward.arrays['weight']`` it is ``arrays``."""
    return re.sub(r"(\[[^\]]*\])+$", "", name).rpartition(".")[2]


def _mentioned(code: str, frame: FrameType) -> list[object]:
    """The local variables that a line of code names, in the line's order."""
    return [frame.f_locals[name] for name in re.findall(r"\w+", code) if name in frame.f_locals]


def _frames(error: BaseException | None) -> list[tuple[FrameType, int]]:
    """The frames that an error went through, each with its line number, the innermost first."""
    return [] if error is None else list(traceback.walk_tb(error.__traceback__))[::-1]


def _sentence(parts: Sequence[Component], what: str, error: BaseException | None = None) -> str:
    """The sentence on a change: ``method 'x' changed task.train.vectors, which it was given (x.py, line 8); …``."""
    through = [(frame.f_locals.get("self"), frame, line) for frame, line in _frames(error)]
    in_parts = [(part, frame, line) for part, frame, line in through if isinstance(part, Component) and part.kind]
    part = in_parts[0][0] if in_parts else next(iter((*_foreign(parts), *parts)))
    place = f" ({Path(in_parts[0][1].f_code.co_filename).name}, line {in_parts[0][2]})" if in_parts else ""
    return (
        f"{part.kind} {(part.use or type(part).__name__)!r} changed {what}, which it was given{place}; a part may only "
        "read what it is given: let it change a copy, say by np.array(...)"
    )
