"""Makes the frozen fixture anew: pairs and texts of the synthetic world, and their TF-IDF vectors in float16.

The fixture is meant to stay.  Running this changes every number of the reference; docs/how-to/regression.md
says how to renew it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from frozen import key

from fairl_bench.builtin.encoders.tfidf import Tfidf
from fairl_bench.builtin.judges.known import ToyTruth
from fairl_bench.builtin.sources.toy import ToyComments
from fairl_bench.builtin.testsets import ToyTexts
from fairl_bench.values.data import GOLD

HERE = Path(__file__).parent
PAIRS, TEXTS, DIMENSIONS = 320, 160, 32


def main() -> None:
    """Write pairs.jsonl, texts.jsonl and embeddings.npz."""
    pairs = ToyComments.named("toy-comments", n=PAIRS).pairs(np.random.default_rng(0))
    examples = ToyTexts.named("toy-comments", n=TEXTS, shift=0.5).examples(np.random.default_rng(1))
    rows = [
        {"prompt": prompt, "chosen": chosen, "rejected": rejected}
        for prompt, chosen, rejected in zip(pairs.prompt, pairs.preferred, pairs.rejected, strict=True)
    ]
    _write(HERE / "pairs.jsonl", rows)
    label = ToyTruth().judge(examples)[GOLD].label
    known = zip(examples.text, label.tolist(), strict=True)
    _write(HERE / "texts.jsonl", [{"text": text, "good": int(good > 0)} for text, good in known])
    corpus = [*pairs.preferred, *pairs.rejected]
    texts = list(dict.fromkeys([*corpus, *examples.text]))
    vectors = Tfidf(dimensions=DIMENSIONS).encode(texts, corpus).astype(np.float16)
    np.savez_compressed(
        HERE / "embeddings.npz", key=np.array([key(text) for text in texts], np.uint64), vectors=vectors
    )


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
