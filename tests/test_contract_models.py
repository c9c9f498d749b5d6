"""The conformance kit, on methods that are given prompts, language models and likelihoods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import LM, Ask, AskLikelihoods
from fairl_bench.kinds.method import Given, Method
from fairl_bench.kinds.source import Source
from fairl_bench.testing import check_method, planted
from fairl_bench.testing.planted_models import PlantedLM, PlantedPrompts, PlantedSource, planted_likelihoods
from fairl_bench.values.data import Floats
from fairl_bench.values.language_models import Completions, Site
from fairl_bench.values.training import Inputs, Reward, Task


class Ratio(Method):
    """The log-ratio of both models, as it should be."""

    seeded: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    reads_vectors: ClassVar[bool] = False
    given: ClassVar[Given] = "both models"
    base: LM | None = None
    expert: LM | None = None

    def of(self, source: Source) -> Self:
        origin = source.models_for(self)
        return self.model_copy(update={"base": origin.base, "expert": origin.expert})

    def upstream(self) -> Mapping[str, Settings]:
        models = {"base": self.base, "expert": self.expert}
        return {role: AskLikelihoods(lm=lm) for role, lm in models.items() if lm is not None}

    def fit(self, task: Task) -> Reward:
        return Reward({})

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        return inputs.likelihoods["expert"].total - inputs.likelihoods["base"].total


class Prompted(Ratio):
    """Reads prompts, and does not say so."""

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        return super().score(reward, inputs) + np.array([0.1 * (prompt[-1] == "1") for prompt in inputs.prompt])


class ReadsPrompts(Prompted):
    """Reads prompts, and says so."""

    reads_prompts: ClassVar[bool] = True


class Idle(Ratio):
    """Asks for the likelihoods of the base, and reads those of the expert alone."""

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        expert = inputs.likelihoods["expert"]
        return expert.total / expert.tokens


class Learner(Ratio):
    """Learns from likelihoods; its scores read vectors alone, which it does not say."""

    learns: ClassVar[bool] = True
    reads_vectors: ClassVar[bool] = True

    def fit(self, task: Task) -> Reward:
        train = task.train
        gaps = [one.total - other.total for one, other in (train.likelihoods[role] for role in ("expert", "base"))]
        features = train.vectors[train.preferred] - train.vectors[train.rejected]
        weight = np.linalg.lstsq(features, gaps[0] - gaps[1], rcond=None)[0]
        return Reward({"weight": weight.astype(np.float32), "bias": np.zeros((), np.float32)})

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        return Method.score(self, reward, inputs)


class Distilled(Learner):
    """The same, and says so."""

    reads_upstream: ClassVar[bool] = False

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        assert not inputs.likelihoods
        assert not inputs.prompt
        return super().score(reward, inputs)


class Modest(Ratio):
    """Asks both models, and says that it has texts alone."""

    given: ClassVar[Given] = "texts"


class One(Idle):
    """Asks the expert alone."""

    def upstream(self) -> Mapping[str, Settings]:
        return {} if self.expert is None else {"expert": AskLikelihoods(lm=self.expert)}


class Honest(One):
    """Asks the expert alone, and says so."""

    given: ClassVar[Given] = "one model"


class Boastful(Distilled):
    """Says that it has both models, and asks for none."""

    def upstream(self) -> Mapping[str, Settings]:
        return {}


class Elsewhere(Ratio):
    """Becomes another method."""

    def of(self, source: Source) -> Any:
        return Honest(expert=source.models_for(self).expert)


class Helpless(Ratio):
    """Finds nothing in the source."""

    def of(self, source: Source) -> Self:
        raise DataError("the source knows no ratings")


class Relative(Ratio):
    """Scores a text relative to those beside it."""

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        found = super().score(reward, inputs)
        return found - found.mean()


@pytest.mark.parametrize(
    "method", [Ratio(), ReadsPrompts(), Distilled(), Honest()], ids=lambda method: type(method).__name__
)
def test_the_kit_checks_a_method_that_is_given_models(method: Method) -> None:
    check_method(method, at_least=0.9)


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (Prompted(), "with other prompts its scores are other ones; declare reads_prompts = True"),
        (Idle(), "asks for the likelihoods 'base', and with other ones it learns and scores the same; leave them out"),
        (Learner(), "its scores read nothing that upstream asks for; declare reads_upstream = False"),
        (Modest(), "it asks for base, expert and declares given = 'texts'; say 'both models'"),
        (One(), "asks for one language model and declares given = 'both models'; say 'one model'"),
        (Elsewhere(), r"of gave Honest\(.*; return a method of the same class, such as self.model_copy"),
        (
            Helpless(),
            "of raised DataError: the source knows no ratings; give check_method a 'source' that knows it, or",
        ),
        (Relative(), "beside fewer texts, and in another order, a text has another score; score each text by itself"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Method) else "",
)
def test_the_kit_refuses_a_method_that_is_given_models(method: Method, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_method(method)


class Claims(Method):
    """Knows the models, it says."""

    seeded: ClassVar[bool] = False
    given: ClassVar[Given] = "one model"

    def fit(self, task: Task) -> Reward:
        pairs = task.train
        mean = (pairs.vectors[pairs.preferred] - pairs.vectors[pairs.rejected]).mean(0)
        return Reward({"weight": mean.astype(np.float32), "bias": np.zeros((), np.float32)})


def test_a_method_that_asks_for_no_model_cannot_say_that_it_is_given_one() -> None:
    with pytest.raises(
        AssertionError, match="it asks for no language model and declares given = 'one model'; say 'text"
    ):
        check_method(Claims())


# --- folders, and what the kit cannot make


class Folders(Claims):
    """Starts from the folder of the source's base, and reads its likelihoods itself."""

    seen: ClassVar[list[Path]] = []
    lm: LM | None = None

    def of(self, source: Source) -> Self:
        return self.model_copy(update={"lm": source.models_for(self).base})

    def upstream(self) -> Mapping[str, Settings]:
        return {} if self.lm is None else {"lm": self.lm}

    def fit(self, task: Task) -> Reward:
        self.seen.append(task.upstream["lm"])
        return super().fit(task)

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        assert inputs.upstream["lm"] == self.seen[-1]
        assert (inputs.prompt, dict(inputs.likelihoods)) == ((), {})
        return super().score(reward, inputs)


def test_a_method_that_asks_for_a_language_model_is_given_the_folder_of_one() -> None:
    Folders.seen.clear()
    check_method(Folders())
    assert len(set(Folders.seen)) == 1
    assert not Folders.seen[0].exists()


def test_that_language_model_reads_the_planted_texts(tmp_path: Path) -> None:
    from fairl_bench.science.continued_tokens import Continuation
    from fairl_bench.science.text_likelihoods import text_likelihoods

    for name in ("folder", "scratch"):
        (tmp_path / name).mkdir()
    folder = PlantedLM(voice="base").make(Site(tmp_path / "folder", tmp_path / "scratch")).folder
    problem = planted(n=20)
    asked = [Continuation(*both) for both in zip(problem.prompts, problem.texts, strict=True)]
    read = text_likelihoods(folder, asked)
    assert np.isfinite(read.total).all()
    assert np.diff(read.offsets).tolist() == [len(text.split()) for text in problem.texts]


class Chooses(Claims):
    """Starts from completions."""

    given: ClassVar[Given] = "texts"

    def upstream(self) -> Mapping[str, Settings]:
        return {"best": Ask(lm=PlantedLM(voice="base"), prompts=PlantedPrompts(), n=2)}

    def fit(self, task: Task) -> Reward:
        assert task.upstream["best"].text == ("a", "b")
        return super().fit(task)


def test_what_the_kit_cannot_make_is_asked_for_by_name_and_given() -> None:
    sentence = r"upstream asks for Ask\(.* as 'best', which the kit cannot make; .*upstream={'best': ...}"
    with pytest.raises(AssertionError, match=sentence):
        check_method(Chooses())
    with pytest.raises(AssertionError, match="check_method was given 'worst', and the method does not ask for it"):
        check_method(Claims(), upstream={"worst": 3})
    check_method(Chooses(), upstream={"best": Completions(("p", "q"), ("a", "b"), (0, 1), (0, 0))})


# --- what it is given


@pytest.mark.parametrize("prompts", ["given", "withheld"])
def test_the_planted_log_ratio_is_twice_the_true_reward_up_to_a_number_a_prompt(prompts: Any) -> None:
    problem = planted(n=40)
    origin = PlantedSource().origin()
    base, expert = (
        planted_likelihoods(problem, AskLikelihoods(lm=lm, prompts=prompts), lm.voice)  # type: ignore[attr-defined]
        for lm in (origin.base, origin.expert)
    )
    rest = expert.total - base.total - 2 * problem.reward
    numbers = {prompt: {round(float(x), 4) for x, p in zip(rest, problem.prompts, strict=True) if p == prompt}
               for prompt in set(problem.prompts)}  # fmt: skip
    # float32 token by token, of texts of up to 40 tokens
    assert all(max(found) - min(found) < 1e-4 for found in numbers.values())
    assert (np.ptp(rest) > 0.1) == (prompts == "given")
    for likelihoods in (base, expert):
        assert likelihoods.tokens.tolist() == [len(text.split()) for text in problem.texts]


def test_both_texts_of_a_planted_pair_answer_one_prompt() -> None:
    problem = planted(n=40)
    for pairs in (problem.task.train, problem.task.validation):
        sides = [[problem.prompts[row] for row in rows] for rows in (pairs.preferred, pairs.rejected)]
        assert list(pairs.prompt) == sides[0] == sides[1]
    assert len(set(problem.prompts)) < len(problem.prompts) / 4
