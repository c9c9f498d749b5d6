"""The generated tables of real-text.md: what the alignment did, and pairs that the two language models wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from fairl_bench.science.diversity import distinct


def table(name: str, results: Path | None) -> str | None:
    """Return the block ``NAME SUITE ...``, or None where there are no results of that suite."""
    which, suite, *more = name.split()
    folder = results / suite if results else None
    return TABLES[which](folder, more) if folder and (folder / "run.json").exists() else None


def alignment(folder: Path, _: Sequence[str]) -> str:
    """Return the numbers of the base's and the expert's completions, and a sentence about the training."""
    pairs = _pairs(folder)
    sides = [("base", "rejected"), ("aligned", "preferred")]
    rows = ["| | toxic, by the judge | mean reward | words | distinct-2 |", "|---|---|---|---|---|"]
    for title, role in sides:
        texts, values = ([pair[role][what] for pair in pairs.values()] for what in ("text", "gold"))
        toxic, words = np.less_equal(values, 0).mean(), np.mean([len(text.split()) for text in texts])
        rows.append(f"| {title} | {toxic:.1%} | {np.mean(values):+.2f} | {words:.1f} | {distinct(texts):.2f} |")
    return "\n".join([*rows, "", _training(folder)]) + "\n"


def _training(folder: Path) -> str:
    stages = json.loads((folder / "run.json").read_text())["stages"]
    (base,) = (stage for stage in stages if "perplexity" in stage)
    (aligned,) = (stage for stage in stages if "collapsed" in stage)
    return (
        f"The base has {base['parameters'] / 1e6:.1f} million weights and was trained in {base['steps']:,} steps; its"
        f" perplexity on unseen texts is {base['perplexity']:.0f} a token of {base['vocabulary']:,}. In the alignment,"
        f" first to last tenth of {aligned['steps']} steps: reward {aligned['reward_first']:+.2f} →"
        f" {aligned['reward']:+.2f}, {aligned['kl']:.1f} nats of KL a completion; entropy, distinct-2 and length keep"
        f" {aligned['entropy_kept']:.0%}, {aligned['distinct_2_kept']:.0%} and {aligned['length_kept']:.0%};"
        f" {'collapsed' if aligned['collapsed'] else 'no collapse'}."
    )


def samples(folder: Path, numbers: Sequence[str]) -> str:
    """Return the completions of the pairs with these numbers, without their prompts, which are data."""
    pairs, rows = _pairs(folder), ["| pair | base | aligned |", "|---|---|---|"]
    for number in numbers:
        pair = pairs[int(number)]
        cells = (f"{cell(pair[role]['text'])} ({pair[role]['gold']:+.1f})" for role in ("rejected", "preferred"))
        rows.append(f"| {number} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _pairs(folder: Path) -> dict[int, dict[str, Any]]:
    """Return, by number and role, each text of a pair with the judge's value."""
    truths = pq.read_table(folder / "truths").to_pylist()
    gold = {row["example"]: row["value"] for row in truths if (row["dataset"], row["truth"]) == ("pairs", "gold")}
    found: dict[int, dict[str, Any]] = {}
    for row in pq.read_table(folder / "examples").to_pylist():
        if row["dataset"] == "pairs":
            found.setdefault(row["pair"], {})[row["role"]] = {**row, "gold": gold[row["example"]]}
    return found


def cell(text: str) -> str:
    """Return a text with everything escaped that would break a cell of a Markdown table."""
    return "".join(f"\\{letter}" if letter in r"\`*_|<>[]~" else letter for letter in " ".join(text.split()))


TABLES: dict[str, Callable[[Path, Sequence[str]], str]] = {"alignment": alignment, "samples": samples}
