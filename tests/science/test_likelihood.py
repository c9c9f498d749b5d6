"""How likely a model holds completions, and the KL between two models, against the model's own loss and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairl_bench.science.endings import before_end
from fairl_bench.science.generation import Drawn, draw, load
from fairl_bench.science.likelihood import divergence, log_probabilities

PROMPTS = ("the", "a kind reader of every word", "to be", "so")


@pytest.fixture(scope="module")
def loaded(tiny_lm: Path) -> tuple[Any, Any]:
    return load(tiny_lm)


@pytest.fixture(scope="module")
def other(tiny_lm: Path) -> Any:
    """The same model with its weights a little moved."""
    model, _ = load(tiny_lm)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=noise)
    return model


def drawn_by(model: Any, tokenizer: Any, prompts: tuple[str, ...], tokens: int = 6) -> Drawn:
    uniform = np.random.default_rng(3).random((len(prompts), tokens))
    (found,) = draw(model, tokenizer, prompts, uniform, batch=len(prompts))
    return found


def test_log_probabilities_are_the_models_own_loss(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    drawn = drawn_by(model, tokenizer, PROMPTS[:1])
    start = drawn.attention.shape[1]
    labels = drawn.tokens.clone()
    labels[:, :start] = -100
    with torch.no_grad():
        loss = float(model(input_ids=drawn.tokens, labels=labels).loss)
    assert float(-log_probabilities(model, drawn).mean()) == pytest.approx(loss, abs=1e-5)  # float32


def test_padding_on_the_left_moves_no_probability(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    together = drawn_by(model, tokenizer, PROMPTS)
    padded = dict(zip(together.rows, log_probabilities(model, together), strict=True))
    for row, prompt in enumerate(PROMPTS):
        ids = tokenizer(prompt, return_tensors="pt")
        at = together.rows.index(row)
        alone = Drawn([0], torch.cat([ids["input_ids"], together.new[at : at + 1]], 1), ids["attention_mask"])
        assert torch.allclose(log_probabilities(model, alone)[0], padded[row], atol=1e-5)  # float32


def test_a_model_is_no_nat_from_itself(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    drawn = drawn_by(model, tokenizer, PROMPTS)
    found = divergence(None, drawn)
    assert found.k1.tolist() == found.k3.tolist() == [0.0] * len(PROMPTS)
    assert bool((found.surprise > 0).all())
    read = divergence(model, drawn)  # what it said while it drew, and what it says in one pass
    assert torch.allclose(read.k1, found.k1, atol=1e-4)  # float32, six tokens
    assert torch.allclose(read.surprise, found.surprise, atol=1e-4)


def test_any_end_is_as_likely_as_all_of_them_together(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    uniform = np.random.default_rng(3).random((200, 6))
    ends = (0, 5, 9)  # the second and third are ordinary words
    (drawn,) = draw(model, tokenizer, ["the"] * 200, uniform, batch=200, ends=ends)
    assert bool(torch.isin(drawn.new, torch.tensor(ends[1:])).any())
    found = divergence(model, drawn)
    assert float(found.k1.abs().max()) < 1e-4  # float32, six tokens


def test_both_estimators_agree_with_the_exact_kl_of_a_token(loaded: tuple[Any, Any], other: Any) -> None:
    """One token after one prompt: its KL is a sum over the vocabulary."""
    model, tokenizer = loaded
    drawn = drawn_by(model, tokenizer, PROMPTS[:1] * 3000, tokens=1)
    ids = tokenizer(PROMPTS[0], return_tensors="pt")
    with torch.no_grad():
        ours, theirs = (one(**ids).logits[0, -1].double().log_softmax(-1) for one in (model, other))
    exact = float((ours.exp() * (ours - theirs)).sum())
    found = divergence(other, drawn._replace(ends=()))
    for estimate in (found.k1, found.k3):
        # four standard errors
        assert float(estimate.mean()) == pytest.approx(exact, abs=4 * float(estimate.std()) / len(estimate) ** 0.5)
    assert float(found.k3.std()) < float(found.k1.std())
    assert bool((found.k3 >= 0).all())


def test_tokens_behind_the_end_of_text_do_not_count() -> None:
    new = torch.tensor([[5, 0, 7, 0], [5, 6, 7, 8], [0, 0, 0, 0]])
    assert before_end(new, 0).tolist() == [[True, True, False, False], [True] * 4, [True, False, False, False]]
    assert before_end(new, None).all()
