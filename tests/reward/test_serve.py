from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.builtin.methods.length import Length
from fairl_bench.errors import DataError
from fairl_bench.pipeline import Finished
from fairl_bench.reward.answer import answer
from fairl_bench.reward.app import Limits
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.reward.serve import Server, server
from fairl_bench.values.data import Floats
from fairl_bench.values.training import Inputs, Reward

Answer = tuple[int, dict[str, Any]]


class Watched(Length):
    """A text's length; breaks on one that says so, and remembers how many were scored at once."""

    running: ClassVar[list[int]] = []
    at_once: ClassVar[list[int]] = []

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        self.running.append(1)
        self.at_once.append(len(self.running))
        time.sleep(0.002)
        self.running.pop()
        if "break" in inputs.text:
            raise ZeroDivisionError("broken")
        if "infinite" in inputs.text:
            return np.full(len(inputs.text), np.inf)
        return super().score(reward, inputs)


def longer(embed: Literal["completion", "prompt+completion"] = "completion") -> RecoveredReward:
    return RecoveredReward(Watched.named("watched"), None, Reward({"sign": np.array(1, np.float32)}), embed)


@pytest.fixture
def listen() -> Iterator[Callable[..., Server]]:
    """Starts servers on the loopback, ended with the test."""
    running: list[tuple[Server, threading.Thread]] = []

    def start(reward: RecoveredReward | None = None, **options: Any) -> Server:
        listening = server(reward or longer(), port=0, **options)
        thread = threading.Thread(target=listening.run)
        thread.start()
        running.append((listening, thread))
        return listening

    yield start
    for listening, thread in running:
        listening.stop()
        thread.join()
        listening.__exit__()


def ask(listening: Server, body: Any, path: str = "/get_reward", method: str = "POST", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(*listening.address, timeout=10)
    content = body if isinstance(body, bytes | type(None)) else json.dumps(body).encode()
    try:
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


# --- what OpenRLHF sends and takes


RECORDED = """\
POST /get_reward HTTP/1.1\r
Host: {host}\r
Accept: */*\r
Accept-Encoding: gzip, deflate\r
User-Agent: Python/3.11 aiohttp/3.14.5\r
Content-Length: {length}\r
Content-Type: application/json\r
\r
"""
"""What the client of OpenRLHF 0.11.2 sends (``SingleTurnAgentExecutor``), given ``--reward.remote_url``."""


def test_a_call_replayed_from_openrlhfs_client_is_answered(listen: Callable[..., Server]) -> None:
    """It asks for one completion at a time, and leaves the end token in."""
    listening = listen(strip=("</s>",))
    body = b'{"query": ["Say hello. Hello, my friend!</s>"], "prompts": ["Say hello."], "labels": [""]}'
    head = RECORDED.format(host="{}:{}".format(*listening.address), length=len(body))
    with socket.create_connection(listening.address, timeout=10) as connection:
        connection.sendall(head.encode() + body)
        answered = http.client.HTTPResponse(connection)
        answered.begin()
        told = json.loads(answered.read())
    assert answered.status == 200
    # what the client takes of it
    assert (told["rewards"], told["scores"], told["extra_logs"]) == ([17.0], [17.0], {})


@pytest.mark.parametrize("path", ["/get_reward", "/"])
def test_a_query_is_answered_in_openrlhfs_shape(path: str, listen: Callable[..., Server]) -> None:
    asked = {"query": ["Say: one", "Say: three"], "prompts": ["Say:", "Say:"], "labels": ["", ""]}
    assert ask(listen(), asked, path) == (200, {"rewards": [3.0, 5.0], "scores": [3.0, 5.0], "extra_logs": {}})


def test_without_prompts_the_whole_query_is_the_completion(listen: Callable[..., Server]) -> None:
    listening = listen()
    assert ask(listening, {"query": ["four"]})[1]["rewards"] == [4.0]
    assert ask(listening, {"query": "four", "prompts": None})[1]["rewards"] == [4.0]


def test_no_query_has_no_reward(listen: Callable[..., Server]) -> None:
    assert ask(listen(), {"query": [], "prompts": []})[1]["rewards"] == []


def test_special_tokens_are_taken_off_where_they_are_named(listen: Callable[..., Server]) -> None:
    asked = {"query": ["<s>s four</s></s>", "s four</s>"], "prompts": ["s", "s"]}
    assert ask(listen(strip=["<s>", "</s>"]), asked)[1]["rewards"] == [4.0, 4.0]
    assert ask(listen(), asked)[1]["rewards"] == [15.0, 8.0]


def test_only_the_prompt_in_front_is_cut_off(listen: Callable[..., Server]) -> None:
    asked = {"query": ["ab ab ab", "x"], "prompts": ["ab", ""]}
    assert ask(listen(), asked)[1]["rewards"] == [5.0, 1.0]


def test_a_reward_of_prompts_is_given_them(listen: Callable[..., Server]) -> None:
    listening = listen(longer("prompt+completion"))
    assert ask(listening, {"query": ["ab four"], "prompts": ["ab"]})[1]["rewards"] == [4.0]
    assert ask(listening, {"query": ["ab four"]}) == (
        422,
        {"error": "reward 'recovered' reads prompts too; send 'prompts'"},
    )


def test_its_rewards_are_those_of_the_reward_in_python(ran_once: tuple[Path, Finished], listen: Any) -> None:
    from fairl_bench import load_reward

    reward = load_reward(ran_once[1].folder / "rewards" / "toy-tfidf-max-margin-r0-s0")
    texts = ["you are a numbskull", "thank you"]
    assert ask(listen(reward), {"query": texts})[1]["rewards"] == reward(texts)


# --- nonsense


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"{", 400, "the body is no JSON: expecting property name"),
        (b"\xff", 400, "the body is no JSON: it is not UTF-8"),
        (b"[" * 100_000, 400, "the body is no JSON: "),
        ([1], 400, "the body needs an object with 'query', got [1]"),
        ({}, 422, "'query' needs a list of texts, got nothing"),
        ({"query": {"a": 1}}, 422, "'query' needs a list of texts, got {'a': 1}"),
        ({"query": ["a", 7]}, 422, "query[1] needs a text, got 7"),
        ({"query": ["a"], "prompts": [None]}, 422, "prompts[0] needs a text, got nothing"),
        ({"query": ["a"], "prompts": ["a", "b"]}, 422, "'prompts' needs one for each query, got 2 for 1"),
        ({"query": ["a"], "prompts": ["b"]}, 422, "query[0] does not hold prompts[0], 'b'; send the prompt as"),
        ({"query": ["a"] * 8193}, 413, "'query' holds 8193 texts; send at most 8192 at once"),
        ({"query": ["infinite"]}, 500, "method 'watched' rewards 'infinite' with inf; keep rewards finite"),
        ({"query": ["break"]}, 500, "ZeroDivisionError: broken"),
    ],
)
def test_nonsense_is_answered_in_one_sentence_and_said(
    body: Any, status: int, sentence: str, listen: Callable[..., Server]
) -> None:
    said: list[str] = []
    listening = listen(say=said.append)
    found, told = ask(listening, body)
    assert found == status
    assert told["error"].startswith(sentence)
    assert said == [f"{status} {told['error']}"]
    assert ask(listening, {"query": ["four"]})[0] == 200


def test_a_body_that_is_too_large_is_not_read(listen: Callable[..., Server]) -> None:
    listening = listen(limits=Limits(body=20))
    assert ask(listening, b"x" * 100_000_000)[0] == 413  # more than the sockets hold: it is taken off the line
    assert ask(listening, {"query": ["x" * 20]}) == (413, {"error": "the body has 35 bytes; send at most 20"})
    assert ask(listening, {"query": ["x"]})[0] == 200


def test_a_refusal_is_read_also_by_one_that_sends_all_before_it_reads_and_then_closes(
    listen: Callable[..., Server],
) -> None:
    listening = listen(limits=Limits(body=20, held=200_000))
    for head in (b"POST /v1", b"POST /get_reward", b"GET /get_reward"):
        with connected(listening, head + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n") as raw:
            raw.sendall(b"Content-Length: 30000000\r\n\r\n")
            raw.sendall(b"x" * 30_000_000)
            assert raw.makefile("rb").read().startswith(b"HTTP/1.1 4")


def test_one_that_asks_before_it_sends_is_refused_unsent(listen: Callable[..., Server]) -> None:
    begun = time.monotonic()
    with connected(listen(limits=Limits(body=20)), HEAD + b"Content-Length: 21\r\nExpect: 100-continue\r\n\r\n") as raw:
        assert raw.makefile("rb").readline().startswith(b"HTTP/1.1 413 ")
    assert time.monotonic() - begun < 0.9
    with connected(listen(), HEAD + b"Content-Length: 15\r\nExpect: 100-continue\r\n\r\n") as raw:
        assert raw.recv(100).startswith(b"HTTP/1.1 100 ")
        raw.sendall(b'{"query": ["a"]')
        assert raw.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_body_without_a_length_is_refused(listen: Callable[..., Server]) -> None:
    with socket.create_connection(listen().address, timeout=10) as raw:
        raw.sendall(b"POST /get_reward HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        answer = raw.makefile("rb").read()  # to the end: the server closes
    assert answer.startswith(b"HTTP/1.1 411")
    assert b"needs a Content-Length" in answer


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/get_reward", 405, "GET is not for /get_reward; POST /get_reward, GET /health"),
        ("POST", "/health", 405, "POST is not for /health; POST /get_reward, GET /health"),
        ("GET", "/favicon.ico", 404, "'/favicon.ico' is not here; POST /get_reward, GET /health"),
        ("POST", "/v1", 404, "'/v1' is not here; POST /get_reward, GET /health"),
    ],
)
def test_another_place_is_refused(
    method: str, path: str, status: int, sentence: str, listen: Callable[..., Server]
) -> None:
    assert ask(listen(), {"query": []} if method == "POST" else None, path, method) == (status, {"error": sentence})


def test_it_says_that_it_runs(listen: Callable[..., Server]) -> None:
    assert ask(listen(), None, "/health?x=1", "GET") == (200, {"status": "ok", "reward": "recovered"})


def test_a_connection_may_be_used_again(listen: Callable[..., Server]) -> None:
    connection = http.client.HTTPConnection(*listen().address, timeout=10)
    for body, status in ((b"{", 400), (b'{"query": ["four"]}', 200), (b'{"query": ["four"]}', 200)):
        connection.request("POST", "/get_reward", body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_many_at_once_are_answered_each_with_its_own(listen: Callable[..., Server]) -> None:
    listening, found = listen(), {}

    def one(n: int) -> None:
        found[n] = ask(listening, {"query": ["x" * n]})[1]["rewards"]

    threads = [threading.Thread(target=one, args=(n,)) for n in range(1, 17)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [float(n)] for n in range(1, 17)}
    assert max(Watched.at_once) == 1  # a method or an encoder need not bear two threads


def test_a_port_in_use_is_named(listen: Callable[..., Server]) -> None:
    port = listen().address[1]
    with pytest.raises(
        DataError, match=f"port {port} of 127.0.0.1 cannot be listened on: Address already in use; name"
    ):
        server(longer(), port=port)


# --- many, slow and hostile callers


class Held(Length):
    """Waits in its scoring until it is let go."""

    begun: ClassVar[threading.Event] = threading.Event()
    going: ClassVar[threading.Event] = threading.Event()
    seen: ClassVar[list[str]] = []

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        self.seen.extend(inputs.text)
        self.begun.set()
        assert self.going.wait(20)
        return super().score(reward, inputs)


@pytest.fixture
def held() -> Iterator[RecoveredReward]:
    Held.begun, Held.going, Held.seen = threading.Event(), threading.Event(), []
    yield RecoveredReward(Held.named("held"), None, Reward({"sign": np.array(1, np.float32)}))
    Held.going.set()


def asking(listening: Server, body: Any, found: list[Answer]) -> threading.Thread:
    thread = threading.Thread(target=lambda: found.append(ask(listening, body)))
    thread.start()
    return thread


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def connected(listening: Server, sent: bytes = b"") -> socket.socket:
    raw = socket.create_connection(listening.address, timeout=10)
    raw.sendall(sent)
    return raw


HEAD = b"POST /get_reward HTTP/1.1\r\nHost: localhost\r\n"


def test_when_too_many_wait_one_more_is_told_to_come_back(held: RecoveredReward, listen: Callable[..., Server]) -> None:
    said: list[str] = []
    listening, found = listen(held, limits=Limits(requests=2), say=said.append), []
    callers = [asking(listening, {"query": ["a"]}, found) for _ in range(2)]
    until(lambda: listening.app.requests == 2)
    connection = http.client.HTTPConnection(*listening.address, timeout=10)
    connection.request("POST", "/get_reward", b'{"query": ["b"]}')
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert json.loads(answer.read()) == {"error": "2 requests wait already; ask again"}
    assert ask(listening, {"query": ["b"]})[0] == 503
    assert said == ["503 2 requests wait already; ask again"]  # of many, one is spoken of
    assert ask(listening, None, "/health", "GET")[0] == 200  # it runs all the same
    Held.going.set()
    for caller in callers:
        caller.join()
    assert [status for status, _ in found] == [200, 200]
    connection.request("POST", "/get_reward", b'{"query": ["b"]}')
    assert connection.getresponse().status == 200
    connection.close()


def test_no_more_bytes_are_held_than_the_limit(held: RecoveredReward, listen: Callable[..., Server]) -> None:
    listening, found = listen(held, limits=Limits(held=50_000)), []
    caller = asking(listening, {"query": ["a" * 40_000]}, found)
    assert Held.begun.wait(10)
    status, told = ask(listening, {"query": ["a" * 40_000]})
    assert status == 503
    assert told["error"].endswith("bytes wait already; ask again")
    assert listening.app.held <= 50_000
    Held.going.set()
    caller.join()
    assert (found[0][0], listening.app.held) == (200, 0)


def test_whoever_gets_no_turn_is_told_so(held: RecoveredReward, listen: Callable[..., Server]) -> None:
    listening, found = listen(held, limits=Limits(waiting=0.05)), []
    caller = asking(listening, {"query": ["a"]}, found)
    assert Held.begun.wait(10)
    assert ask(listening, {"query": ["b"]}) == (503, {"error": "no turn came within 0.05 s; ask again"})
    Held.going.set()
    caller.join()
    assert (found[0][0], Held.seen) == (200, ["a"])


def test_a_caller_that_leaves_is_passed_over_without_a_word(
    held: RecoveredReward, listen: Callable[..., Server], capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    listening = listen(held, say=said.append)
    body = json.dumps({"query": ["gone"]}).encode()
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    first = connected(listening, whole.replace(b"gone", b"left"))  # while it is scored
    assert Held.begun.wait(10)
    waiting, half = connected(listening, whole), connected(listening, whole[:-5])
    until(lambda: listening.app.requests == 3)
    for raw in (first, waiting, half):
        raw.close()
    until(lambda: listening.app.requests == 2)  # the half is given up at once
    Held.going.set()
    assert ask(listening, {"query": ["four"]})[1]["rewards"] == [4.0]
    assert Held.seen == ["left", "four"]
    assert (listening.app.requests, listening.app.held, said) == (0, 0, [])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /get_reward HTTP/1.1\r\nHo", HEAD + b"Content-Length: 9\r\n\r\n{}"],
    ids=["silent", "half a head", "half a body"],
)
def test_a_slow_caller_is_cut_and_others_are_served(sent: bytes, listen: Callable[..., Server]) -> None:
    listening = listen(limits=Limits(silence=0.5, reading=0.5))
    with connected(listening, sent) as raw:
        assert ask(listening, {"query": ["four"]})[0] == 200
        answer = raw.makefile("rb").read()  # to the end: the server closes
    assert not answer or answer.startswith(b"HTTP/1.1 408 ")
    assert (b"2 of 9 bytes of the body came within 0.5 s; send it faster, or less at once" in answer) == bool(answer)


def test_a_head_that_comes_by_the_byte_is_cut_all_the_same(listen: Callable[..., Server]) -> None:
    with connected(listen(limits=Limits(silence=0.3))) as raw:
        until(lambda: not _sent(raw))


def _sent(raw: socket.socket) -> bool:
    try:
        raw.sendall(b"P")
    except OSError:
        return False
    return True


def test_an_answer_that_nobody_takes_is_dropped(listen: Callable[..., Server]) -> None:
    listening = listen(limits=Limits(silence=0.5))
    body = json.dumps({"query": ["x" * 1000] * 8192}).encode()
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        raw.connect(listening.address)
        raw.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        connections = listening.connections
        until(lambda: len(connections) == 1)
        until(lambda: not connections)


def test_more_connections_than_the_limit_are_cut(listen: Callable[..., Server]) -> None:
    listening = listen(limits=Limits(connections=3))
    kept = [connected(listening) for _ in range(3)]
    until(lambda: len(listening.connections) == 3)
    with connected(listening) as one_more:
        assert _closed(one_more)
    for raw in kept:
        raw.close()
    until(lambda: not listening.connections)
    assert ask(listening, {"query": ["four"]})[0] == 200


def _closed(raw: socket.socket) -> bool:
    try:
        return raw.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("localhost", 200), ("LOCALHOST:80", 200), ("a.localhost", 200), ("127.0.0.1:1", 200), ("10.1.2.3", 200),
        ("[::1]:8000", 200), ("rewards.lan", 200), ("Rewards.LAN:8000", 200), (socket.gethostname(), 200),
        ("evil.example", 403), ("evil.example:8000", 403), ("127.0.0.1.evil.example", 403), ("localhost.evil", 403),
        ("", 403), ("[", 403), ("xlocalhost", 403), ("1.2.3", 403),
    ],
)  # fmt: skip
def test_only_names_of_its_own_are_answered(name: str, status: int, listen: Callable[..., Server]) -> None:
    found, told = ask(listen(names=["Rewards.lan:8000"]), {"query": ["four"]}, Host=name)
    assert found == status
    assert status == 200 or "start it with --allow-host NAME, or ask its address" in told["error"]


def test_a_page_of_another_site_is_refused(listen: Callable[..., Server]) -> None:
    listening = listen()
    own = f"127.0.0.1:{listening.address[1]}"
    assert ask(listening, {"query": ["four"]}, Origin=f"http://{own}", Host=own)[0] == 200
    for origin in ("http://evil.example", "null", "http://localhost"):
        refused = (403, {"error": f"pages of {origin!r} may not ask here"})
        assert ask(listening, {"query": ["four"]}, Origin=origin, Host=own) == refused


@pytest.mark.parametrize("spelt", [rb'"\ud83d"', rb'"a\udc00b"', b'"\xed\xa0\x80"'])
def test_half_a_surrogate_pair_is_refused(spelt: bytes, listen: Callable[..., Server]) -> None:
    said: list[str] = []
    listening = listen(say=said.append)
    for body in (b'{"query": [%b]}' % spelt, b'{"query": ["x"], "prompts": [%b]}' % spelt):
        status, told = ask(listening, body)
        assert status == 422
        assert "[0] holds half a surrogate pair, '\\ud" in told["error"]
    assert len(said) == 2
    assert ask(listening, b'{"query": ["\\ud83d\\ude00"]}')[1]["rewards"] == [1.0]  # a whole one


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b'{"query": [' + b"9" * 5000 + b"]}", 400, "the body is no JSON: a number in it has over 4300 digits"),
        (b'{"query": [1e999]}', 400, "the body is no JSON: 1e999 is too large for a number"),
        (b'{"query": ["a"], "labels": [NaN]}', 400, "the body is no JSON: NaN is not a number"),
        (b'{"query": ["a"], "query": ["bb"]}', 400, 'the body is no JSON: the name "query" stands twice'),
        (b'{"query": [' + b"[]," * 600_000 + b"[]]}", 413, "the body holds over 1000000 characters outside of"),
        (b'{"query": [' + b'"",' * 600_000 + b'""]}', 413, "the body holds over 1000000 characters outside of"),
        (b'{"query": ["' + b'\\"' * 1_000_000, 400, "the body is no JSON: unterminated string"),
        (b'{"query": ' + b'{"a":' * 100_000, 400, "the body is no JSON: it is nested too deeply"),
        (b"", 400, "the body is no JSON: "),
    ],
)  # fmt: skip
def test_json_that_would_take_too_much_is_refused(
    body: bytes, status: int, sentence: str, listen: Callable[..., Server]
) -> None:
    found, told = ask(listen(), body)
    assert (found, told["error"][: len(sentence)]) == (status, sentence)


def test_a_packed_body_is_refused_unopened(listen: Callable[..., Server]) -> None:
    listening = listen()
    packed = gzip.compress(b'{"query": ["' + b"a" * 10_000_000 + b'"]}')
    refused = (415, {"error": "the body is encoded as 'gzip'; send it as it is"})
    assert ask(listening, packed, **{"Content-Encoding": "gzip"}) == refused
    assert ask(listening, {"query": ["four"]}, **{"Content-Encoding": "identity"})[0] == 200


def test_what_is_no_http_is_answered_and_leaves_no_word(
    listen: Callable[..., Server], capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    listening = listen(say=said.append)
    for sent in (b"\x16\x03\x01\x02\x00\n\n", b"GET / HTTP/1.1\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n",
                 HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n", HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
                 b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n"):  # fmt: skip
        with connected(listening, sent) as raw:
            assert raw.makefile("rb").readline().startswith(b"HTTP/1.1 4")
    assert ask(listening, {"query": ["four"]})[0] == 200
    assert capfd.readouterr().err == ""


def test_health_has_a_head(listen: Callable[..., Server]) -> None:
    connection = http.client.HTTPConnection(*listen().address, timeout=10)
    for method, path, status in (("HEAD", "/health", 200), ("HEAD", "/get_reward", 405), ("OPTIONS", "/", 405)):
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    assert answer.headers["Allow"] == "POST"
    connection.close()


class Leaving(Length):
    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        raise SystemExit("enough")


def test_a_plugin_that_leaves_does_not_take_the_server_with_it(listen: Callable[..., Server]) -> None:
    listening = listen(RecoveredReward(Leaving.named("leaving"), None, Reward({})))
    for _ in range(2):
        assert ask(listening, {"query": ["a"]}) == (500, {"error": "SystemExit: enough"})


def test_a_listener_that_has_gone_is_not_missed(listen: Callable[..., Server]) -> None:
    def say(_: str) -> None:
        raise BrokenPipeError

    listening = listen(say=say)
    assert ask(listening, b"{")[0] == 400
    assert ask(listening, {"query": ["four"]})[0] == 200


def test_many_special_tokens_take_time_as_the_text_is_long() -> None:
    def seconds(n: int) -> float:
        begun = time.perf_counter()
        assert answer(longer(), {"query": ["<s> " * n + "four" + "</s>" * n]}, ["<s>", "</s>"])["rewards"] == [4.0]
        return time.perf_counter() - begun

    assert seconds(400_000) < 5  # taken off one by one it is minutes


@given(st.lists(st.sampled_from(["<s>", "</s>", "a", " ", "\n", "\u3000", "<", "s>"]), max_size=9))
def test_tokens_are_taken_off_as_if_one_by_one(pieces: list[str]) -> None:
    text, before = "".join(pieces), None
    whole = text
    while before != text:
        before, text = text, text.strip()
        for token in ("<s>", "</s>"):
            text = text.removeprefix(token).removesuffix(token)
    assert answer(longer(), {"query": [whole]}, ["<s>", "</s>"])["rewards"] == [float(len(text))]


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70, "256.1.1.1", "::g"])
def test_a_place_that_is_not_here_is_named(host: str) -> None:
    with pytest.raises(DataError, match=f"port 8000 of {host} cannot be listened on: .*; name another with"):
        server(longer(), host)


# --- the command


SLOW = """\
import os, sys, time
import numpy as np
from fairl_bench.cli import main as cli
from fairl_bench.cli import reward as cli_reward
from fairl_bench.builtin.methods.length import Length
from fairl_bench.values.training import Reward
from fairl_bench.reward.function import RecoveredReward

class Slow(Length):
    def score(self, reward, inputs):
        os.write(1, b"begun\\n")  # what a part prints goes to the standard error
        time.sleep(float(inputs.text[0]))
        return super().score(reward, inputs)

cli_reward._saved = lambda *_: RecoveredReward(Slow.named("slow"), None, Reward({"sign": np.array(1, np.float32)}))
cli.main(["serve", "anything", "--port", "0"])
"""


@contextmanager
def slow() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server whose scoring takes as many seconds as the text says, and its URL."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SLOW], stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().partition(" at ")[2].partition(";")[0]
        finally:
            process.kill()


def posted(url: str, text: str, found: list[Any]) -> threading.Thread:
    def post() -> None:
        body = json.dumps({"query": [text]}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=20) as answer:
                found.append(json.load(answer)["rewards"])
        except urllib.error.HTTPError as error:
            found.append(json.load(error))

    thread = threading.Thread(target=post)
    thread.start()
    return thread


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_after_what_is_under_way(number: int, code: int) -> None:
    found: list[Any] = []
    with slow() as (process, url):
        assert process.stdout is not None
        caller = posted(url, "0.5", found)
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        said, complained = process.communicate(timeout=20)
        caller.join()
    assert (process.returncode, said, complained, found) == (code, "", "stopped\n", [[3.0]])


def test_a_second_ctrl_c_does_not_wait_for_a_scoring_without_end() -> None:
    found: list[Any] = []
    with slow() as (process, url):
        assert process.stdout is not None
        caller = posted(url, "1000", found)
        assert process.stdout.readline() == "begun\n"
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        said, complained = process.communicate(timeout=20)
        caller.join()
    assert (process.returncode, said, complained) == (130, "", "stopped\n")
    assert found == [{"error": "the server stops; ask again when it runs"}]


def test_the_command_serves_until_ctrl_c(ran_once: tuple[Path, Finished]) -> None:
    place = ran_once[1].folder / "rewards" / "toy-tfidf-length-r0-sall"
    command = [sys.executable, "-m", "fairl_bench", "serve", str(place), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.partition(" at ")[2].partition(";")[0]
        assert line.startswith("toy-tfidf-length-r0-sall at http://127.0.0.1:")
        body = json.dumps({"query": ["four"], "prompts": [""]}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
            assert [abs(value) for value in json.load(answer)["rewards"]] == [4.0]
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (said, complained) == ("", "stopped\n")
