"""A prompt that several texts share is read once, and what the model says of them stays as it is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.science import shared_prompts
from fairl_bench.science.continued_tokens import Tokens
from fairl_bench.science.generation import _remembered
from fairl_bench.science.shared_prompts import blocks, read

ROWS, SHAPE = 40, {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
ROTARY = {**SHAPE, "intermediate_size": 32, "max_position_embeddings": 64}
MODELS: dict[str, dict[str, Any]] = {
    "gpt_neox": ROTARY,
    "llama": {**ROTARY, "num_key_value_heads": 1},
    # a window that is shorter than the prompts, in every second layer
    "gemma3_text": {
        **{**ROTARY, "num_key_value_heads": 1, "head_dim": 8, "sliding_window": 4},
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gemma2": {**ROTARY, "num_key_value_heads": 1, "head_dim": 8, "sliding_window": 4, "final_logit_softcapping": 3.0},
    "mistral": {**ROTARY, "num_key_value_heads": 1, "sliding_window": 5},
    "gpt2": {"vocab_size": 40, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2},
    "opt": {
        **{**SHAPE, "ffn_dim": 32, "max_position_embeddings": 32, "word_embed_proj_dim": 16, "dropout": 0.0},
        **{"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2},
    },
    "bloom": {"vocab_size": 40, "hidden_size": 16, "n_layer": 2, "n_head": 2, "hidden_dropout": 0.0},
    "mamba": {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4, "time_step_rank": 4},
}
REMEMBERING = set(MODELS) - {"mamba"}  # a state is no memory that several tokens can go on from


def random_model(kind: str) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **MODELS[kind]))  # type: ignore[no-untyped-call]
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
    assert any(block.shared for block in work) == (kind in REMEMBERING)
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


def test_a_shared_prompt_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = random_model("gpt_neox"), Counter[tuple[int, ...]]()
    passed = shared_prompts.passed

    def counted(model: Any, ids: torch.Tensor, columns: int, **own: Any) -> Any:
        seen.update(tuple(row) for row in ids.tolist())
        return passed(model, ids, columns, **own)

    monkeypatch.setattr(shared_prompts, "passed", counted)
    prompt = [5, 6, 7, 8]
    texts = [tokens(prompt, [9 + i]) for i in range(7)]
    for block in blocks(model, texts, batch=2):
        list(read(model, [texts[i] for i in block.rows], 2, shared=block.shared))
    assert seen[5, 6, 7] == 1
    assert all(seen[8, 9 + i] == 1 for i in range(7))


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 2), min_size=1, max_size=3), st.lists(st.integers(0, 2), max_size=3)),
        max_size=40,
    ),
    st.integers(1, 3),
)
def test_every_text_is_in_one_block_and_shares_its_prompt_where_others_have_it(
    rows: list[tuple[list[int], list[int]]], batch: int
) -> None:
    class Remembering:
        def forward(self, past_key_values: object = None) -> None: ...

    texts = [tokens(prompt, text) for prompt, text in rows]
    work = blocks(Remembering(), texts, batch)
    assert sorted(i for block in work for i in block.rows) == list(range(len(texts)))
    several = Counter(tuple(one.prompt) for one in texts)
    for block in work:
        lengths = [len(texts[i].text) for i in block.rows]
        assert all(
            block.shared == (several[tuple(texts[i].prompt)] > 1 and len(texts[i].prompt) > 1) for i in block.rows
        )
        if block.shared:
            assert len({len(texts[i].prompt) for i in block.rows}) == 1
            assert len(block.rows) <= 8 * batch
            assert lengths == sorted(lengths)
        else:
            assert len(block.rows) <= batch


@pytest.mark.parametrize("kind", MODELS)
def test_completions_that_share_a_prompt_are_those_of_a_prompt_read_each_time(kind: str) -> None:
    model, rng = random_model(kind), np.random.default_rng(2)
    prompts = [rng.integers(3, ROWS, length).tolist() for length in (9, 6, 6, 1)]  # padded on the left to the longest
    which = [2, 0, 0, 3, 1, 0, 2, 1, 3, 0]
    ids = torch.tensor([[0] * (9 - len(prompts[i])) + prompts[i] for i in which])
    attention = torch.tensor([[0] * (9 - len(prompts[i])) + [1] * len(prompts[i]) for i in which])
    memory = _remembered(model, ids, attention, [str(i) for i in which])
    assert bool(memory) == (kind in REMEMBERING)
    settings = {"attention_mask": attention, "do_sample": False, "max_new_tokens": 5, "pad_token_id": 0}
    plain = model.generate(ids, **settings)
    assert model.generate(ids, **settings, **memory).tolist() == plain.tolist()


def test_prompts_that_hardly_repeat_are_read_in_one_pass() -> None:
    ids = torch.full((4, 3), 5)
    assert not _remembered(random_model("llama"), ids, torch.ones_like(ids), ["a", "b", "c", "a"])
