"""The runs that use a store now: each is announced by a file beside a lock that ends with its process.

::

    RUNS/mutex             held while a run is announced, and while a prune decides and removes
    RUNS/NAME.json         suite, machine, process, time, and the keys of its plan
    RUNS/NAME.lock         held by that process
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fairl_bench.guards.untrusted import read_file
from fairl_bench.store.locks import HELD, Lock, is_free, lock_at

_NAME = re.compile(r"[0-9a-zA-Z]+")
DOUBT = 7 * 24 * 3600.0
"""Seconds for which a run of another machine counts as running, even without a lock: not every network has locks."""


class Running(NamedTuple):
    """A run that uses a store."""

    name: str
    suite: str
    host: str
    pid: int
    began: float  # seconds since 1970
    keys: frozenset[str]

    def text(self) -> str:
        """The announcement as JSON."""
        return json.dumps({**self._asdict(), "keys": sorted(self.keys)})


def announcement(suite: str, keys: Iterable[str], name: str = "") -> Running:
    """The announcement of a run by this process."""
    return Running(name or uuid.uuid4().hex, suite, socket.gethostname(), os.getpid(), time.time(), frozenset(keys))


def announced(text: str | bytes) -> Running | None:
    """The run of an announcement; None for a text that is none (cut off by a power failure, say)."""
    try:
        fields = json.loads(text)
        run = Running(**{**fields, "keys": frozenset(fields["keys"])})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return run if _is_valid(run) else None


def _is_valid(run: Running) -> bool:
    """Whether the fields have their types; the name is joined to a folder, and the others are printed."""
    numbers = all(isinstance(number, int | float) and not isinstance(number, bool) for number in (run.pid, run.began))
    words = all(isinstance(text, str) and text.isprintable() for text in (run.name, run.suite, run.host))
    return numbers and words and _NAME.fullmatch(run.name) is not None and all(isinstance(key, str) for key in run.keys)


_MOST = 256 * 2**20  # bytes of an announcement: two million keys


class RunAnnouncements:
    """The announcements in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, Lock] = {}

    def mutex(self) -> Lock:
        """Held while a run begins and while a prune works, so that they do not overlap."""
        return lock_at(self.folder / "mutex")

    def begin(self, suite: str, keys: Iterable[str]) -> str:
        """Announce that a run of this process uses these keys; its name.  Waits for a prune that is under way."""
        run = announcement(suite, keys)
        with self.mutex():
            lock = lock_at(self.folder / f"{run.name}.lock")
            lock.acquire()
            self.held[run.name] = lock
            try:
                (self.folder / f"{run.name}.json").write_text(run.text())
            except BaseException:
                self.end(run.name)
                raise
        return run.name

    def end(self, name: str) -> None:
        """Remove the announcement."""
        self._remove(name)
        self.held.pop(name).release()

    def now(self) -> list[Running]:
        """The runs that are alive; announcements of dead ones are removed."""
        runs = (self._alive(path) for path in sorted(self.folder.glob("*.json")))
        return [run for run in runs if run is not None]

    def _alive(self, path: Path) -> Running | None:
        """The run of an announcement, if it is alive; else the announcement is removed."""
        try:
            run = announced(read_file(path, _MOST, follow=False))
        except FileNotFoundError:  # it ended just now
            return None
        except OSError:  # a pipe, say
            run = None
        if self.holds(path.stem) or (run and self.is_believed(run)):
            return run  # None only while `begin` is writing it, which it does under `mutex`
        self._remove(path.stem)
        return None

    def _remove(self, name: str) -> None:
        for ending in ("json", "lock", f"lock{HELD}"):
            with suppress(OSError):  # an announcement that stays has no lock, and so has no effect
                (self.folder / f"{name}.{ending}").unlink(missing_ok=True)

    def holds(self, name: str) -> bool:
        """Whether the process is alive that announced itself under this name."""
        return not is_free(self.folder / f"{name}.lock")

    def is_believed(self, run: Running) -> bool:
        """Whether a run is of another machine, and began so lately that it counts without its lock."""
        return run.host != socket.gethostname() and time.time() - run.began < DOUBT
