"""Somebody's rewards of texts, read from a CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from fairl_bench.errors import DataError, UnknownName
from fairl_bench.textfiles import brief, csv_rows, number_of
from fairl_bench.values.data import Floats


class TextScores(NamedTuple):
    """The rewards of a file by prompt and text; every prompt is empty where the file has no column of them."""

    path: str
    rewards: Mapping[tuple[str, str], float]
    by_prompt: bool

    @classmethod
    def read(cls, path: str | Path, method: str = "") -> Self:
        """The rewards of one ``method`` of a file, or of a file of one.  Raises `DataError` at the line of a mistake.

        Columns are ``text`` and ``reward``, and where they apply ``prompt`` and ``method``; others are ignored.
        """
        columns, rows = csv_rows(path)
        needed = ["text", "reward", *(["method"] if method else [])]
        if missing := [name for name in needed if name not in columns]:
            got = ", ".join(map(brief, columns[:10])) or "nothing"
            raise DataError(f"{path}:1: needs a column {missing[0]!r}, got {got}")
        by_prompt, rewards, methods = "prompt" in columns, dict[tuple[str, str], float](), dict[str, None]()
        for line, row in rows:
            if "method" in columns:
                methods[row["method"]] = None
            if method and row["method"] != method:
                continue
            value = number_of(row["reward"])
            if value is None:
                raise DataError(f"{path}:{line}: 'reward' needs a finite number, got {brief(row['reward'])}")
            text = (row["prompt"] if by_prompt else "", row["text"])
            if rewards.setdefault(text, value) != value:
                why = _two_rewards("" if method else ", ".join(map(brief, list(methods)[:5])), len(methods), by_prompt)
                raise DataError(f"{path}:{line}: {why}: {brief(row['text'])}")
        if method and not rewards:
            raise UnknownName(f"{path}: method", method, methods)
        if not rewards:
            raise DataError(f"{path} holds no row below its header")
        return cls(str(path), rewards, by_prompt)

    def of(self, texts: Sequence[str], prompts: Sequence[str] = ()) -> Floats:
        """The reward of each text ``[n]``; NaN where the file has none."""
        asked = self._asked(texts, prompts)
        return np.array([self.rewards.get(text, np.nan) for text in asked], np.float64)

    def lacking(self, texts: Sequence[str], prompts: Sequence[str] = ()) -> str:
        """What the file lacks of these texts, as a sentence; empty where it has a reward for each."""
        asked = self._asked(texts, prompts)
        absent = [text for text in asked if text not in self.rewards]
        if not absent:
            return ""
        prompt, text = absent[0]
        example = brief(text) + (f" after the prompt {brief(prompt)}" if self.by_prompt else "")
        return (
            f"{self.path} has no reward for {len(absent):,} of {len(asked):,} texts, such as {example}; score them too "
            "(a results folder has all texts of its suite in examples/)"
        )

    def _asked(self, texts: Sequence[str], prompts: Sequence[str]) -> list[tuple[str, str]]:
        given = prompts if self.by_prompt and prompts else ("",) * len(texts)
        return list(zip(given, texts, strict=True))


def _two_rewards(names: str, methods: int, by_prompt: bool) -> str:
    """What to do where a text has two rewards."""
    if names and methods > 1:
        return f"the file holds the rewards of several methods ({names}); name one of them"
    return "a text has two rewards" + ("" if by_prompt else "; add a column 'prompt' if a reward depends on it")
