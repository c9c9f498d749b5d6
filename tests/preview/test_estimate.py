"""What a run would cost, against numbers counted by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.engine.planner import plan
from fairl_bench.pipeline import Finished
from fairl_bench.preview.checked import Checked
from fairl_bench.preview.estimate import Work, estimate
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study

Write = Callable[..., Path]


@pytest.fixture
def cost(write_suite: Write, store: Store) -> Callable[[dict[str, Any]], Work]:
    def of(suite: dict[str, Any]) -> Work:
        study = read_study(write_suite(suite))
        return estimate(plan(study), store, study.registry)

    return of


# 120 pairs are 240 texts, and 60 more; training has 0.7 * 120 = 84 pairs, three batches of at most 32
TEXTS, STEPS = 240 + 60, 3 * 3


OF_ANY_SIZE = """
from fairl_bench import LM, hookimpl

class Mine(LM):
    n: int = 1

    def make(self, site):
        raise NotImplementedError

@hookimpl
def fairl_lms(register):
    register("mine", Mine)
"""


def test_the_tiny_suite_by_hand(cost: Callable[..., Work], tiny: dict[str, Any]) -> None:
    work = cost(tiny)
    assert work.stages == {
        "examples": (0, 2),
        "split": (0, 1),
        "embeddings": (0, 2),
        "reward": (0, 6),
        "scores": (0, 6),
        "measures": (0, 12),
    }
    assert work.texts == TEXTS
    # two pairwise methods by two seeds; the other two train in no steps
    assert work.steps == 4 * STEPS
    assert work.seconds() == pytest.approx(6.0 + 300 * 0.008 + 36 * 0.0003, abs=1e-12)


@pytest.mark.parametrize(
    ("section", "value", "texts", "steps"),
    [
        ("seeds", [0, 1, 2], TEXTS, 6 * STEPS),
        ("replicates", [0, 1], 2 * TEXTS, 8 * STEPS),
        ("training", {"epochs": 5}, TEXTS, 4 * 5 * 3),
        ("training", {"epochs": 3, "batch": 84}, TEXTS, 4 * 3 * 1),
        ("training", {"epochs": 3, "batch": 83}, TEXTS, 4 * 3 * 2),
        ("split", {"validation": 0.0, "test": 0.5}, TEXTS, 4 * 3 * 2),
        ("product", {"methods.max-entropy.temperature": [0.5, 1.0]}, TEXTS, 6 * STEPS),
        ("product", {"head.width": [4, 8]}, TEXTS, 8 * STEPS),
        ("testsets", {"shifted": {"use": "toy-comments", "n": 1, "gold": {"use": "toy-truth"}}}, 241, 4 * STEPS),
    ],
)
def test_what_is_more_costs_more(
    section: str, value: object, texts: int, steps: int, cost: Callable[..., Work], tiny: dict[str, Any]
) -> None:
    tiny[section] = value
    work = cost(tiny)
    assert (work.texts, work.steps) == (texts, steps)


def test_steps_are_counted_of_whole_batches_whatever_floats_do(cost: Callable[..., Work], tiny: dict[str, Any]) -> None:
    # 1 - 0.1 - 0.2 is a little more than 0.7: 320 pairs leave 224, which are 7 batches and not 8
    tiny["models"][0]["n"] = 320
    assert cost(tiny).steps == 4 * 3 * 7


def test_nothing_costs_nothing_when_all_is_there(
    ran: Finished, cost: Callable[..., Work], tiny: dict[str, Any]
) -> None:
    work = cost(tiny)
    assert all(finished == total for finished, total in work.stages.values())
    assert (work.texts, work.steps, work.seconds()) == (0, 0, 0.0)


def test_what_is_there_is_not_counted_again(
    ran: Finished, cost: Callable[..., Work], tiny: dict[str, Any], store: Store
) -> None:
    cells = [cell for cell in ran.plan.cells if cell.method == "max-margin"]
    for key in (cells[0].scores, *cells[0].measures):
        shutil.rmtree(store.path(key))
    work = cost(tiny)
    assert (work.texts, work.steps, work.stages["scores"], work.stages["measures"]) == (0, 0, (5, 6), (10, 12))
    assert work.seconds() == 0.0
    shutil.rmtree(store.path(cells[0].reward))
    assert (cost(tiny).texts, cost(tiny).steps) == (0, STEPS)
    for key, stage in ran.plan.stages.items():
        if stage.kind == "embeddings":
            shutil.rmtree(store.path(key))
    assert (cost(tiny).texts, cost(tiny).steps) == (TEXTS, STEPS)


SOURCE = """
from fairl_bench import Pairs, Source, hookimpl


class Mine(Source):
    def pairs(self, rng):
        return Pairs(("a",), ("b",))


@hookimpl
def fairl_sources(register):
    register("mine", Mine)
"""


@pytest.fixture
def unknown(tiny: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The tiny suite on a source that cannot tell its size."""
    (tmp_path / "mine.py").write_text(SOURCE)
    tiny["plugins"] = ["mine.py"]
    tiny["models"] = [{"name": "mine", "use": "mine", "gold": {"use": "toy-truth"}}]
    return tiny


def test_a_size_that_nobody_knows_is_no_number(cost: Callable[..., Work], unknown: dict[str, Any]) -> None:
    work = cost(unknown)
    assert (work.texts, work.steps, work.seconds()) == (None, None, None)


def test_texts_are_unknown_and_steps_are_none_where_nothing_is_trained_in_steps(
    cost: Callable[..., Work], unknown: dict[str, Any]
) -> None:
    unknown["methods"] = unknown["methods"][-1:]
    assert (cost(unknown).texts, cost(unknown).steps) == (None, 0)


# --- check


def test_check_says_the_plan_and_its_cost(cli: Callable[..., Result], write_suite: Write, tiny: dict[str, Any]) -> None:
    path = write_suite(tiny)
    checked = cli("check", path)
    assert checked.exit_code == 0
    assert checked.stdout.splitlines() == [
        f"{path}: fine; 6 cells",
        "  examples        2",
        "  split           1",
        "  embeddings      2",
        "  reward          6",
        "  scores          6",
        "  measures       12",
        "to do: 300 texts to embed, at most 36 steps to train",
        "roughly 8 s on two cores with the small encoder",
    ]


def test_check_of_a_finished_suite_has_nothing_to_compute(
    ran: Finished, cli: Callable[..., Result], write_suite: Write, tiny: dict[str, Any]
) -> None:
    said = cli("check", write_suite(tiny)).stdout
    assert "  measures       12, 12 finished\n" in said
    assert said.endswith("to do: 0 texts to embed, at most 0 steps to train\nnothing to compute\n")


def test_check_says_where_the_cost_is_unknown(
    cli: Callable[..., Result], write_suite: Write, unknown: dict[str, Any]
) -> None:
    checked = cli("check", write_suite(unknown))
    assert checked.exit_code == 0
    assert checked.stdout.endswith("to do: an unknown number of texts to embed, an unknown number of steps to train\n")


def test_check_counts_variants_and_options(
    cli: Callable[..., Result], write_suite: Write, tiny: dict[str, Any]
) -> None:
    path = write_suite(tiny)
    checked = cli("check", path, "--set", "product={head.width: [4, 8]}")
    assert checked.stdout.startswith(f"{path}: fine; 12 cells, 2 variants\n")


def test_language_models_and_completions_to_draw_are_counted(cost: Callable[..., Work], tiny: dict[str, Any]) -> None:
    lm = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50}}
    aligned = {"use": "aligned-lm", "base": lm, "expert": {"use": "rloo", "reward": {"use": "toy-truth"}}, "n": 9}
    tiny["models"] = [{"name": "lm", **aligned, "prompts": {"use": "toy-prompts"}, "gold": {"use": "toy-truth"}}]
    work = cost(tiny)
    assert (work.models, work.completions, work.likelihoods) == (2, 18, 0)


@pytest.mark.parametrize(
    ("shards", "prompts", "draws"), [(1, "given", 9 + 60), (3, "given", 9 + 60), (1, "withheld", 2)]
)
def test_the_candidates_and_draws_of_the_best_of_n_are_counted(
    shards: int, prompts: str, draws: int, cost: Callable[..., Work], tiny: dict[str, Any]
) -> None:
    base = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50}}
    expert = {"use": "best-of", "n": 3, "reward": {"use": "toy-truth"}, "estimate_from": 7}
    aligned = {"use": "aligned-lm", "base": base, "expert": expert, "n": 9, "shards": shards}
    tiny["models"] = [{"name": "lm", **aligned, "prompts": {"use": "toy-prompts"}, "gold": {"use": "toy-truth"}}]
    tiny["methods"] += [{"name": "log-ratio", "use": "log-ratio", "shards": shards, "prompts": prompts}]
    work = cost(tiny)
    # by the base nine completions, three candidates for each of the expert's, and seven draws for the prompt of each
    # pair and of each text of the test set; the base alone reads the texts
    assert (work.models, work.completions) == (1, 9 + 3 * 9 + 7 * draws)
    assert work.likelihoods == 2 * 9 + 60


@pytest.mark.parametrize("shards", [1, 3])
def test_texts_whose_likelihood_is_to_be_read_are_counted_once_a_model(
    shards: int, cost: Callable[..., Work], tiny: dict[str, Any], cli: Callable[..., Result], write_suite: Write
) -> None:
    lm = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50}}
    models = {"base": lm, "expert": {**lm, "steps": 7}, "shards": shards}
    # the second asks for what the first asks for, and the third for other likelihoods of the same texts
    rows = [{}, {"normalise": "token"}, {"prompts": "withheld"}]
    tiny["methods"] += [{"name": f"row-{i}", "use": "log-ratio", **models, **row} for i, row in enumerate(rows)]
    work = cost(tiny)
    assert (work.models, work.completions, work.likelihoods) == (2, 0, 2 * 2 * TEXTS)
    said = cli("check", write_suite(tiny)).stdout
    assert "and 2 language models to make or look up, 0 completions to draw, 1,200 likelihoods to read\n" in said


def test_likelihoods_of_texts_that_nobody_can_count_are_no_number(
    cost: Callable[..., Work], unknown: dict[str, Any], cli: Callable[..., Result], write_suite: Write
) -> None:
    lm = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50}}
    unknown["methods"] += [{"name": "ratio", "use": "log-ratio", "base": lm, "expert": {**lm, "steps": 7}}]
    assert cost(unknown).likelihoods is None
    assert (
        "completions to draw, an unknown number of likelihoods to read\n" in cli("check", write_suite(unknown)).stdout
    )


def test_the_time_of_language_models_is_that_of_their_operations(
    cost: Callable[..., Work], tiny: dict[str, Any], cli: Callable[..., Result], write_suite: Write
) -> None:
    lm = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 50}, "steps": 7, "batch": 4, "length": 16}
    expert = {"use": "rloo", "reward": {"use": "toy-truth"}, "steps": 3, "batch": 8, "held_out": 16}
    expert |= {"sampling": {"max_new_tokens": 12}}
    aligned = {"use": "aligned-lm", "base": lm, "expert": expert, "n": 9, "sampling": {"max_new_tokens": 12}}
    tiny["models"] = [{"name": "lm", **aligned, "prompts": {"use": "toy-prompts"}, "gold": {"use": "toy-truth"}}]
    tiny["methods"] += [{"name": "log-ratio", "use": "log-ratio"}]
    weights = 12 * 2 * 128**2 + 2 * 1024 * 128
    # in a step a token is drawn, read twice and learnt from, which counts twice; 18 completions, and both models read
    # the 18 texts of the pairs and the 60 of the test set, of which nobody knows how many tokens they have
    tokens = (5 * 3 * 8 + 3 * 16) * (12 + 8) + 18 * (12 + 8) + 2 * 18 * (12 + 8) + 2 * 60 * (24 + 8)
    work = cost(tiny)
    assert work.operations == 6 * weights * 7 * 4 * 16 + 2 * weights * tokens
    assert work.seconds() == pytest.approx(work._replace(operations=0).seconds() + work.operations / 1.1e11)  # type: ignore[operator]
    assert "with the small encoder\n" in cli("check", write_suite(tiny)).stdout


def test_a_language_model_whose_size_nobody_knows_is_left_out_of_the_time(
    cost: Callable[..., Work], tiny: dict[str, Any], cli: Callable[..., Result], write_suite: Write, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(OF_ANY_SIZE)
    tiny["plugins"] = ["mine.py"]
    tiny["methods"] += [
        {"name": "ratio", "use": "log-ratio", "base": {"use": "mine"}, "expert": {"use": "mine", "n": 2}}
    ]
    work = cost(tiny)
    assert work.operations is None
    assert work.seconds() == work._replace(operations=0).seconds()
    assert "with the small encoder, language models apart\n" in cli("check", write_suite(tiny)).stdout


def test_stages_that_cost_next_to_nothing_are_still_to_compute() -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        ["texts", "steps", "models", "completions", "likelihoods", "seconds", "apart"], 0
    )
    shown = Checked(suite="s", cells=1, variants=1, remarks=(), notes=(), stages={"measures": (20, 40)}, **nothing)
    assert str(shown).endswith("20 stages to compute, a moment's work")
    finished = replace(shown, stages={"measures": (40, 40)})
    assert str(finished).endswith("nothing to compute")
