"""Frozen vectors of texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from fairl_bench.engine.shards import rows_of
from fairl_bench.engine.stages.kind import Answer, StageInputs, StageKind
from fairl_bench.guards import answers
from fairl_bench.guards.readonly import unchanged_by
from fairl_bench.guards.truncation import TextsRead, report_texts_read
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.pairs.preferences import equal_pairs
from fairl_bench.store import artefacts
from fairl_bench.store.checks import finite_rows
from fairl_bench.values.data import Embeddings, Examples, Rows, Split, Vectors
from fairl_bench.values.stage import Stage


class TextVectors(StageKind[Embeddings, Embeddings]):
    """The vectors of a data set by one encoder; or the shards of them, merged."""

    name = "embeddings"
    save = staticmethod(artefacts.save_embeddings)
    load = staticmethod(artefacts.load_embeddings)

    @staticmethod
    def title(examples: str, encoder: str) -> str:
        """``pairs of toy, replicate 0 by minilm``."""
        return f"{examples} by {encoder}"

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Embeddings]]:
        """Embed the texts, or merge the vectors of the shards."""
        (stage,) = job
        examples, texts = _texts(stage, inputs)
        if stage.parts:
            vectors = _encoded(stage, inputs, texts.unique)
        else:
            vectors = merged_vectors(inputs.shards(stage), len(texts.unique))
            _report_shards(stage, inputs)
        embeddings = Embeddings(vectors, texts.row)
        return [Answer(stage, embeddings, {**_size(vectors), **equal_pairs(examples, embeddings)})]


class VectorsShard(TextVectors):
    """The vectors of some of the texts."""

    name = "embeddings-shard"

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Embeddings]]:
        """Embed this shard's texts."""
        (stage,) = job
        unique = _texts(stage, inputs)[1].unique
        of_shard = [unique[i] for i in rows_of(stage.settings, len(unique))]
        # where texts are fewer than shards, one may have none, and not every encoder can do without
        vectors = _encoded(stage, inputs, of_shard) if of_shard else np.empty((0, 0), np.float32)
        return [Answer(stage, Embeddings(vectors, np.arange(len(of_shard))), _size(vectors))]


class _Texts(NamedTuple):
    """The different texts of a data set, and which of them each example has ``[n]``."""

    unique: list[str]
    row: Rows


def _texts(stage: Stage, inputs: StageInputs) -> tuple[Examples, _Texts]:
    """The examples of a stage, and their texts without repetition."""
    examples: Examples = inputs.load(stage.inputs["examples"])
    rows: dict[str, int] = {}
    row = [rows.setdefault(text, len(rows)) for text in examples.inputs(stage.settings["embed"])]
    return examples, _Texts(list(rows), np.array(row, np.int64))


def merged_vectors(shards: Sequence[Embeddings], n: int) -> Vectors:
    """The vectors of all ``n`` texts ``[n, d]``."""
    vectors = np.empty((n, max(shard.vectors.shape[1] for shard in shards)), np.float32)
    for i, shard in enumerate(shards):
        if len(shard.vectors):  # a shard without a text does not know d
            vectors[i :: len(shards)] = shard.vectors
    return vectors


def _size(vectors: Vectors) -> dict[str, int]:
    return {"texts": len(vectors), "dimensions": int(vectors.shape[1])}


def _encoded(stage: Stage, inputs: StageInputs, texts: Sequence[str]) -> Vectors:
    """The vector of each text.  Raises `DataError` and `NotFinite` for what an encoder must not give."""
    encoder = inputs.registry.build(Encoder, stage.parts["encoder"])
    corpus, upstream = _corpus(stage, inputs), inputs.upstream(stage)
    with unchanged_by(encoder, upstream=upstream):
        encoded = encoder.encode(tuple(texts), corpus, **upstream)
        vectors = answers.vectors(encoder, encoded, len(texts))
    finite_rows(f"what encoder {encoder.use!r} gives", vectors, tuple(texts), "use a wider dtype, or mend the encoder")
    return vectors


def _corpus(stage: Stage, inputs: StageInputs) -> tuple[str, ...]:
    """The training texts, for an encoder that learns from them."""
    if "pairs" not in stage.inputs:
        return ()
    pairs: Examples = inputs.load(stage.inputs["pairs"])
    split: Split = inputs.load(stage.inputs["split"])
    return split.training_texts(pairs, stage.settings["embed"])


def _report_shards(stage: Stage, inputs: StageInputs) -> None:
    """Report how much of its texts each shard has read."""
    for key in stage.shards():
        for reading in inputs.store.manifest(key)["facts"].get("read", ()):
            report_texts_read(TextsRead(**reading))
