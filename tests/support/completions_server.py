"""A server of completions that answers as a test says, and what the tests of `completions-api` ask it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import numpy as np

from fairl_bench.builtin.shared.completions_api import CompletionsApi
from fairl_bench.values.language_models import Asked, Sampling

PROMPTS = ("you are", "the film was", "hello")


class Request(NamedTuple):
    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


class Reply(NamedTuple):
    body: Any  # JSON, or bytes as they are
    status: int = 200
    headers: Mapping[str, str] = {}
    short: int = 0  # bytes promised and never sent


class Fake:
    """Answers each request with ``reply(number, request)``; the number counts from 0."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.reply: Callable[[int, Request], Reply] = lambda number, request: completion(request)
        self.going = threading.Event()  # set: whoever hangs is let go
        self.lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                request = Request(self.path, body, dict(self.headers))
                with fake.lock:
                    number = len(fake.seen)
                    fake.seen.append(request)
                reply = fake.reply(number, request)
                content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                try:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content) + reply.short))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:  # the client has gone
                    pass

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.going.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def asked(self) -> list[str]:
        """The prompts in the order of their requests."""
        return [request.body["prompt"] for request in self.seen]


def text_of(request: Request) -> str:
    return f"{request.body['prompt']} / {request.body['seed']}"


def completion(request: Request) -> Reply:
    return Reply({"choices": [{"text": text_of(request)}]})


def echo(request: Request, **changes: Any) -> Reply:
    """Repeats a text word by word: a word's log-probability is its length below 0; one more word is drawn."""
    tokens = [*re.findall(r"\s*\S+", request.body["prompt"]), " drawn"]
    begins = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
    said = {"tokens": tokens, "token_logprobs": [None, *(-float(len(word)) for word in tokens[1:])]}
    logprobs = {**said, "text_offset": begins, **changes}
    usage = {"prompt_tokens": len(tokens) - 1, "completion_tokens": 1}
    return Reply({"choices": [{"text": "".join(tokens), "logprobs": logprobs}], "usage": usage})


def asked(n: int = 3, *, voice: str = "base", replicate: int = 0, **sampling: Any) -> Asked:
    """``n`` completions of the prompts in turn, as the engine asks for them."""
    row, draw = np.arange(n) % len(PROMPTS), np.arange(n) // len(PROMPTS)
    prompts = tuple(PROMPTS[i] for i in row)
    return Asked(prompts, tuple(row.tolist()), tuple(draw.tolist()), Sampling(**sampling), voice, replicate)


def lm(fake: Fake, **fields: Any) -> CompletionsApi:
    return CompletionsApi(**{"url": fake.url, "model": "m", "concurrency": 1, "back_off": 0.01, **fields})
