"""A run's progress in a notebook: one output, written anew while the run works."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from html import escape
from importlib import import_module
from types import TracebackType
from typing import Protocol, Self

from fairl_bench.engine.execute import Watcher
from fairl_bench.guards.printable import safe
from fairl_bench.values.stage import Stage

_OFTEN = 0.5  # seconds between two drawings
_SHOWN = 8  # jobs that are shown at once
_MESSAGES = 20  # messages that are kept


class _Output(Protocol):
    """What IPython gives for an output that can be written anew."""

    def update(self, shown: object, /) -> None:
        """Show this in its place."""


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class NotebookProgress:
    """Shows how many jobs are done and which are running.  Texts of data sets reach it in failures alone."""

    def __init__(self) -> None:
        self.done = self.total = 0
        self.ended = False
        self.running: dict[str, tuple[str, float, str]] = {}  # key -> title, share, note
        self.messages: list[str] = []
        self.drawn = 0.0
        self.output: _Output | None = None

    def __enter__(self) -> Self:
        self.output = import_module("IPython.display").display(self, display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.running.clear()
        self.ended = kind is None
        self._draw(at_once=True)

    def watcher(self) -> Watcher:
        """The functions that the engine calls."""
        return Watcher(self._started, self._moved, self._finished, self._say, self._warned, self._say)

    def __repr__(self) -> str:
        return "\n".join([self._count(), *self._lines(), *self.messages])

    def _repr_html_(self) -> str:
        """The bar, the running jobs and the messages, as Jupyter shows them."""
        bar = f"<progress value={self.done} max={self.total}></progress> " if self.total else ""
        lines = [f"{bar}{self._count()}"]
        lines += [escape(line) for line in (*self._lines(), *self.messages)]
        return f"<div>{'<br>'.join(lines)}</div>"

    def _count(self) -> str:
        """How many jobs are done, once there are any."""
        if self.total:
            return f"{self.done} of {self.total} jobs"
        return "nothing to compute" if self.ended else "no job yet"

    def _lines(self) -> list[str]:
        shown = list(self.running.values())[:_SHOWN]
        lines = [f"{title} {share:.0%} {note}".rstrip() for title, share, note in shown]
        more = len(self.running) - len(shown)
        return [*lines, f"and {more} more"] if more else lines

    def _say(self, message: str) -> None:
        self.messages = [*self.messages, safe(message)][-_MESSAGES:]
        self._draw(at_once=True)

    def _warned(self, message: str) -> None:
        self._say(f"warning: {message}")

    def _started(self, job: Sequence[Stage], done: int, total: int) -> None:
        more = f" and {len(job) - 1} more together" if len(job) > 1 else ""
        self.done, self.total = done, total
        self.running[job[0].key] = (safe(f"{job[0].kind}: {job[0].title}{more}"), 0.0, "")
        self._draw()

    def _moved(self, key: str, share: float, note: str) -> None:
        if key in self.running:  # else a message that was under way when its job ended
            self.running[key] = (self.running[key][0], share, safe(note))
            self._draw()

    def _finished(self, job: Sequence[Stage], failures: Sequence[str]) -> None:
        self.running.pop(job[0].key, None)
        self.done += 1
        for failure in failures:
            self._say(f"failed: {job[0].kind}: {failure}")
        self._draw()

    def _draw(self, *, at_once: bool = False) -> None:
        """Write the output anew, not more often than anybody can read."""
        now = time.monotonic()
        if self.output is not None and (at_once or now > self.drawn + _OFTEN):
            self.drawn = now
            self.output.update(self)
