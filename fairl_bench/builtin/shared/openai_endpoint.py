"""A server that speaks OpenAI's protocol: requests, their retries, and what went wrong in words.

OpenAI's own client bounds neither the bytes of an answer nor the time of a whole one, and its pauses can be neither set
nor ended; so the requests are httpx's and the retries tenacity's.
"""

from __future__ import annotations

import json
import math
import random
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeVar

from fairl_bench.errors import DataError

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response
    from tenacity import RetryCallState

_AGAIN: Final = frozenset({408, 425, 429})  # and every 5xx
_LONGEST = 60.0  # seconds between two tries, unless the server asks for more
_PATIENCE = 600.0  # seconds that a server may ask to wait
_MOST_BYTES = 16 * 2**20  # of an answer, unpacked
_PACKED = ("gzip", "x-gzip", "deflate")

T = TypeVar("T")


class _Failure(NamedTuple):
    """The reason of a failed try: a sentence without its end, and what to do about it."""

    why: str
    advice: str
    again: bool = True
    wait: float | None = None  # seconds, as the server asks


class _Answer(NamedTuple):
    """An answer, or the first part of one that is too long."""

    status: int
    content: bytes
    retry_after: str
    whole: bool

    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the parsed JSON.  Raises `ValueError`."""
        try:
            return json.loads(self.content)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


class Wanted(NamedTuple):
    """What an answer should hold, and what to do where a server refuses to give it."""

    name: str = "completion"
    refused: str = "correct the suite, or the server"


class Unusable(Exception):
    """Raised by who reads an answer that another try would not make better; ``why`` is a sentence without its end."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(f"{why}; {advice}")
        self.why, self.advice = why, advice


class Stopped(Exception):
    """Raised where another request ended the work while this one waited for its next try."""


_COMPLETION: Final = Wanted()


class Endpoint:
    """Asks one server, from several threads if need be; to be used in a ``with``.

    ``key`` is sent and never shown: no message holds it, whatever the server answers.  ``timeout`` is for a whole
    answer, which an event loop in a thread of its own keeps: a thread that waits for a read could not be stopped.
    """

    def __init__(
        self, what: str, url: str, key: str | None, *, timeout: float, retries: int, back_off: float, limit: int
    ) -> None:
        from httpx2 import AsyncClient, Limits, Timeout

        self.what, self.url, self.key = what, url.rstrip("/"), key
        self.timeout, self.retries, self.back_off = timeout, retries, back_off
        self.stop = Event()
        headers = {"Accept-Encoding": "gzip", "Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        limits = Limits(max_connections=limit, max_keepalive_connections=limit)
        # redirects are not followed: the key is for this server alone
        self.client: AsyncClient = AsyncClient(
            headers=headers,
            timeout=Timeout(None, connect=timeout / 2),  # half: where nobody is, that is what is told
            limits=limits,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as stack:
            self.portal = stack.enter_context(start_blocking_portal())
            stack.callback(self.portal.call, self.client.aclose)
            stack.callback(self.stop.set)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def ask(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T], wanted: Wanted = _COMPLETION) -> T:
        """Return what ``read`` gives for the JSON of the answer.

        ``read`` raises `AttributeError`, `LookupError`, `TypeError` or `ValueError` for a bad answer, which is asked
        for again, and `Unusable` where that would not help.  Raises `DataError` with the reason once no try is left,
        and `Stopped` where another request has ended the work.
        """
        from tenacity import Retrying, retry_if_result, stop_after_attempt

        tries = Retrying(
            retry=retry_if_result(_may_pass),
            stop=stop_after_attempt(self.retries + 1),
            wait=self._pause,
            sleep=self._sleep,
            retry_error_callback=_last,
        )
        outcome: T | _Failure = tries(self._try, path, body, read, wanted)
        if not isinstance(outcome, _Failure):
            return outcome
        if not outcome.again:
            raise DataError(f"{self.what}: {outcome.why}; {outcome.advice}")
        if outcome.wait is not None and outcome.wait > _PATIENCE:
            raise DataError(f"{self.what}: {outcome.why} and asks to wait for {outcome.wait:.0f} s; run again then")
        tried = tries.statistics["attempt_number"]
        counted = f"{tried} tries" if tried > 1 else "1 try"
        raise DataError(f"{self.what}: {outcome.why}, in the last of {counted}; {outcome.advice}")

    def _pause(self, state: RetryCallState) -> float:
        """Return the seconds until the next try: what the server asks for, or a pause that doubles, with jitter."""
        failure = _last(state)
        if isinstance(failure, _Failure) and failure.wait is not None:
            return failure.wait
        # jitter: requests that failed together must not come back together
        return float(min(self.back_off * 2.0 ** (state.attempt_number - 1), _LONGEST) * random.uniform(0.5, 1.0))

    def _sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Stopped

    def _try(self, path: str, body: Mapping[str, Any], read: Callable[[Any], T], wanted: Wanted) -> T | _Failure:
        """Send one request; a failure is returned, so that no traceback holds what was sent."""
        from httpx2 import ConnectError, ConnectTimeout, HTTPError, InvalidURL

        try:
            answer = self.portal.call(self._post, path, json.dumps(body).encode())
        except (ConnectError, ConnectTimeout) as error:
            reason = str(error) or "no answer"
            return _Failure(f"cannot connect ({self._shown(reason)})", "start the server, or correct 'url'")
        except TimeoutError:
            return _Failure(
                f"no answer within {self.timeout:g} s", "look at the server, raise 'timeout' or lower 'concurrency'"
            )
        except HTTPError as error:
            reason = self._shown(str(error) or type(error).__name__)
            return _Failure(f"the connection broke ({reason})", "look at the server")
        except (InvalidURL, UnicodeError) as error:
            return _Failure(f"its url cannot be asked ({self._shown(str(error))})", "correct 'url'", again=False)
        return self._read(answer, read, wanted) if answer.status == 200 else self._refusal(answer, wanted)

    async def _post(self, path: str, content: bytes) -> _Answer:
        """Return the answer to one request.  Raises `TimeoutError` where it is not complete in time."""
        from anyio import fail_after

        with fail_after(self.timeout):
            async with self.client.stream("POST", self.url + path, content=content) as response:
                return await _bounded(response)

    def _read(self, answer: _Answer, read: Callable[[Any], T], wanted: Wanted) -> T | _Failure:
        if not answer.whole:
            return _Failure(f"the answer has over {_MOST_BYTES} bytes", "look at the server", again=False)
        try:
            return read(answer.json())
        except Unusable as unusable:
            return _Failure(f"{unusable.why}: {self._shown(answer.text())}", unusable.advice, again=False)
        except (AttributeError, LookupError, TypeError, ValueError):
            why = f"the answer holds no {wanted.name}: {self._shown(answer.text())}"
            return _Failure(why, "correct 'url' and 'api', or look at the server")

    def _refusal(self, answer: _Answer, wanted: Wanted) -> _Failure:
        """Return what an answer with another status than 200 means."""
        status = answer.status
        if status in (401, 403):  # not what it says: some servers say the key
            advice = "name the environment variable that holds a valid one under 'api_key_env'"
            return _Failure(f"the server refuses the key ({status})", advice, again=False)
        reason = f"({status}): {self._shown(_message(answer))}"
        if status == 429:
            advice = "lower 'concurrency' or raise 'retries'"
            return _Failure(f"the server is asked too often {reason}", advice, wait=_retry_after(answer.retry_after))
        if status in _AGAIN or status >= 500:
            return _Failure(f"the server fails {reason}", "look at the server", wait=_retry_after(answer.retry_after))
        if status == 404:
            why = f"the server knows no such model, or no such path under its url {reason}"
            return _Failure(why, "correct 'model' or 'url'", again=False)
        return _Failure(f"the server refuses the request {reason}", wanted.refused, again=False)

    def _shown(self, text: str) -> str:
        """Return a server's text as one short line, without the key."""
        hidden = text
        if self.key:
            for spelt in (self.key, json.dumps(self.key)[1:-1]):
                hidden = hidden.replace(spelt, "***")
        line = " ".join("".join(c if c.isprintable() else " " for c in hidden[:10_000]).split())
        return repr(line if len(line) <= 200 else line[:197] + "...")


def _may_pass(outcome: object) -> bool:
    return (
        isinstance(outcome, _Failure) and outcome.again and not (outcome.wait is not None and outcome.wait > _PATIENCE)
    )


def _last(state: RetryCallState) -> Any:
    """Return what the last try gave."""
    assert state.outcome is not None
    return state.outcome.result()


async def _bounded(response: Response) -> _Answer:
    """Read an answer up to the limit, packed and unpacked: a few kilobytes may unpack to gigabytes."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > _MOST_BYTES:
            break
    unpacked = _unpacked(bytes(content), response.headers.get("Content-Encoding", "").strip().lower())
    retry_after = response.headers.get("Retry-After", "").strip()
    return _Answer(response.status_code, unpacked[:_MOST_BYTES], retry_after, len(unpacked) <= _MOST_BYTES)


def _unpacked(content: bytes, encoding: str) -> bytes:
    """Return the unpacked content, at most one byte over the limit; unchanged where it is packed in an unknown way."""
    if encoding not in _PACKED:
        return content
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(content, _MOST_BYTES + 1)  # 32: zlib too
    except zlib.error:
        return content


def _message(answer: _Answer) -> str:
    """Return a server's reason: ``error.message``, ``error``, ``message`` or ``detail``, or the whole answer."""
    try:
        content = answer.json()
    except ValueError:
        return answer.text()
    for name in ("error", "message", "detail"):
        if isinstance(content, Mapping) and content.get(name):
            inner = content[name]
            return str(inner["message"] if isinstance(inner, Mapping) and inner.get("message") else inner)
    return answer.text()


def _retry_after(value: str) -> float | None:
    """Return the seconds that the header ``Retry-After`` asks to wait, as a number or a date; None without one."""
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return None if math.isnan(seconds) else max(seconds, 0.0)
    try:
        date = parsedate_to_datetime(value)
        then = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max((then - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return None
