"""The generated tables of real-models.md: the run, its alignments, the make-up of its pairs, and some of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from real_text import cell

from fairl_bench.results import regress as regression
from fairl_bench.results.published import read_published
from fairl_bench.science.diversity import distinct

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "learning-from-failures.yaml"


class World(NamedTuple):
    """The pairs of one model in one replicate: row i of each is of pair i, the base's text first."""

    model: str
    replicate: int
    number: NDArray[np.int64]  # [pairs]
    text: list[tuple[str, str]]
    bad: NDArray[np.bool_]  # [pairs, 2]


def table(name: str, results: Path | None) -> str | None:
    """Return the block ``NAME SUITE ...``, or None where there are no results of that suite."""
    which, suite, *more = name.split()
    folder = results / suite if results else None
    return TABLES[which](folder, more) if folder and (folder / "run.json").exists() else None


def run(folder: Path, _: Sequence[str]) -> str:
    """Return where, when and with what the suite ran, and the digest of its numbers."""
    facts = json.loads((folder / "run.json").read_text())
    machine, packages = facts["machine"], facts["packages"]
    stages = facts["stages"]
    # rewards that were trained together have each the seconds of all
    hours = sum(stage["seconds"] / stage.get("trained_together", 1) for stage in stages) / 3600
    took = f" in {facts['seconds'] / 60:.0f} min" if all(stage["computed"] for stage in stages) else ""
    digest = json.loads((folder / "manifest.json").read_text())["files"]["records.parquet"]["sha256"]
    used = ", ".join(f"{name} {packages[name]}" for name in ("torch", "transformers", "trl") if name in packages)
    return (
        f"Run on {facts['finished'][:10]}: {len(stages):,} stages{took}, {hours:.1f} h of work,"
        f" on {machine['cores']} cores of {machine['processor']}; {used}. SHA-256 of its `records.parquet`:"
        f" `{digest}`.\n"
    )


def alignments(folder: Path, _: Sequence[str]) -> str:
    """Return a row for each trained expert: what has changed on prompts that it was not trained on."""
    heads = ("expert", "bad before", "after", "change", "less by", "KL", "distinct-2", "perplexity", "steps", "minutes")
    rows = [
        (
            stage["title"].removeprefix("language model "),
            f"{stage['bad_before']:.1%}",
            f"{stage['bad_after']:.1%}",
            f"{100 * (stage['bad_after'] - stage['bad_before']):+.1f} points"
            f" [{100 * stage['bad_change_low']:+.1f}, {100 * stage['bad_change_high']:+.1f}]",
            f"{1 - stage['bad_after'] / stage['bad_before']:.0%}",
            f"{stage['held_out_kl']:.2f} ± {stage['held_out_kl_error']:.2f} nats",
            f"{stage['distinct_2_before']:.2f} → {stage['distinct_2_after']:.2f}",
            f"{stage['perplexity_before']:.0f} → {stage['perplexity_after']:.0f}",
            str(stage["steps"]),
            f"{stage['seconds'] / 60:.0f}",
        )
        for stage in json.loads((folder / "run.json").read_text())["stages"]
        if "held_out_kl" in stage
    ]
    return _markdown(heads, rows)


def mix(folder: Path, _: Sequence[str]) -> str:
    """Return the make-up of each model's pairs by the judge's labels, over its worlds, and what the expert changes."""
    by_model: dict[str, list[World]] = {}
    for world in _worlds(folder):
        by_model.setdefault(world.model, []).append(world)
    heads = ("model", "worlds", "pairs", "bad → good", "good → good", "bad → bad", "good → bad", "distinct-2")
    rows = []
    for model, worlds in by_model.items():
        bad = np.concatenate([world.bad for world in worlds])
        shares = [np.mean((bad[:, 0] == base) & (bad[:, 1] == expert)) for base, expert in _KINDS]
        sides = [np.mean([distinct([pair[side] for pair in world.text]) for world in worlds]) for side in (0, 1)]
        rows.append(
            (
                model,
                str(len(worlds)),
                f"{len(bad):,}",
                *(f"{share:.1%}" for share in shares),
                " → ".join(f"{side:.2f}" for side in sides),
            )
        )
    return _markdown(heads, rows)


def samples(folder: Path, more: Sequence[str]) -> str:
    """Return the completions of the pairs with these numbers, ``MODEL REPLICATE PAIR ...``, with their openings."""
    model, replicate, *numbers = more
    world = next(one for one in _worlds(folder) if (one.model, one.replicate) == (model, int(replicate)))
    at = {int(number): i for i, number in enumerate(world.number)}
    rows = [(number, *(cell(text) for text in world.text[at[int(number)]])) for number in numbers]
    return _markdown(("pair", "base", "expert"), rows)


def regress(folder: Path, _: Sequence[str]) -> str:
    """Return what the paper's numbers come to here: each ordering, and why values are not comparable."""
    lines = regression.regress(regression.measured(folder), read_published(PUBLISHED))
    heads = ("ordering in the paper's Table 1", "gain there", "gain here", "95 %", "")
    rows = [
        (line.id, line.published, line.measured, f"[{line.low:+.3f}, {line.high:+.3f}]", f"{line.verdict}: {line.why}")
        for line in lines
        if line.kind == "ordering"
    ]
    whys = [line.why for line in lines if line.verdict == "not comparable"]
    lacking = sum(why.startswith("no ") for why in whys)
    told = f"{len(whys) - lacking} are of another model, and {lacking} are not measured here (subtypes, Jigsaw)"
    return f"{_markdown(heads, rows)}\nOf the paper's other numbers {told}.\n"


_KINDS = ((True, False), (False, False), (True, True), (False, True))
"""Whether the base's text is bad, and the expert's."""


def _worlds(folder: Path) -> Iterator[World]:
    for path in sorted((folder / "examples").iterdir()):
        model, _, replicate = path.stem.rpartition("-r")
        truths = pq.read_table(folder / "truths" / path.name).to_pylist()
        label = {row["example"]: row["label"] for row in truths if (row["dataset"], row["truth"]) == ("pairs", "gold")}
        pairs: dict[int, dict[str, Mapping[str, Any]]] = {}
        for row in pq.read_table(path).to_pylist():
            if row["dataset"] == "pairs":
                pairs.setdefault(row["pair"], {})[row["role"]] = row
        sides = [[pair[role] for role in ("rejected", "preferred")] for pair in pairs.values()]
        bad = np.array([[label[row["example"]] < 0 for row in pair] for pair in sides])
        text = [(pair[0]["text"], pair[1]["text"]) for pair in sides]
        yield World(model, int(replicate), np.array(list(pairs)), text, bad)


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


TABLES: dict[str, Callable[[Path, Sequence[str]], str]] = {
    "run": run,
    "alignments": alignments,
    "mix": mix,
    "samples": samples,
    "regress": regress,
}
