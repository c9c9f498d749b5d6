"""The evaluator of attributions, and the table of its numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.evaluators.attribution import Attribution
from fairl_bench.errors import DataError
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.judge import Judge
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.given import GivenMaterial
from fairl_bench.suite.registry import Registry
from fairl_bench.tables.attribution import AttributionTable
from fairl_bench.testing import check_evaluator
from fairl_bench.values.coordinates import Coordinates, Run, World
from fairl_bench.values.data import GOLD, Examples, Pairs, Scored, Truth
from fairl_bench.values.records import Evidence, Measure, Record
from fairl_bench.values.rows import Runs

DATA = "pairs/test"
NAMES = ("concept_share", "unexplained_share")
WORDS = ("you", "are", "kind", "rude", "today", "maybe")


class Letters(Judge):
    """How many letters ``letter`` a text has."""

    letter: str = "e"

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        counts = np.array([text.count(self.letter) for text in examples.text], np.float64)
        return {GOLD: Truth(counts, np.zeros(len(counts), np.int8))}


def scored(n: int = 200, seed: int = 0, reward: str = "u") -> Scored:
    """Pairs of random words, rewarded for one letter, with noise."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, 6)) for _ in range(2 * n)]
    value = np.array([text.count(reward) for text in texts]) + 0.3 * rng.normal(size=2 * n)
    first = value[::2] > value[1::2]
    sides = [[texts[2 * i + (turned == first[i])] for i in range(n)] for turned in (False, True)]
    examples = Pairs(sides[0], sides[1], tuple(f"prompt {i}" for i in range(n))).examples()
    known = dict(zip(texts, value, strict=True))
    return Scored(examples, np.array([known[text] for text in examples.text]))


def evaluated(part: Attribution, data: Scored) -> list[Measure | Evidence]:
    truths = {truth: judge.judge(data.examples)[GOLD] for truth, judge in part.judges().items()}
    return list(part.evaluate({DATA: Scored(data.examples.knowing(truths), data.reward)}))


def told(concepts: Mapping[str, Judge], data: Scored) -> dict[tuple[str, str], Measure]:
    part = Attribution(data=(DATA,), concepts=dict(concepts), resamples=200)
    return {(one.truth, one.metric): one for one in evaluated(part, data) if isinstance(one, Measure)}


def test_the_letter_that_is_rewarded_explains_the_reward() -> None:
    found = told({"u": Letters(letter="u"), "m": Letters(letter="m")}, scored())
    assert found["concept:u", "concept_share"].value > 0.8
    assert abs(found["concept:m", "concept_share"].value) < 0.05
    whole = sum(found[name, "concept_share"].value for name in ("concept:u", "concept:m"))
    assert whole + found["", "unexplained_share"].value == pytest.approx(1)
    assert found["concept:u", "concept_auc_low"].value > 0.5
    assert found["concept:u", "concept_share"].n == 200


def test_the_same_reward_has_the_same_attribution_again() -> None:
    one, other = (told({"u": Letters(letter="u"), "m": Letters(letter="m")}, scored()) for _ in range(2))
    assert one == other


def relations(letters: str, data: Scored) -> dict[tuple[object, object], tuple[float, object]]:
    part = Attribution(data=(DATA,), concepts={letter: Letters(letter=letter) for letter in letters}, resamples=100)
    evidence = kept(part, data)[""].columns
    assert set(evidence["data"]) == {DATA}
    two = zip(evidence["concept"], evidence["other"], strict=True)
    said = zip(map(float, evidence["correlation"]), evidence["relation"], strict=True)
    return dict(zip(two, said, strict=True))


def test_what_there_is_between_two_concepts_is_kept_as_evidence() -> None:
    found = relations("oyz", scored())
    assert found.keys() == {("o", "y"), ("y", "o")}  # no text has a z
    assert found["o", "y"] == found["y", "o"]
    assert 0.3 < found["o", "y"][0] < 1  # 'you' and 'today' have both
    assert relations("ki", scored())["k", "i"] == (pytest.approx(1), "one share")  # of 'kind' alone
    assert relations("oy", scored(reward="y"))["o", "y"][1] == "along"  # 'maybe' has a y alone
    assert relations("um", scored())["m", "u"][1] == ""


def test_what_would_have_been_named_is_told_of_each_concept_and_of_half_of_them() -> None:
    found = told({"u": Letters(letter="u"), "m": Letters(letter="m"), "z": Letters(letter="z")}, scored())
    each = [found[f"concept:{letter}", "detectable_share"].value for letter in "um"]
    assert all(0.05 < share < 0.5 for share in each)
    assert found["", "detectable_share"].value == pytest.approx(np.median(each))
    assert math.isnan(found["concept:z", "detectable_share"].value)
    nothing = told({"z": Letters(letter="z")}, scored())["", "detectable_share"]
    assert math.isnan(nothing.value)
    assert nothing.note == "no concept can be known"


def test_alone_and_beside_all_others_are_told() -> None:
    found = told({"y": Letters(letter="y"), "o": Letters(letter="o")}, scored(reward="y"))
    alone, beside, share = (found["concept:o", f"concept_{name}"].value for name in ("alone", "beside", "share"))
    assert beside < 0.05 < share < alone


def kept(part: Attribution, data: Scored) -> dict[str, Evidence]:
    return {one.name: one for one in evaluated(part, data) if isinstance(one, Evidence)}


def test_the_mean_reward_by_quantile_of_each_concept_is_kept_as_evidence() -> None:
    part = Attribution(data=(DATA,), concepts={"u": Letters(letter="u"), "none": Letters(letter="q")}, resamples=100)
    columns = kept(part, scored())["dose-response"].columns
    assert set(columns["concept"]) == {"u"}  # of one that no text has there are no quantiles
    assert set(columns["data"]) == {DATA}
    reward, low, high = (np.array(columns[name]) for name in ("reward", "low", "high"))
    assert (np.diff(reward) > 0).all()  # the letter is what is rewarded
    assert ((low < reward) & (reward < high)).all()
    assert sum(map(int, columns["texts"])) == 400
    assert list(columns["most"][:-1]) < list(columns["least"][1:])


def test_without_two_texts_a_prompt_there_is_no_dose_response() -> None:
    part = Attribution(data=(DATA,), concepts={"u": Letters(letter="u")}, resamples=100)
    alone = Examples(tuple(f"text {i} {'u' * (i % 3)}" for i in range(40)))
    assert not kept(part, Scored(alone, np.arange(40.0)))["dose-response"].columns["reward"]


def test_a_concept_that_no_text_has_is_not_known() -> None:
    found = told({"none": Letters(letter="z"), "u": Letters(letter="u")}, scored())
    assert math.isnan(found["concept:none", "concept_share"].value)
    assert found["concept:none", "concept_share"].note == "it is the same in all texts of each prompt"


def test_a_reward_that_is_constant_within_prompts_says_why_nothing_is_known() -> None:
    data = scored(50)
    found = told({"u": Letters(letter="u")}, Scored(data.examples, np.repeat(np.arange(50.0), 2)))
    assert {name for _, name in found} == {f"{name}{end}" for name in NAMES for end in ("", "_low", "_high")}
    assert found["concept:u", "concept_share"].note.startswith("shares need a reward that varies within prompts")


def test_a_judge_that_does_not_know_a_text_is_refused() -> None:
    class Unsure(Letters):
        def judge(self, examples: Examples) -> Mapping[str, Truth]:
            (truth,) = super().judge(examples).values()
            value = truth.value.copy()
            value[3] = np.nan
            return {GOLD: Truth(value, truth.label)}

    with pytest.raises(DataError, match=r"concept 'a' has no value for 1 of 80 texts, such as '.*'; name a judge"):
        told({"a": Unsure()}, scored(40))


def test_a_name_with_a_plus_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the name of a concept needs to be without '\+', got 'a\+b'"):
        Attribution(data=(DATA,), concepts={"a+b": Letters()})


def test_an_attribution_keeps_the_contract_of_evaluators() -> None:
    registry = Registry(installed=False)
    spec = {"use": "attribution", "data": [DATA], "concepts": {"truth": {"use": "toy-truth"}}, "resamples": 100}
    check_evaluator(registry.build(Evaluator, spec), {DATA: scored(40)})


# --- the table


def material(found: Mapping[tuple[str, str], Measure], replicates: int = 1) -> GivenMaterial:
    records = [
        Record.at(
            Coordinates.of(World("toy", i), Run("minilm", "mlp", "me", "", None), one.data, one.truth, one.slice),
            "s", one.metric, one.value, one.n, note=one.note,
        )
        for one in found.values()
        for i in range(replicates)
    ]  # fmt: skip
    rows = {records[0].row: Runs(replicates)}
    return GivenMaterial(records=records, rows=rows, metrics=built_in_metrics())


def rows(found: Mapping[tuple[str, str], Measure], **more: Any) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    (table,) = AttributionTable().tables(material(found, **more))
    return list(table.rows), table.notes


def test_the_table_has_the_greatest_share_first_and_the_rest_last() -> None:
    concepts = {"m": Letters(letter="m"), "none": Letters(letter="z"), "u": Letters(letter="u")}
    found, notes = rows(told(concepts, scored()))
    assert [row[1] for row in found] == ["u", "m", "none", "unexplained"]
    assert [found[at][3] for at in (0, 2, 3)] == ["named", "n/a", ""]
    assert found[2][2] == "n/a"
    assert found[2][4] == "n/a, n/a"
    assert re.fullmatch(r"9\d %, 8\d %", found[0][4])
    assert any(re.fullmatch(r"With a share of \d+ % half of the concepts would have been .*\.", note) for note in notes)
    assert notes[-1] == "me, none: it is the same in all texts of each prompt."


def test_over_several_runs_the_table_shows_means_and_says_so() -> None:
    one, several = told({"u": Letters(letter="u")}, scored()), told({"u": Letters(letter="u")}, scored())
    assert rows(one)[0] == rows(several, replicates=3)[0]
    assert any("means over the runs" in note for note in rows(several, replicates=3)[1])
    assert not any("means over the runs" in note for note in rows(one)[1])


def test_where_nothing_is_known_the_table_says_why() -> None:
    data = scored(50)
    found, notes = rows(told({"u": Letters(letter="u")}, Scored(data.examples, np.repeat(np.arange(50.0), 2))))
    assert [row[1:4] for row in found] == [("u", "n/a", "n/a"), ("unexplained", "n/a", "")]
    assert notes[-1].startswith("me, u: shares need a reward that varies within prompts")


def test_without_an_attribution_there_is_no_table() -> None:
    assert list(AttributionTable().tables(GivenMaterial())) == []
