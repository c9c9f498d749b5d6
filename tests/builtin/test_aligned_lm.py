"""The paper's source: what it asks for, and the pairs it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.sources.aligned_lm import AlignedLM
from fairl_bench.engine.plan import Plan
from fairl_bench.engine.planner import plan
from fairl_bench.errors import DataError
from fairl_bench.kinds.source import Source
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.language_models import Completions

PROMPTS = {"use": "toy-prompts"}
TINY = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50}}
RLOO = {"use": "rloo", "reward": {"use": "toy-truth"}}


def source(**fields: Any) -> AlignedLM:
    spec = {"use": "aligned-lm", "base": TINY, "expert": RLOO, "prompts": PROMPTS, "n": 9, **fields}
    found = Registry(installed=False).build(Source, spec)
    assert isinstance(found, AlignedLM)
    return found


def completions(*texts: str, **fields: Any) -> Completions:
    n = len(texts)
    return Completions(
        **{"prompt": ("a", "b", "c")[:n], "text": texts, "row": tuple(range(n)), "draw": (0,) * n, **fields}
    )


def test_base_and_expert_complete_the_same_prompts_with_random_numbers_of_their_own() -> None:
    base, expert = (source().upstream()[role] for role in ("base", "expert"))
    assert (base.prompts, base.n, base.sampling) == (expert.prompts, expert.n, expert.sampling)
    assert (base.voice, expert.voice) == ("base", "expert")


def test_an_aligner_starts_from_the_base_and_completes_the_sources_prompts() -> None:
    expert = source().upstream()["expert"].lm
    assert expert.use == "rloo"
    assert expert.base == source().base
    assert expert.prompts == source().prompts


def test_an_aligner_keeps_what_it_names_itself() -> None:
    own = {**RLOO, "base": {**TINY, "steps": 3}, "prompts": {"use": "toy-prompts", "stances": ["neutral"]}}
    expert = source(expert=own).upstream()["expert"].lm
    assert expert.base.steps == 3
    assert expert.prompts.stances == ("neutral",)


def test_an_expert_that_is_there_already_is_taken_as_it_is() -> None:
    given = {"use": "pretrained", "model": "somebody/aligned"}
    assert source(expert=given).upstream()["expert"].lm == source(expert=given).expert


def test_the_experts_completion_is_preferred() -> None:
    pairs = source().pairs(np.random.default_rng(0), base=completions("x", "y"), expert=completions("u", "v"))
    assert (pairs.preferred, pairs.rejected, pairs.prompt) == (("u", "v"), ("x", "y"), ("a", "b"))


def test_both_texts_of_a_pair_keep_their_tokens() -> None:
    base, expert = (DrawnTokens.made([[i], [i + 1]], [False] * 2, "v", [0.0] * 2) for i in (1, 5))
    both = [completions("x", "y", drawn=base), completions("u", "v", drawn=expert)]
    pairs = source().pairs(np.random.default_rng(0), base=both[0], expert=both[1])
    assert pairs.drawn is not None
    assert [pairs.drawn.of(i) for i in range(4)] == [[5], [1], [6], [2]]
    behind_a_server = source().pairs(np.random.default_rng(0), base=completions("x", "y"), expert=both[1])
    assert behind_a_server.drawn is not None
    assert behind_a_server.drawn.vocabulary == ("v", "", "v", "")


@pytest.mark.parametrize("other", [{"prompt": ("a", "z")}, {"row": (1, 0)}, {"draw": (0, 1)}])
def test_completions_of_other_prompts_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="the base and the expert have not completed the same prompts"):
        source().pairs(np.random.default_rng(0), base=completions("x", "y"), expert=completions("u", "v", **other))


def test_it_draws_anew_in_each_replicate() -> None:
    assert source().draws()


# --- its plan

SUITE: dict[str, Any] = {
    "name": "mini",
    "replicates": [0, 1],
    "seeds": [0],
    "models": [{"name": "toy", "use": "aligned-lm", "base": TINY, "expert": RLOO, "prompts": PROMPTS, "n": 9}],
    "encoders": [{"name": "tfidf", "use": "tfidf"}],
    "methods": [{"name": "length", "use": "length"}],
    "evaluate": [{"use": "fidelity", "data": ["pairs/test"], "truth": "preferred"}],
}


def kinds(made: Plan) -> dict[str, int]:
    found = [stage.kind for stage in made.stages.values()]
    return {kind: found.count(kind) for kind in ("lm", "completions", "examples")}


def planned(write_suite: Callable[..., Path], **changes: Any) -> Plan:
    return plan(read_study(write_suite({**SUITE, "models": [{**SUITE["models"][0], **changes}]})))


def test_each_step_is_a_stage_of_its_own_and_the_base_is_made_once(write_suite: Callable[..., Path]) -> None:
    # by replicate: base and expert, their completions, the judged pairs
    assert kinds(planned(write_suite)) == {"lm": 4, "completions": 4, "examples": 2}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"gold": {"use": "toy-truth"}}, {"lm", "completions"}),  # another judge: nothing is generated again
        ({"sampling": {"temperature": 0.7}}, {"lm"}),
        ({"n": 8}, {"lm"}),
        ({"expert": {**RLOO, "kl": 0.1}}, set()),  # half of it
    ],
)
def test_a_change_leaves_what_comes_before_it(
    change: dict[str, Any], kept: set[str], write_suite: Callable[..., Path]
) -> None:
    before, after = planned(write_suite), planned(write_suite, **change)
    same = [before.stages[key] for key in before.stages.keys() & after.stages.keys()]
    for kind in ("lm", "completions", "examples"):
        whole = [stage for stage in before.stages.values() if stage.kind == kind]
        shared = [stage for stage in same if stage.kind == kind]
        assert (len(shared) == len(whole)) == (kind in kept), kind
    assert "examples" not in {stage.kind for stage in same}


def test_another_aligner_leaves_the_base_and_its_completions(write_suite: Callable[..., Path]) -> None:
    before, after = planned(write_suite), planned(write_suite, expert={**RLOO, "kl": 0.1})
    same = [before.stages[key].title for key in before.stages.keys() & after.stages.keys()]
    assert sorted(same) == [
        "completions of toy, base, replicate 0",
        "completions of toy, base, replicate 1",
        "language model tiny-lm of toy, replicate 0",
        "language model tiny-lm of toy, replicate 1",
    ]


# --- what `check` tells of models that are there already


@pytest.fixture
def learnt_positions(tiny_lm: Path, tmp_path: Path) -> Path:
    """A language model with a table of 60 positions, and settings of its own."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    own = {"n_positions": 60, "n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 320}
    config = AutoConfig.for_model("gpt2", **own, bos_token_id=0, eos_token_id=0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "lm")  # type: ignore[no-untyped-call]
    AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(tmp_path / "lm")
    (tmp_path / "lm" / "generation_config.json").write_text('{"eos_token_id": 0, "min_new_tokens": 5}')
    return tmp_path / "lm"


def suite(folder: Path, prompt: str, **expert: Any) -> dict[str, Any]:
    """A suite whose base and expert lie in a folder and go on from one prompt, or several copies of it."""
    (folder / "prompts.jsonl").write_text("".join(f'{{"prompt": "{i} {prompt}"}}\n' for i in range(8)))
    lm = {"use": "pretrained", "model": "lm"}
    model = {"use": "aligned-lm", "base": lm, "expert": expert or lm, "n": 8, "sampling": {"max_new_tokens": 4}}
    return {
        "name": "there",
        "models": [{"name": "m", **model, "prompts": {"use": "jsonl-prompts", "path": "prompts.jsonl"}}],
        "encoders": [{"name": "tfidf", "use": "tfidf"}],
        "methods": [{"name": "length", "use": "length"}],
        "evaluate": [{"use": "fidelity", "data": ["pairs/test"], "truth": "preferred"}],
    }


def test_check_tells_which_settings_of_a_model_are_idle(
    learnt_positions: Path, cli: Callable[..., Any], write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    told = cli("check", write_suite(suite(tmp_path, "so we")))
    assert told.exit_code == 0, told.stderr
    assert told.stdout.count("note: language model") == 1
    assert "that are not used, for 'sampling' says how it is sampled: min_new_tokens 5" in told.stdout


@pytest.mark.parametrize(
    ("prompt", "tokens", "sentence"),
    [
        ("the reader said " * 20, 4, "has 60 positions, but 8 of 8 prompts with 4 new tokens need more"),
        ("so we", 58, "has 60 positions, but 8 of 8 prompts with 58 new tokens need more"),
    ],
    ids=["the source's", "the aligner's"],
)
def test_check_refuses_prompts_that_a_model_has_no_positions_for(
    prompt: str,
    tokens: int,
    sentence: str,
    learnt_positions: Path,
    cli: Callable[..., Any],
    write_suite: Callable[..., Path],
    tmp_path: Path,
) -> None:
    expert = {**RLOO, "steps": 4, "batch": 8, "per_prompt": 4, "sampling": {"max_new_tokens": tokens}}
    told = cli("check", write_suite(suite(tmp_path, prompt, **expert)))
    assert told.exit_code == 2
    assert sentence in told.stderr
    assert "Traceback" not in told.stderr
