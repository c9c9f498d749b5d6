"""The ASGI application that `serve` runs: who may ask, how much is taken in, and whose turn it is.

Requests wait in one line and are scored one at a time, for a method or an encoder need not bear two threads.  They are
not scored together: the last bits of a vector depend on the company it is computed in.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairl_bench.reward.answer import Refused, answered
from fairl_bench.reward.function import RecoveredReward

if TYPE_CHECKING:
    from starlette.requests import Request

PLACES = {"/get_reward": ("POST",), "/": ("POST",), "/health": ("GET", "HEAD")}
_SOON = 1  # seconds, as a refused caller is asked to wait
_LATER = 5
_STILL = 1.0  # seconds after which no more of a refused body is expected
_QUIET = 10.0  # seconds between two words on a full house
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


class Unread(Refused):
    """A request that is refused before its body is read."""


@dataclass(frozen=True)
class Limits:
    """What is taken in at most; beyond it a request is refused with 413, 408 or 503."""

    body: int = 32 * 2**20  # bytes of one request
    dropped: int = 256 * 2**20  # bytes of a refused one that are taken off the line
    held: int = 256 * 2**20  # bytes of all requests that wait
    requests: int = 1024  # that wait
    connections: int = 4096
    reading: float = 60.0  # seconds for a body
    waiting: float = 150.0  # seconds for a turn: OpenRLHF gives up after 180
    silence: float = 60.0  # seconds of a connection without a request
    stopping: float = 30.0  # seconds for what is under way, once it is to stop


class RewardApp:
    """Answers with one reward; ``names`` are those that the server goes by, beside addresses and ``localhost``."""

    def __init__(
        self,
        reward: RecoveredReward,
        strip: Sequence[str],
        names: Collection[str],
        limits: Limits,
        say: Callable[[str], None],
    ) -> None:
        self.reward, self.strip, self.limits, self.say = reward, tuple(strip), limits, say
        self.names = {_name(name) for name in names}
        self.requests = self.held = 0
        self.spoke = -_QUIET  # when a full house was last spoken of
        self.turn = asyncio.Lock()
        self.scorer = ThreadPoolExecutor(1, "scorer")
        self.scoring: Future[dict[str, Any]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, in one sentence of JSON where it is refused."""
        from starlette.requests import ClientDisconnect, Request
        from starlette.responses import Response

        headers: dict[str, str] = {}
        request = Request(scope, receive)
        try:
            status, told = 200, await self._answer(request)
        except ClientDisconnect:  # nobody is there to be told
            return
        except asyncio.CancelledError:  # it has waited for this one as long as it may
            status, told = 503, {"error": "the server stops; ask again when it runs"}
        except Refused as error:
            status, told = error.status, {"error": error.reason}
            headers = {} if error.again is None else {"Retry-After": str(error.again)}
            if status in (408, 411):  # where the body ends may never be known
                headers["Connection"] = "close"
            if status == 405:
                headers["Allow"] = ", ".join(PLACES[scope["path"]])
            self._say(error)
            if isinstance(error, Unread) and "Expect" not in request.headers:  # who waits to be asked for it
                await self._drop(receive)
        await Response(json.dumps(told), status, headers, "application/json")(scope, receive, send)

    async def _drop(self, receive: Receive) -> None:
        """Take a refused body off the line, or its sender is cut off before it can read why; but not for ever."""
        left, end = self.limits.dropped, time.monotonic() + self.limits.reading
        with suppress(TimeoutError, asyncio.CancelledError):
            while left > 0 and time.monotonic() < end:
                async with asyncio.timeout(_STILL):
                    message = await receive()
                if not message.get("more_body"):
                    return
                left -= len(message["body"])

    def _say(self, error: Refused) -> None:
        now = time.monotonic()
        if error.status == 503:  # a crowd is told each its own, and here once
            if now < self.spoke + _QUIET:
                return
            self.spoke = now
        with suppress(OSError, ValueError):  # whoever listened to us may have gone
            self.say(f"{error.status} {error.reason}")

    async def _answer(self, request: Request) -> dict[str, Any]:
        self._refuse_strangers(request)
        _refuse_places(request.method, request.scope["path"])
        if request.method != "POST":
            return {"status": "ok", "reward": self.reward.name}
        if self.requests >= self.limits.requests:
            raise Unread(503, f"{self.requests} requests wait already; ask again", _SOON)
        self.requests += 1
        body = bytearray()
        try:
            await self._read(request, body)
            return await self._scored(request, body)
        finally:
            self.requests -= 1
            self.held -= len(body)

    async def _read(self, request: Request, body: bytearray) -> None:
        """Take a body in, as far as the limits go."""
        encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding != "identity":
            raise Unread(415, f"the body is encoded as {encoding[:60]!r}; send it as it is")
        length = request.headers.get("Content-Length")
        if length is None or not length.isdecimal():
            raise Unread(411, "the request needs a Content-Length")
        if int(length) > self.limits.body:
            raise Unread(413, f"the body has {length} bytes; send at most {self.limits.body}")
        try:
            async with asyncio.timeout(self.limits.reading):
                async for chunk in request.stream():
                    if self.held + len(chunk) > self.limits.held:
                        raise Unread(503, f"requests of {self.held} bytes wait already; ask again", _SOON)
                    body += chunk
                    self.held += len(chunk)
        except TimeoutError as error:
            reason = f"{len(body)} of {length} bytes of the body came within {self.limits.reading:g} s"
            raise Unread(408, f"{reason}; send it faster, or less at once") from error

    async def _scored(self, request: Request, body: bytearray) -> dict[str, Any]:
        """The answer, when it is this request's turn; whoever has left by then is passed over."""
        from starlette.requests import ClientDisconnect

        try:
            async with asyncio.timeout(self.limits.waiting):
                await self.turn.acquire()
        except TimeoutError as error:
            raise Refused(503, f"no turn came within {self.limits.waiting:g} s; ask again", _LATER) from error
        try:
            if await request.is_disconnected():
                raise ClientDisconnect
            self.scoring = self.scorer.submit(answered, self.reward, bytes(body), self.strip)
            return await asyncio.wrap_future(self.scoring)
        finally:
            self.turn.release()

    def _refuse_strangers(self, request: Request) -> None:
        """Refuse what a page of another site asks through a browser here, whose user reaches what its author does not.

        Such a page comes under a name that was made to lead here (DNS rebinding), or says its own in ``Origin``.
        """
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        if host is not None and not self._own(host):
            name = _name(host)[:60]
            raise Unread(
                403, f"this server does not go by {name!r}; start it with --allow-host NAME, or ask its address"
            )
        if origin is not None and origin.partition("://")[2].lower() != (host or "").lower():
            raise Unread(403, f"pages of {origin[:60]!r} may not ask here")

    def _own(self, host: str) -> bool:
        name = _name(host)
        if name == "localhost" or name.endswith(".localhost") or name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True  # an address leads where it says


def _name(host: str) -> str:
    """A name or an address without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _refuse_places(method: str, path: str) -> None:
    if path not in PLACES:
        raise Unread(404, f"{path[:60]!r} is not here; POST /get_reward, GET /health")
    if method not in PLACES[path]:
        raise Unread(405, f"{method[:20]} is not for {path}; POST /get_reward, GET /health")
