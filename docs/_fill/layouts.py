"""The generated table of data.md: how the layouts of published preference data are read, from small files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairl_bench.builtin.sources.hub_dataset import HubDataset
from fairl_bench.pairs.judged import judged_pairs

_FILES = Path(__file__).parents[2] / "tests" / "support" / "published"
_RANKED = ({}, {"compare": "adjacent"}, {"compare": "best-worst"})
READ: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "rewardbench": ({},),
    "ultrafeedback-binarized": ({},),
    "hh-rlhf": ({},),
    "pku-saferlhf": ({}, {"columns": {"choice": "safer_response_id"}}),
    "shp": ({}, {"min_ratio": 2.0}),
    "webgpt": ({},),
    "summarize-from-feedback": ({},),
    "helpsteer3": ({},),
    "chatbot-arena": ({},),
    "nectar": _RANKED,
    "ultrafeedback": _RANKED,
    "helpsteer": ({}, {"columns": {"score": "correctness"}}),
}
"""The files, and the settings that each one is read with beside its path."""


def read() -> str:
    """Return a line for each format and setting: its layout, the columns read, rows, pairs, and what is dropped."""
    lines = ["| format | layout | columns read | settings | rows | pairs | dropped |", "|" + "---|" * 7]
    lines += [_line(name, settings) for name, every in READ.items() for settings in every]
    return "\n".join(lines) + "\n"


def _line(name: str, settings: Mapping[str, Any]) -> str:
    path = _FILES / f"{name}.jsonl"
    source = HubDataset.named("hub-dataset", dataset=name, local=str(path), identical="drop", empty="drop", **settings)
    found = source.recognise()
    examples, dropped = judged_pairs(source, 0, {})
    columns = ", ".join(f"{role} `{column}`" for role, column in found.roles.items())
    given = ", ".join(f"`{field}: {_spelled(value)}`" for field, value in settings.items())
    lost = ", ".join(f"{n} {why.replace('_', ' ')}" for why, n in dropped.items() if n) or "none"
    rows = len(path.read_text().splitlines())
    return f"| {name} | {found.layout.name} | {columns} | {given} | {rows} | {len(examples) // 2} | {lost} |"


def _spelled(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {entry}" for name, entry in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


TABLES: dict[str, Callable[[], str]] = {"read": read}
