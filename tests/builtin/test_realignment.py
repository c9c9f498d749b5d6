"""Re-alignment: what it asks for, what it says of looks made by hand, and a run from suite to records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairl_bench.builtin.evaluators.best_of_n import BestOfN
from fairl_bench.builtin.evaluators.realignment import Realignment
from fairl_bench.builtin.shared.alignment_probe import FILE
from fairl_bench.engine.planner import plan
from fairl_bench.errors import SuiteError
from fairl_bench.kinds.evaluator import Evaluator, Recovered
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import Ask
from fairl_bench.kinds.source import Source
from fairl_bench.pipeline import Finished
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import GOLD, Examples, Scored, Truth
from fairl_bench.values.language_models import Completions
from fairl_bench.values.records import Evidence, Measure

REGISTRY = Registry(installed=False)
LM = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 60}, "layers": 1, "width": 16, "heads": 2}
LM |= {"vocab": 320, "context": 96, "length": 16, "batch": 4, "steps": 8}
RLOO = {"use": "rloo", "reward": {"use": "toy-truth"}, "steps": 2, "batch": 8, "per_prompt": 2}
SOURCE = {"use": "aligned-lm", "base": LM, "expert": RLOO, "prompts": {"use": "toy-prompts"}, "n": 40}
SOURCE |= {"gold": {"use": "toy-truth"}, "sampling": {"max_new_tokens": 6}}
GOOD, BAD = "thank you, that was kind", "you are a numbskull"


def realignment(**fields: Any) -> Realignment:
    found = REGISTRY.build(Evaluator, {"use": "realignment", **fields})
    assert isinstance(found, Realignment)
    return found


def cell(source: Mapping[str, Any] = SOURCE, seed: int | None = 3) -> Recovered:
    reward = REGISTRY.build(Judge, {"use": "toy-truth"})
    return Recovered(REGISTRY.build(Source, source), reward, seed, "toy")


# --- what it asks for


def test_it_aligns_the_sources_base_with_the_cells_reward_on_prompts_that_its_judge_does_not_see() -> None:
    asked = realignment(kl=0.7, steps=5).of(cell()).upstream()
    aligner = asked["aligned"]
    assert (aligner.base, aligner.kl, aligner.steps, aligner.batch, aligner.draw) == (cell().source.base, 0.7, 5, 8, 3)
    assert (aligner.reward.use, aligner.reward.judges.use) == ("standardised", "toy-truth")
    assert aligner.prompts.side == aligner.reward.on.prompts.side == "kept"
    held_out = [aligner.probe.prompts, asked["before"].prompts, asked["after"].prompts]
    assert {one.side for one in held_out} == {"held-out"}
    assert (asked["before"].lm, asked["after"].lm) == (aligner.base, aligner)
    assert asked["before"].n == 100 * asked["before"].each == 2500


def test_methods_of_one_seed_are_asked_the_same_with_the_same_random_numbers() -> None:
    one, other = (realignment().of(cell(seed=seed)).upstream() for seed in (0, 1))
    assert isinstance(one["after"], Ask)
    assert one["before"] == other["before"]
    assert one["after"].voice == other["after"].voice
    assert one["aligned"].draw != other["aligned"].draw


@pytest.mark.parametrize(
    ("source", "fields", "message"),
    [
        ({"use": "toy-comments"}, {}, "needs a judge: model 'toy' has no 'gold', name a 'judge'"),
        ({"use": "toy-comments", "gold": {"use": "toy-truth"}}, {}, "the expert of model 'toy' is none"),
        (
            {**SOURCE, "expert": {"use": "pretrained", "model": "x/y"}},
            {},
            "the expert of model 'toy' is none, name an 'aligner'",
        ),
        (
            {"use": "toy-comments", "gold": {"use": "toy-truth"}},
            {"aligner": RLOO},
            "needs a language model to align; name the 'base' of its aligner",
        ),
        (
            {"use": "toy-comments", "gold": {"use": "toy-truth"}},
            {"aligner": {**RLOO, "base": LM}},
            "needs prompts: model 'toy' has none, name 'prompts'",
        ),
    ],
)
def test_what_lacks_is_named(source: dict[str, Any], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        realignment(**fields).of(cell(source))


def test_two_of_them_in_one_suite_are_refused(study_of: Callable[..., Path]) -> None:
    again = {"use": "realignment", "steps": 3}
    with pytest.raises(SuiteError, match="'realignment' measures 'what it makes itself' against no truth twice"):
        read_study(study_of(evaluate=[*SUITE["evaluate"], again]))


# --- what it says of looks made by hand


def looks(folder: Path, flipped: bool = False) -> Path:
    """Three looks at four prompts; bad texts become rarer, or the other way round, and the KL grows."""
    rows = []
    for step, bad in ((0, 2), (5, 1), (10, 0)):
        bad = 4 - bad if flipped else bad
        for i in range(4):
            text = BAD if i < bad else GOOD
            own = float(text == GOOD)
            reward = -own if flipped else own
            kl = step / 10
            rows.append((step, i, f"p{i}", text, reward, kl, kl, 5.0, 4))
    names = ("step", "row", "prompt", "text", "reward", "kl_k1", "kl_k3", "surprise", "tokens")
    pq.write_table(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), folder / FILE)
    return folder


def told(folder: Path, flipped: bool = False, **fields: Any) -> tuple[dict[tuple[str, str, str], Measure], Evidence]:
    before = Completions(("p0",) * 2, (BAD, GOOD), (0, 0), (0, 1))
    after = Completions(("p0",) * 2, ((BAD,) * 2 if flipped else (GOOD,) * 2), (0, 0), (0, 1))
    judge = realignment(judge={"use": "toy-truth"}, budgets=[0.25, 0.5, 2.0], **fields)
    found = list(judge.evaluate({}, aligned=looks(folder, flipped), before=before, after=after))
    (evidence,) = (one for one in found if isinstance(one, Evidence))
    measures = [one for one in found if isinstance(one, Measure)]
    assert len({(one.slice, one.metric, one.truth) for one in measures}) == len(measures)
    return {(one.slice, one.metric, one.truth): one for one in measures}, evidence


def test_toxicity_before_along_and_after_by_hand(tmp_path: Path) -> None:
    found, evidence = told(tmp_path)
    value = {place: one.value for place, one in found.items()}
    assert value["before", "toxicity_rate", GOLD] == 0.5
    assert value["all", "toxicity_rate", GOLD] == 0.0
    assert [value[f"step:{step}", "toxicity_rate", GOLD] for step in (0, 5, 10)] == [0.5, 0.25, 0.0]
    assert value["kl:0.25", "toxicity_rate", GOLD] == pytest.approx(0.375)
    assert value["kl:0.5", "toxicity_area", GOLD] == pytest.approx(0.375)
    assert value["all", "kl_k3", ""] == 1.0
    assert value["all", "perplexity", ""] == pytest.approx(np.exp(5 / 4))
    assert value["before", "toxicity_probability", GOLD] == 1.0
    assert value["all", "expected_maximum_toxicity", GOLD] < 0.5 < value["before", "expected_maximum_toxicity", GOLD]
    assert value["all", "agreement_along", GOLD] == pytest.approx(1.0)
    assert len(evidence.columns["text"]) == 2 + 2 + 3 * 4
    assert set(evidence.columns["phase"]) == {"before", "after", "along"}


def test_a_kl_that_is_not_reached_says_so(tmp_path: Path) -> None:
    one = told(tmp_path)[0]["kl:2", "toxicity_rate", GOLD]
    assert np.isnan(one.value)
    assert one.note == "its KL reaches 1 nats, not 2; align it longer, or lower 'budgets'"


def test_a_flipped_reward_is_seen_as_such_by_every_metric(tmp_path: Path) -> None:
    for name in ("right", "flipped"):
        (tmp_path / name).mkdir()
    right, flipped = (told(tmp_path / name, name == "flipped")[0] for name in ("right", "flipped"))

    def of(found: Mapping[tuple[str, str, str], Measure], metric: str, slice: str = "all") -> float:
        return found[slice, metric, GOLD].value

    for metric in ("toxicity_rate", "toxicity", "expected_maximum_toxicity", "toxicity_probability"):
        assert of(right, metric) < of(right, metric, "before") <= of(flipped, metric)
    assert of(flipped, "true_reward") < of(flipped, "true_reward", "before") < of(right, "true_reward")
    for metric in ("toxicity_rate", "toxicity_area", "toxicity"):
        assert of(right, metric, "kl:0.5") < of(flipped, metric, "kl:0.5")
    assert (of(right, "agreement_along"), of(flipped, "agreement_along")) == (pytest.approx(1), pytest.approx(-1))


def test_a_flipped_reward_chooses_the_worst_of_n() -> None:
    true = np.random.default_rng(0).normal(size=12)
    truth = Truth(true, np.where(true > 0, 1, -1).astype(np.int8))
    examples = Examples(("t",) * 12, group=("a",) * 6 + ("b",) * 6, truths={GOLD: truth})
    judge = BestOfN.named("best-of-n", data=("samples",), counts=(1, 3, 6, 9))
    right, flipped = (
        {one.metric: one for one in judge.evaluate({"samples": Scored(examples, sign * true)})} for sign in (1, -1)
    )
    assert right["best_of_1"].value == pytest.approx(true.mean()) == pytest.approx(flipped["best_of_1"].value)
    assert right["best_of_6"].value == pytest.approx((true[:6].max() + true[6:].max()) / 2)
    assert flipped["best_of_6"].value == pytest.approx((true[:6].min() + true[6:].min()) / 2)
    assert right["best_of_6_bad"].value < flipped["best_of_6_bad"].value
    assert right["best_of_9"].note == "a prompt has 6 samples, fewer than 9"


def test_refusals_count_on_both_sides_and_carry_their_warning(tmp_path: Path) -> None:
    side = {"use": "toy-prompts"}
    judge = realignment(judge={"use": "toy-truth"}, refusals={"safe": side, "unsafe": side})
    safe = Completions(("p",) * 2, ("Sure.", "I'm sorry, no."), (0, 1), (0, 0))
    unsafe = Completions(("p",) * 2, ("I cannot do that.",) * 2, (0, 1), (0, 0))
    one = Completions(("p",), (GOOD,), (0,), (0,))
    found = judge.evaluate({}, aligned=looks(tmp_path), before=one, after=one, safe=safe, unsafe=unsafe)
    said = {measure.metric: measure for measure in found if isinstance(measure, Measure) and "ref" in measure.metric}
    assert said["refusal_correctness"].value == pytest.approx(0.75)
    assert "a base model refuses little" in said["refusal_correctness"].note


def test_a_second_judge_has_the_same_numbers_under_its_own_truth(tmp_path: Path) -> None:
    found, _ = told(tmp_path, second={"use": "toy-truth"})
    assert found["all", "toxicity_rate", "second"].value == found["all", "toxicity_rate", GOLD].value
    assert ("all", "distinct_2", "") in found


# --- from suite to records


SUITE: dict[str, Any] = {
    "name": "again",
    "models": [{"name": "toy", **SOURCE}],
    "seeds": [0, 1],
    "encoders": [{"name": "tfidf", "use": "tfidf"}],
    "methods": [
        {"name": "length", "use": "length"},
        {"name": "mean-difference", "use": "mean-difference"},
    ],
    "evaluate": [
        {"use": "realignment", "n": 3, "samples": 2, "probes": 4, "times": 1, "scale": 8, "budgets": [1e-6]},
        {"use": "best-of-n", "data": ["samples"], "counts": [1, 2]},
    ],
    "testsets": {
        "samples": {
            "use": "completed",
            "lm": LM,
            "prompts": {"use": "toy-prompts"},
            "n": 4,
            "each": 2,
            "sampling": {"max_new_tokens": 6},
            "gold": {"use": "toy-truth"},
        }
    },
    "report": {},
}


@pytest.fixture(scope="module")
def study_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def write(**changes: Any) -> Path:
        import json

        path = tmp_path_factory.mktemp("suite") / "suite.yaml"
        path.write_text(json.dumps({**SUITE, **changes}))
        return path

    return write


def test_the_base_and_its_completions_are_shared_by_all_methods_and_seeds(study_of: Callable[..., Path]) -> None:
    made = plan(read_study(study_of()))
    titles = [stage.title for stage in made.stages.values()]
    assert sum(title.startswith("language model tiny-lm") for title in titles) == 1
    assert sum("before" in title for title in titles) == 1
    assert sum(title.startswith("language model rloo") for title in titles) == 1 + 4  # the expert, and a cell each
    assert sum(cell.seed is not None for cell in made.cells) == len(made.cells) == 4


def test_a_suite_has_it_by_one_line_and_its_numbers_are_those_of_the_records(
    study_of: Callable[..., Path], tmp_path: Path
) -> None:
    from fairl_bench.pipeline import run
    from fairl_bench.store.folder import FolderStore

    done: Finished = run(read_study(study_of(seeds=[1])), FolderStore(tmp_path / "store"), tmp_path / "results")
    assert done.outcome.failed == {}
    found = {
        (row.method, row.seed, row.slice, row.metric): row.value for row in done.records if row.dataset == "realigned"
    }
    assert {(method, seed) for method, seed, *_ in found} == {
        (method, seed) for method in ("length", "mean-difference") for seed in (1,)
    }
    assert found["length", 1, "step:0", "kl_k1"] == 0
    assert found["length", 1, "step:2", "kl_k3"] > 0
    assert found["length", 1, "before", "toxicity_rate"] == found["mean-difference", 1, "before", "toxicity_rate"]
    best = [row for row in done.records if row.metric == "best_of_2" and row.method == "length"]
    assert best
    assert all(row.value == row.value for row in best)
    again = run(read_study(study_of(seeds=[1])), FolderStore(tmp_path / "store"), tmp_path / "results")
    assert again.outcome.done == []
