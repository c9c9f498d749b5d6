"""A recovered reward whose method is given prompts, language models and how likely these find texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fairl_bench.builtin.methods.log_ratio import LogRatio
from fairl_bench.errors import DataError
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.lm import LM, AskLikelihoods
from fairl_bench.kinds.method import Method
from fairl_bench.reward.answer import Refused, answer
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.reward.score import score
from fairl_bench.values.data import Examples, Floats, Vectors
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.language_models import Model, Site
from fairl_bench.values.likelihoods import Continuations, Likelihoods
from fairl_bench.values.training import Inputs, Reward, Task


class Letters(LM):
    """Finds a text as likely as it has few letters of its kind; remembers what it was asked, and where."""

    letter: str
    asked: ClassVar[list[tuple[str, tuple[tuple[str, str], ...]]]] = []
    sites: ClassVar[list[Site]] = []

    def make(self, site: Site) -> Model:
        return Model(site.folder)

    def likelihoods(self, continuations: Continuations, site: Site) -> Likelihoods:
        self.asked.append((self.letter, tuple(zip(continuations.prompt, continuations.text, strict=True))))
        self.sites.append(site)
        assert not list(site.folder.iterdir())
        assert not list(site.scratch.iterdir())
        drawn = continuations.drawn
        counts = [(p + 2 * t).count(self.letter) for p, t in zip(continuations.prompt, continuations.text, strict=True)]
        ended = np.zeros(len(counts), bool) if drawn is None else drawn.ended
        total = -np.array(counts, float) - 10 * ended
        zero = np.zeros(len(counts))
        return Likelihoods(total, total.astype(np.float32), np.arange(len(counts) + 1), zero, zero, ended, ~ended)


class Mute(Letters):
    def likelihoods(self, continuations: Continuations, site: Site) -> Likelihoods:
        raise DataError("this server tells no likelihoods")


@pytest.fixture(autouse=True)
def _forget() -> None:
    Letters.asked.clear()
    Letters.sites.clear()


def log_ratio(tmp_path: Path, base: LM | None = None, **fields: Any) -> RecoveredReward:
    """An a in a prompt is worth 1, an e in it -1; in a text they count twice."""
    method = LogRatio.named("log-ratio", base=base or Letters(letter="a"), expert=Letters(letter="e"), **fields)
    models = {"base": tmp_path / "base", "expert": tmp_path / "expert"}
    return RecoveredReward(method, None, Reward({}), method_upstream=models)


def test_the_log_ratio_is_that_of_what_both_models_say_of_each_text(tmp_path: Path) -> None:
    assert log_ratio(tmp_path)(["a", "e", ""], prompts=["", "aaa", "e"]) == [2.0, 1.0, -1.0]


def test_it_takes_what_trl_gives_a_reward_function(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"completion_ids": [[3], [4]], "trainer_state": None, "truth": [0.5, 0.5]}
    texts = log_ratio(tmp_path)(prompts=["", "aaa"], completions=[" a", "e\n"], **columns)
    chat = [[{"role": "user", "content": text}] for text in ("", "aaa", "a", "e")]
    assert texts == log_ratio(tmp_path)(prompts=chat[:2], completions=chat[2:], **columns) == [2.0, 1.0]


def test_each_model_is_asked_in_its_own_folder_and_leaves_nothing_behind(tmp_path: Path) -> None:
    log_ratio(tmp_path)(["a"], prompts=["b"])
    assert [site.upstream["lm"] for site in Letters.sites] == [tmp_path / "base", tmp_path / "expert"]
    assert len({place for site in Letters.sites for place in (site.folder, site.scratch)}) == 4
    assert not any(place.exists() for site in Letters.sites for place in (site.folder, site.scratch))


def test_equal_prompts_with_equal_texts_are_asked_once(tmp_path: Path) -> None:
    values = log_ratio(tmp_path)(["a", "a", "a"], prompts=["e", "", "e"])
    assert values == [1.0, 2.0, 1.0]
    assert Letters.asked == [(letter, (("e", "a"), ("", "a"))) for letter in "ae"]


def test_equal_texts_that_were_drawn_as_other_tokens_are_two(tmp_path: Path) -> None:
    drawn = DrawnTokens.made([[3, 4], [3, 4], [7, 0]], [False, False, True], "v", [0.0, 0.0, 0.0])
    base = Letters(letter="x")
    log_ratio(tmp_path, base).values(Examples(("a",) * 3, ("p",) * 3, drawn=drawn))
    assert [len(texts) for _, texts in Letters.asked] == [2, 2]


def test_without_prompts_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'recovered' reads prompts and completions; give it prompts=\[...\] too"):
        log_ratio(tmp_path)(["a"])
    with pytest.raises(DataError, match="'recovered' reads prompts too; give it JSON lines with 'prompt' and 'text'"):
        list(score(log_ratio(tmp_path), [b"a\n"]))
    with pytest.raises(DataError, match="line 1 of the input needs 'prompt' with a text"):
        list(score(log_ratio(tmp_path), [b'{"text": "a"}\n'], read="jsonl"))
    with pytest.raises(Refused, match="'recovered' reads prompts too; send 'prompts'"):
        answer(log_ratio(tmp_path), {"query": ["a"]})


def test_lines_and_requests_with_prompts_are_scored(tmp_path: Path) -> None:
    lines = [b'{"prompt": "aaa", "text": "e"}\n', b'{"prompt": "", "text": "a"}\n']
    assert list(score(log_ratio(tmp_path), lines, read="jsonl")) == ["1.0", "2.0"]
    request = {"query": ["aaa e", "a"], "prompts": ["aaa", ""]}
    assert answer(log_ratio(tmp_path), request)["rewards"] == [1.0, 2.0]


def test_where_the_models_read_no_prompts_none_is_needed(tmp_path: Path) -> None:
    reward = log_ratio(tmp_path, prompts="withheld")
    assert reward(["a", "e"]) == reward(["a", "e"], prompts=["aaa", ""]) == [2.0, -2.0]
    assert list(score(reward, [b"a\n"])) == ["2.0"]


def test_a_model_without_files_is_given_an_empty_folder(tmp_path: Path) -> None:
    reward = log_ratio(tmp_path)
    served = RecoveredReward(reward.method, None, Reward({}), method_upstream={"base": None, "expert": tmp_path})
    assert served(["a"], prompts=["e"]) == reward(["a"], prompts=["e"])


def test_a_model_that_cannot_tell_ends_it_in_a_sentence(tmp_path: Path) -> None:
    reward = log_ratio(tmp_path, Mute(letter="a"))
    with pytest.raises(
        DataError, match=r"^method 'log-ratio' of reward 'recovered': this server tells no likelihoods$"
    ):
        reward(["a"], prompts=["b"])


# --- other methods


class Reads(Method):
    """Remembers what it was given, by the name of the class."""

    seen: ClassVar[list[Inputs]] = []

    def fit(self, task: Task) -> Reward:
        return Reward({})

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        self.seen.append(inputs)
        return np.array([float(len(text)) for text in inputs.text])


class ReadsPrompts(Reads):
    reads_prompts = True


class ReadsFolder(Reads):
    lm: LM = Letters(letter="a")

    def upstream(self) -> dict[str, LM]:
        return {"lm": self.lm}


class Learnt(ReadsFolder):
    reads_upstream = False

    def upstream(self) -> dict[str, Any]:
        return {"lm": AskLikelihoods(lm=self.lm)}


class Vowels(Encoder):
    asked: ClassVar[list[tuple[str, ...]]] = []

    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        self.asked.append(tuple(texts))
        return np.array([[text.count("a"), text.count("e")] for text in texts], np.float32)


def seen(method: Method, **fields: Any) -> Inputs:
    """What a method is given of one text with three prompts, and of another one."""
    Reads.seen.clear()
    Vowels.asked.clear()
    reward = RecoveredReward(method, Vowels(), Reward({}), **fields)
    assert reward(["aa", "aa", "aa", "e"], prompts=["p", "q", "p", "p"]) == [2.0, 2.0, 2.0, 1.0]
    (inputs,) = Reads.seen
    return inputs


def test_a_method_that_reads_prompts_is_given_each_prompt_with_each_text() -> None:
    inputs = seen(ReadsPrompts())
    assert list(zip(inputs.prompt, inputs.text, strict=True)) == [("p", "aa"), ("q", "aa"), ("p", "e")]
    assert inputs.vectors.tolist() == [[2, 0], [2, 0], [0, 1]]
    assert Vowels.asked == [("aa", "e")]
    assert RecoveredReward(ReadsPrompts(), None, Reward({})).reads_prompts


def test_a_method_that_reads_no_prompts_is_given_none() -> None:
    inputs = seen(Reads())
    assert (inputs.text, inputs.prompt, dict(inputs.likelihoods), dict(inputs.upstream)) == (("aa", "e"), (), {}, {})


def test_a_method_that_reads_a_language_model_is_given_its_folder(tmp_path: Path) -> None:
    inputs = seen(ReadsFolder(), method_upstream={"lm": tmp_path})
    assert (inputs.text, inputs.prompt, dict(inputs.upstream)) == (("aa", "e"), (), {"lm": tmp_path})


def test_a_method_whose_score_needs_no_model_is_given_none_and_needs_no_prompt() -> None:
    inputs = seen(Learnt())
    assert (inputs.text, inputs.prompt, dict(inputs.likelihoods), dict(inputs.upstream)) == (("aa", "e"), (), {}, {})
    assert not RecoveredReward(Learnt(), None, Reward({})).reads_prompts
    assert not Letters.asked
