"""How long a stage has taken, with the work before an interruption."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_FILE: Final = "seconds"
_EVERY: Final = 1.0  # seconds between two notes


class WorkedTime:
    """The seconds that one stage has been worked on, now and before; noted beside its checkpoints as it moves on.

    Work of which no checkpoint is left counts too: it was done.
    """

    def __init__(self, scratch: Path) -> None:
        self.file, self.started, self.noted = scratch / _FILE, time.perf_counter(), 0.0
        noted = 0.0
        with suppress(OSError, ValueError):  # none yet, or it was being written
            noted = float(self.file.read_text())
        self.before = noted if 0 < noted < math.inf else 0.0

    def seconds(self) -> float:
        """The seconds so far."""
        return self.before + time.perf_counter() - self.started

    def note(self) -> None:
        """Note the time so far, at most once a second."""
        if (now := self.seconds()) - self.noted >= _EVERY:
            self.noted, half = now, self.file.with_suffix(".half")
            with suppress(OSError):  # only a note: a full disk is found by those who need it
                half.write_text(f"{now:.3f}")
                half.replace(self.file)
