"""How long work says where it is: a part calls `report`, whoever runs it listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[float, str], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def report(done: float, total: float, note: str = "") -> None:
    """Say that ``done`` of ``total`` is finished; silent where nobody listens."""
    listener = _listener.get()
    if listener is not None:
        listener(done / total if total else 1.0, note)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener(share, note)`` at each report of the work inside; share in [0, 1]."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
