"""Several objectives as one reward: its scale, its truths, and that reward and truth are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from pydantic import ValidationError

from fairl_bench.builtin.judges.blend import Blend
from fairl_bench.engine.planner import plan
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import Ask
from fairl_bench.kinds.source import Source
from fairl_bench.pairs.judged import judged_pairs
from fairl_bench.pipeline import Finished
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_judge
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.language_models import Completions

REGISTRY = Registry(installed=False)
PARTS = {"kindness": {"use": "toy-truth"}, "length": {"use": "words"}}
WEIGHTS = {"kindness": 0.7, "length": -0.3}
BLEND = {"use": "blend", "of": PARTS, "weights": WEIGHTS}
ASK = {"lm": {"use": "pretrained", "model": "x"}, "prompts": {"use": "toy-prompts"}, "n": 3}
TEXTS = ("you are stupid trash", "thank you for this kind word", "what a day", "thanks", "you are a fool and a liar")
ON = Completions(("",) * 5, TEXTS, tuple(range(5)), (0,) * 5)


def blend(**fields: Any) -> Judge:
    return REGISTRY.build(Judge, {**BLEND, **fields})


def told(judge: Judge, texts: tuple[str, ...] = TEXTS, on: Completions | Examples = ON) -> Mapping[str, Truth]:
    return judge.ready({"on": on})(Examples(texts))


def by_hand(use: str) -> np.ndarray:
    value = REGISTRY.build(Judge, {"use": use}).judge(Examples(TEXTS))[GOLD].value
    return np.asarray((value - value.mean()) / value.std())


# --- the sum and its parts


def test_each_part_has_mean_zero_and_deviation_one_on_what_the_base_writes() -> None:
    truths = told(blend())
    for name, use in (("kindness", "toy-truth"), ("length", "words")):
        np.testing.assert_allclose(truths[f"gold:{name}"].value, by_hand(use), atol=1e-12)


def test_gold_is_the_weighted_sum_and_good_above_the_bases_mean() -> None:
    gold = told(blend())[GOLD]
    np.testing.assert_allclose(gold.value, 0.7 * by_hand("toy-truth") - 0.3 * by_hand("words"), atol=1e-12)
    assert gold.label.tolist() == [1 if value > 0 else -1 for value in gold.value]
    assert gold.value.mean() == pytest.approx(0, abs=1e-12)


def test_a_part_keeps_the_labels_that_its_judge_gives() -> None:
    truths = told(blend())
    assert truths["gold:kindness"].label.tolist() == [-1, 1, 1, 1, -1]
    assert truths["gold:length"].label.tolist() == [0] * 5


class Letters(Judge):
    """Counts letters, and shifts and stretches the count."""

    stretch: float = 1.0
    shift: float = 0.0

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        return {GOLD: Truth.numbers(self.stretch * len(text) + self.shift for text in examples.text)}


def made(**parts: Judge) -> Judge:
    return Blend.named("blend", of=parts, weights=dict.fromkeys(parts, 1.0))


def test_a_part_that_is_stretched_and_shifted_changes_nothing() -> None:
    plain, stretched = (made(a=Letters(), b=Letters(stretch=k, shift=c)) for k, c in ((1.0, 0.0), (7.0, -3.0)))
    np.testing.assert_allclose(told(plain)[GOLD].value, told(stretched)[GOLD].value, atol=1e-12)


def test_a_part_is_judged_with_its_prompt() -> None:
    seen: list[tuple[str, ...]] = []

    class Listening(Judge):
        """Writes down the prompts."""

        def judge(self, examples: Examples) -> Mapping[str, Truth]:
            seen.append(examples.prompt)
            return {GOLD: Truth.numbers(map(len, examples.text))}

    judge = made(a=Listening.named("listening"))
    judge.ready({"on": Completions(("p", "q"), ("a", "bb"), (0, 1), (0, 0))})(Examples(("c",), ("r",)))
    assert seen == [("p", "q"), ("r",)]


def test_of_pairs_the_rejected_texts_are_the_bases() -> None:
    pairs = Examples(TEXTS, role=np.array([1, -1, -1, -1, 1], np.int8), pair=np.arange(5))
    rejected = Completions(("",) * 3, TEXTS[1:4], (0, 1, 2), (0, 0, 0))
    for truth in (GOLD, "gold:length"):
        assert told(blend(), on=pairs)[truth].value.tolist() == told(blend(), on=rejected)[truth].value.tolist()


def test_an_unknown_value_of_a_part_is_an_unknown_blend() -> None:
    class Shy(Judge):
        """Does not know short texts."""

        def judge(self, examples: Examples) -> Mapping[str, Truth]:
            return {GOLD: Truth.numbers(float(len(text)) if len(text) > 1 else np.nan for text in examples.text)}

    judge = made(a=Shy.named("shy"))
    gold = judge.ready({"on": ON})(Examples(("x", "long")))[GOLD]
    assert np.isnan(gold.value).tolist() == [True, False]
    assert gold.label.tolist() == [0, -1]
    with pytest.raises(DataError, match="part 'a' has no value for 1 of 2 texts of the base; name a judge of any text"):
        judge.ready({"on": Completions(("", ""), ("x", "yy"), (0, 1), (0, 0))})


def test_it_keeps_the_promises_of_a_judge() -> None:
    check_judge(blend(), registry=REGISTRY, on=ON)


# --- what is refused


def test_a_part_that_is_the_same_in_all_texts_of_the_base_is_refused() -> None:
    alike = Completions(("",) * 2, ("one two", "three four"), (0, 1), (0, 0))
    with pytest.raises(
        DataError, match="'blend': part 'length' gives all 2 texts of the base the value 2: it has no s"
    ):
        told(blend(of={"length": {"use": "words"}}, weights={"length": 1.0}), on=alike)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"kindness": 1.0}, "has no weight for 'length'; give each part one"),
        ({**WEIGHTS, "lenght": 1.0}, "weighs 'lenght', which is no part of it; did you mean 'length'"),
        ({"kindness": 0.0, "length": 0.0}, "has weights of 0 alone, so that nothing is paid for"),
    ],
)
def test_weights_that_do_not_fit_the_parts_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        blend(weights=weights)


def test_without_a_base_it_judges_nothing() -> None:
    with pytest.raises(DataError, match="judge 'blend' takes its scale from what a base writes, and no base is known"):
        blend().judge(Examples(TEXTS))
    with pytest.raises(DataError, match="no base is known here; name one by 'on'"):
        blend().ready({})(Examples(TEXTS))


# --- one scale for the reward and the truth


def model(**fields: Any) -> dict[str, Any]:
    aligned = {
        "name": "toy",
        "use": "aligned-lm",
        "base": {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50}},
        "expert": {"use": "rloo", "reward": BLEND},
        "prompts": {"use": "toy-prompts"},
        "n": 9,
        "sampling": {"max_new_tokens": 7},
        "gold": BLEND,
    }
    return {**aligned, **fields}


def test_the_aligner_and_the_truth_are_scaled_on_the_same_completions() -> None:
    source = REGISTRY.build(Source, {name: value for name, value in model().items() if name != "name"})
    expert: Any = source.origin().expert  # type: ignore[union-attr]
    on = expert.upstream()["reward/on"]
    assert isinstance(on, Ask)
    assert on == source.starts()["gold/on"]
    assert on.sampling.max_new_tokens == 7
    assert (on.lm, on.prompts) == (source.origin().base, source.origin().prompts)  # type: ignore[union-attr]


def test_in_a_plan_the_aligner_the_pairs_and_a_test_set_start_from_one_stage(
    tiny: dict[str, Any], write_suite: Callable[..., Any]
) -> None:
    tiny["models"] = [model()]
    tiny["methods"] = [{"name": "oracle", "use": "oracle"}]
    tiny["testsets"]["shifted"]["gold"] = BLEND
    stages = plan(read_study(write_suite(tiny))).stages.values()
    (aligned,) = (stage for stage in stages if stage.kind == "lm" and "upstream/reward/on" in stage.inputs)
    scaled = [stage for stage in stages if stage.kind == "examples"]
    of_oracle = [stage for stage in stages if "upstream/judge/on" in stage.inputs]
    assert {stage.kind for stage in of_oracle} == {"reward", "scores"}
    on = {stage.inputs["upstream/gold/on"] for stage in scaled} | {aligned.inputs["upstream/reward/on"]}
    on |= {stage.inputs["upstream/judge/on"] for stage in of_oracle}
    assert len(scaled) == 2
    assert len(on) == 1


def test_another_number_of_pairs_leaves_the_alignment_alone(
    tiny: dict[str, Any], write_suite: Callable[..., Any]
) -> None:
    def aligned(n: int) -> str:
        tiny["models"] = [model(n=n)]
        stages = plan(read_study(write_suite(tiny))).stages.values()
        return next(stage.key for stage in stages if "upstream/reward/on" in stage.inputs)

    assert aligned(9) == aligned(12)


def test_an_aligner_that_names_its_base_is_scaled_on_that_one() -> None:
    own = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50}, "steps": 3}
    fields = {name: value for name, value in model().items() if name != "name"}
    source = REGISTRY.build(Source, {**fields, "expert": {"use": "rloo", "reward": BLEND, "base": own}})
    on = source.origin().expert.upstream()["reward/on"]  # type: ignore[union-attr]
    assert on.lm.steps == 3  # type: ignore[attr-defined]
    assert source.starts()["gold/on"].lm.steps != 3  # type: ignore[attr-defined]


def test_texts_that_are_named_stay() -> None:
    source = REGISTRY.build(Source, {"use": "toy-comments", "gold": {**BLEND, "on": ASK}})
    assert source.starts()["gold/on"].n == 3  # type: ignore[attr-defined]


def test_a_source_without_language_models_is_scaled_on_its_own_rejected_texts() -> None:
    source = REGISTRY.build(Source, {"use": "toy-comments", "n": 40, "gold": BLEND, "flip": 0.5})
    plain = source.starts()["gold/on"]
    assert isinstance(plain, Source)
    on, _ = judged_pairs(plain, 0, {})
    examples, _ = judged_pairs(source, 0, {"gold/on": on})
    of_base = examples.truths["gold:length"].value[on.role < 0]
    assert of_base.mean() == pytest.approx(0, abs=1e-12)
    assert of_base.std() == pytest.approx(1)
    assert (examples.role != on.role).any()  # the noise is in the preferences, and not in the scale


@pytest.mark.parametrize(
    "wrapped",
    [
        {"use": "combined", "gold": BLEND, "subtypes": {"use": "toy-truth"}},
        {"use": "concept", "of": BLEND, "about": "two things"},
        {"use": "blend", "of": {"both": BLEND}, "weights": {"both": 1.0}, "on": ASK},
    ],
)
def test_a_blend_within_another_judge_is_scaled_on_the_same_base(wrapped: dict[str, Any]) -> None:
    source = REGISTRY.build(Source, {"use": "toy-comments", "gold": wrapped})
    assert any(role.endswith("/on") and isinstance(start, Source) for role, start in source.starts().items())


def test_a_combined_judge_gives_the_objectives_and_the_subtypes() -> None:
    judge = REGISTRY.build(Judge, {"use": "combined", "gold": BLEND, "subtypes": {"use": "toy-truth"}})
    truths = judge.ready({"gold/on": ON})(Examples(TEXTS))
    assert {"gold", "gold:kindness", "gold:length", "subtype:insult"} <= truths.keys()


# --- in a suite


def blended(tiny: dict[str, Any]) -> dict[str, Any]:
    tiny["models"][0]["gold"] = BLEND
    tiny["testsets"]["shifted"]["gold"] = BLEND
    tiny["methods"] = [
        {"name": "max-entropy", "use": "max-entropy"},
        {"name": "oracle", "use": "oracle"},
        {
            "name": "fa-kind",
            "use": "failure-aware",
            "base": {"use": "max-entropy"},
            "rounds": 3,
            "detector": {"use": "supervised", "truth": "gold:kindness"},
        },
    ]
    every = ["gold", "gold:kindness", "gold:length"]
    tiny["evaluate"] = [
        {"use": "fidelity", "data": ["pairs/test", "shifted"], "truth": every},
        {"use": "classification", "data": ["pairs/test"], "label": "gold:kindness"},
    ]
    tiny["report"] = {
        "table1": {"data": ["pairs/test", "shifted"], "truth": {"pairs": "gold:kindness"}, "metrics": ["auc", "starc"]}
    }
    tiny["claims"] = [
        {"id": "kinder", "better": "fa-kind", "than": "max-entropy", "metric": "starc", "data": "shifted",
         "truth": "gold:length"},
    ]  # fmt: skip
    return tiny


def test_every_truth_of_a_blend_goes_through_records_tables_and_claims(
    tiny: dict[str, Any], run_suite: Callable[..., Finished]
) -> None:
    finished = run_suite(blended(tiny))
    assert not finished.outcome.failed
    starc = {(row.method, row.data, row.truth): row.value for row in finished.records if row.metric == "starc"}
    for data in ("pairs/test", "shifted"):
        assert starc["oracle", data, "gold"] == pytest.approx(0, abs=1e-6)
        assert starc["oracle", data, "gold:kindness"] > 0.01
    table = finished.results.tables["table1"]
    assert "Truth: pairs/test against 'gold:kindness', shifted against 'gold'." in table.notes
    (verdict,) = finished.claims
    assert verdict.claim.truth == "gold:length"
    assert verdict.effect.n == 60


def test_a_detector_reads_the_labels_of_the_objective_that_it_names(
    tiny: dict[str, Any], run_suite: Callable[..., Finished]
) -> None:
    suite = blended(tiny)
    suite["methods"] = [
        {**suite["methods"][2], "name": name, "detector": {"use": "supervised", "truth": truth}}
        for name, truth in (("whole", "gold"), ("kind", "gold:kindness"))
    ]
    suite["claims"] = []
    finished = run_suite(suite)
    assert not finished.outcome.failed
    whole, kind = (
        [row.value for row in finished.records if (row.method, row.metric) == (method, "starc")]
        for method in ("whole", "kind")
    )
    assert whole != kind


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["evaluate"][0].update(truth="gold:kindnes"), "truth 'gold:kindnes' is unknown; did you mean "),
        (lambda s: s["evaluate"][0].update(truth="golden"), "needs 'preferred', 'gold' or 'gold:NAME', got 'golden'"),
        (lambda s: s["claims"][0].update(truth="gold:lenght"), "truth 'gold:lenght' is unknown; did you mean "),
        (lambda s: s["report"]["table1"].update(truth="gold:lengt"), "no truth 'gold:lengt'; did you mean "),
        (lambda s: s["methods"][2]["detector"].update(truth="gold:kind"), "no truth 'gold:kind'; did you mean "),
        (lambda s: s["methods"][2]["detector"].update(truth="preferred"), "needs 'gold' or 'gold:NAME', got "),
        (lambda s: s["methods"][2]["detector"].update(truth="gold:length"),
         "labels of the truth 'gold:length': model 'toy' has only numbers; make 'length' a judge that gives labels"),
        (lambda s: s["evaluate"].append({"use": "fidelity", "data": ["shifted"], "truth": "gold:length"}),
         "'fidelity' measures 'shifted' against gold:length twice"),
        (lambda s: s["methods"][2].update(detector={"use": "union", "of": [
            {"use": "supervised"}, {"use": "supervised", "truth": "gold:kindness"}]}),
         "reads the labels of 'gold' and 'gold:kindness'; let all its detectors read one"),
    ],
)  # fmt: skip
def test_check_refuses_a_truth_that_is_not_there(
    change: Callable[[dict[str, Any]], None], message: str, tiny: dict[str, Any], cli: Callable[..., Result],
    write_suite: Callable[..., Any],
) -> None:  # fmt: skip
    suite = blended(tiny)
    suite["methods"][2]["name"] = "fa-kind"
    change(suite)
    result = cli("check", str(write_suite(suite)))
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_model_is_aligned_to_a_blend_that_is_its_truth_and_the_oracles(
    tiny: dict[str, Any], run_suite: Callable[..., Finished]
) -> None:
    # so small a model writes no toxic word
    letters = {"use": "regex", "pattern": "e", "per": "text"}
    parts, weights = {"letters": letters, "length": {"use": "words"}}, {"letters": 0.6, "length": -0.4}
    simple = {"use": "blend", "of": parts, "weights": weights}
    shape = {"layers": 1, "width": 16, "heads": 2, "vocab": 300, "steps": 20, "batch": 8, "length": 16}
    sampling = {"max_new_tokens": 7}
    tiny["models"] = [
        model(
            base={"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 80}, **shape},
            expert={"use": "rloo", "reward": simple, "steps": 2, "batch": 8, "per_prompt": 2, "sampling": sampling},
            n=80,
            gold=simple,
        )
    ]
    tiny["seeds"] = [0]
    tiny["methods"] = [{"name": "oracle", "use": "oracle"}, {"name": "mean-difference", "use": "mean-difference"}]
    tiny["testsets"]["shifted"]["gold"] = simple
    tiny["evaluate"] = [
        {"use": "fidelity", "data": ["pairs/test", "shifted"]},
        {"use": "objectives", "data": ["pairs/test"], "refits": 2, "resamples": 100},
    ]
    tiny["report"] = {"objectives": {"data": ["pairs/test"]}}
    finished = run_suite(tiny)
    assert not finished.outcome.failed
    value = {(row.method, row.data, row.truth, row.metric): row.value for row in finished.records}
    for data in ("pairs/test", "shifted"):
        assert value["oracle", data, "gold", "starc"] == pytest.approx(0, abs=1e-6)
    for name, planted in weights.items():
        found = value["oracle", "pairs/test", f"gold:{name}", "weight"]
        assert found == pytest.approx(planted, abs=1e-6)  # float32 scores
    assert "objectives-pairs-test" in finished.results.tables
