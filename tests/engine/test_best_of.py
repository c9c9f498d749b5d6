"""An expert that is the best of n: its candidates and draws are stages, and its log-ratio is said to be estimated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from echo_server import EchoServer

from fairl_bench.engine.plan import Plan
from fairl_bench.engine.planner import plan
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import SuiteError
from fairl_bench.pipeline import run
from fairl_bench.results.results import read_results
from fairl_bench.science.best_of_n import log_ratio
from fairl_bench.store.store import Store
from fairl_bench.suite.read import Study, read_study
from fairl_bench.values.data import Examples
from fairl_bench.values.language_models import Completions
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.stage import Stage

Write = Callable[..., Path]
Changed = Callable[..., Study]
LOG_RATIO = {"name": "log-ratio", "use": "log-ratio"}
CEILING = {"ceiling": {"data": ["pairs/test"]}}


@pytest.fixture
def study(tiny: dict[str, Any], tiny_lm: Path, write_suite: Write) -> Changed:
    """The tiny suite on pairs of a language model that is there and the best of three of its completions."""

    def of(
        *methods: dict[str, Any],
        expert: dict[str, Any] | None = None,
        base: dict[str, Any] | None = None,
        n: int = 30,
        **changes: Any,
    ) -> Study:
        best = {"use": "best-of", "n": 3, "reward": {"use": "characters"}, "estimate_from": 8, **(expert or {})}
        origin = {"base": base or {"use": "pretrained", "model": str(tiny_lm)}, "expert": best, "n": n}
        more = {"prompts": {"use": "toy-prompts"}, "sampling": {"max_new_tokens": 4}, "gold": {"use": "toy-truth"}}
        suite = {**tiny, "models": [{"name": "best", "use": "aligned-lm", **origin, **more}], "report": CEILING}
        suite["testsets"] = {"shifted": {**tiny["testsets"]["shifted"], "n": 6}}
        suite["split"], suite["seeds"] = {"by": "prompt", "validation": 0.2, "test": 0.4}, [0]
        suite["methods"] = list(methods or (LOG_RATIO,))
        suite["evaluate"] = [{"use": "classification", "data": ["pairs/test"], "label": "preferred"}]
        return read_study(write_suite({**suite, **changes}))

    return of


def reward(text: str) -> float:
    """What the judge says: the number of characters."""
    return float(len(text))


def stages(made: Plan, kind: str, title: str = "") -> list[Stage]:
    return [stage for stage in made.stages.values() if stage.kind == kind and title in stage.title]


def worked(study: Study, store: Store) -> Worker:
    """Do the stages before the rewards."""
    worker = Worker(store, study.registry)
    early = ("lm", "completions", "completions-shard", "examples", "likelihoods-shard", "likelihoods")
    for stage in plan(study).stages.values():
        if stage.kind in early and not store.has(stage.key):
            worker.perform([stage])
    return worker


def loaded(worker: Worker, study: Study, kind: str, title: str) -> Any:
    (stage,) = stages(plan(study), kind, title)
    return worker.load(stage.key)


def test_nothing_is_made_but_the_base_which_reads_each_data_set_once(study: Changed) -> None:
    made = plan(study())
    assert [stage.title for stage in stages(made, "lm")] == ["language model pretrained of best"]
    assert sorted(stage.title for stage in stages(made, "completions")) == [
        "completions of best, base, replicate 0",
        "completions of best, candidates of expert, replicate 0",
        "completions of best, expert, replicate 0",
        "draws for the prompts of pairs of best, replicate 0",
        "draws for the prompts of texts of shifted, replicate 0",
    ]
    reading = [stage for stage in stages(made, "likelihoods") if "upstream/lm" in stage.inputs]
    assert len(reading) == 2  # the base alone: of the pairs, and of the test set


def test_other_experts_of_one_base_share_candidates_and_draws(study: Changed) -> None:
    keys = [
        {stage.title: stage.key for stage in stages(plan(study(expert=other)), "completions")}
        for other in ({}, {"reward": {"use": "words"}})
    ]
    # the judge decides the pairs, and so whose prompts draws are for
    same = {title for title in keys[0] if keys[0][title] == keys[1][title]}
    assert same == {
        "completions of best, base, replicate 0",
        "completions of best, candidates of expert, replicate 0",
        "draws for the prompts of texts of shifted, replicate 0",
    }


def test_a_completion_is_the_best_of_its_own_candidates(study: Changed, store: Store) -> None:
    one = study()
    worker = worked(one, store)
    chosen: Completions = loaded(worker, one, "completions", "best, expert")
    candidates: Completions = loaded(worker, one, "completions", "candidates of expert")
    assert len(candidates) == 3 * len(chosen) == 90
    for i, text in enumerate(chosen.text):
        among = candidates.text[3 * i : 3 * i + 3]
        assert {*candidates.row[3 * i : 3 * i + 3]} == {chosen.row[i]}
        assert text == max(among, key=reward)  # of equal ones the first
    assert len({reward(text) for text in candidates.text}) > 5
    base: Completions = loaded(worker, one, "completions", "best, base")
    assert sum(text in candidates.text[3 * i : 3 * i + 3] for i, text in enumerate(base.text)) < 10  # by chance
    (stage,) = stages(plan(one), "completions", "best, expert")
    facts = store.manifest(stage.key)["facts"]
    assert facts["best_of"] == 3
    assert facts["reward"] == pytest.approx(np.mean([reward(text) for text in chosen.text]))
    assert facts["reward_of_candidates"] == pytest.approx(np.mean([reward(text) for text in candidates.text]))


def test_its_log_ratio_is_estimated_from_draws_of_each_texts_prompt(study: Changed, store: Store) -> None:
    one = study()
    worker = worked(one, store)
    examples: Examples = loaded(worker, one, "examples", "pairs of best")
    draws: Completions = loaded(worker, one, "completions", "draws for the prompts of pairs")
    base, expert = (
        loaded(worker, one, "likelihoods", f"pairs of best, replicate 0 by {by}") for by in ("base", "expert")
    )
    assert isinstance(expert, Likelihoods)
    assert expert.total == pytest.approx(base.total + expert.whole, abs=1e-12)
    assert len(draws) == 8 * len(set(examples.prompt))
    for i, (prompt, text) in enumerate(zip(examples.prompt, examples.text, strict=True)):
        of_prompt = [reward(draw) for at, draw in zip(draws.prompt, draws.text, strict=True) if at == prompt]
        assert len(of_prompt) == 8
        assert expert.whole is not None
        assert expert.whole[i] == pytest.approx(log_ratio(np.array([reward(text)]), np.array(of_prompt), 3)[0])


def test_drawing_in_shards_gives_the_same(study: Changed, store: Store, tiny_lm: Path) -> None:
    one = study()
    many = study({**LOG_RATIO, "shards": 3})
    assert stages(plan(many), "completions-shard", "draws for the prompts of pairs")
    found = [loaded(worked(of, store), of, "likelihoods", "pairs of best, replicate 0 by expert") for of in (one, many)]
    # float32 logits, in other batches; and now and then another token, which moves a value of the draws
    assert found[0].whole == pytest.approx(found[1].whole, abs=0.5)
    assert (np.abs(found[0].whole - found[1].whole) < 1e-6).mean() > 0.9


def test_a_run_says_what_is_estimated_and_has_a_ceiling(study: Changed, store: Store, tmp_path: Path) -> None:
    one = study(LOG_RATIO, {"name": "distilled", "use": "log-ratio-distilled"}, {"name": "length", "use": "length"})
    done = run(one, store, tmp_path / "results")
    assert not done.outcome.failed
    found = read_results(tmp_path / "results")
    how = "from 8 completions of its base for each prompt"
    facts = found.run.methods
    assert {name: dict(facts[name].estimated) for name in facts} == {
        "log-ratio": {"best": how},
        "distilled": {"best": how},
        "length": {},
    }
    assert facts["log-ratio"].bounds == ("best",)
    table = (tmp_path / "results" / "tables" / "ceiling.md").read_text()
    assert "log-ratio (both models, estimated)" in table
    assert f"best, log-ratio, distilled: how likely the aligned model finds a text is estimated, {how}." in table
    # what draws completions is not saved
    (warning,) = done.outcome.warnings
    assert warning.startswith("no reward of method 'log-ratio' is saved: it reads completions as 'expert/draws'")


def test_its_tokens_have_no_log_ratio_of_their_own(study: Changed, store: Store, tmp_path: Path) -> None:
    tokens = {"use": "token-log-ratio", "data": ["pairs/test"], "least": 2}
    done = run(study(evaluate=[tokens], report={}), store, tmp_path / "results")
    assert not done.outcome.failed
    (record,) = (one for one in read_results(tmp_path / "results").records if one.metric == "tokens_compared")
    assert record.note == "a language model says of whole texts how likely they are, and not of each token"


def test_the_best_of_one_has_no_log_ratio(study: Changed, store: Store) -> None:
    one = study(expert={"n": 1})
    found = loaded(worked(one, store), one, "likelihoods", "pairs of best, replicate 0 by expert")
    assert found.whole.tolist() == [0.0] * len(found)


def test_its_base_may_be_behind_a_server(study: Changed, store: Store, tiny_lm: Path) -> None:
    server = EchoServer({"served": tiny_lm}, "vllm")
    base = {"use": "completions-api", "url": server.url, "model": "served", "server": "vllm"}
    try:
        one = study({**LOG_RATIO, "tokens": "text"}, base=base, n=8, expert={"estimate_from": 2})
        worker = worked(one, store)
    finally:
        server.close()
    base_says, expert = (
        loaded(worker, one, "likelihoods", f"pairs of best, replicate 0 by {by}") for by in ("base", "expert")
    )
    assert np.ptp(expert.whole) > 0
    assert expert.total == pytest.approx(base_says.total + expert.whole, abs=1e-12)
    drawn = [body for body in server.seen if not body.get("echo")]
    examples: Examples = loaded(worker, one, "examples", "pairs of best")
    prompts = len(set(examples.prompt)) + 6  # and those of the test set
    assert len(drawn) == 1 + 8 + 3 * 8 + 2 * prompts  # one when the model is made
    assert one.suite.models[0].part.unbounded() == "a server does not tell how likely it is that a text ends"


# --- what is refused before anything is done


def test_a_method_of_the_states_values_is_refused(study: Changed) -> None:
    with pytest.raises(SuiteError, match="best of n has no logits, and so no values of states"):
        study({"name": "endogenous", "use": "endogenous"})


def test_nothing_starts_from_its_weights(study: Changed, tiny_lm: Path) -> None:
    lm = {"use": "best-of", "reward": {"use": "toy-truth"}, "base": {"use": "pretrained", "model": str(tiny_lm)}}
    encoder = {"name": "lm", "use": "causal-lm", "lm": lm}
    with pytest.raises(SuiteError, match="lm: language model 'best-of' chooses among texts and has no weights"):
        plan(study(encoders=[encoder]))
