"""Answers that are too large, too slow or too deep."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from completions_server import Fake, Reply, Request, asked, completion, lm

from fairl_bench.builtin.shared.completions_api import CompletionsApi
from fairl_bench.errors import DataError
from fairl_bench.values.language_models import Site


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
