"""How each value lies in a folder: Parquet for rows, safetensors for arrays, JSON for the rest; no pickle."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from fairl_bench.errors import DataError
from fairl_bench.guards.readonly import ReadOnly, read_only
from fairl_bench.guards.secrets import hidden_in
from fairl_bench.science.agreement import is_constant
from fairl_bench.store import mapped
from fairl_bench.values.arrow import array_of, arrow_table, numbers, texts
from fairl_bench.values.data import Embeddings, Examples, Split, Truth
from fairl_bench.values.drawn_tokens import DrawnTokens, offsets_of
from fairl_bench.values.language_models import Completions
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.records import Evidence, Measure
from fairl_bench.values.training import Reward

PLACE = "place.json"
REWARD = "reward.safetensors"
TOKENS = "tokens.parquet"
TRUTH = "truth.safetensors"
Arrays = Mapping[str, NDArray[Any]]


def save_lm(folder: Path, made: Path) -> None:
    """The files of a model made in ``made``."""
    for path in sorted(made.iterdir()):
        shutil.move(path, folder / path.name)


def save_lm_place(folder: Path, place: Path) -> None:
    """``place.json``: where a model lies that was there already."""
    (folder / PLACE).write_text(json.dumps({"place": str(place)}))


def load_lm(folder: Path) -> Path:
    """The folder that transformers loads.  Raises `DataError` where a model that lay elsewhere is gone."""
    if not (folder / PLACE).exists():
        return folder
    place = Path(json.loads((folder / PLACE).read_text())["place"])
    if not place.is_absolute():  # it would be another folder wherever a run begins
        raise ValueError(f"the language model lies in {str(place)!r:.100}, which is no whole path")
    if not place.is_dir():
        raise DataError(f"the language model in {place} is gone; bring it back, or remove {folder} to find it anew")
    return place


def save_completions(folder: Path, completions: Completions) -> None:
    """``completions.parquet``: prompt, text, row, draw; ``tokens.parquet`` where the tokens are known."""
    columns = {name: list(getattr(completions, name)) for name in ("prompt", "text", "row", "draw")}
    pq.write_table(pa.table(columns), folder / "completions.parquet")
    _save_tokens(folder, completions.drawn)


def load_completions(folder: Path) -> Completions:
    """The completions of `save_completions`."""
    table = _rows(folder / "completions.parquet")
    columns = {name: tuple(table[name].to_pylist()) for name in ("prompt", "text", "row", "draw")}
    return Completions(**columns, drawn=_load_tokens(folder))


def _save_tokens(folder: Path, drawn: DrawnTokens | None) -> None:
    """``tokens.parquet``: the tokens of each text, its vocabulary, whether it ended, its log-probability."""
    if drawn is None:
        return
    tokens = pa.ListArray.from_arrays(drawn.offsets.astype(np.int32), drawn.ids)
    columns = {"tokens": tokens, "vocabulary": list(drawn.vocabulary), "ended": drawn.ended}
    pq.write_table(pa.table({**columns, "log_probability": drawn.log_probability}), folder / TOKENS)


def _load_tokens(folder: Path) -> DrawnTokens | None:
    if not (folder / TOKENS).exists():
        return None
    table = _rows(folder / TOKENS).combine_chunks()
    tokens = table["tokens"].combine_chunks()
    return DrawnTokens(
        tokens.flatten().to_numpy(),
        offsets_of(tokens.value_lengths().to_numpy()),
        table["ended"].to_numpy(),
        tuple(table["vocabulary"].to_pylist()),
        table["log_probability"].to_numpy(),
    )


def save_likelihoods(folder: Path, likelihoods: Likelihoods) -> None:
    """``likelihoods.safetensors``: the columns of `Likelihoods` that are known."""
    known = {field.name: getattr(likelihoods, field.name) for field in fields(Likelihoods)}
    columns = {name: np.ascontiguousarray(column) for name, column in known.items() if column is not None}
    save_file(columns, folder / "likelihoods.safetensors")


def load_likelihoods(folder: Path) -> Likelihoods:
    """The likelihoods of `save_likelihoods`."""
    return Likelihoods(**load_file(folder / "likelihoods.safetensors"))


def save_examples(folder: Path, examples: Examples) -> None:
    """``examples.parquet``, ``truths.parquet`` (one row a known truth) and, where known, ``tokens.parquet``.

    Weights are a column of ``examples.parquet``, where there are any.
    """
    _save_tokens(folder, examples.drawn)
    columns = {name: texts(getattr(examples, name)) for name in ("text", "prompt", "group")}
    columns |= {name: numbers(getattr(examples, name)) for name in ("pair", "role")}
    weight = {} if examples.weight is None else {"weight": numbers(examples.weight)}
    pq.write_table(arrow_table({**columns, **weight}), folder / "examples.parquet")
    rows, n = numbers(np.arange(len(examples))), len(examples)
    tables = [
        arrow_table({"truth": texts([name] * n), "example": rows, "value": numbers(value), "label": numbers(label)})
        for name, (value, label) in examples.truths.items()
    ]
    empty = arrow_table({"truth": texts([])})
    pq.write_table(pa.concat_tables(tables) if tables else empty, folder / "truths.parquet")


def load_examples(folder: Path) -> Examples:
    """The examples of `save_examples`."""
    table = _rows(folder / "examples.parquet")
    truths = _rows(folder / "truths.parquet")
    of = np.array(truths["truth"].to_pylist(), object)
    texts = {name: tuple(table[name].to_pylist()) for name in ("text", "prompt", "group")}
    return Examples(
        **texts,
        pair=array_of(table["pair"]),
        role=array_of(table["role"]),
        truths={name: _truth(truths, of == name) for name in dict.fromkeys(of)},
        drawn=_load_tokens(folder),
        weight=array_of(table["weight"]) if "weight" in table.column_names else None,
    )


def _rows(path: Path) -> pa.Table:
    return pq.ParquetFile(path).read()  # not read_table: it takes a fifth of a second to import what is not used here


def _truth(rows: pa.Table, of_truth: NDArray[np.bool_]) -> Truth:
    return Truth(array_of(rows["value"])[of_truth], array_of(rows["label"])[of_truth])


def save_truth(folder: Path, truth: Truth) -> None:
    """``truth.safetensors``: its value and label of every example ``[n]``."""
    save_file({name: np.ascontiguousarray(column) for name, column in truth._asdict().items()}, folder / TRUTH)


def load_truth(folder: Path) -> Truth:
    """The truth of `save_truth`."""
    return Truth(**{name: read_only(column) for name, column in load_file(folder / TRUTH).items()})


def save_split(folder: Path, split: Split) -> None:
    """``split.safetensors``."""
    save_file({"part": split.part}, folder / "split.safetensors")


def load_split(folder: Path) -> Split:
    """The split of `save_split`."""
    return Split(load_file(folder / "split.safetensors")["part"])


def save_embeddings(folder: Path, embeddings: Embeddings) -> None:
    """``embeddings.safetensors``: ``vectors [unique, d]`` and ``row [n]``."""
    mapped.save({"vectors": embeddings.vectors, "row": embeddings.row}, folder / "embeddings.safetensors")


def load_embeddings(folder: Path) -> Embeddings:
    """The embeddings of `save_embeddings`, mapped: as large as the disk has room for."""
    return Embeddings(**mapped.load(folder / "embeddings.safetensors"))


def save_fitted_reward(folder: Path, reward: Reward) -> None:
    """``reward.safetensors`` and ``history.json``."""
    # not ascontiguousarray: it would turn a number into an array of one
    arrays = {name: np.array(array, np.float32, order="C") for name, array in reward.arrays.items()}
    save_file(arrays, folder / REWARD)
    history = {name: list(column) for name, column in reward.history.items()}
    (folder / "history.json").write_text(json.dumps({"history": history, "facts": hidden_in(dict(reward.facts))}))


def load_fitted_reward(folder: Path) -> Reward:
    """The reward of `save_fitted_reward`."""
    return Reward(load_file(folder / REWARD), **json.loads((folder / "history.json").read_text())).kept()


def save_scores(folder: Path, scores: Mapping[str, NDArray[np.float64]]) -> None:
    """``scores.safetensors``: the reward of every example ``[n]``, by data set.

    They are float32, but float64 where that would lose their differences, as of 1e8 + 0.01 r.
    """
    save_file({name: _short(score) for name, score in scores.items()}, folder / "scores.safetensors")


_LOST = 1e-6
"""Of the spread of scores, what rounding to float32 may take from any."""


def _short(score: NDArray[np.float64]) -> NDArray[np.floating[Any]]:
    short: NDArray[np.float32] = score.astype(np.float32)
    lost = np.abs(short - score).max(initial=0.0)
    enough = not lost or lost <= _LOST * np.ptp(score) or is_constant(score)
    return short if enough else np.asarray(score, np.float64)


def load_scores(folder: Path) -> Mapping[str, NDArray[np.floating[Any]]]:
    """The scores of `save_scores`."""
    return ReadOnly({name: read_only(score) for name, score in load_file(folder / "scores.safetensors").items()})


def save_measures(folder: Path, found: Sequence[Measure | Evidence]) -> None:
    """``measures.json``, where an undefined value is null beside its note, and a file for each table of evidence."""
    measures = [one for one in found if isinstance(one, Measure)]
    rows = [
        {**measure._asdict(), "value": None if math.isnan(measure.value) else measure.value} for measure in measures
    ]
    (folder / "measures.json").write_text(json.dumps(rows, allow_nan=False))
    for one in found:
        if isinstance(one, Evidence):
            table = pa.table({name: list(column) for name, column in one.columns.items()})
            pq.write_table(table, folder / _evidence_file(one.name))


def evidence_name(file: str) -> str | None:
    """The name of the table of evidence that a file of `save_measures` holds; None for a file that holds none.

    >>> evidence_name("evidence.parquet"), evidence_name("evidence.tokens.parquet"), evidence_name("measures.json")
    ('', 'tokens', None)
    """
    found = _EVIDENCE.fullmatch(file)
    return found and (found[1] or "")


def _evidence_file(name: str) -> str:
    """The file of the table of evidence with this name."""
    return f"evidence.{name}.parquet" if name else "evidence.parquet"


_EVIDENCE = re.compile(r"evidence(?:\.(.+))?\.parquet")


def load_measures(folder: Path) -> list[Measure]:
    """The measures of `save_measures`."""
    rows = json.loads((folder / "measures.json").read_text())
    return [Measure(**{**row, "value": float("nan") if row["value"] is None else row["value"]}) for row in rows]
