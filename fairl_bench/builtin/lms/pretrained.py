"""A language model that exists already."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from fairl_bench.builtin.shared.hub import FolderOrName, snapshot
from fairl_bench.digests import content_sha256, is_folder, stamp
from fairl_bench.errors import DataError
from fairl_bench.kinds import LM
from fairl_bench.values.language_models import Model, Site

# neither pickled weights nor those of other frameworks
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


class Pretrained(LM):
    """A causal language model from a folder or the hub, used where it lies.

    Its identity is the folder's content or the hub's commit.  Its weights must be safetensors, and no code of it is
    run.  It continues a prompt as the prompt stands, without a chat template.  The suite says how it samples: of the
    model's own generation settings only the end tokens count, each of which ends a completion.
    """

    model: Annotated[str, FolderOrName] = Field(
        min_length=1, description="folder, relative to the suite, or name on the hub"
    )
    revision: str | None = Field(None, description="commit or branch on the hub")

    def make(self, site: Site) -> Model:
        """Return where the model lies."""
        self.check()
        return Model(self._place())

    def reads(self) -> dict[str, str]:
        """Return the digest of the folder's files, or the hub's commit."""
        place = self._place()
        return {"weights": content_sha256(place) if is_folder(Path(self.model)) else place.name}

    def check(self) -> None:
        """Look for the weights and the tokenizer, and read which architecture the model has."""
        from fairl_bench.science.language_model import refuse

        place = self._place()
        refuse(place, self._what())
        self._tokenizer(place)

    def remarks(self) -> list[str]:
        """Return remarks: the model names no end token; some of its own generation settings have no effect."""
        from fairl_bench.science.language_model import idle_settings

        place = self._place()
        _, _, ends = self._known(place)
        remarks = []
        if not ends:
            remarks.append(f"{self._what()} names no end token: each of its completions has 'max_new_tokens' tokens")
        if idle := idle_settings(place):
            shown = ", ".join(f"{name} {value!r}" for name, value in idle.items())
            remarks.append(
                f"{self._what()} has settings in its generation_config.json that are not used, for 'sampling' says how"
                f" it is sampled: {shown if len(shown) <= 120 else ', '.join(idle)}"
            )
        return remarks

    def fits(self, prompts: Sequence[str], new: int) -> list[str]:
        """Check the prompts' tokens: no more than the model has positions for, and none that it does not know."""
        from fairl_bench.science.language_model import positions, prompt_tokens, trained_positions

        tokenizer, config, ends = self._known(self._place())
        rows, longest, trained = config.get_text_config().vocab_size, positions(config), trained_positions(config)
        what = self._what()
        tokens = prompt_tokens(tokenizer, prompts, ends=ends, vocabulary=rows, longest=longest, new=new, what=what)
        over = [len(ids) for ids in tokens if trained is not None and len(ids) + new > trained]
        if not over:
            return []
        return [
            f"{what} was trained with {trained} positions; {len(over)} of {len(tokens)} prompts with {new} new tokens"
            f" go beyond them (the longest has {max(over)} tokens)"
        ]

    def vocabulary(self) -> str:
        """Return the digest of its tokenizer's tokens."""
        from fairl_bench.science.continued_tokens import vocabulary_digest

        return vocabulary_digest(self._tokenizer(self._place()))

    def _what(self) -> str:
        return f"language model {self.model!r}"

    def _known(self, place: Path) -> tuple[Any, Any, tuple[int, ...]]:
        """Return the model's tokenizer, its configuration and its end tokens."""
        from fairl_bench.science.endings import end_tokens
        from fairl_bench.science.language_model import configuration, own_settings

        tokenizer, config = self._tokenizer(place), configuration(place, self._what())
        own, rows = own_settings(place).get("eos_token_id"), config.get_text_config().vocab_size
        return tokenizer, config, end_tokens(own, config, tokenizer, rows)

    def _tokenizer(self, place: Path) -> Any:
        from fairl_bench.science.language_model import first_line

        try:
            return _read_tokenizer(place, stamp(place))
        except Exception as error:  # every tokenizer has its own way to be broken
            raise DataError(f"the tokenizer of {self._what()} cannot be read: {first_line(error)}") from error

    def _place(self) -> Path:
        if is_folder(Path(self.model)):
            return Path(self.model)
        what = f"language model {self.model!r} is no folder,"
        return snapshot(self.model, self.revision, what=what, hint="name a local folder", files=_FILES)


@lru_cache(maxsize=4)
def _read_tokenizer(place: Path, stamp: object) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(place, trust_remote_code=False)
