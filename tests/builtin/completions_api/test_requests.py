"""What is asked of a server, and how many requests are under way."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from completions_server import Fake, Reply, Request, asked, completion, lm

from fairl_bench.errors import DataError
from fairl_bench.progress import listening
from fairl_bench.values.language_models import Site


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
