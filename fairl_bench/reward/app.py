"""The ASGI application that `serve` runs: it refuses strangers, limits what it reads, and scores in turn.

Requests are scored one at a time, in the order in which they came: a method or an encoder may not be safe with two
threads.  They are not scored together, because the last bits of a vector depend on what is computed beside it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairl_bench.reward.answer import Answer, Refused, answer_body
from fairl_bench.reward.function import RecoveredReward

if TYPE_CHECKING:
    from starlette.requests import Request

PLACES = {"/get_reward": ("POST",), "/": ("POST",), "/health": ("GET", "HEAD")}
_SOON = 1  # seconds that a refused caller is asked to wait
_LATER = 5
_STILL = 1.0  # seconds after which no more of a refused body is expected
_QUIET = 10.0  # seconds between two messages that too many ask
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


class Unread(Refused):
    """A request that is refused before its body is read."""


@dataclass(frozen=True)
class Limits:
    """The most that is accepted; a request beyond it is refused with 413, 408 or 503."""

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
    """Answers requests with one reward; ``names`` are host names that it goes by, beside ``localhost``."""

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
        self.spoke = -_QUIET  # when it was last said that too many ask
        self.turn = asyncio.Lock()
        self.scorer = ThreadPoolExecutor(1, "scorer")
        self.scoring: Future[Answer] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a refused one gets its reason as JSON."""
        from starlette.requests import ClientDisconnect, Request
        from starlette.responses import Response

        headers: dict[str, str] = {}
        answer: Mapping[str, object]
        request = Request(scope, receive)
        try:
            status, answer = 200, await self._answer(request)
        except ClientDisconnect:  # nobody is there to read an answer
            return
        except asyncio.CancelledError:  # the server stops, and has waited for this request as long as it may
            status, answer = 503, {"error": "the server stops; ask again when it runs"}
        except Refused as error:
            status, answer = error.status, {"error": error.reason}
            headers = {} if error.again is None else {"Retry-After": str(error.again)}
            if status in (408, 411):  # where the body ends may never be known
                headers["Connection"] = "close"
            if status == 405:
                headers["Allow"] = ", ".join(PLACES[scope["path"]])
            self._say(error)
            if isinstance(error, Unread) and "Expect" not in request.headers:  # or it has sent no body yet
                await self._drop(receive)
        await Response(json.dumps(answer), status, headers, "application/json")(scope, receive, send)

    async def _drop(self, receive: Receive) -> None:
        """Read a refused body and forget it, for a while: a sender that is cut off cannot read why it was refused."""
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
        if error.status == 503:  # each caller gets its own answer; here one message for all is enough
            if now < self.spoke + _QUIET:
                return
            self.spoke = now
        with suppress(OSError, ValueError):  # the standard error may be closed
            self.say(f"{error.status} {error.reason}")

    async def _answer(self, request: Request) -> Mapping[str, object]:
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
        """Read a body.  Raises `Refused` where it exceeds a limit."""
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

    async def _scored(self, request: Request, body: bytearray) -> Answer:
        """The answer, once it is this request's turn.  Raises `ClientDisconnect` where its sender has left by then."""
        from starlette.requests import ClientDisconnect

        try:
            async with asyncio.timeout(self.limits.waiting):
                await self.turn.acquire()
        except TimeoutError as error:
            raise Refused(503, f"no turn came within {self.limits.waiting:g} s; ask again", _LATER) from error
        try:
            if await request.is_disconnected():
                raise ClientDisconnect
            self.scoring = self.scorer.submit(answer_body, self.reward, bytes(body), self.strip)
            return await asyncio.wrap_future(self.scoring)
        finally:
            self.turn.release()

    def _refuse_strangers(self, request: Request) -> None:
        """Refuse a request that a page of another site sends through a browser on this machine.

        Such a page uses a host name that was made to point here (DNS rebinding), or names its own site in ``Origin``.
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
        return True  # an address cannot be made to point elsewhere


def _name(host: str) -> str:
    """A host name or an address without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _refuse_places(method: str, path: str) -> None:
    if path not in PLACES:
        raise Unread(404, f"{path[:60]!r} is not here; POST /get_reward, GET /health")
    if method not in PLACES[path]:
        raise Unread(405, f"{method[:20]} is not for {path}; POST /get_reward, GET /health")
