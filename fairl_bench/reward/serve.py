"""A reward behind HTTP, in the shape that OpenRLHF takes as ``--reward.remote_url``.

::

    POST /get_reward   {"query": [...], "prompts": [...], "labels": [...]}
                       -> {"rewards": [...], "scores": [...], "extra_logs": {}}
    GET  /health       -> {"status": "ok", "reward": NAME}

A query is a prompt with its completion; the prompt is cut off where ``prompts`` are given.  ``labels`` are not read.
Anybody who reaches the port is answered: keep it on this machine or in a network of your own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from fairl_bench.errors import DataError
from fairl_bench.reward.app import Limits, RewardApp
from fairl_bench.reward.function import RecoveredReward

if TYPE_CHECKING:
    from uvicorn import Config

_BACKLOG = 2048  # connections that the system keeps until they are taken; it may allow fewer


class Server:
    """A server that listens from the start, and answers while `run` runs; to be used in a ``with``."""

    def __init__(self, app: RewardApp, listening: socket.socket) -> None:
        import uvicorn

        self.app, self.socket = app, listening
        self._server = uvicorn.Server(_config(app))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.app.scorer.shutdown(wait=False, cancel_futures=True)

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port that it listens on."""
        host, port = self.socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def url(self) -> str:
        """The URL that reaches it."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def connections(self) -> Collection[object]:
        """The connections that are open now."""
        return self._server.server_state.connections

    @property
    def busy(self) -> bool:
        """Whether a text is being scored, which cannot be interrupted."""
        return self.app.scoring is not None and not self.app.scoring.done()

    def run(self) -> int:
        """Answer requests until a signal comes or `stop` is called; then finish what is under way.

        Returns the exit code: 130 after Ctrl-C, 143 after SIGTERM, else 0.  A second Ctrl-C does not wait.
        """
        with _quiet(self.app.say), self._signals() as heard:
            asyncio.run(self._run())
        return 128 + heard[0] if heard else 0

    def stop(self) -> None:
        """Make `run` return; may be called from any thread."""
        self._server.should_exit = True

    async def _run(self) -> None:
        asyncio.get_running_loop().set_exception_handler(self._troubled)
        await self._server.serve([self.socket])

    def _troubled(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report what went wrong outside of requests, such as too many open files; the server goes on."""
        with suppress(OSError, ValueError):
            self.app.say(f"{context.get('exception') or context['message']}")

    @contextmanager
    def _signals(self) -> Iterator[list[int]]:
        """The signals that came, in their order.  uvicorn catches them itself, and raises them again at its end."""
        heard: list[int] = []

        def hear(number: int, _: FrameType | None) -> None:
            heard.append(number)
            self.stop()  # one that came before the server took them

        if threading.current_thread() is not threading.main_thread():
            yield heard
            return
        before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield heard
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def server(
    reward: RecoveredReward,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    strip: Sequence[str] = (),
    names: Collection[str] = (),
    limits: Limits = Limits(),  # noqa: B008 - frozen
    say: Callable[[str], None] = lambda _: None,
) -> Server:
    """A server that listens; its ``run`` answers.  Port 0 is any free one.

    ``strip`` are special tokens, such as ``<|endoftext|>``, that are taken off both ends of a completion: OpenRLHF
    leaves them in.  ``names`` are host names that it answers to, beside its address, ``host`` and this machine's own.
    ``say`` is called with a sentence on each request that failed.  Raises `DataError` where it cannot listen.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or -1  # of a name that is not known, it is negative
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
        raise DataError(
            f"port {port} of {host} cannot be listened on: {reason}; name another with --port or --host"
        ) from error
    return Server(RewardApp(reward, strip, {*names, host, socket.gethostname()}, limits, say), listening)


def _config(app: RewardApp) -> Config:
    import uvicorn

    from fairl_bench.reward.connections import patient

    return uvicorn.Config(
        app,
        loop="asyncio",
        http=patient(app.limits.silence, app.limits.connections),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("Server", "fairl-bench")],
        backlog=_BACKLOG,
        timeout_keep_alive=int(app.limits.silence),
        timeout_graceful_shutdown=int(app.limits.stopping),
    )


class _Reported(logging.Handler):
    """Gives each message of a library to a function, as one line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self.say = say

    def emit(self, record: logging.LogRecord) -> None:
        fault = record.exc_info[1] if record.exc_info else None
        with suppress(OSError, ValueError):
            self.say(f"{record.getMessage().strip()}{f': {fault}' if fault else ''}")


@contextmanager
def _quiet(say: Callable[[str], None]) -> Iterator[None]:
    """Errors that the libraries log are reported as one sentence each; those of a client are left out."""
    handler, loggers = _Reported(say), [logging.getLogger(name) for name in ("uvicorn.error", "asyncio")]
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
