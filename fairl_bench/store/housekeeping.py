"""What is in a store, whether it is undamaged, and what of it can be removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

from filelock import Timeout

from fairl_bench.errors import DamagedArtefact
from fairl_bench.store.store import Store

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
    every = (_entry(store, key, *size) for key, size in store.sizes().items())
    wanted = (entry for entry in every if not kinds or entry.kind in kinds)
    return sorted(wanted, key=lambda entry: (entry.kind, -entry.made))


def _entry(store: Store, key: str, size: int, made: float) -> Entry:
    try:
        manifest = store.manifest(key)
    except DamagedArtefact:
        return Entry(key, _BROKEN, "", size, made)
    return Entry(key, str(manifest["kind"]), str(manifest["facts"].get("title", "")), size, made)


def leftovers(store: Store) -> list[Entry]:
    """What belongs to no artefact: what was set aside, checkpoints, what dead processes left half-written."""
    return [Entry(name, name.partition("/")[0], "", *size) for name, size in store.leftovers().items()]


def damage(store: Store, moved: Callable[[int, int], None] = lambda done, total: None) -> Iterator[DamagedArtefact]:
    """The artefacts that do not match their checksums; reads all of them."""
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


class Rule(NamedTuple):
    """What may be removed: artefacts not in ``keep`` and older than ``older_than`` seconds; with neither, none."""

    keep: frozenset[str] | None = None
    older_than: float | None = None

    def allows(self, key: str, made: float) -> bool:
        """Whether the artefact of this key, or the work on it, may be removed."""
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
    artefacts = [entry for entry in entries(store) if entry.name not in used and rule.allows(entry.name, entry.made)]

    def may_go(leftover: Entry) -> bool:
        key = leftover.name.partition("/")[2]
        finished_or_old = store.has(key) or rule.allows(key, leftover.made)
        return leftover.kind != "scratch" or (key not in used and finished_or_old)

    return [*artefacts, *filter(may_go, leftovers(store))]


def prune(store: Store, rule: Rule) -> list[Entry]:
    """Remove what is `removable`, but not what is being made; what was removed.  No run begins meanwhile."""
    with store.pruning():
        return [entry for entry in removable(store, rule) if _removed(store, entry)]


def _removed(store: Store, entry: Entry) -> bool:
    """Remove one entry, unless a process is working on it; whether it was removed."""
    artefact = "/" not in entry.name
    if not artefact and entry.kind != "scratch":
        store.discard(entry.name)
        return True
    try:
        with store.lock(entry.name.rpartition("/")[2], wait=False):
            store.remove(entry.name) if artefact else store.discard(entry.name)
    except Timeout:  # a process makes it just now
        return False
    return True
