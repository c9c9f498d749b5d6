"""Rewards on one scale, so that they pull equally hard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.prompts import ToyPrompts
from fairl_bench.builtin.shared.standardised_judge import Standardised
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM, Ask
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.language_models import Completions, Model, Site


class Letters(Judge):
    """Counts e's, and shifts and stretches the count."""

    stretch: float = 1.0
    shift: float = 0.0

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        value = np.array([self.stretch * text.count("e") + self.shift for text in examples.text])
        return {GOLD: Truth(value, np.ones(len(value), np.int8))}


class Nobody(LM):
    """Makes nothing."""

    def make(self, site: Site) -> Model:
        raise NotImplementedError


ON = Completions(("", "", ""), ("e", "ee", "eee"), (0, 1, 2), (0, 0, 0))


def standardised(**fields: Any) -> Standardised:
    asked = Ask(lm=Nobody.named("nobody"), prompts=ToyPrompts.named("toy-prompts"), n=3)
    return Standardised.named("standardised", judges=Letters.named("letters", **fields), on=asked)


def values(judge: Standardised, *texts: str) -> list[float]:
    found = judge.ready({"on": ON})(Examples(texts))[GOLD]
    assert found.label.tolist() == [1 if value > 0 else -1 for value in found.value]
    return found.value.tolist()


def test_the_completions_have_mean_zero_and_deviation_one() -> None:
    found = values(standardised(), *ON.text)
    assert np.mean(found) == pytest.approx(0)
    assert np.std(found) == pytest.approx(1)


def test_another_scale_of_the_same_reward_is_the_same() -> None:
    assert values(standardised(stretch=7.0, shift=-3.0), "eeeee", "") == pytest.approx(
        values(standardised(), "eeeee", "")
    )


def test_a_large_offset_is_taken_off() -> None:
    expected = values(standardised(), "eeeee", "")
    assert values(standardised(stretch=0.01, shift=1e8), "eeeee", "") == pytest.approx(expected, abs=1e-5)


def test_a_flipped_reward_stays_flipped() -> None:
    found, flipped = (values(standardised(stretch=sign), "eeee", "") for sign in (1.0, -1.0))
    assert flipped == pytest.approx([-value for value in found])


def test_a_reward_that_is_the_same_for_all_is_refused() -> None:
    with pytest.raises(DataError, match="judge 'letters' gives all 3 texts of the base the value 2: it has no scale"):
        standardised(stretch=0.0, shift=2.0).ready({"on": ON})


def test_by_itself_it_judges_nothing() -> None:
    with pytest.raises(DataError, match="judge 'standardised' can be the reward of an aligner only; name 'letters'"):
        standardised().judge(Examples(("e",)))


def test_it_starts_from_the_completions_and_from_what_its_judge_starts_from() -> None:
    assert list(standardised().upstream()) == ["on"]
