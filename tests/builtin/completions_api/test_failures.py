"""What a server may fail at: what is tried again, and what ends the run with a sentence."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from completions_server import Fake, Reply, Request, asked, completion, lm, text_of

from fairl_bench.builtin.shared.completions_api import CompletionsApi
from fairl_bench.errors import DataError
from fairl_bench.values.language_models import Site


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
