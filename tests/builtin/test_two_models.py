"""The log-ratio of two models of which one alone counts the ends of texts."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from fairl_bench.builtin.methods.log_ratio import LogRatio
from fairl_bench.builtin.prompts import ToyPrompts
from fairl_bench.builtin.shared.completions_api import CompletionsApi
from fairl_bench.builtin.sources.aligned_lm import AlignedLM
from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import AskLikelihoods
from fairl_bench.values.data import Examples
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.likelihoods import Likelihoods

SERVED = CompletionsApi.named("completions-api", url="http://nowhere/v1", model="m")

TOKENS = ([-1.0, -2.0, -4.0], [-1.0, -1.0], [-3.0])
ENDED = [True, False, True]


def told(counted: bool) -> Likelihoods:
    """Three texts, whose first and last have ended; the end is -4 and -3."""
    tokens = [one[:-1] if ended and not counted else one for one, ended in zip(TOKENS, ENDED, strict=True)]
    each = [np.array(one, np.float32) for one in tokens]
    offsets = np.cumsum([0, *map(len, tokens)]).astype(np.int64)
    total = np.array([sum(one) for one in tokens])
    ended = np.array(ENDED) & counted
    return Likelihoods(total, np.concatenate(each), offsets, np.zeros(3), np.zeros(3), ended, np.ones(3, np.bool_))


@pytest.mark.parametrize("normalise", ["sum", "token"])
def test_an_end_that_one_model_alone_counts_does_not_count(normalise: Literal["sum", "token"]) -> None:
    method = LogRatio(normalise=normalise)
    here, served = told(counted=True), told(counted=False)
    for base, expert in ((here, served), (served, here)):
        assert method.ratio(base, expert).tolist() == [0, 0, 0]


def test_ends_that_both_count_count() -> None:
    here = told(counted=True)
    other = Likelihoods(
        here.total * 2, here.token * 2, here.offsets, here.before, here.after, here.ended, here.tokenised
    )
    assert LogRatio().ratio(here, other).tolist() == [-7, -2, -3]


def test_a_text_that_only_one_model_reads_as_it_was_drawn_is_refused() -> None:
    here = told(counted=True)
    drawn = replace(here, tokenised=np.array([False, True, False]))
    sentence = "2 of 3 texts were drawn as tokens that only one of the two language models has.*set 'tokens: text'"
    with pytest.raises(DataError, match=sentence):
        LogRatio().ratio(here, drawn)
    assert LogRatio().ratio(drawn, drawn).tolist() == [0, 0, 0]


def test_with_the_tokens_of_the_characters_only_the_tokens_of_texts_are_forgotten() -> None:
    drawn = DrawnTokens.made([[5, 0], [7]], [True, False], "v", [-1.0, -2.0])
    asked = AskLikelihoods(lm=SERVED, tokens="text").continuations(Examples(("a", "b"), ("p", "q"), drawn=drawn))
    assert asked.prompt == ("p", "q")
    assert asked.drawn is not None
    assert (asked.drawn.ended.tolist(), asked.drawn.vocabulary, len(asked.drawn.ids)) == ([True, False], ("", ""), 0)
    assert AskLikelihoods(lm=SERVED).continuations(Examples(("a", "b"), ("p", "q"), drawn=drawn)).drawn is drawn


def test_only_the_sum_over_drawn_tokens_given_the_prompts_bounds_pairs() -> None:
    source = AlignedLM(base=SERVED, expert=SERVED, prompts=ToyPrompts())
    assert LogRatio().bounds(source)
    assert not any(
        method.bounds(source)
        for method in (LogRatio(prompts="withheld"), LogRatio(normalise="token"), LogRatio(tokens="text"))
    )
    assert source.unbounded() == "a server does not tell how likely it is that a text ends"


def test_only_the_sum_given_the_prompts_holds_a_number_of_each_prompt() -> None:
    assert LogRatio().per_prompt
    assert not LogRatio(prompts="withheld").per_prompt
    assert not LogRatio(normalise="token").per_prompt
