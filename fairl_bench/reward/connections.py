"""Connections that are cut when they are silent for too long, which uvicorn does not do by itself."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol


class _Patient(H11Protocol):
    """uvicorn's protocol, which cuts a connection that has had no request under way for ``silence`` seconds.

    A connection is silent in this sense when it sends no head or half of one, goes on with a body that was refused, or
    does not read its answer.  Connections beyond the number ``most`` are cut at once.
    """

    silence: ClassVar[float]
    most: ClassVar[int]
    clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._halt()

    def _watch(self) -> None:
        """Start the clock where no request is under way and none runs; stop it where one is."""
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete and not self.transport.is_closing():
            self._halt()
        elif self.clock is None:
            self.clock = self.loop.call_later(self.silence, self.transport.abort)

    def _halt(self) -> None:
        if self.clock is not None:
            self.clock.cancel()
            self.clock = None


def patient(seconds: float, connections: int) -> type[H11Protocol]:
    """The protocol that cuts a connection which is silent for so many seconds, and more than so many connections."""

    class Patient(_Patient):
        silence = seconds
        most = connections

    return Patient
