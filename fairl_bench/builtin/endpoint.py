"""A server that speaks OpenAI's protocol: one request, its retries, and in words what went wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from fairl_bench.errors import DataError

if TYPE_CHECKING:
    from httpx2 import Client, Response

_AGAIN: Final = frozenset({408, 425, 429})  # and every 5xx
_LONGEST = 60.0  # seconds between two tries, unless the server asks for more
_PATIENCE = 600.0  # seconds that a server may ask to wait


class _Failure(NamedTuple):
    """Why a try gave nothing: a sentence without its end, and what to do about it."""

    why: str
    advice: str
    again: bool = True
    wait: float | None = None  # seconds, as the server asks


class Stopped(Exception):
    """The work was given up while this request waited for its next try."""


class Endpoint:
    """Asks one server, from several threads if need be; to be used in a ``with``.

    ``key`` is sent and never shown: no message holds it, whatever the server answers.
    """

    def __init__(
        self, what: str, url: str, key: str | None, *, timeout: float, retries: int, back_off: float, limit: int
    ) -> None:
        from httpx2 import Client, Limits

        self.what, self.url, self.key = what, url.rstrip("/"), key
        self.timeout, self.retries, self.back_off = timeout, retries, back_off
        self.stop = Event()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = Limits(max_connections=limit, max_keepalive_connections=limit)
        # redirects are not followed: the key is for this server alone
        self.client: Client = Client(headers=headers, timeout=timeout, limits=limits, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.client.close()

    def ask(self, path: str, body: Mapping[str, Any], read: Callable[[Any], str]) -> str:
        """What ``read`` finds in the JSON of the answer; it raises `LookupError` or `TypeError` where there is nothing.

        Raises `DataError` with the reason once no try is left, and `Stopped` where another request has ended the work.
        """
        tried = 1
        while not isinstance(found := self._try(path, body, read), str):
            if not found.again:
                raise DataError(f"{self.what}: {found.why}; {found.advice}")
            if found.wait is not None and found.wait > _PATIENCE:
                raise DataError(f"{self.what}: {found.why} and asks to wait for {found.wait:.0f} s; run again then")
            if tried > self.retries:
                tries = f"{tried} tries" if tried > 1 else "1 try"
                raise DataError(f"{self.what}: {found.why}, in the last of {tries}; {found.advice}")
            if self.stop.wait(self._pause(tried, found)):
                raise Stopped
            tried += 1
        return found

    def _pause(self, tried: int, failure: _Failure) -> float:
        """Seconds until the next try: what the server asks for, or a back-off that doubles, with jitter."""
        if failure.wait is not None:
            return failure.wait
        # jitter: requests that failed together must not come back together
        return float(min(self.back_off * 2.0 ** (tried - 1), _LONGEST) * random.uniform(0.5, 1.0))

    def _try(self, path: str, body: Mapping[str, Any], read: Callable[[Any], str]) -> str | _Failure:
        """One request; the failure is a value, so that no traceback holds what was sent."""
        from httpx2 import ConnectError, ConnectTimeout, HTTPError, TimeoutException

        try:
            answer = self.client.post(self.url + path, json=body)
        except (ConnectError, ConnectTimeout) as error:
            reason = str(error) or "no answer"
            return _Failure(f"cannot connect ({self._shown(reason)})", "start the server, or correct 'url'")
        except TimeoutException:
            return _Failure(
                f"no answer within {self.timeout:g} s", "look at the server, raise 'timeout' or lower 'concurrency'"
            )
        except HTTPError as error:
            reason = self._shown(str(error) or type(error).__name__)
            return _Failure(f"the connection broke ({reason})", "look at the server")
        return self._read(answer, read) if answer.status_code == 200 else self._refusal(answer)

    def _read(self, answer: Response, read: Callable[[Any], str]) -> str | _Failure:
        try:
            text = read(answer.json())
        except (LookupError, TypeError, ValueError):
            text = None
        if isinstance(text, str):
            return text.encode(errors="replace").decode()  # half a surrogate pair could not be kept
        said = self._shown(answer.text)
        return _Failure(f"the answer holds no completion: {said}", "correct 'url' and 'api', or look at the server")

    def _refusal(self, answer: Response) -> _Failure:
        """What an answer of another status than 200 means."""
        status = answer.status_code
        if status in (401, 403):  # not what it says: some servers say the key
            advice = "name the environment variable that holds a valid one under 'api_key_env'"
            return _Failure(f"the server refuses the key ({status})", advice, again=False)
        said = f"({status}): {self._shown(_message(answer))}"
        if status == 429:
            advice = "lower 'concurrency' or raise 'retries'"
            return _Failure(f"the server is asked too often {said}", advice, wait=_retry_after(answer))
        if status in _AGAIN or status >= 500:
            return _Failure(f"the server fails {said}", "look at the server", wait=_retry_after(answer))
        if status == 404:
            why = f"the server knows no such model, or no such path under its url {said}"
            return _Failure(why, "correct 'model' or 'url'", again=False)
        return _Failure(f"the server refuses the request {said}", "correct the suite, or the server", again=False)

    def _shown(self, text: str) -> str:
        """A server's text as one short line, without the key."""
        hidden = text
        if self.key:
            for spelt in (self.key, json.dumps(self.key)[1:-1]):
                hidden = hidden.replace(spelt, "***")
        line = " ".join("".join(c if c.isprintable() else " " for c in hidden).split())
        return repr(line if len(line) <= 200 else line[:197] + "...")


def _message(answer: Response) -> str:
    """What a server says of its refusal: ``error.message``, ``error``, ``message`` or ``detail``, else all of it."""
    try:
        found = answer.json()
    except ValueError:
        return str(answer.text)
    for name in ("error", "message", "detail"):
        if isinstance(found, Mapping) and found.get(name):
            inner = found[name]
            return str(inner["message"] if isinstance(inner, Mapping) and inner.get("message") else inner)
    return str(answer.text)


def _retry_after(answer: Response) -> float | None:
    """The seconds that the header ``Retry-After`` asks to wait, as a number or a date; None without one."""
    value = answer.headers.get("Retry-After", "").strip()
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    then = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max((then - datetime.now(UTC)).total_seconds(), 0.0)
