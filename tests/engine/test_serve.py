from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from fairl_bench.builtin.methods.length import Length
from fairl_bench.data import Floats, Inputs, Reward
from fairl_bench.engine import serve
from fairl_bench.engine.run import Finished
from fairl_bench.engine.serve import Server, server
from fairl_bench.errors import DataError
from fairl_bench.recovered import RecoveredReward

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
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((listening, thread))
        return listening

    yield start
    for listening, thread in running:
        listening.shutdown()
        listening.server_close()
        thread.join()


def ask(listening: Server, body: Any, path: str = "/get_reward", method: str = "POST", **headers: str) -> Answer:
    connection = http.client.HTTPConnection(*listening.server_address[:2], timeout=10)
    content = body if isinstance(body, bytes | type(None)) else json.dumps(body).encode()
    try:
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


# --- what OpenRLHF sends and takes


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
        (b"{", 400, "the body is no JSON: Expecting property name"),
        (b"\xff", 400, "the body is no JSON: "),
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


def test_a_body_that_is_too_large_is_not_read(listen: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "MOST_BYTES", 20)
    monkeypatch.setattr(serve, "MOST_DISCARDED", 200_000_000)
    listening = listen()
    assert ask(listening, b"x" * 100_000_000)[0] == 413  # more than the sockets hold: it is taken off the line
    assert ask(listening, {"query": ["x" * 20]}) == (413, {"error": "the body has 35 bytes; send at most 20"})
    assert ask(listening, {"query": ["x"]})[0] == 200


def test_a_body_without_a_length_is_refused(listen: Callable[..., Server]) -> None:
    with socket.create_connection(listen().server_address[:2], timeout=10) as raw:  # type: ignore[arg-type]
        raw.sendall(b"POST /get_reward HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
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
    connection = http.client.HTTPConnection(*listen().server_address[:2], timeout=10)
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
    port = listen().server_address[1]
    with pytest.raises(DataError, match=f"port {port} of 127.0.0.1 cannot be listened on: .*; name another with"):
        server(longer(), port=port)


# --- the command


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
    assert process.returncode == 0
    assert (said, complained) == ("", "stopped\n")
