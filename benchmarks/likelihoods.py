"""Tokens a second of likelihoods: ours against a plain loop: ``python benchmarks/likelihoods.py suites/detox.yaml``.

The texts are those of a suite's first world, its pairs with the tokens that they were drawn as and its test sets, under
both of its models.  The plain loop is what one would write first: the texts of a data set as they come, 64 at a time,
padded on the right, and ``model(**batch).logits.log_softmax(-1)``.  Both loops start from the prompts and from the
tokens of the texts, run on one thread, in turn, and must agree.  CPU seconds are printed, and the ratio of the medians;
nothing fails on a time.  The world is made by a run of the suite's quickest method and kept in the store.

``python benchmarks/likelihoods.py smollm2-135m-instruct`` asks a real model, by the name of its package or by its
folder, how likely pairs of its own completions of everyday openings are; with ``--against`` an older checkout too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from real_model import Before, arguments, folder, named, openings, seconds, serve, tell

from fairl_bench.engine.planner import plan
from fairl_bench.engine.worker import Worker
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.pipeline import run
from fairl_bench.science.continued_tokens import Continuation, continued_tokens, vocabulary_digest
from fairl_bench.science.endings import ended as until_end
from fairl_bench.science.endings import endings
from fairl_bench.science.generation import draw, load, written
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
        batch = tokenizer.pad({"input_ids": ids}, padding_side="right", return_tensors="pt").to(model.device)
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


def of_suite(given: argparse.Namespace) -> None:
    """Measure on the texts and models of a suite, and print."""
    study = read_study(Path(given.what), ["replicates=[0]"])
    texts, models = world(study, FolderStore(given.store.expanduser()), given.results)
    both = dict.fromkeys(texts, 0.0)
    for title, place in models.items():
        model, tokenizer = load(place)
        ends = endings(model, tokenizer)
        for name, some in texts.items():
            known = with_tokens(model, tokenizer, some)
            ours = partial(likelihoods_under, model, tokenizer, known, batch=BATCH)
            loop = partial(plain, model, tokenizer, ends, known)
            assert np.abs(ours().total - loop()).max() < 1e-4
            each = [(seconds(loop)[0], seconds(ours)[0]) for _ in range(given.rounds)]
            slow, fast = map(statistics.median, zip(*each, strict=True))
            n = sum(len(one.tokens) for one in known)
            both[name] += fast / len(some)
            print(
                f"{name} by {title}: {len(some)} texts of {n} tokens; a plain loop {n / slow:,.0f} tokens a second,"
                f" ours {n / fast:,.0f}: {slow / fast:.2f} times as many",
                flush=True,
            )
    for name, one in both.items():
        print(f"{TEXTS:,} such texts as {name} by {len(models)} models: {one * TEXTS:.1f} s of CPU")


def pairs(model: Any, tokenizer: Any, n: int) -> list[Continuation]:
    """Two completions of each of ``n`` openings, in the order of a file of pairs."""
    prompts = [prompt for prompt in openings(n) for _ in range(2)]
    uniform, own = np.random.default_rng(0).random((len(prompts), 24)), vocabulary_digest(tokenizer)
    found = dict[int, Continuation]()
    for drawn in draw(model, tokenizer, prompts, uniform, batch=BATCH):
        for i, text, row in zip(drawn.rows, written(tokenizer, drawn), drawn.new.tolist(), strict=True):
            tokens = until_end(row, drawn.ends)
            found[i] = Continuation(prompts[i], text, tokens[-1] in drawn.ends, tokens, own)
    return [found[i] for i in range(len(prompts))]


def of_model(given: argparse.Namespace) -> None:
    """Measure on pairs of a real model's completions, print and keep."""
    place = folder(given.what, given.made)
    model, tokenizer = load(place, given.dtype)
    if given.serve:
        serve(lambda file: _served(model, tokenizer, Path(file)))
        return
    known, ends = pairs(model, tokenizer, given.n), endings(model, tokenizer)
    n, told = sum(len(one.tokens) for one in known), dict[str, list[float]]()
    ways = {
        "plain loop": lambda: plain(model, tokenizer, ends, known),
        "ours": lambda: likelihoods_under(model, tokenizer, known, batch=BATCH).total,
    }
    with TemporaryDirectory() as kept:
        file = Path(kept, "texts.json")
        file.write_text(json.dumps(known))
        before = Before(given.against, __file__, [str(place), "--dtype", given.dtype]) if given.against else None
        for _ in range(given.rounds):
            answers = {}
            for name, way in ways.items():
                took, answers[name] = seconds(way)
                told.setdefault(name, []).append(1000 * took / n)
            # a token's last bits in bfloat16 are some hundredths of a nat
            within = 1e-3 if given.dtype == "float32" else 3.0
            assert np.abs(answers["ours"] - answers["plain loop"]).max() < within
            if before:
                told.setdefault("before", []).append(1000 * before(str(file)) / n)
        if before:
            before.close()
    command = f"python benchmarks/likelihoods.py {named(given.what)} --dtype {given.dtype} -n {given.n}"
    note = f"pairs of completions of {given.n} everyday openings, {BATCH} texts at a time, one thread"
    work = f"likelihoods by {place.name}, {given.dtype}"
    print(f"{len(known)} texts of {n} tokens: {tell(work, told, model, (command, note) if given.keep else None)}")


def _served(model: Any, tokenizer: Any, file: Path) -> float:
    """How long it takes for the texts in a file."""
    known = [Continuation(*one) for one in json.loads(file.read_text())]
    return seconds(lambda: likelihoods_under(model, tokenizer, known, batch=BATCH))[0]


def main() -> None:
    """Measure, and print."""
    parser = arguments(__doc__.partition("\n")[0])
    parser.add_argument("what", help="a suite's file, a model's folder, or the name of a package's model")
    parser.add_argument("-n", type=int, default=BATCH, help="openings for a real model")
    parser.add_argument("--store", type=Path, default=Path(os.environ.get("FAIRL_STORE", "~/.cache/fairl-bench")))
    parser.add_argument("--results", type=Path, default=Path("results/likelihoods"))
    given = parser.parse_args()
    (of_suite if given.what.endswith(".yaml") else of_model)(given)


if __name__ == "__main__":
    main()
