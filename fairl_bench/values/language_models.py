"""The inputs and outputs of a language model: its folders, its sampling, prompts and completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import Field

from fairl_bench.component import Settings
from fairl_bench.science.streams import stream
from fairl_bench.values.data import Rows
from fairl_bench.values.drawn_tokens import DrawnTokens, merged_rows, together
from fairl_bench.values.number_format import NUMBERS, NumberFormat


@dataclass(frozen=True)
class Completions:
    """Completions by a language model: ``text[i]`` is draw ``draw[i]`` for the prompt in row ``row[i]``.

    ``drawn`` holds their tokens; None where they are not known, as behind a server.
    """

    prompt: tuple[str, ...]
    text: tuple[str, ...]
    row: tuple[int, ...]
    draw: tuple[int, ...]
    drawn: DrawnTokens | None = None

    def __len__(self) -> int:
        return len(self.text)

    def take(self, rows: Rows) -> Completions:
        """The completions of these rows, in this order."""
        prompt, text = (tuple(column[i] for i in rows) for column in (self.prompt, self.text))
        row, draw = (tuple(column[i] for i in rows) for column in (self.row, self.draw))
        return Completions(prompt, text, row, draw, None if self.drawn is None else self.drawn.take(rows))

    @staticmethod
    def merged(shards: Sequence[Completions]) -> Completions:
        """The completions of all shards; each shard has every ``len(shards)``-th of them."""
        n = sum(map(len, shards))

        def whole(name: str) -> tuple[Any, ...]:
            return tuple(getattr(shards[i % len(shards)], name)[i // len(shards)] for i in range(n))

        drawn = together([shard.drawn for shard in shards], list(map(len, shards)))
        tokens = None if drawn is None else drawn.take(merged_rows(list(map(len, shards))))
        return Completions(whole("prompt"), whole("text"), whole("row"), whole("draw"), tokens)


NOTHING: Final = Completions((), (), (), ())


class DrawnTexts(NamedTuple):
    """What `LM.complete` returns where it knows more than its texts: their tokens, or facts about them.

    The facts are kept with those of the stage.
    """

    text: tuple[str, ...]
    drawn: DrawnTokens | None
    facts: Mapping[str, float | int | str | bool] = {}


class Model(NamedTuple):
    """A language model: the folder that transformers loads, and facts about how it was made."""

    folder: Path
    facts: Mapping[str, float | int | str | bool] = {}


@dataclass(frozen=True)
class Site:
    """The folders in which a language model is made, or its completions, with what the work starts from.

    ``folder`` is empty and is for the files of the answer.  ``scratch`` stays until the work is finished, so that a
    checkpoint in it is there after an interruption.  ``upstream`` holds the answers of the parts that the work starts
    from, by role: the folder of a language model, `Completions` of an `Ask`, `Examples` of a source.
    """

    folder: Path
    scratch: Path
    upstream: Mapping[str, Any] = field(default_factory=dict)
    replicate: int = 0


class Sampling(Settings):
    """The settings by which a language model draws its tokens."""

    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1, description="the most likely tokens that hold this much probability")
    top_k: int = Field(0, ge=0, description="the most likely tokens; 0: all")
    max_new_tokens: int = Field(24, ge=1, description="tokens of a completion, at most")
    batch: int = Field(64, ge=1, description="prompts completed at once; another number moves the logits' last bits")
    dtype: NumberFormat = Field("float32", description=NUMBERS)


@dataclass(frozen=True)
class Asked:
    """Prompts to be completed: ``prompt[i]`` stands in row ``row[i]`` and is completed for the ``draw[i]``-th time."""

    prompt: tuple[str, ...]
    row: tuple[int, ...]
    draw: tuple[int, ...]
    sampling: Sampling
    voice: str
    replicate: int

    def __len__(self) -> int:
        return len(self.prompt)

    def take(self, rows: Sequence[int]) -> Asked:
        """The prompts in these rows; each keeps its random numbers."""
        prompt = tuple(self.prompt[i] for i in rows)
        row, draw = (tuple(column[i] for i in rows) for column in (self.row, self.draw))
        return Asked(prompt, row, draw, self.sampling, self.voice, self.replicate)

    def repeated(self, times: int) -> Asked:
        """So many in the place of each: in that of draw ``d`` of a prompt its draws from ``d * times`` on."""
        rows = [i for i in range(len(self)) for _ in range(times)]
        draw = tuple(self.draw[i] * times + at % times for at, i in enumerate(rows))
        return replace(self.take(rows), draw=draw)

    def rng(self, i: int) -> np.random.Generator:
        """The random numbers of completion ``i``, which do not depend on the others."""
        return stream(f"completion/{self.voice}", self.replicate, self.row[i], self.draw[i])
