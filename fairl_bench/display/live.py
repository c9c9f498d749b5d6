"""The progress of a run: live bars on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from fairl_bench.display.notebook import NotebookProgress, in_notebook
from fairl_bench.engine.execute import Watcher
from fairl_bench.guards.printable import safe
from fairl_bench.values.stage import Stage

if TYPE_CHECKING:
    from rich.progress import TaskID

_QUIET = 10.0  # seconds between two plain lines of one job
_SHORT = ("scores", "measures")  # kinds that finish in a moment: shown live, not in plain lines


class Progress:
    """Shows jobs as they start, move and end, several at once.  Texts of data sets reach it in failures alone."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self.console = Console(file=out, highlight=False)
        self.live = self.console.is_terminal
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        self.bars = Bars(*columns, console=self.console, transient=True)
        self.whole: TaskID | None = None
        self.jobs: dict[str, _Running] = {}

    def __enter__(self) -> Self:
        if self.live:
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.bars.stop()

    def watcher(self) -> Watcher:
        """The functions that the engine calls."""
        return Watcher(self._started, self._moved, self._finished, self._say, self._warned, self._say)

    def _say(self, message: str) -> None:
        if self.live:
            self.console.print(safe(message), markup=False, soft_wrap=True)
        else:  # a tenth of a second less for every three hundred lines
            print(safe(message), file=self.console.file, flush=True)

    def _warned(self, message: str) -> None:
        self._say(f"warning: {message}")

    def _started(self, job: Sequence[Stage], done: int, total: int) -> None:
        more = f" and {len(job) - 1} more together" if len(job) > 1 else ""
        running = _Running(f"{job[0].kind}: {job[0].title}{more}", time.monotonic())
        self.jobs[job[0].key] = running
        if self.live:
            if self.whole is None:
                self.whole = self.bars.add_task("all", total=total, note="")
            self.bars.update(self.whole, completed=done, total=total, note=f"{done} of {total} jobs")
            running.task = self.bars.add_task(safe(running.title[:60]), total=1.0, note="")
        elif job[0].kind not in _SHORT:
            self._say(f"[{done + 1}/{total}] {running.title}")

    def _moved(self, key: str, share: float, note: str) -> None:
        running = self.jobs.get(key)
        if running is None:  # a message that was under way when its job ended
            return
        if running.task is not None:
            self.bars.update(running.task, completed=share, note=safe(note))
        elif time.monotonic() - running.spoke > _QUIET:
            running.spoke = time.monotonic()
            self._say(f"      {share:4.0%} {note} ({running.title})")

    def _finished(self, job: Sequence[Stage], failures: Sequence[str]) -> None:
        running = self.jobs.pop(job[0].key)
        seconds = time.monotonic() - running.began
        for failure in failures:
            self._say(f"failed: {job[0].kind}: {failure}")
        if running.task is not None:
            self.bars.remove_task(running.task)
        elif seconds > _QUIET and not failures:
            self._say(f"      done in {seconds:.0f} s ({running.title})")


@dataclass
class _Running:
    title: str
    began: float
    spoke: float = field(init=False)
    task: TaskID | None = None

    def __post_init__(self) -> None:
        self.spoke = self.began


def show_progress() -> Progress | NotebookProgress:
    """The progress of a run as it is shown here: in a notebook as its output, else on the standard error."""
    return NotebookProgress() if in_notebook() else Progress(sys.stderr)
