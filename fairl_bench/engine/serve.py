"""A reward behind HTTP, in the shape that OpenRLHF takes as ``--remote_rm_url``.

::

    POST /get_reward   {"query": [...], "prompts": [...], "labels": [...]}
                       -> {"rewards": [...], "scores": [...], "extra_logs": {}}
    GET  /health       -> {"status": "ok", "reward": NAME}

A query is a prompt with its completion; the prompt is cut off where ``prompts`` are given.  ``labels`` are not read.
Whoever reaches the port is answered: keep it on this machine or in a network of your own.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any, ClassVar

from fairl_bench.errors import DataError, FairlError
from fairl_bench.recovered import RecoveredReward

PATHS = ("/get_reward", "/")
MOST_BYTES = 32 * 2**20  # of one request
MOST_DISCARDED = 8 * MOST_BYTES
MOST_TEXTS = 8192


class Refused(Exception):
    """A request that cannot be answered, with the status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(reason)


class Server(ThreadingHTTPServer):
    """Answers with one reward: each request in a thread of its own, one of them scored at a time."""

    daemon_threads = True

    def __init__(
        self, reward: RecoveredReward, host: str, port: int, strip: Sequence[str], say: Callable[[str], None]
    ) -> None:
        self.reward, self.strip, self.say, self.scoring = reward, tuple(strip), say, Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Where it is reached."""
        host, port = self.server_address[:2]
        name = f"[{host!s}]" if self.address_family == socket.AF_INET6 else str(host)
        return f"http://{name}:{port}"


def server(
    reward: RecoveredReward,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    strip: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Server:
    """A server that listens; ``serve_forever`` answers.  Port 0 is any free one.

    ``strip`` are special tokens, such as ``<|endoftext|>``, that are taken off both ends of a completion: OpenRLHF
    leaves them in.  ``say`` hears of each request that failed.  Raises `DataError` where it cannot listen.
    """
    try:
        return Server(reward, host, port, strip, say)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"port {port} of {host} cannot be listened on: {reason}; name another with --port") from error


def answer(reward: RecoveredReward, asked: Any, strip: Sequence[str] = ()) -> dict[str, Any]:
    """What a request gets, given its JSON.  Raises `Refused` for one that is not in shape."""
    if not isinstance(asked, dict):
        raise Refused(400, f"the body needs an object with 'query', got {_short(asked)}")
    queries, prompts = _texts(asked, "query"), None if asked.get("prompts") is None else _texts(asked, "prompts")
    if prompts is None and reward.embed == "prompt+completion":
        raise Refused(422, f"reward {reward.name!r} reads prompts too; send 'prompts'")
    if prompts is not None and len(prompts) != len(queries):
        raise Refused(422, f"'prompts' needs one for each query, got {len(prompts)} for {len(queries)}")
    texts = queries
    if prompts is not None:
        texts = [_completion(i, *both, strip) for i, both in enumerate(zip(queries, prompts, strict=True))]
    rewards = reward([_bare(text, strip) for text in texts], prompts)
    return {"rewards": rewards, "scores": rewards, "extra_logs": {}}


def _texts(asked: dict[str, Any], name: str) -> list[str]:
    value = asked.get(name)
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list):
        raise Refused(422, f"{name!r} needs a list of texts, got {_short(value)}")
    if len(found) > MOST_TEXTS:
        raise Refused(413, f"{name!r} holds {len(found)} texts; send at most {MOST_TEXTS} at once")
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise Refused(422, f"{name}[{i}] needs a text, got {_short(text)}")
    return found


def _short(value: Any) -> str:
    return "nothing" if value is None else f"{value!r:.60}"


def _completion(i: int, query: str, prompt: str, strip: Sequence[str]) -> str:
    """What follows the prompt, before which special tokens may stand; refused where it is not there."""
    for start in (query, _bare(query, strip)):
        if start.startswith(prompt):
            return start.removeprefix(prompt)
    _, there, completion = query.partition(prompt)
    if not there:
        raise Refused(
            422, f"query[{i}] does not hold prompts[{i}], {prompt[:60]!r}; send the prompt as it stands there"
        )
    return completion


def _bare(text: str, strip: Sequence[str]) -> str:
    """A text without these at its ends, however often."""
    before = None
    while before != text:
        before, text = text, text.strip()
        for token in strip:
            text = text.removeprefix(token).removesuffix(token)
    return text


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 60  # seconds that a silent connection is kept
    protocol_version = "HTTP/1.1"
    server_version = "fairl-bench"
    sys_version = ""
    gets: ClassVar[tuple[str, ...]] = ("/health",)

    def do_GET(self) -> None:
        self._answer(self._health)

    def do_POST(self) -> None:
        self._answer(self._reward)

    def _health(self) -> dict[str, Any]:
        self._refuse_path(self.gets, PATHS)
        return {"status": "ok", "reward": self.server.reward.name}

    def _reward(self) -> dict[str, Any]:
        body = self._body()  # read first: what is left of it would be taken for the next request
        self._refuse_path(PATHS, self.gets)
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, f"the body is no JSON: {error}") from error
        with self.server.scoring:
            return answer(self.server.reward, asked, self.server.strip)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length")
        if length is None or not length.isdecimal():
            self.close_connection = True
            raise Refused(411, "the request needs a Content-Length")
        if int(length) > MOST_BYTES:
            self.close_connection = True
            self._discard(int(length))
            raise Refused(413, f"the body has {length} bytes; send at most {MOST_BYTES}")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            raise Refused(400, f"the body ends after {len(body)} of {length} bytes")
        return body

    def _discard(self, length: int) -> None:
        """Take a body off the line, or its sender is cut off before it can read why."""
        left = min(length, MOST_DISCARDED)
        while left > 0 and (taken := self.rfile.read(min(left, 2**16))):
            left -= len(taken)

    def _refuse_path(self, known: Sequence[str], others: Sequence[str]) -> None:
        path = self.path.partition("?")[0]
        if path in others and path not in known:
            raise Refused(405, f"{self.command} is not for {path}; POST /get_reward, GET /health")
        if path not in known:
            raise Refused(404, f"{path[:60]!r} is not here; POST /get_reward, GET /health")

    def _answer(self, make: Callable[[], dict[str, Any]]) -> None:
        try:
            status, told = 200, make()
        except Refused as error:
            status, told = error.status, {"error": error.reason}
        except FairlError as error:
            status, told = 500, {"error": str(error)}
        except TimeoutError:
            raise
        except Exception as error:  # one request's trouble is not the server's end
            status, told = 500, {"error": f"{type(error).__name__}: {error}"}
        if status != 200:
            self.server.say(f"{status} {told['error']}")
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a trainer asks thousands of times."""
