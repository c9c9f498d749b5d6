"""The reward in one language model's logits: by hand, step by step, and where a model does not tell them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from told import likelihoods

from fairl_bench.builtin.methods.endogenous import Endogenous
from fairl_bench.builtin.shared.completions_api import CompletionsApi
from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import AskLikelihoods
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import Source
from fairl_bench.science.continued_tokens import Continuation, vocabulary_digest
from fairl_bench.science.generation import load
from fairl_bench.science.text_likelihoods import text_likelihoods
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import planted
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.training import Head, Inputs, Reward

REGISTRY = Registry(installed=False)
BASE = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 20}}
EXPERT = {"use": "rloo", "reward": {"use": "toy-truth"}}
PAIRS = {"use": "aligned-lm", "base": BASE, "expert": EXPERT, "prompts": {"use": "toy-prompts"}}


def scores(method: Endogenous, told: Likelihoods) -> np.ndarray:
    n = len(told)
    return method.score(Reward({}), Inputs(("",) * n, np.empty((n, 0), np.float32), ("",) * n, {"lm": told}))


def soft(logits: Any, alpha: float) -> float:
    """The value of a state: alpha times the log of the summed exponentials."""
    return alpha * float(np.log(np.exp(np.asarray(logits) / alpha).sum()))


# --- by hand


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_two_tokens_by_hand(alpha: float) -> None:
    """A vocabulary of two: from logits 1, 3 the first token is drawn, from logits 0, 2 the second, which is the end."""
    first, second = (1.0, 3.0), (0.0, 2.0)
    log = [(logits[token] - soft(logits, alpha)) / alpha for logits, token in ((first, 0), (second, 1))]
    told = likelihoods([sum(log)], 2, before=soft(first, alpha), after=0.0)
    by_hand = (1.0 - soft(second, alpha)) + (2.0 - 0.0)  # each logit less the value of the state it leads to
    np.testing.assert_allclose(scores(Endogenous(temperature=alpha), told), [by_hand], rtol=1e-12)


def test_a_text_that_was_cut_off_pays_for_the_value_of_its_last_state() -> None:
    told = likelihoods([-3.0, -3.0], 2, before=5.0, after=[0.0, 1.5])
    np.testing.assert_allclose(scores(Endogenous(), told), [2.0, 0.5], rtol=1e-12)


def test_a_text_without_a_token_has_the_difference_of_its_states() -> None:
    told = likelihoods([0.0], 0, before=5.0, after=5.0)
    for normalise in ("sum", "token"):
        assert scores(Endogenous(normalise=normalise), told).tolist() == [0.0]  # type: ignore[arg-type]


def test_by_token_it_is_divided_by_their_number() -> None:
    told = likelihoods([-3.0, -8.0], [2, 4], before=5.0)
    np.testing.assert_allclose(scores(Endogenous(normalise="token"), told), [1.0, -0.75], rtol=1e-12)


# --- step by step


@pytest.fixture(scope="module")
def random_lm(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a language model of random weights."""
    from transformers import AutoModelForCausalLM

    place = tmp_path_factory.mktemp("random") / "lm"
    shutil.copytree(tiny_lm, place)
    model = AutoModelForCausalLM.from_pretrained(tiny_lm)
    torch.manual_seed(3)
    with torch.no_grad():
        for weights in model.parameters():
            weights.normal_(std=0.5)
    model.save_pretrained(place)
    return place


@pytest.mark.parametrize("alpha", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("ended", [True, False])
def test_it_is_the_sum_of_each_logit_less_the_value_of_the_next_state(
    ended: bool, alpha: float, random_lm: Path
) -> None:
    model, tokenizer = load(random_lm)
    start, end = tokenizer("You are")["input_ids"], tokenizer.eos_token_id
    drawn = np.random.default_rng(0).integers(5, 300, 6).tolist()
    with torch.no_grad():
        logits = model(torch.tensor([[*start, *drawn]])).logits[0].double().numpy()[len(start) - 1 :]
    values = [*(soft(state, alpha) for state in logits[1:]), 0.0]  # of the next states; the last one is the end
    actions = [*drawn, end] if ended else drawn
    by_steps = sum(logits[step][action] - values[step] for step, action in enumerate(actions))
    told = text_likelihoods(
        random_lm,
        [Continuation("You are", "any words", ended, actions, vocabulary_digest(tokenizer))],
        temperature=alpha,
    )
    assert not told.tokenised[0]
    # float32 logits of seven tokens
    np.testing.assert_allclose(scores(Endogenous(temperature=alpha), Likelihoods(*told)), [by_steps], rtol=1e-5)


# --- what it asks for


def test_it_asks_the_sources_expert_at_its_temperature() -> None:
    source = REGISTRY.build(Source, PAIRS)
    method = REGISTRY.build(Method, {"use": "endogenous", "temperature": 2.0, "prompts": "withheld", "batch": 8})
    assert method.upstream() == {}
    placed = method.of(source)
    origin = source.origin()
    assert origin is not None
    asked = AskLikelihoods(lm=origin.expert, prompts="withheld", temperature=2.0, batch=8, values=True)
    assert placed.upstream() == {"lm": asked}
    assert placed.use == "endogenous"


def test_a_model_of_its_own_is_asked_instead() -> None:
    method = REGISTRY.build(Method, {"use": "endogenous", "lm": BASE})
    assert method.of(REGISTRY.build(Source, {"use": "toy-comments"})) == method
    (asked,) = method.upstream().values()
    assert isinstance(asked, AskLikelihoods)
    assert asked.lm.use == "tiny-lm"


def test_a_source_that_knows_no_model_is_refused() -> None:
    method = REGISTRY.build(Method, {"use": "endogenous"})
    with pytest.raises(DataError, match=r"method 'endogenous' needs the language models .* 'toy-comments' knows none"):
        method.of(REGISTRY.build(Source, {"use": "toy-comments"}))


def test_it_is_given_one_model_and_reads_neither_vectors_nor_a_head() -> None:
    method = Endogenous()
    assert (method.given, method.reference, method.seeded) == ("one model", False, False)
    assert not method.reads_vectors
    assert method.head(Head()) == ""
    assert dict(method.fit(planted().task).arrays) == {}


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_server_that_tells_no_logits_is_refused(place: str) -> None:
    told = likelihoods([-1.0, -2.0], **{place: [0.0, np.nan]})  # type: ignore[arg-type]
    served = CompletionsApi.named("completions-api", url="http://nowhere/v1", model="m")
    method = Endogenous.named("endogenous", lm=served)
    with pytest.raises(
        DataError, match=r"'endogenous' needs the logits .* language model 'completions-api' tells prob"
    ):
        scores(method, told)


@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_a_temperature_is_above_0(alpha: float) -> None:
    with pytest.raises(ValueError, match=f"(?s)temperature.*greater than 0.*input_value={alpha}"):
        Endogenous(temperature=alpha)
