from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fairl_bench.builtin.lms.completions_api import CompletionsApi
from fairl_bench.builtin.shared import endpoint
from fairl_bench.data import Asked, Sampling, Site
from fairl_bench.engine.keys import digest, identity
from fairl_bench.errors import DataError
from fairl_bench.kinds import LM, Source
from fairl_bench.pipeline import Finished
from fairl_bench.progress import listening
from fairl_bench.store.store import Store
from fairl_bench.suite.registry import Registry

REGISTRY = Registry(installed=False)
KEY = "Sk-Very-Secret-0123456789"
PROMPTS = ("you are", "the film was", "hello")


# --- a server that does as a test says


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


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that are waited between tries; none is really waited."""
    waited: list[float] = []

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            waited.append(timeout)
            return self.is_set()

    monkeypatch.setattr(endpoint, "Event", Impatient)
    return waited


def asked(n: int = 3, *, voice: str = "base", replicate: int = 0, **sampling: Any) -> Asked:
    """``n`` completions of the prompts in turn, as the engine asks for them."""
    row, draw = np.arange(n) % len(PROMPTS), np.arange(n) // len(PROMPTS)
    prompts = tuple(PROMPTS[i] for i in row)
    return Asked(prompts, tuple(row.tolist()), tuple(draw.tolist()), Sampling(**sampling), voice, replicate)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "work").mkdir()
    (tmp_path / "answer").mkdir()
    return Site(tmp_path / "answer", tmp_path / "work")


def lm(fake: Fake, **fields: Any) -> CompletionsApi:
    return CompletionsApi(**{"url": fake.url, "model": "m", "concurrency": 1, "back_off": 0.01, **fields})


# --- what is asked


def test_each_completion_is_asked_for_with_a_seed_of_its_own(fake: Fake, site: Site) -> None:
    question = asked(7)
    texts = lm(fake, concurrency=4).complete(question, site)
    seeds = [int(question.rng(i).integers(2**31)) for i in range(7)]
    assert texts == [f"{prompt} / {seed}" for prompt, seed in zip(question.prompt, seeds, strict=True)]
    assert len(set(seeds)) == 7
    assert {request.path for request in fake.seen} == {"/v1/completions"}


def test_another_voice_or_replicate_is_another_seed(fake: Fake, tmp_path: Path) -> None:
    for voice, replicate in (("base", 0), ("expert", 0), ("base", 1)):
        scratch = tmp_path / f"{voice}{replicate}"
        scratch.mkdir()
        lm(fake).complete(asked(1, voice=voice, replicate=replicate), Site(scratch, scratch))
    assert len({request.body["seed"] for request in fake.seen}) == 3


SAMPLING = {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 5}
PLAIN = {"model": "m", "prompt": "you are", "max_tokens": 5, "temperature": 0.7, "top_p": 0.9}


@pytest.mark.parametrize(
    ("server", "top_k", "more"),
    [
        ("openai", 0, {}),
        ("tgi", 0, {}),
        ("vllm", 0, {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}),
        ("vllm", 40, {"top_k": 40, "min_p": 0.0, "repetition_penalty": 1.0}),
        ("llama.cpp", 0, {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}),
        ("llama.cpp", 40, {"top_k": 40, "min_p": 0.0, "repeat_penalty": 1.0}),
    ],
)
def test_a_filter_that_is_not_asked_for_is_off_on_every_server(
    server: str, top_k: int, more: dict[str, Any], fake: Fake, site: Site
) -> None:
    lm(fake, server=server).complete(asked(1, top_k=top_k, **SAMPLING), site)
    assert {name: value for name, value in fake.seen[0].body.items() if name != "seed"} == {**PLAIN, **more}


def test_tgi_is_not_sent_a_top_p_of_one_which_it_refuses(fake: Fake, site: Site) -> None:
    lm(fake, server="tgi").complete(asked(1), site)
    assert "top_p" not in fake.seen[0].body


def test_transformers_is_told_to_sample_whatever_the_models_own_settings(fake: Fake, site: Site) -> None:
    lm(fake, server="transformers").complete(asked(1, top_k=7, **SAMPLING), site)
    settings = json.loads(fake.seen[0].body["generation_config"])
    assert settings == {"do_sample": True, "top_k": 7, "top_p": 0.9, "temperature": 0.7, "max_new_tokens": 5}


@pytest.mark.parametrize("server", ["openai", "tgi"])
def test_a_top_k_that_the_server_has_no_word_for_is_refused(server: str, fake: Fake, site: Site) -> None:
    said = f"language model 'm': server '{server}' knows no top_k, got 50; set 'top_k: 0', or name another 'server'"
    with pytest.raises(DataError) as caught:
        lm(fake, server=server).complete(asked(1, top_k=50), site)
    assert str(caught.value) == said
    assert not fake.seen


def test_a_chat_is_a_system_message_and_the_prompt(fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: Reply({"choices": [{"message": {"role": "assistant", "content": " hi "}}]})
    for system, messages in (("", 1), ("Go on.", 2)):
        (site.scratch / "completions.jsonl").unlink(missing_ok=True)
        assert lm(fake, api="chat", system=system).complete(asked(1), site) == ["hi"]
        request = fake.seen[-1]
        assert request.path == "/v1/chat/completions"
        assert request.body["messages"][-1] == {"role": "user", "content": "you are"}
        assert len(request.body["messages"]) == messages
        assert "prompt" not in request.body
    assert fake.seen[-1].body["messages"][0] == {"role": "system", "content": "Go on."}


def test_so_many_requests_are_under_way_at_once_and_no_more(fake: Fake, site: Site) -> None:
    now, most, lock = 0, 0, threading.Lock()
    met = threading.Barrier(3)

    def reply(number: int, request: Request) -> Reply:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        met.wait(10)  # passes only where three are here together
        with lock:
            now -= 1
        return completion(request)

    fake.reply = reply
    lm(fake, concurrency=3).complete(asked(9), site)
    assert most == 3


def test_transformers_is_asked_one_by_one_because_its_seed_is_its_whole_processs(fake: Fake, site: Site) -> None:
    now, most = 0, 0

    def reply(number: int, request: Request) -> Reply:
        nonlocal now, most
        now += 1
        most = max(most, now)
        time.sleep(0.01)
        now -= 1
        return completion(request)

    fake.reply = reply
    lm(fake, server="transformers", concurrency=4).complete(asked(6), site)
    assert most == 1


def test_it_says_how_far_it_is(fake: Fake, site: Site) -> None:
    heard: list[tuple[float, str]] = []
    with listening(lambda share, note: heard.append((share, note))):
        lm(fake).complete(asked(2), site)
    assert heard == [(0.5, "1 of 2 completions"), (1.0, "2 of 2 completions")]


def test_making_it_asks_for_one_token_and_leaves_no_file(fake: Fake, site: Site) -> None:
    made = lm(fake).make(site)
    assert [request.body["max_tokens"] for request in fake.seen] == [1]
    assert made.facts == {"served": True, "model": "m", "url": fake.url}
    assert (made.folder, list(made.folder.iterdir())) == (site.folder, [])


# --- what goes wrong for a while


@pytest.mark.parametrize(
    "trouble",
    [
        Reply({"error": {"message": "boom"}}, 500),
        Reply(b"<html>bad gateway</html>", 502),
        Reply({}, 503),
        Reply({}, 429),
        Reply({}, 408),
        Reply(b"not JSON"),
        Reply({"choices": []}),
        Reply({"choices": [{"text": None}]}),
        Reply({"choices": [{"text": 3}]}),
        Reply([1, 2]),
        Reply({"choices": [{"text": "half"}]}, short=100),
    ],
    ids=lambda reply: f"{reply.status}-{reply.body}"[:40],
)
def test_what_may_pass_is_tried_again(trouble: Reply, fake: Fake, site: Site, pauses: list[float]) -> None:
    fake.reply = lambda number, request: trouble if number < 2 else completion(request)
    (text,) = lm(fake, timeout=2.0).complete(asked(1), site)
    assert text == text_of(fake.seen[0])
    assert len(fake.seen) == 3
    assert fake.seen[0].body == fake.seen[2].body  # the seed too
    assert len(pauses) == 2


def test_the_pause_doubles_up_to_a_minute_less_jitter(fake: Fake, site: Site, pauses: list[float]) -> None:
    fake.reply = lambda number, request: Reply({}, 500) if number < 8 else completion(request)
    lm(fake, back_off=1.0, retries=8).complete(asked(1), site)
    for pause, full in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60], strict=True):
        assert full / 2 <= pause <= full
    assert len({pause / full for pause, full in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60], strict=True)}) == 8


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_when_to_come_back_is_obeyed(
    status: int, fake: Fake, site: Site, pauses: list[float]
) -> None:
    dates = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    waits = ["7", "0.5", dates, "nonsense"]
    fake.reply = lambda number, request: (
        Reply({}, status, {"Retry-After": waits[number]}) if number < 4 else completion(request)
    )
    lm(fake).complete(asked(1), site)
    assert pauses[:2] == [7.0, 0.5]
    assert 80 < pauses[2] <= 100
    assert pauses[3] < 1  # the back-off


def test_a_server_that_asks_to_come_back_much_later_ends_the_run_now(
    fake: Fake, site: Site, pauses: list[float]
) -> None:
    fake.reply = lambda number, request: Reply({"error": "slow down"}, 429, {"Retry-After": "3600"})
    with pytest.raises(DataError, match=r"\(429\): 'slow down' and asks to wait for 3600 s; run again then"):
        lm(fake).complete(asked(1), site)
    assert (len(fake.seen), pauses) == (1, [])


# --- what does not pass: the sentence, and what is kept


KEPT = " (0 of 1 completions are kept: run again to go on)"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply({"error": "who are you?"}, 401), "the server refuses the key (401); name the environment variable that "
         "holds a valid one under 'api_key_env'"),
        (Reply({}, 403), "the server refuses the key (403); name the environment variable that holds a valid one under "
         "'api_key_env'"),
        (Reply({"error": {"message": "no model m"}}, 404), "the server knows no such model, or no such path under its "
         "url (404): 'no model m'; correct 'model' or 'url'"),
        (Reply({"detail": "too long"}, 400), "the server refuses the request (400): 'too long'; correct the suite, or "
         "the server"),
        (Reply({"message": "a" * 300}, 422), "the server refuses the request (422): '" + "a" * 197 + "...'; correct "
         "the suite, or the server"),
        (Reply(b"<b>\x1b[31mred\n</b>", 400), "the server refuses the request (400): '<b> [31mred </b>'; correct the "
         "suite, or the server"),
        (Reply(b"", 307, {"Location": "http://127.0.0.1:9/v1/completions"}), "the server refuses the request (307): "
         "''; correct the suite, or the server"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_at_once(reply: Reply, said: str, fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: reply
    with pytest.raises(DataError) as caught:
        lm(fake).complete(asked(1), site)
    assert str(caught.value) == f"language model 'm' at {fake.url}: {said}{KEPT}"
    assert len(fake.seen) == 1


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply({"error": "boom"}, 500), "the server fails (500): 'boom', in the last of 3 tries; look at the server"),
        (Reply({"error": "slow"}, 429), "the server is asked too often (429): 'slow', in the last of 3 tries; lower "
         "'concurrency' or raise 'retries'"),
        (Reply(b"<html>hello</html>"), "the answer holds no completion: '<html>hello</html>', in the last of 3 tries; "
         "correct 'url' and 'api', or look at the server"),
    ],
)  # fmt: skip
def test_the_last_of_too_many_failures_is_told(
    reply: Reply, said: str, fake: Fake, site: Site, pauses: list[float]
) -> None:
    fake.reply = lambda number, request: reply
    with pytest.raises(DataError) as caught:
        lm(fake, retries=2).complete(asked(1), site)
    assert str(caught.value) == f"language model 'm' at {fake.url}: {said}{KEPT}"
    assert len(fake.seen) == 3


def test_a_server_that_hangs_is_told(fake: Fake, site: Site) -> None:
    def hang(number: int, request: Request) -> Reply:
        fake.going.wait(20)
        return completion(request)

    fake.reply = hang
    said = "no answer within 0.1 s, in the last of 1 try; look at the server, raise 'timeout' or lower 'concurrency'"
    with pytest.raises(DataError, match=said):
        lm(fake, timeout=0.1, retries=0).complete(asked(1), site)


def test_a_server_that_is_not_there_is_told(site: Site, pauses: list[float]) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else takes the port
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        said = rf"language model 'm' at {url}: cannot connect \(.*\), in the last of 2 tries; start the server, or corr"
        for work in (lambda one: one.make(site), lambda one: one.complete(asked(1), site)):
            with pytest.raises(DataError, match=said):
                work(CompletionsApi(url=url, model="m", retries=1))


def test_half_a_surrogate_pair_is_replaced(fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: Reply(b'{"choices": [{"text": "a\\ud83d"}]}')
    assert lm(fake).complete(asked(1), site) == ["a?"]


# --- answers without bounds


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], object]], str]]:
    """Starts servers whose answer is what a function sends, and gives their URL."""
    listening: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(send: Callable[[socket.socket], object]) -> str:
        door = socket.create_server(("127.0.0.1", 0))
        listening.append(door)

        def answer() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = door.accept()
                    with caller, suppress(OSError):  # it has gone
                        caller.recv(2**16)
                        send(caller)

        threads.append(threading.Thread(target=answer))
        threads[-1].start()
        return f"http://127.0.0.1:{door.getsockname()[1]}/v1"

    yield start
    for door in listening:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
    for thread in threads:
        thread.join()


def drip(caller: socket.socket, content: bytes) -> None:
    for i in range(len(content)):
        caller.sendall(content[i : i + 1])
        time.sleep(0.05)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"], ids=["head", "body"])
def test_an_answer_that_drips_ends_with_the_whole_time(
    head: bytes, raw: Callable[[Callable[[socket.socket], object]], str], site: Site
) -> None:
    def send(caller: socket.socket) -> None:
        caller.sendall(head)
        drip(caller, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200)

    begun = time.monotonic()
    with pytest.raises(DataError, match=r"no answer within 0\.5 s, in the last of 1 try; look at the server"):
        CompletionsApi(url=raw(send), model="m", timeout=0.5, retries=0).make(site)
    assert time.monotonic() - begun < 3  # not with the last of its bytes


ENDLESS = "the answer has over 16777216 bytes; look at the server"


@pytest.mark.parametrize(
    ("head", "piece"),
    [(b"\r\n", b"x" * 2**16), (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 2**16 + b"\r\n")],
    ids=["until it closes", "chunked"],
)
def test_an_answer_without_an_end_is_given_up(
    head: bytes, piece: bytes, raw: Callable[[Callable[[socket.socket], object]], str], site: Site
) -> None:
    def send(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\n" + head)
        while True:
            caller.sendall(piece)

    with pytest.raises(DataError, match=ENDLESS):
        CompletionsApi(url=raw(send), model="m", retries=2).make(site)


@pytest.mark.parametrize("status", [200, 400])
def test_a_small_answer_that_unpacks_to_a_large_one_is_given_up(status: int, fake: Fake, site: Site) -> None:
    packed = gzip.compress(b'{"error": "' + b"x" * 100_000_000, 1)
    fake.reply = lambda number, request: Reply(packed, status, {"Content-Encoding": "gzip"})
    said = ENDLESS if status == 200 else r"the server refuses the request \(400\): '\{\"error\": \"xxx"
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=said):
            lm(fake, retries=2).complete(asked(1), site)
        assert tracemalloc.get_traced_memory()[1] < 90_000_000
    finally:
        tracemalloc.stop()
    assert len(fake.seen) == 1


def test_a_packed_answer_is_read_and_a_broken_one_is_not(fake: Fake, site: Site, pauses: list[float]) -> None:
    packed = gzip.compress(b'{"choices": [{"text": "good day"}]}')
    replies = [(packed[:-30], "gzip"), (b"no gzip", "gzip"), (packed, "br"), (packed, "GZIP")]

    def reply(number: int, request: Request) -> Reply:
        content, encoding = replies[number]
        return Reply(content, 200, {"Content-Encoding": encoding})

    fake.reply = reply
    assert lm(fake).complete(asked(1), site) == ["good day"]
    assert len(fake.seen) == 4
    assert fake.seen[0].headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_of_deep_json_is_no_completion(status: int, fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: Reply(b"[" * 100_000, status)
    said = "the answer holds no completion" if status == 200 else "the server refuses the request"
    with pytest.raises(DataError, match=said):
        lm(fake, retries=0).complete(asked(1), site)


@pytest.mark.parametrize(
    "when", ["nan", "NaN", "-3", "Mon, 01 Jan 0001 00:00:00 +2359", "Mon, 01 Jan 99999 00:00:00 GMT"]
)
def test_a_time_to_come_back_that_is_none_is_not_obeyed(when: str, fake: Fake, site: Site, pauses: list[float]) -> None:
    fake.reply = lambda number, request: Reply({}, 503, {"Retry-After": when}) if not number else completion(request)
    lm(fake).complete(asked(1), site)
    assert 0 <= pauses[0] < 1


def test_a_host_that_cannot_be_asked_is_told(site: Site) -> None:
    with pytest.raises(DataError, match=r"language model 'm' at http://a\.\.b/v1: .*(url|connect)"):
        CompletionsApi(url="http://a..b/v1", model="m", retries=0).make(site)


# --- resume


def test_after_a_failure_only_the_missing_completions_are_asked_again(fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: completion(request) if number < 4 else Reply({}, 500)
    question = asked(7)
    with pytest.raises(DataError, match=r"\(4 of 7 completions are kept: run again to go on\)$"):
        lm(fake, retries=0).complete(question, site)
    fake.seen, fake.reply = [], lambda number, request: completion(request)
    heard: list[str] = []
    with listening(lambda share, note: heard.append(note)):
        texts = lm(fake).complete(question, site)
    assert fake.asked() == list(question.prompt[4:])
    assert heard == [f"{n} of 7 completions" for n in (5, 6, 7)]
    assert texts == [f"{p} / {int(question.rng(i).integers(2**31))}" for i, p in enumerate(question.prompt)]
    lm(fake).complete(question, site)
    assert len(fake.seen) == 3  # all are kept now


def test_a_failure_among_many_keeps_what_was_under_way_and_starts_no_more(fake: Fake, site: Site) -> None:
    met = threading.Barrier(4)

    def reply(number: int, request: Request) -> Reply:
        if number < 4:
            met.wait(10)  # all four are under way
        if request.body["prompt"] == "the film was":
            return Reply({}, 400)
        time.sleep(0.1)  # the refusal comes first
        return completion(request)

    fake.reply = reply
    with pytest.raises(DataError, match=r"\(3 of 40 completions are kept: run again to go on\)$"):
        lm(fake, concurrency=4).complete(asked(40), site)
    assert len(fake.seen) < 10
    assert len((site.scratch / "completions.jsonl").read_text().splitlines()) == 3


def test_what_is_told_as_done_is_on_the_disk_already(fake: Fake, site: Site) -> None:
    path = site.scratch / "completions.jsonl"
    lines: list[int] = []
    with listening(lambda share, note: lines.append(len(path.read_text().splitlines()))):
        lm(fake).complete(asked(4), site)
    assert lines == [1, 2, 3, 4]


def test_a_line_that_was_cut_short_is_asked_again(fake: Fake, site: Site) -> None:
    question = asked(3)
    first = lm(fake).complete(question, site)
    path = site.scratch / "completions.jsonl"
    whole = path.read_bytes()
    for cut in (1, 12):
        path.write_bytes(whole[:-cut])
        fake.seen = []
        assert lm(fake).complete(question, site) == first
        assert len(fake.seen) == 1
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "damage", [b"\xff\n", b"[1, 2]\n", b"{}\n", b'["a", 1, "b"]\n', b"[" * 9999 + b"\n", b"null\n"]
)
def test_a_damaged_line_is_asked_again_and_the_others_are_kept(damage: bytes, fake: Fake, site: Site) -> None:
    question = asked(3)
    first = lm(fake).complete(question, site)
    path = site.scratch / "completions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage + lines[2])
    fake.seen = []
    assert lm(fake).complete(question, site) == first
    assert fake.asked() == [question.prompt[1]]
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(lines)


# --- the key


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    monkeypatch.setenv("MY_KEY", KEY)
    return {"api_key_env": "MY_KEY"}


def test_the_key_is_sent_and_only_where_one_is_named(fake: Fake, site: Site, keyed: Mapping[str, str]) -> None:
    lm(fake, **keyed).complete(asked(1), site)
    assert fake.seen[0].headers["Authorization"] == f"Bearer {KEY}"
    (site.scratch / "completions.jsonl").unlink()
    lm(fake).complete(asked(1), site)
    assert "Authorization" not in fake.seen[1].headers


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
def test_a_server_that_repeats_the_key_does_not_make_us_say_it(
    status: int, fake: Fake, site: Site, keyed: Mapping[str, str]
) -> None:
    # so long that cutting the message first would leave half of the key
    fake.reply = lambda number, request: Reply({"error": "x" * 170 + f" bad key {KEY}"}, status)
    with pytest.raises(DataError) as caught:
        lm(fake, retries=0, **keyed).complete(asked(1), site)
    assert KEY[:6] not in str(caught.value)


def test_a_key_is_hidden_as_json_writes_it_too(fake: Fake, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", 'quoted"secret')
    fake.reply = lambda number, request: Reply({"other": 'quoted"secret'})
    with pytest.raises(DataError, match=r"the answer holds no completion") as caught:
        lm(fake, retries=0, api_key_env="MY_KEY").complete(asked(1), site)
    assert "secret" not in str(caught.value)


def test_a_key_that_is_not_set_is_told_before_anything_is_asked(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(DataError, match=r"the key of language model 'm' is not set; set it: MY_KEY=... fairl-bench"):
        lm(fake, api_key_env="MY_KEY").check()
    assert not fake.seen


@pytest.mark.parametrize("spoilt", [f"{KEY} {KEY}", f"{KEY}\nX-More: 1", f"{KEY}é"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(
    spoilt: str, fake: Fake, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", spoilt)
    with pytest.raises(DataError) as caught:
        lm(fake, api_key_env="MY_KEY").complete(asked(1), site)
    assert str(caught.value) == "MY_KEY holds no key: a key is of printable ASCII characters without space"


SUITE = """\
name: served
seeds: [0]
models:
  - name: api
    use: completions-api
    base: {url: "${URL}", model: m, api_key_env: MY_KEY, retries: 0}
    expert: {url: "${URL}", model: m, revision: aligned, api_key_env: MY_KEY, retries: 0}
    prompts: {use: toy-prompts}
    n: 40
encoders: [{name: tfidf, use: tfidf, dimensions: 8}]
methods: [{name: length, use: length}]
evaluate: [{use: fidelity, data: [pairs/test], truth: preferred}]
"""


def files_that_hold(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_the_key_is_in_no_file_of_a_run_that_failed_and_of_one_that_did_not(
    fake: Fake,
    keyed: Mapping[str, str],
    store: Store,
    run_suite: Callable[..., Finished],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("URL", fake.url)
    # the probes of both models are answered, and then a server that fails says the key
    fake.reply = lambda number, request: (
        completion(request) if number < 12 else Reply({"error": f"{KEY} {request.headers}"}, 500)
    )
    failed = run_suite(SUITE)
    assert any("the server fails (500): \"*** {'Host'" in reason for reason in failed.outcome.failed.values())
    assert list((tmp_path / "results").rglob("*.log")) or list((tmp_path / "results" / "logs").iterdir())
    assert files_that_hold(tmp_path, KEY) == []
    before = len(fake.seen)
    fake.reply = lambda number, request: completion(request)
    again = run_suite(SUITE)
    assert not again.outcome.failed
    assert len(fake.seen) - before < 80  # both models' 40, less what was kept
    assert files_that_hold(tmp_path, KEY) == []
    assert files_that_hold(tmp_path / "results", "MY_KEY")  # the search finds what is there
    assert {request.headers["Authorization"] for request in fake.seen} == {f"Bearer {KEY}"}


# --- fields


def built(**fields: Any) -> LM:
    return REGISTRY.build(LM, {"use": "completions-api", "url": "http://a/v1", "model": "m", **fields})


def test_the_model_is_its_name_its_label_and_how_it_is_asked_not_where() -> None:
    def key(**fields: Any) -> str:
        return digest(identity(built(**fields), REGISTRY))

    before = key()
    same = [{"url": "http://b:1/v1"}, {"api_key_env": "K"}, {"concurrency": 2}, {"timeout": 9.0}, {"retries": 0},
            {"back_off": 2.0}]  # fmt: skip
    assert {key(**fields) for fields in same} == {before}
    other = [{"model": "n"}, {"revision": "r"}, {"server": "vllm"}, {"api": "chat"}, {"system": "s"}]
    assert len({before, *(key(**fields) for fields in other)}) == 6


@pytest.mark.parametrize(
    "url",
    [f"http://user:{KEY}@a/v1", f"http://{KEY}@a/v1", f"http://a/v1?key={KEY}", f"http://a/v1#{KEY}",
     f"http://[bad@{KEY}/v1"],
)  # fmt: skip
def test_a_url_that_holds_a_secret_is_refused_without_saying_it(url: str) -> None:
    with pytest.raises(ValueError, match="must hold no user, password or query") as caught:
        built(url=url)
    assert KEY not in caught.value.errors(include_input=False)[0]["msg"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "url", ["localhost:8000/v1", "ftp://a/v1", "http://", "a", "http://[bad/v1", "http://a:99999/v1", "http://a:x/v1"]
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="needs a base URL like http://localhost:8000/v1"):
        built(url=url)


@pytest.mark.parametrize("name", [KEY, "hf_abcDEF123", "my_key", "", "1KEY", "A-B"])
def test_a_key_in_the_place_of_its_name_is_refused_without_saying_it(name: str) -> None:
    with pytest.raises(ValueError, match="needs the name of an environment variable in capitals") as caught:
        built(api_key_env=name)
    message = caught.value.errors(include_input=False)[0]["msg"]  # type: ignore[attr-defined]
    assert not name or name not in message


# --- the source


PAIR = {"base": {"url": "http://a/v1", "model": "b"}, "expert": {"url": "http://a/v1", "model": "e"}}


def source(**fields: Any) -> Any:
    return REGISTRY.build(Source, {"use": "completions-api", "prompts": {"use": "toy-prompts"}, **PAIR, **fields})


def test_both_models_complete_the_same_prompts_each_with_its_own_numbers() -> None:
    part = source(n=7, sampling={"temperature": 0.5})
    asks = part.upstream()
    assert list(asks) == ["base", "expert"]
    for role, ask in asks.items():
        assert (ask.lm.model, ask.voice, ask.n, ask.sampling.temperature) == (role[0], role, 7, 0.5)
        assert ask.lm.use == "completions-api"
        assert REGISTRY.build(LM, ask.lm.plain()) == ask.lm
    assert part.size() == 7


def test_a_model_that_says_its_use_is_the_same_one() -> None:
    said = {role: {"use": "completions-api", **fields} for role, fields in PAIR.items()}
    assert source(**said).plain() == source().plain()


def test_a_model_that_is_not_served_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a CompletionsApi, which lm 'pretrained' is not"):
        source(base={"use": "pretrained", "model": "x"})


def test_the_source_refuses_a_top_k_that_a_server_has_no_word_for() -> None:
    with pytest.raises(ValueError, match="server 'openai' knows no top_k, got 9"):
        source(sampling={"top_k": 9})
    assert source(
        sampling={"top_k": 9}, **{role: {**fields, "server": "vllm"} for role, fields in PAIR.items()}
    ).sampling.top_k == 9  # fmt: skip


# --- a real server: `transformers serve`


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A randomly initialised GPT-NeoX of 1 block × 16 with a byte-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("served")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({"</s>": 0, **{letter: i + 1 for i, letter in enumerate(letters)}}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = GPTNeoXConfig(vocab_size=257, max_position_embeddings=64, eos_token_id=0, bos_token_id=0, **shape)
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of the tiny model, which ends with the module."""
    import httpx2

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "serve.log"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(tiny_model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=offline, start_new_session=True)
    try:
        until = time.monotonic() + 120
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, f"no answer in two minutes: {log.read_text()}"
            try:
                httpx2.get(f"http://127.0.0.1:{port}/health", timeout=1).raise_for_status()
                break
            except httpx2.HTTPError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its own group: nothing it started stays
        process.wait()


serving = pytest.mark.skipif(
    find_spec("fastapi") is None or find_spec("uvicorn") is None or find_spec("openai") is None,
    reason="transformers serve needs pip install 'transformers[serving]'",
)


def complete_at(url: str, model: Path, folder: Path, n: int = 6) -> list[str]:
    folder.mkdir()
    part = CompletionsApi(url=url, model=str(model), server="transformers", timeout=60.0, retries=1)
    part.make(Site(folder, folder))
    return list(part.complete(asked(n, max_new_tokens=8), Site(folder, folder)))


@serving
def test_a_real_server_gives_the_same_texts_again_and_another_for_each_draw(
    served: str, tiny_model: Path, tmp_path: Path
) -> None:
    first, again = (complete_at(served, tiny_model, tmp_path / name) for name in ("a", "b"))
    assert first == again
    # of a server that is not told to sample, the two draws of each prompt would be the same
    assert all(one != other for one, other in zip(first[:3], first[3:], strict=True))


@serving
def test_a_real_server_gives_what_the_model_gives_here_under_that_seed(
    served: str, tiny_model: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = (one.from_pretrained(tiny_model) for one in (AutoTokenizer, AutoModelForCausalLM))
    question = asked(3, max_new_tokens=8)
    here = []
    for i, prompt in enumerate(question.prompt):
        inputs = tokenizer(prompt, return_tensors="pt")
        with torch.random.fork_rng():
            torch.manual_seed(int(question.rng(i).integers(2**31)))
            tokens = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=True,
                top_k=0,
                max_new_tokens=8,
                pad_token_id=0,
            )
        here.append(tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    assert complete_at(served, tiny_model, tmp_path / "a", n=3) == here


@serving
def test_a_real_server_that_serves_another_model_says_so(served: str, tmp_path: Path) -> None:
    part = CompletionsApi(url=served, model="nobody/nothing", server="transformers")
    with pytest.raises(DataError, match=r"the server refuses the request \(400\): .*requested 'nobody/nothing'"):
        part.make(Site(tmp_path, tmp_path))
