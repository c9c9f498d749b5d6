"""Tokens a second of likelihoods: ours against a plain loop: ``python benchmarks/likelihoods.py suites/detox.yaml``.

The texts are those of a suite's first world, its pairs with the tokens that they were drawn as and its test sets, under
both of its models.  The plain loop is what one would write first: the texts of a data set as they come, 64 at a time,
padded on the right, and ``model(**batch).logits.log_softmax(-1)``.  Both loops start from the prompts and from the
tokens of the texts, run on one thread, in turn, and must agree.  CPU seconds are printed, and the ratio of the medians;
nothing fails on a time.  The world is made by a run of the suite's quickest method and kept in the store.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fairl_bench.engine.planner import plan
from fairl_bench.engine.worker import Worker
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.pipeline import run
from fairl_bench.science.continued_tokens import Continuation, continued_tokens, vocabulary_digest
from fairl_bench.science.endings import endings
from fairl_bench.science.generation import load
from fairl_bench.science.text_likelihoods import likelihoods_under
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import Study, read_study
from fairl_bench.values.data import Examples
from fairl_bench.values.drawn_tokens import DrawnTokens

TEXTS, BATCH = 14_000, 64


def plain(model: Any, tokenizer: Any, ends: Sequence[int], texts: Sequence[Continuation]) -> NDArray[np.float64]:
    """The log-probability of each text, by the loop that one would write first."""
    found = []
    for start in range(0, len(texts), BATCH):
        rows = texts[start : start + BATCH]
        prompts = tokenizer([one.prompt for one in rows])["input_ids"]
        own = [list(one.tokens[: len(one.tokens) - one.ended]) for one in rows]
        ids = [before + after for before, after in zip(prompts, own, strict=True)]
        batch = tokenizer.pad({"input_ids": ids}, padding_side="right", return_tensors="pt")
        with torch.inference_mode():
            log = model(**batch).logits.log_softmax(-1)
        for i, one in enumerate(rows):
            first, last = len(prompts[i]) - 1, len(ids[i]) - 1
            said = log[i, first:last].gather(1, batch["input_ids"][i, first + 1 : last + 1, None]).double().sum()
            found.append(float(said) + (float(log[i, last, list(ends)].logsumexp(-1)) if one.ended else 0.0))
    return np.array(found)


def world(study: Study, store: FolderStore, results: Path) -> tuple[dict[str, list[Continuation]], dict[str, Path]]:
    """The texts of the suite's first world by data set, and its language models, made unless they are there."""
    quick = next(one.name for one in study.suite.methods if not isinstance(one.part, PairwiseMethod))
    run(study, store, results, only={"method": [quick]})
    made, worker = plan(study), Worker(store, study.registry)
    texts = {name: asked(worker.load(key)) for name, key in made.cells[0].inputs.texts().items()}
    models = {stage.title: worker.load(stage.key) for stage in made.stages.values() if stage.kind == "lm"}
    return texts, models


def asked(examples: Examples) -> list[Continuation]:
    """The texts of a data set, with the tokens that they were drawn as, where they were."""
    drawn = examples.drawn or DrawnTokens.unknown(len(examples))
    rows = zip(examples.prompt, examples.text, drawn.ended.tolist(), strict=True)
    return [Continuation(*row, drawn.of(i), drawn.vocabulary[i]) for i, row in enumerate(rows)]


def with_tokens(model: Any, tokenizer: Any, texts: Sequence[Continuation]) -> list[Continuation]:
    """The texts with tokens, those too that were not drawn."""
    own, found = vocabulary_digest(tokenizer), continued_tokens(model, tokenizer, texts)
    end = list(endings(model, tokenizer))[:1]
    return [
        one._replace(tokens=[*read.text, *end * one.ended], vocabulary=own)
        for one, read in zip(texts, found, strict=True)
    ]


def cpu(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", type=Path, default=Path(os.environ.get("FAIRL_STORE", "~/.cache/fairl-bench")))
    parser.add_argument("--results", type=Path, default=Path("results/likelihoods"))
    given = parser.parse_args()
    study = read_study(given.suite, ["replicates=[0]"])
    texts, models = world(study, FolderStore(given.store.expanduser()), given.results)
    both = dict.fromkeys(texts, 0.0)
    for title, folder in models.items():
        model, tokenizer = load(folder)
        ends = endings(model, tokenizer)
        for name, some in texts.items():
            known = with_tokens(model, tokenizer, some)
            ours = partial(likelihoods_under, model, tokenizer, known, batch=BATCH)
            loop = partial(plain, model, tokenizer, ends, known)
            assert np.abs(ours().total - loop()).max() < 1e-4
            slow, fast = map(
                statistics.median, zip(*((cpu(loop), cpu(ours)) for _ in range(given.rounds)), strict=True)
            )
            n = sum(len(one.tokens) for one in known)
            both[name] += fast / len(some)
            print(
                f"{name} by {title}: {len(some)} texts of {n} tokens; a plain loop {n / slow:,.0f} tokens a second,"
                f" ours {n / fast:,.0f}: {slow / fast:.2f} times as many",
                flush=True,
            )
    for name, seconds in both.items():
        print(f"{TEXTS:,} such texts as {name} by {len(models)} models: {seconds * TEXTS:.1f} s of CPU")


if __name__ == "__main__":
    main()
