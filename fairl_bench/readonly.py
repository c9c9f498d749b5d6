"""What a part is given: values that it may read and not change, and a look at them when it is done.

An array that a part writes into belongs to others too: the vectors of a data set are read by every method, and what one
changes would be the numbers of all.  numpy refuses to write into these arrays; where a library writes all the same, as
torch does, the values are found to differ afterwards.
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
    """A mapping was not to be changed."""


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
    """A view that numpy does not write into; whoever holds the array itself may."""
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
def lent(part: Component | Sequence[Component], *, look: bool | None = None, **given: object) -> Iterator[None]:
    """Inside, a part works on what it is given, by name.  Raises `Changed` where it changes any of that, or tries to.

    The values are looked at before and after; not those of built-in parts, whose tests do, unless ``look`` says so.
    """
    parts = [part] if isinstance(part, Component) else list(part)
    look = bool(_foreign(parts)) if look is None else look
    before = _traces(given) if look else {}

    def changed() -> list[str]:
        after = _traces(given) if look else {}
        return [name for name in {**before, **after} if before.get(name) != after.get(name)]

    try:
        # torch says that it cannot refuse to write; that is why the values are looked at
        with _without("The given (NumPy array|buffer) is not writable") if look else nullcontext():
            yield
    except (Exception, SystemExit) as error:
        if not isinstance(error, Changed) and (what := changed() or _refused(error, given)):
            raise Changed(_sentence(parts, what[0], error)) from error
        raise
    if what := changed():
        raise Changed(_sentence(parts, what[0]))


@contextmanager
def _without(warning: str) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", warning)
        yield


def _foreign(parts: Sequence[Component]) -> list[Component]:
    """The parts among these and within them that are not in the box."""
    within = (inner for part in parts for inner in parts_within(part))
    return [one for one in within if not type(one).__module__.startswith("fairl_bench.")]


# --- what values are


class _Names(frozenset[object]):
    """The keys of a mapping."""


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """What a value holds that holds nothing more, by its path: ``task.train.vectors``."""
    if is_dataclass(value):
        inner = {f".{one.name}": getattr(value, one.name) for one in fields(value)}
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        inner = {f".{one}": getattr(value, one) for one in value._fields}
    elif isinstance(value, tuple | list) and value and not isinstance(value[0], str | int | float):
        inner = {f"[{at}]": one for at, one in enumerate(value)}
    elif isinstance(value, Mapping):
        inner = {f"[{key!r}]" if name else str(key): one for key, one in value.items()}
        if name:
            yield name, _Names(value)
    else:
        yield name, value
        return
    for step, one in inner.items():
        yield from _leaves(one, f"{name}{step}")


def _traces(given: Mapping[str, object]) -> dict[str, object]:
    """By path, something that differs when the value does."""
    return {name: _trace(leaf) for name, leaf in _leaves(given)}


def _trace(leaf: object) -> object:
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
    found = ((one, one.stat()) for one in sorted(path.rglob("*")) if one.is_file()) if path.is_dir() else ()
    return tuple((str(one), told.st_size, told.st_mtime_ns) for one, told in found)


# --- what is told


def _refused(error: BaseException, given: Mapping[str, object]) -> list[str]:
    """What of the given a part was refused to write into, as far as the refused line tells; empty for other errors."""
    if isinstance(error, FrozenInstanceError):
        return [name for name, _ in _leaves(given) if f"'{_last(name)}'" in str(error)]
    if not isinstance(error, _Refused) and not (isinstance(error, ValueError | TypeError) and _READ_ONLY in str(error)):
        return []
    kind = _Names if isinstance(error, _Refused) else np.ndarray
    leaves = [(name, leaf) for name, leaf in _leaves(given) if isinstance(leaf, kind)]
    for frame, line in _frames(error):
        said = linecache.getline(frame.f_code.co_filename, line)
        near = [one for one in _mentioned(said, frame) if isinstance(one, np.ndarray)]
        shared = [name for one in near for name, leaf in leaves if _overlap(leaf, one)]
        if found := shared or [name for name, _ in leaves if re.search(rf"\.{_last(name)}\b", said)]:
            return sorted(found, key=lambda name: _likeness(name, said), reverse=True)
    return ["a mapping"] if isinstance(error, _Refused) else []


_READ_ONLY = "read-only"  # in all of numpy's words for it


def _likeness(name: str, said: str) -> tuple[bool, int]:
    """How much of a path stands in a line of code: the whole of it, or so many of its words."""
    words = set(re.findall(r"\w+", said))
    return name in said.replace('"', "'"), len(words.intersection(re.findall(r"\w+", name)))


def _overlap(one: object, other: NDArray[np.generic]) -> bool:
    return isinstance(one, np.ndarray) and np.may_share_memory(one, other)


def _last(name: str) -> str:
    """The last name of a path: of ``reward.arrays['weight']`` it is ``arrays``."""
    return re.sub(r"(\[[^\]]*\])+$", "", name).rpartition(".")[2]


def _mentioned(said: str, frame: FrameType) -> list[object]:
    """The values of a frame that a line of its code names, in the line's order."""
    return [frame.f_locals[name] for name in re.findall(r"\w+", said) if name in frame.f_locals]


def _frames(error: BaseException | None) -> list[tuple[FrameType, int]]:
    """Where an error went through, with the lines, the innermost first."""
    return [] if error is None else list(traceback.walk_tb(error.__traceback__))[::-1]


def _sentence(parts: Sequence[Component], what: str, error: BaseException | None = None) -> str:
    """``method 'x' changed task.train.vectors, which it was given (x.py, line 8); …``."""
    through = [(frame.f_locals.get("self"), frame, line) for frame, line in _frames(error)]
    own = [(one, frame, line) for one, frame, line in through if isinstance(one, Component) and one.kind]
    part = own[0][0] if own else next(iter((*_foreign(parts), *parts)))
    place = f" ({Path(own[0][1].f_code.co_filename).name}, line {own[0][2]})" if own else ""
    return (
        f"{part.kind} {(part.use or type(part).__name__)!r} changed {what}, which it was given{place}; a part may only "
        "read what it is given: let it change a copy, say by np.array(...)"
    )
