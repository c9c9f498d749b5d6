"""Keeping house in a store: what is in it, whether it is whole, and what nobody needs any more."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from filelock import Timeout

from fairl_bench.engine.planner import plan
from fairl_bench.errors import DamagedArtefact, FairlError
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.table import Table, Value

_BROKEN = "(broken manifest)"


class Entry(NamedTuple):
    """Something in a store: an artefact, or, without a kind of its own, a leftover by its place."""

    name: str  # the key of an artefact
    kind: str
    title: str
    bytes: int
    made: float  # seconds since 1970


def entries(store: Store, kinds: Collection[str] = ()) -> list[Entry]:
    """The artefacts, of these kinds or all; by kind, the newest first."""
    found = (_entry(store, key, *size) for key, size in store.sizes().items())
    return sorted((one for one in found if not kinds or one.kind in kinds), key=lambda one: (one.kind, -one.made))


def _entry(store: Store, key: str, size: int, made: float) -> Entry:
    try:
        told = store.manifest(key)
    except DamagedArtefact:
        return Entry(key, _BROKEN, "", size, made)
    return Entry(key, str(told["kind"]), str(told["facts"].get("title", "")), size, made)


def leftovers(store: Store) -> list[Entry]:
    """What no artefact is part of: what was set aside, checkpoints, what dead processes left half-written."""
    return [Entry(name, name.partition("/")[0], "", *size) for name, size in store.leftovers().items()]


def damage(store: Store, moved: Callable[[int, int], None] = lambda done, total: None) -> Iterator[DamagedArtefact]:
    """Check every artefact against its checksums; the damaged ones."""
    keys = store.keys()
    for done, key in enumerate(keys):
        moved(done, len(keys))
        try:
            store.verify(key)
        except DamagedArtefact as error:
            yield error


def unsealed(store: Store) -> int:
    """How many artefacts are of an earlier version, whose manifests have no checksum."""
    count = 0
    for key in list(store.keys()):
        with suppress(DamagedArtefact):  # or removed just now
            count += not store.sealed(key)
    return count


def needed(suites: Sequence[Path]) -> set[str]:
    """The keys of everything that these suites are made of."""
    return {key for path in suites for key in plan(read_study(path)).stages}


class Rule(NamedTuple):
    """What may go: all that is not in ``keep`` and is older than ``older_than`` seconds; with neither, no artefact."""

    keep: frozenset[str] | None = None
    older_than: float | None = None

    def lets_go(self, key: str, made: float) -> bool:
        """Whether the artefact of this key, or work on it, may go."""
        if self == Rule():
            return False
        old = self.older_than is None or time.time() - made >= self.older_than
        return old and (self.keep is None or key not in self.keep)


def removable(store: Store, rule: Rule) -> list[Entry]:
    """What a prune would remove now: nothing that a running suite uses.

    Leftovers of dead processes and damaged artefacts go always; checkpoints do when their work is finished, else by
    the rule, like artefacts.
    """
    used = {key for run in store.running() for key in run.keys}
    found = [one for one in entries(store) if one.name not in used and rule.lets_go(one.name, one.made)]
    for one in leftovers(store):
        key = one.name.partition("/")[2]
        if one.kind != "scratch" or (key not in used and (store.has(key) or rule.lets_go(key, one.made))):
            found.append(one)
    return found


def prune(store: Store, rule: Rule) -> list[Entry]:
    """Remove what `removable` says; what was removed.  No run begins meanwhile, and nobody works on what goes."""
    with store.pruning():
        return [one for one in removable(store, rule) if _removed(store, one)]


def _removed(store: Store, one: Entry) -> bool:
    artefact = "/" not in one.name
    if not artefact and one.kind != "scratch":
        store.discard(one.name)
        return True
    try:
        with store.lock(one.name.rpartition("/")[2], wait=False):
            store.remove(one.name) if artefact else store.discard(one.name)
    except Timeout:  # a process makes it just now
        return False
    return True


# --- as tables


def listing(found: Sequence[Entry], title: str) -> Table:
    """A line an entry, with its key or place."""
    now = time.time()
    rows = tuple((one.kind, one.title, size(one.bytes), age(now - one.made), one.name) for one in found)
    tidy: tuple[dict[str, Value], ...] = tuple(
        {"kind": one.kind, "title": one.title, "bytes": one.bytes, "seconds": round(now - one.made), "key": one.name}
        for one in found
    )
    heads = _heads("kind", "title", "size", "age", "key")
    total = f"{len(found):,} in all, {size(sum(one.bytes for one in found))}"
    return Table(title, heads, rows, (total,), tidy)


def totals(found: Sequence[Entry], title: str) -> Table:
    """A line a kind, and one of all."""
    number, total = Counter(one.kind for one in found), Counter[str]()
    for one in found:
        total[one.kind] += one.bytes
    lines = [(kind, number[kind], total[kind]) for kind in sorted(number)]
    lines.append(("all", sum(number.values()), sum(total.values())))
    rows = tuple((kind, f"{n:,}", size(bytes)) for kind, n, bytes in lines)
    tidy: tuple[dict[str, Value], ...] = tuple({"kind": kind, "number": n, "bytes": b} for kind, n, b in lines)
    return Table(title, _heads("kind", "number", "size"), rows, (), tidy)


def _heads(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple(("", name) for name in names)


def size(count: int) -> str:
    """Bytes in words.

    >>> size(0), size(999), size(1500), size(12_345_678)
    ('0 B', '999 B', '1.5 kB', '12 MB')
    """
    if count < 1000:
        return f"{count} B"
    number, unit = float(count), -1
    while number >= 999.5 and unit < 4:
        number, unit = number / 1000, unit + 1
    return f"{number:.2g} {'kMGTP'[unit]}B" if number < 10 else f"{number:.0f} {'kMGTP'[unit]}B"


def age(seconds: float) -> str:
    """A time that has passed, in its largest unit.

    >>> age(5), age(90), age(3600 * 5), age(86400 * 40)
    ('5 s', '1 min', '5 h', '40 d')
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}" if unit == "d" else f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


_LENGTHS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def seconds_of(text: str) -> float:
    """The seconds of ``30d``, ``12h``, ``2w``.  Raises `FairlError` for another text.

    >>> seconds_of("2w")
    1209600.0
    """
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]+)?)([smhdw])", text.strip())
    if found is None:
        raise FairlError(f"--older-than {text}: needs a number and s, m, h, d or w, such as 30d")
    return float(found[1]) * _LENGTHS[found[2]]
