"""The evaluator of log-ratios by token, and the texts that it keeps to be looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.evaluators.token_log_ratio import TokenLogRatio
from fairl_bench.builtin.methods.log_ratio import LogRatio
from fairl_bench.errors import DataError
from fairl_bench.kinds.evaluator import Recovered
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import AskLikelihoods
from fairl_bench.testing import check_evaluator
from fairl_bench.testing.planted_models import PlantedSource
from fairl_bench.values.data import Examples, Pairs, Scored
from fairl_bench.values.drawn_tokens import offsets_of
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.records import Evidence, Measure

DATA = "pairs/test"
WORDS = ("you", "are", "kind", "rude", "today", "maybe")
LIKES = {"kind": 1.5, "rude": -2.0}  # nats that the expert finds a word likelier


def pairs(n: int = 60, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    sides = [[" ".join(rng.choice(WORDS, 5)) for _ in range(n)] for _ in range(2)]
    return Pairs(*sides, prompt=tuple(f"prompt {i}" for i in range(n))).examples()


def told(texts: Sequence[str], likes: dict[str, float], *, ended: bool = True) -> Likelihoods:
    """A token a word, with the space before it; every text ends, which both models find as likely."""
    token, spelled, lengths = [], [], []
    for text in texts:
        words, end = text.split(), 0
        for word in words:
            end = text.index(word, end) + len(word)
            token.append(-3.0 + likes.get(word, 0.0))
            spelled.append(end)
        if ended:
            token.append(-1.0)
            spelled.append(len(text))
        lengths.append(len(words) + ended)
    n, logs = len(texts), np.array(token, np.float32)
    total = np.add.reduceat(logs.astype(np.float64), offsets_of(lengths)[:-1])
    flags = np.full(n, ended), np.zeros(n, np.bool_)
    return Likelihoods(total, logs, offsets_of(lengths), np.zeros(n), np.zeros(n), *flags, np.array(spelled, np.int32))


def upstream(examples: Examples) -> dict[str, dict[str, Likelihoods]]:
    return {"base": {DATA: told(examples.text, {})}, "expert": {DATA: told(examples.text, LIKES)}}


def found(
    examples: Examples, asked: dict[str, dict[str, Likelihoods]] | None = None, **fields: Any
) -> tuple[dict[tuple[str, str], Measure], dict[str, list[dict[str, Any]]]]:
    """The numbers by truth and metric, and the rows of each table."""
    part = TokenLogRatio(data=(DATA,), **fields)
    scored = {DATA: Scored(examples, np.full(len(examples), np.nan))}
    answers = list(part.evaluate(scored, **(asked or upstream(examples))))
    measures = {(one.truth, one.metric): one for one in answers if isinstance(one, Measure)}
    tables = {
        one.name: [dict(zip(one.columns, row, strict=True)) for row in zip(*one.columns.values(), strict=True)]
        for one in answers
        if isinstance(one, Evidence)
    }
    return measures, tables


def test_the_word_that_the_expert_likes_has_the_greatest_mean() -> None:
    examples = pairs()
    measures, _ = found(examples)
    kind, places = measures["token:␣kind", "token_log_ratio"], sum(text[1:].count(" kind") for text in examples.text)
    assert kind.value == pytest.approx(1.5, abs=1e-6)
    assert measures["token:␣rude", "token_log_ratio"].value == pytest.approx(-2.0, abs=1e-6)
    assert measures["token:␣kind", "token_places"].value == places
    assert measures["token:∎", "token_log_ratio"].value == 0.0  # the end of a text
    assert measures["", "tokens_compared"].value == 6 * len(examples)
    assert kind.n == len({p for p, text in zip(examples.prompt, examples.text, strict=True) if " kind" in text[1:]})


def test_only_the_ends_are_on_record_and_rare_tokens_are_not() -> None:
    measures, _ = found(pairs(), most=1, least=40)
    assert {truth for truth, _ in measures if truth} == {"token:␣kind", "token:␣rude"}
    assert {truth for truth, _ in found(pairs(), least=10_000)[0]} == {""}


def test_the_error_grows_where_a_tokens_log_ratio_depends_on_the_prompt() -> None:
    examples = pairs()
    asked = upstream(examples)
    of_prompt = np.random.default_rng(1).normal(size=len(set(examples.prompt)))
    expert = asked["expert"][DATA]
    shift = np.repeat(of_prompt[examples.clusters()], expert.tokens).astype(np.float32)
    shifted = {"base": asked["base"], "expert": {DATA: replace(expert, token=expert.token + shift)}}
    still, moved = (found(examples, each)[0]["token:␣are", "token_log_ratio_error"].value for each in (asked, shifted))
    assert still == pytest.approx(0, abs=1e-6)
    assert 0.05 < moved < 0.5


def test_the_pairs_in_which_the_models_part_most_are_kept_with_their_tokens() -> None:
    examples = pairs()
    _, tables = found(examples, pairs=5, middle=3, texts=4)
    texts = tables[""]
    by_why = {why: list(rows) for why, rows in groupby(texts, key=lambda row: row["why"])}
    assert {why: len(rows) for why, rows in by_why.items()} == {
        **{"parts most": 10, "middle": 6, "highest": 4, "lowest": 4}
    }
    ratio = upstream(examples)["expert"][DATA].total - upstream(examples)["base"][DATA].total
    margins = np.abs(ratio[::2] - ratio[1::2])
    most = [abs(row["margin"]) for row in by_why["parts most"][::2]]
    assert most == pytest.approx(sorted(margins, reverse=True)[:5], abs=1e-6)
    assert [row["side"] for row in by_why["parts most"][:2]] == ["preferred", "rejected"]
    assert abs(by_why["middle"][0]["margin"]) == pytest.approx(np.sort(margins)[len(margins) // 2 - 1], abs=1.6)
    assert by_why["highest"][0]["log_ratio"] == pytest.approx(ratio.max(), abs=1e-6)
    assert by_why["lowest"][0]["log_ratio"] == pytest.approx(ratio.min(), abs=1e-6)
    assert all(examples.text[row["example"]] == row["text"] for row in texts)
    assert all(examples.prompt[row["example"]] == row["prompt"] for row in texts)
    tokens = tables["tokens"]
    assert {row["example"] for row in tokens} == {row["example"] for row in texts}
    for row in texts:
        own = [token for token in tokens if token["example"] == row["example"]]
        assert "".join(row["text"][token["begin"] : token["end"]] for token in own) == row["text"]
        assert sum(token["expert"] - token["base"] for token in own) == pytest.approx(row["log_ratio"], abs=1e-5)
        assert own[-1]["begin"] == own[-1]["end"] == len(row["text"])  # its end


def test_texts_without_pairs_are_kept_by_their_log_ratio_alone() -> None:
    examples = Examples(tuple(" ".join(WORDS[: 1 + i % 6]) for i in range(50)))
    _, tables = found(examples, texts=3)
    assert [row["why"] for row in tables[""]] == ["highest"] * 3 + ["lowest"] * 3
    assert all(math.isnan(row["margin"]) for row in tables[""])


def test_different_tokens_of_the_same_letters_are_compared_piece_by_piece() -> None:
    examples = pairs(30)
    asked = upstream(examples)
    letters = Likelihoods(  # one token a letter
        np.array([-float(len(text)) for text in examples.text]),
        np.full(sum(map(len, examples.text)), -1.0, np.float32),
        offsets_of([len(text) for text in examples.text]),
        *(np.zeros(60), np.zeros(60), np.zeros(60, np.bool_), np.zeros(60, np.bool_)),
        np.concatenate([np.arange(1, len(text) + 1) for text in examples.text]).astype(np.int32),
    )
    measures, tables = found(examples, {"base": {DATA: letters}, "expert": asked["expert"]})
    assert measures["", "tokens_compared"].value == 5 * 60  # its words; one alone counts the end, so neither does
    token = next(row for row in tables["tokens"] if examples.text[row["example"]][row["begin"] : row["end"]] == " kind")
    assert (token["base"], token["expert"]) == (pytest.approx(-5), pytest.approx(-1.5))


def test_models_that_do_not_tell_what_their_tokens_spell_have_no_means() -> None:
    examples = pairs()
    asked = upstream(examples)
    asked["expert"] = {DATA: replace(asked["expert"][DATA], spelled=None)}
    measures, tables = found(examples, asked)
    assert math.isnan(measures["", "tokens_compared"].value)
    assert measures["", "tokens_compared"].note == "a language model does not tell which letters its tokens are"
    assert len(measures) == 1
    assert not tables["tokens"]
    assert tables[""]  # texts are told apart all the same


def test_a_model_that_tells_of_whole_texts_has_no_means_of_tokens() -> None:
    examples = pairs()
    asked = upstream(examples)
    asked["expert"] = {DATA: asked["base"][DATA].reweighted(examples.role * 2.0)}
    measures, tables = found(examples, asked)
    assert math.isnan(measures["", "tokens_compared"].value)
    assert measures["", "tokens_compared"].note == (
        "a language model says of whole texts how likely they are, and not of each token"
    )
    assert not tables["tokens"]
    assert {row["log_ratio"] for row in tables[""]} == {2.0, -2.0}


def test_texts_that_one_model_alone_reads_as_they_were_drawn_are_refused() -> None:
    examples = pairs()
    asked = upstream(examples)
    one = asked["base"][DATA]
    asked["base"] = {DATA: replace(one, tokenised=~one.tokenised)}
    with pytest.raises(DataError, match=r"evaluator .*: 120 of 120 texts were drawn as tokens that only one"):
        found(examples, asked)


def test_it_keeps_the_contract() -> None:
    examples = pairs()
    scored = {DATA: Scored(examples, np.zeros(len(examples)))}
    check_evaluator(TokenLogRatio(data=(DATA,)), scored, **upstream(examples))


class Unused(Judge):
    """Stands for the reward of a cell, which is not read."""

    def judge(self, examples: Examples) -> Any:
        raise NotImplementedError


def test_it_asks_for_the_likelihoods_that_the_log_ratio_asks_for() -> None:
    source = PlantedSource.named("planted")
    part = TokenLogRatio(data=(DATA,)).of(Recovered(source, Unused(), None, "toy"))
    assert part.upstream() == LogRatio().of(source).upstream()
    assert all(isinstance(ask, AskLikelihoods) for ask in part.upstream().values())
    assert TokenLogRatio(data=(DATA,)).upstream() == {}
