from __future__ import annotations

import copy
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from fairl_bench.science import pretraining
from fairl_bench.science.pretraining import Recipe, Tokens, perplexity, pretrain, rate

VOCABULARY = 11
RECIPE = Recipe(steps=8, batch=4, length=6, lr=1e-2)


def draw(step: int) -> np.random.Generator:
    return np.random.default_rng([7, step])


@pytest.fixture(scope="module")
def start() -> Any:
    torch.manual_seed(0)
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=VOCABULARY, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=16, bos_token_id=0, eos_token_id=0,
        )
    )  # fmt: skip


@pytest.fixture
def model(start: Any) -> Any:
    return copy.deepcopy(start)


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return np.random.default_rng(0).integers(0, VOCABULARY, 200)


def weights(model: Any) -> list[Any]:
    return [weight.detach().numpy().copy() for weight in model.parameters()]


def equal(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# --- the rate


def test_the_rate_climbs_to_its_highest_and_falls_to_nearly_0() -> None:
    rates = [rate(step, Recipe(steps=100, lr=2.0, warmup=0.1)) for step in range(100)]
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.6], abs=1e-12)  # float64
    assert max(rates) == rates[9] == rates[10] == 2.0
    assert rates[55] == pytest.approx(1.0, abs=1e-12)  # half way down
    assert all(before > after for before, after in pairwise(rates[10:]))
    assert 0 < rates[-1] < 2e-3


def test_without_a_warm_up_the_first_rate_is_the_highest() -> None:
    assert rate(0, Recipe(steps=10, lr=0.5, warmup=0.0)) == 0.5


# --- training


def test_the_first_loss_is_the_librarys_own(model: Any, tokens: Tokens, tmp_path: Path) -> None:
    starts = draw(0).integers(0, len(tokens) - RECIPE.length, RECIPE.batch)
    windows = torch.from_numpy(np.stack([tokens[i : i + RECIPE.length + 1] for i in starts]))
    expected = copy.deepcopy(model)(input_ids=windows, labels=windows).loss.item()
    losses = pretrain(model, tokens, RECIPE, draw, tmp_path / "checkpoint")
    assert losses[0] == pytest.approx(expected, rel=1e-5)  # float32, one more position read
    assert len(losses) == RECIPE.steps


def test_every_token_may_be_learnt_from(model: Any, tmp_path: Path) -> None:
    # two windows are possible; a thousand draws miss one of them with probability 2^-1000
    few = np.arange(RECIPE.length + 2) % VOCABULARY
    seen = pretraining._windows(few, RECIPE._replace(batch=1000), draw(0))
    assert {tuple(window) for window in seen.tolist()} == {tuple(few[:-1].tolist()), tuple(few[1:].tolist())}


def test_a_rule_is_learnt_and_noise_is_not(model: Any, tmp_path: Path) -> None:
    rule = np.arange(400) % VOCABULARY
    pretrain(model, rule, RECIPE._replace(steps=80, batch=8), draw, tmp_path / "checkpoint")
    assert perplexity(model, rule[:100], RECIPE) < 1.2
    assert perplexity(model, np.random.default_rng(1).integers(0, VOCABULARY, 100), RECIPE) > VOCABULARY


def test_training_is_its_draws(start: Any, tokens: Tokens, tmp_path: Path) -> None:
    one, same, other = (copy.deepcopy(start) for _ in range(3))
    pretrain(one, tokens, RECIPE, draw, tmp_path / "one")
    pretrain(same, tokens, RECIPE, draw, tmp_path / "same")
    pretrain(other, tokens, RECIPE, lambda step: np.random.default_rng([8, step]), tmp_path / "other")
    assert equal(weights(one), weights(same))
    assert not equal(weights(one), weights(other))


@pytest.mark.parametrize("stop", [1, 5, 8])
def test_an_interrupted_training_ends_with_the_same_weights(
    start: Any, tokens: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    monkeypatch.setattr(pretraining, "CHECKPOINT_SECONDS", 0.0)
    whole, parted, checkpoint = copy.deepcopy(start), copy.deepcopy(start), tmp_path / "checkpoint.pt"
    expected = pretrain(whole, tokens, RECIPE, draw, tmp_path / "whole.pt")

    def stopped(step: int, loss: float) -> None:
        if step == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(parted, tokens, RECIPE, draw, checkpoint, stopped)
    (tmp_path / "checkpoint.half").write_text("killed while it was written")
    told: list[int] = []
    again = copy.deepcopy(start)
    losses = pretrain(again, tokens, RECIPE, draw, checkpoint, lambda step, loss: told.append(step))
    assert told == list(range(max(stop, 1), RECIPE.steps + 1))
    assert losses == expected
    assert equal(weights(again), weights(whole))


def test_no_checkpoint_is_written_before_its_time(model: Any, tokens: Tokens, tmp_path: Path) -> None:
    pretrain(model, tokens, RECIPE, draw, tmp_path / "checkpoint.pt")
    assert list(tmp_path.iterdir()) == []


# --- perplexity


def test_a_model_that_knows_nothing_has_the_perplexity_of_its_vocabulary(model: Any, tokens: Tokens) -> None:
    torch.nn.init.zeros_(model.lm_head.weight)
    for length in (1, 5, 6, 7, 500):
        assert perplexity(model, tokens, RECIPE._replace(length=length)) == pytest.approx(
            VOCABULARY, rel=1e-5
        )  # float32


@pytest.mark.parametrize("n", [2, 6, 7, 8, 13, 50])
def test_perplexity_predicts_every_token_but_the_first_once(model: Any, tokens: Tokens, n: int) -> None:
    nats = []
    for i in range(1, n):
        first = (i - 1) // RECIPE.length * RECIPE.length  # where the window of token i starts
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(tokens[None, first:i])).logits[0, -1]
        nats.append(-logits.log_softmax(-1)[tokens[i]].item())
    assert len(nats) == n - 1
    assert perplexity(model, tokens[:n], RECIPE) == pytest.approx(math.exp(np.mean(nats)), rel=1e-5)  # float32


@pytest.mark.parametrize("n", [0, 1])
def test_perplexity_of_nothing_to_predict_is_nan(model: Any, tokens: Tokens, n: int) -> None:
    assert math.isnan(perplexity(model, tokens[:n], RECIPE))
