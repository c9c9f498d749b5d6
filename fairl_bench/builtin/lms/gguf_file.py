"""A language model in a GGUF file, as llama.cpp runs it: made into a folder of safetensors, once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fairl_bench.builtin.lms.model_folder import endless, fits
from fairl_bench.builtin.shared.training_environment import quiet
from fairl_bench.digests import stamp
from fairl_bench.errors import DataError, MissingExtra
from fairl_bench.values.language_models import Model, Site

if TYPE_CHECKING:
    from fairl_bench.science.gguf_header import Header


class GgufFile(NamedTuple):
    """A GGUF file; ``what`` names the model in messages."""

    path: Path
    what: str

    def check(self) -> None:
        """Check that the file is whole and of a model that transformers knows.  It is not dequantised yet."""
        self._header()

    def make(self, site: Site) -> Model:
        """Dequantise the file into the site's folder."""
        from fairl_bench.science.dequantised import dequantise

        self._header()
        with quiet():
            return Model(site.folder, dequantise(self.path, site.folder, self.what))

    def remarks(self) -> list[str]:
        """Return the remark on a model without end tokens."""
        from fairl_bench.science.dequantised import file_ends

        return [] if file_ends(self._header()) else [endless(self.what)]

    def fits(self, prompts: Sequence[str], new: int) -> list[str]:
        """Check the prompts' tokens as for a folder; the tokenizer is read only where there may be too many."""
        from fairl_bench.science.dequantised import file_configuration, file_ends

        header = self._header()
        trained = header.of_model("context_length")
        # a token has a byte at least, but for a start token and a space before the text
        longest = max((len(prompt.encode(errors="replace")) for prompt in prompts), default=0) + 2
        if isinstance(trained, int) and longest + new <= trained:
            return []
        with quiet():
            config = file_configuration(self.path, header, self.what)
        return fits(self._tokenizer(), config, file_ends(header), prompts, new, self.what)

    def vocabulary(self) -> str:
        """Return the digest of its tokenizer's tokens."""
        from fairl_bench.science.continued_tokens import vocabulary_digest

        return vocabulary_digest(self._tokenizer())

    def _tokenizer(self) -> Any:
        self._header()
        return _read_tokenizer(self.path, self.what, stamp(self.path))

    def _header(self) -> Header:
        if not self.path.is_file():
            raise DataError(f"{self.what}: there is no file {self.path}; name one that is there")
        if find_spec("gguf") is None:
            raise MissingExtra(f"{self.what} needs the package gguf; pip install 'fairl-bench[gguf]'")
        from fairl_bench.science.dequantised import refuse_gguf

        return refuse_gguf(self.path, self.what)


@lru_cache(maxsize=4)
def _read_tokenizer(path: Path, what: str, stamp: object) -> Any:
    from fairl_bench.science.dequantised import file_tokenizer

    with quiet():
        return file_tokenizer(path, what)
