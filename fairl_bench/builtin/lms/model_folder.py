"""A language model in a folder, as `save_pretrained` writes it: what can be told of it before it is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from fairl_bench.digests import stamp
from fairl_bench.errors import DataError
from fairl_bench.values.language_models import Model, Site


class ModelFolder(NamedTuple):
    """A folder that transformers loads; ``what`` names the model in messages."""

    place: Path
    what: str

    def check(self) -> None:
        """Look for the weights and the tokenizer, and read which architecture the model has."""
        from fairl_bench.science.language_model import refuse

        refuse(self.place, self.what)
        self.tokenizer()

    def make(self, site: Site) -> Model:
        """Return where the model lies."""
        return Model(self.place)

    def remarks(self) -> list[str]:
        """Return remarks: the model names no end token; some of its own generation settings have no effect."""
        from fairl_bench.science.language_model import idle_settings

        _, _, ends = self._known()
        remarks = [] if ends else [endless(self.what)]
        if idle := idle_settings(self.place):
            shown = ", ".join(f"{name} {value!r}" for name, value in idle.items())
            remarks.append(
                f"{self.what} has settings in its generation_config.json that are not used, for 'sampling' says how"
                f" it is sampled: {shown if len(shown) <= 120 else ', '.join(idle)}"
            )
        return remarks

    def fits(self, prompts: Sequence[str], new: int) -> list[str]:
        """Check the prompts' tokens: no more than the model has positions for, and none that it does not know."""
        return fits(*self._known(), prompts, new, self.what)

    def vocabulary(self) -> str:
        """Return the digest of its tokenizer's tokens."""
        self.tokenizer()
        return _digest(self.place, stamp(self.place))

    def size(self) -> int | None:
        """Return the number of its weights, from the heads of its files; None where these cannot be read."""
        from safetensors import SafetensorError, safe_open

        try:
            files: list[Any] = [safe_open(path, "numpy") for path in self.place.glob("*.safetensors")]
            shapes = [file.get_slice(name).get_shape() for file in files for name in file.keys()]  # noqa: SIM118
        except (OSError, SafetensorError):
            return None
        return sum(map(math.prod, shapes)) or None

    def tokenizer(self) -> Any:
        """Return its tokenizer.  Raises `DataError` where it cannot be read."""
        from fairl_bench.science.language_model import first_line

        try:
            return _read_tokenizer(self.place, stamp(self.place))
        except Exception as error:  # every tokenizer has its own way to be broken
            raise DataError(f"the tokenizer of {self.what} cannot be read: {first_line(error)}") from error

    def ends(self) -> tuple[int, ...]:
        """Return the tokens that end a text, a turn or a message."""
        return self._known()[2]

    def _known(self) -> tuple[Any, Any, tuple[int, ...]]:
        """Return the model's tokenizer, its configuration and its end tokens."""
        from fairl_bench.science.endings import end_tokens
        from fairl_bench.science.language_model import configuration, own_settings

        tokenizer, config = self.tokenizer(), configuration(self.place, self.what)
        own, rows = own_settings(self.place).get("eos_token_id"), config.get_text_config().vocab_size
        return tokenizer, config, end_tokens(own, config, tokenizer, rows)


def endless(what: str) -> str:
    """Return the remark on a model without end tokens."""
    return f"{what} names no end token: each of its completions has 'max_new_tokens' tokens"


def fits(tokenizer: Any, config: Any, ends: tuple[int, ...], prompts: Sequence[str], new: int, what: str) -> list[str]:
    """Return the remark on prompts beyond the positions of a model's training, if there are any.

    Raises `DataError` for prompts that the model has no positions or no tokens for.
    """
    from fairl_bench.science.language_model import positions, prompt_tokens, trained_positions

    rows, longest, trained = config.get_text_config().vocab_size, positions(config), trained_positions(config)
    tokens = prompt_tokens(tokenizer, prompts, ends=ends, vocabulary=rows, longest=longest, new=new, what=what)
    over = [len(ids) for ids in tokens if trained is not None and len(ids) + new > trained]
    if not over:
        return []
    return [
        f"{what} was trained with {trained} positions; {len(over)} of {len(tokens)} prompts with {new} new tokens"
        f" go beyond them (the longest has {max(over)} tokens)"
    ]


@lru_cache(maxsize=4)
def _digest(place: Path, stamp: object) -> str:
    from fairl_bench.science.continued_tokens import vocabulary_digest

    return vocabulary_digest(_read_tokenizer(place, stamp))


@lru_cache(maxsize=4)
def _read_tokenizer(place: Path, stamp: object) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(place, trust_remote_code=False)
