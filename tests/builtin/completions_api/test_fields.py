"""The fields of the model and of the source, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from fairl_bench.digests import digest
from fairl_bench.engine.keys import identity
from fairl_bench.kinds.lm import LM
from fairl_bench.kinds.source import Source
from fairl_bench.suite.registry import Registry

REGISTRY = Registry(installed=False)
KEY = "Sk-Very-Secret-0123456789"


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
