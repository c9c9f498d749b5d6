"""Each beginning of prompts is read once, and what the model says of the texts behind them stays as it is."""

from __future__ import annotations

import functools
from collections import Counter
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.science import prompt_tree, shared_prompts
from fairl_bench.science.continued_tokens import Tokens
from fairl_bench.science.endings import before_end
from fairl_bench.science.generation import Draw, Drawn, _behind_tree, _generated
from fairl_bench.science.prompt_tree import PromptTree, reads_trees
from fairl_bench.science.shared_prompts import blocks, read

ROWS, SHAPE = 40, {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
ROTARY = {**SHAPE, "intermediate_size": 32, "max_position_embeddings": 64}
WINDOWED = {**ROTARY, "num_key_value_heads": 1, "head_dim": 8, "layer_types": ["sliding_attention", "full_attention"]}
MODELS: dict[str, dict[str, Any]] = {
    "gpt_neox": ROTARY,
    "llama": {**ROTARY, "num_key_value_heads": 1},
    # a window that is shorter than the prompts, in every second layer
    "gemma3_text, short window": {**WINDOWED, "sliding_window": 4},
    # one that is shorter than prompt and text
    "gemma3_text": {**WINDOWED, "sliding_window": 9},
    "gemma2": {**ROTARY, "num_key_value_heads": 1, "head_dim": 8, "sliding_window": 9, "final_logit_softcapping": 3.0},
    "mistral": {**ROTARY, "num_key_value_heads": 1, "sliding_window": 10},
    "mistral, short window": {**ROTARY, "num_key_value_heads": 1, "sliding_window": 5},
    "gpt2": {"vocab_size": 40, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2},
    "opt": {
        **{**SHAPE, "ffn_dim": 32, "max_position_embeddings": 32, "word_embed_proj_dim": 16, "dropout": 0.0},
        **{"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2},
    },
    "bloom": {"vocab_size": 40, "hidden_size": 16, "n_layer": 2, "n_head": 2, "hidden_dropout": 0.0},
    "mamba": {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4, "time_step_rank": 4},
}
# not those whose masks or memory are other than keys, values and what is given of positions
TREES = [kind for kind in MODELS if "short window" not in kind and kind not in ("bloom", "mamba")]


def random_model(kind: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind.partition(",")[0], **MODELS[kind]))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for weight in model.parameters():  # far from uniform, so that a token in a wrong place is seen
            weight += 0.3 * torch.randn(weight.shape)
    return model.eval()


def tokens(prompt: list[int], text: list[int]) -> Tokens:
    return Tokens(prompt, text, ended=False, tokenised=False)


def some_texts() -> list[Tokens]:
    """Texts behind prompts of three lengths: shared by two, by one, and by five; one is empty."""
    rng = np.random.default_rng(1)
    prompts = [rng.integers(3, ROWS, length).tolist() for length in (9, 9, 7, 7, 1, 7)]
    shared = [2, 2, 1, 5, 3, 2]
    return [
        tokens(prompt, rng.integers(3, ROWS, rng.integers(0, 8)).tolist())
        for prompt, n in zip(prompts, shared, strict=True)
        for _ in range(n)
    ] + [tokens(prompts[0], [])]


@pytest.mark.parametrize("kind", MODELS)
def test_what_a_model_says_of_texts_is_what_it_says_of_each_alone(kind: str) -> None:
    model, texts, found = random_model(kind), some_texts(), list[int]()
    work = blocks(model, texts, batch=3)
    assert {block.shared for block in work} == {kind in TREES}
    for block in work:
        for some in read(model, [texts[i] for i in block.rows], 3, shared=block.shared):
            assert len(some.texts) <= 3
            for row, one in enumerate(some.texts):
                with torch.no_grad():
                    alone = model(input_ids=torch.tensor([[*one.prompt, *one.text]])).logits[0, len(one.prompt) - 1 :]
                start = int(some.start[row])
                states = slice(start, start + len(one.text) + 1)
                # float32 logits of up to 40, in another order of the operations
                torch.testing.assert_close(some.logits[row, states], alone, rtol=0, atol=2e-4)
                assert some.ids[row, states].tolist() == [one.prompt[-1], *one.text]
        found += block.rows
    assert sorted(found) == list(range(len(texts)))


def test_a_shared_beginning_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = random_model("gpt_neox"), Counter[int]()
    forward = type(model).forward

    @functools.wraps(forward)
    def counted(self: Any, input_ids: torch.Tensor, **own: Any) -> Any:
        seen.update(input_ids.flatten().tolist())
        return forward(self, input_ids=input_ids, **own)

    monkeypatch.setattr(type(model), "forward", counted)
    texts = [tokens([5, 6, 7 + i % 2, 9], [10 + i]) for i in range(7)]
    for block in blocks(model, texts, batch=2):
        list(read(model, [texts[i] for i in block.rows], 2, shared=block.shared))
    # a prompt's last token is read with the text
    assert [seen[token] for token in range(5, 10)] == [1, 1, 1, 1, 7]
    assert all(seen[10 + i] == 1 for i in range(7))


@pytest.mark.parametrize("most", [1, 12, 1000])
def test_a_tree_may_be_cut(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of prompts is what the model remembers of each alone."""
    monkeypatch.setattr(prompt_tree, "_MOST", most)
    model, prompts = random_model("llama"), [[3, 4, 5, 6], [3, 4], [], [3, 4, 5, 7, 8], [9, 3, 4], [3, 4]]
    cache, attention = PromptTree(model, prompts).memory(prompts)
    assert attention.sum(1).tolist() == [len(prompt) for prompt in prompts]
    for row, prompt in enumerate(prompts):
        if prompt:
            with torch.no_grad():
                alone = model(input_ids=torch.tensor([prompt]), use_cache=True).past_key_values
            for layer, one in zip(cache.layers, alone.layers, strict=True):
                # float32 in another order
                torch.testing.assert_close(layer.keys[row, :, -len(prompt) :], one.keys[0], rtol=0, atol=1e-4)
                torch.testing.assert_close(layer.values[row, :, -len(prompt) :], one.values[0], rtol=0, atol=1e-4)


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 2), min_size=1, max_size=3), st.lists(st.integers(0, 2), max_size=3)),
        max_size=40,
    ),
    st.integers(1, 3),
)
def test_every_text_is_in_one_block_and_lies_there_by_its_length(
    rows: list[tuple[list[int], list[int]]], batch: int
) -> None:
    texts = [tokens(prompt, text) for prompt, text in rows]
    with mock.patch.object(shared_prompts, "_SHORT", 2):
        work = list(shared_prompts._behind(texts, batch))
    assert sorted(i for block in work for i in block) == list(range(len(texts)))
    for block in work:
        prompts = {tuple(texts[i].prompt) for i in block}
        assert len(block) <= 8 * batch
        assert sum(map(len, prompts)) <= batch * max(2, *map(len, prompts), 0)
        assert [len(texts[i].text) for i in block] == sorted(len(texts[i].text) for i in block)


def drawn(model: Any, how: Any, prompts: list[list[int]], uniform: np.ndarray, ends: tuple[int, ...]) -> Drawn:
    tokenizer = SimpleNamespace(bos_token_id=None, pad_token_id=0)
    found: Drawn = how(model, tokenizer, prompts, Draw(torch.from_numpy(uniform), (), ends), 0)
    return found


@pytest.mark.parametrize("ends", [(), (4,), tuple(range(3, 20))])
@pytest.mark.parametrize("kind", TREES)
def test_completions_are_those_of_generate(kind: str, ends: tuple[int, ...]) -> None:
    """The numbers of each text draw its tokens, whether or not others have ended and left the batch."""
    model, rng = random_model(kind), np.random.default_rng(2)
    prompts = [rng.integers(3, ROWS, length).tolist() for length in (9, 6, 6, 1)]
    which = [2, 0, 0, 3, 1, 0, 2, 1, 3, 0]
    uniform = rng.random((len(which), 7))
    ours, theirs = (drawn(model, how, [prompts[i] for i in which], uniform, ends) for how in (_behind_tree, _generated))
    assert ours.tokens.tolist() == theirs.tokens.tolist()
    assert ours.attention.tolist() == theirs.attention.tolist()
    kept = before_end(ours.new, ends)
    assert kept.all() == (not ends) or ends == (4,)
    # float32 logits of up to 40, in another order of the operations
    torch.testing.assert_close(ours.said[kept], theirs.said[kept], rtol=0, atol=2e-4)


@pytest.mark.parametrize("kind", MODELS)
def test_only_models_that_see_what_they_are_given_read_trees(kind: str) -> None:
    assert reads_trees(random_model(kind), 9) == (kind in TREES)
