"""Completions: each text has its own random numbers, whatever is asked beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairl_bench.errors import NotFinite
from fairl_bench.science.generation import Completed, Draw, complete

PROMPTS = ("the", "a kind reader of every word", "to be", "so", "we read the list twice and then again")
TOKENS = 6


@pytest.fixture(scope="module")
def uniform() -> np.ndarray:
    return np.random.default_rng(0).random((len(PROMPTS), TOKENS))


def rows(completed: Completed) -> list[tuple[str, list[int], bool]]:
    """What is kept of each text but its log-probability, whose last bits depend on the batch."""
    return list(zip(completed.text, completed.tokens, completed.ended, strict=True))


def test_a_text_does_not_depend_on_its_company(tiny_lm: Path, uniform: np.ndarray) -> None:
    together = complete(tiny_lm, PROMPTS, uniform, batch=2)
    alone = [complete(tiny_lm, [prompt], uniform[i : i + 1]) for i, prompt in enumerate(PROMPTS)]
    backwards = complete(tiny_lm, PROMPTS[::-1], uniform[::-1], batch=3)
    assert rows(together) == [rows(one)[0] for one in alone] == rows(backwards)[::-1]
    for log in ([one.log_probability[0] for one in alone], backwards.log_probability[::-1]):
        assert together.log_probability == pytest.approx(log, abs=1e-5)  # float32 over six tokens


def test_other_numbers_give_another_text_and_equal_ones_the_same(tiny_lm: Path, uniform: np.ndarray) -> None:
    numbers = uniform[:1].repeat(3, 0)
    numbers[2] = 1 - numbers[2]
    first, again, other = complete(tiny_lm, PROMPTS[:1] * 3, numbers).text
    assert first == again != other


def test_texts_are_drawn_from_the_softmax_of_the_logits(tiny_lm: Path) -> None:
    """The first token's frequencies against the model's own probabilities, given the prompt."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    n = 4000
    tokenizer = AutoTokenizer.from_pretrained(tiny_lm)
    model = AutoModelForCausalLM.from_pretrained(tiny_lm)
    with torch.no_grad():
        logits = model(**tokenizer("the", return_tensors="pt")).logits[0, -1]
    expected = logits.double().softmax(-1).numpy()
    draw = Draw(torch.from_numpy(np.random.default_rng(1).random((n, 1))))
    drawn = draw(torch.zeros(n, 1), logits.expand(n, -1)).argmax(-1)
    found = np.bincount(drawn.numpy(), minlength=len(expected)) / n
    # four standard errors of a share, of every token at once
    assert np.all(np.abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / n) + 1e-3)


@pytest.mark.parametrize("level", [0.0, 1 - 2**-53])
def test_the_ends_of_the_unit_interval_draw_tokens_that_have_probability(level: float) -> None:
    logits = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]])
    left = Draw(torch.tensor([[level]], dtype=torch.float64))(torch.zeros(1, 1), logits)
    assert int(left.argmax()) == (1 if level == 0 else 2)


def test_top_k_of_one_and_a_low_temperature_are_the_likeliest_text(tiny_lm: Path, uniform: np.ndarray) -> None:
    greedy = complete(tiny_lm, PROMPTS, uniform, top_k=1).text
    assert greedy == complete(tiny_lm, PROMPTS, 1 - uniform, temperature=1e-4).text
    assert greedy != complete(tiny_lm, PROMPTS, uniform).text


def test_a_small_top_p_is_the_likeliest_text(tiny_lm: Path, uniform: np.ndarray) -> None:
    assert complete(tiny_lm, PROMPTS, uniform, top_p=1e-6).text == complete(tiny_lm, PROMPTS, uniform, top_k=1).text


def test_fewer_tokens_are_the_beginning_of_more(tiny_lm: Path, uniform: np.ndarray) -> None:
    short, long = (complete(tiny_lm, PROMPTS, uniform[:, :tokens]).text for tokens in (3, TOKENS))
    assert all(one != other and other.startswith(one) for one, other in zip(short, long, strict=True))


def test_a_prompt_of_several_completions_is_read_once(tiny_lm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import GPTNeoXForCausalLM

    read, forward = list[tuple[int, ...]](), GPTNeoXForCausalLM.forward

    def counted(self: object, *arguments: object, **named: Any) -> Any:
        read.append(tuple(named["input_ids"].shape))
        return forward(self, *arguments, **named)

    # under the signature of the model: what it takes is asked
    monkeypatch.setattr(GPTNeoXForCausalLM, "forward", functools.wraps(forward)(counted))
    prompts = ("we read the list twice and then again", "a kind reader of every word")
    numbers = np.random.default_rng(5).random((6, 3))
    found = complete(tiny_lm, [prompts[i % 2] for i in range(6)], numbers).text
    # both prompts as one row, but for their last tokens
    assert [rows for rows, _ in read] == [1, 6, 6, 6]
    assert [columns for _, columns in read[1:]] == [1, 1, 1]
    alone = [complete(tiny_lm, [prompts[i % 2]], numbers[i : i + 1]).text[0] for i in range(6)]
    assert found == alone


def test_progress_is_told_by_batch(tiny_lm: Path, uniform: np.ndarray) -> None:
    told: list[tuple[int, int]] = []
    complete(tiny_lm, PROMPTS, uniform, batch=2, moved=lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(NotFinite, match="logits are not finite; train it slower"):
        Draw(torch.tensor([[0.5]]))(torch.zeros(1, 1), torch.tensor([[0.0, torch.nan]]))


def test_no_prompt_is_no_text(tiny_lm: Path) -> None:
    assert rows(complete(tiny_lm, (), np.empty((0, TOKENS)))) == []


def test_a_model_without_a_padding_token_is_completed_the_same(
    tiny_lm: Path, uniform: np.ndarray, tmp_path: Path, saved_without_padding: Callable[[Path, Path], Path]
) -> None:
    bare = saved_without_padding(tiny_lm, tmp_path / "bare")
    assert rows(complete(bare, PROMPTS, uniform)) == rows(complete(tiny_lm, PROMPTS, uniform))


@pytest.mark.parametrize("vocabulary", [511, 513, 50_304, 100_003])  # blocks are of 512
def test_a_large_vocabulary_is_drawn_from_as_in_float64(vocabulary: int) -> None:
    rng = np.random.default_rng(3)
    logits = torch.from_numpy(rng.normal(0, 4, (64, vocabulary)).astype(np.float32))
    logits[:, rng.random(vocabulary) < 0.4] = -torch.inf  # as top-k leaves them
    uniform = torch.from_numpy(np.concatenate([rng.random((62, 1)), [[0.0], [1 - 2**-53]]]))
    draw = Draw(uniform)
    drawn = draw(torch.zeros(64, 1), logits).argmax(-1)
    probability = logits.double().softmax(-1)
    below = probability.cumsum(-1).gather(1, drawn[:, None])
    own = probability.gather(1, drawn[:, None])
    assert bool((own > 0).all())
    assert bool(((below - own - 1e-6 <= uniform) & (uniform <= below + 1e-6)).all())
    assert draw.said[:, 0].numpy() == pytest.approx(own.log()[:, 0].numpy(), abs=1e-5)
