"""The progress of long work: a part calls `report`, and the program that runs it shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[float, str], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def report(done: float, total: float, note: str = "") -> None:
    """Report that ``done`` of ``total`` is finished; without effect outside `listening`."""
    listener = _listener.get()
    if listener is not None:
        listener(done / total if total else 1.0, note)


@contextmanager
def following(note: Callable[[], None]) -> Iterator[None]:
    """Inside, each `report` also calls ``note()``, before whoever listens already."""
    outer = _listener.get()

    def both(share: float, text: str) -> None:
        note()
        if outer is not None:
            outer(share, text)

    with listening(both):
        yield


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Inside, each `report` calls ``listener(share, note)``, with a share in [0, 1]."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
