"""A language model in a GGUF file, as llama.cpp runs it: made into a folder of safetensors, once."""

from __future__ import annotations

import math
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
        return [] if self.ends() else [endless(self.what)]

    def fits(self, prompts: Sequence[str], new: int) -> list[str]:
        """Check the prompts' tokens as for a folder; the tokenizer is read only where there may be too many."""
        from fairl_bench.science.dequantised import file_configuration, file_ends

        header = self._header()
        if surely_fit(prompts, new, header.of_model("context_length")):
            return []
        with quiet():
            config = file_configuration(self.path, header, self.what)
        return fits(tokenizer_of(self.path, self.what), config, file_ends(header), prompts, new, self.what)

    def vocabulary(self) -> str:
        """Return the digest of its tokenizer's tokens."""
        self._header()
        return file_vocabulary(self.path, self.what)

    def size(self) -> int:
        """Return the number of its weights."""
        return file_size(self.path, self.what)

    def tokenizer(self) -> Any:
        """Return its tokenizer."""
        self._header()
        return tokenizer_of(self.path, self.what)

    def ends(self) -> tuple[int, ...]:
        """Return the tokens that end a text, a turn or a message."""
        from fairl_bench.science.dequantised import file_ends

        return file_ends(self._header())

    def _header(self) -> Header:
        if not self.path.is_file():
            raise DataError(f"{self.what}: there is no file {self.path}; name one that is there")
        check_package(self.what)
        from fairl_bench.science.dequantised import refuse_gguf

        return refuse_gguf(self.path, self.what)


def check_package(what: str) -> None:
    """Raise `MissingExtra` where the package gguf is not installed."""
    if find_spec("gguf") is None:
        raise MissingExtra(f"{what} needs the package gguf; pip install 'fairl-bench[gguf]'")


def surely_fit(prompts: Sequence[str], new: int, positions: object) -> bool:
    """Whether prompts with ``new`` tokens more fit into so many positions, however they are made into tokens."""
    # a token has a byte at least, but for a start token and a space before the text
    longest = max((len(prompt.encode(errors="replace")) for prompt in prompts), default=0) + 2
    return isinstance(positions, int) and longest + new <= positions


def file_vocabulary(path: Path, what: str) -> str:
    """Return the digest of the tokens in a file's header."""
    return _digest(path, what, stamp(path))


@lru_cache(maxsize=4)
def _digest(path: Path, what: str, stamp: object) -> str:
    from fairl_bench.science.continued_tokens import vocabulary_digest

    return vocabulary_digest(_read_tokenizer(path, what, stamp))


def file_size(path: Path, what: str) -> int:
    """Return the number of weights that a file has, by its header."""
    return _counted(path, what, stamp(path))


@lru_cache(maxsize=4)  # every stage of a plan asks
def _counted(path: Path, what: str, stamp: object) -> int:
    from fairl_bench.science.gguf_header import read_header

    return sum(math.prod(tensor.shape) for tensor in read_header(path, what).tensors.values())


def tokenizer_of(path: Path, what: str) -> Any:
    """Return the tokenizer in a file's header."""
    return _read_tokenizer(path, what, stamp(path))


@lru_cache(maxsize=4)
def _read_tokenizer(path: Path, what: str, stamp: object) -> Any:
    from fairl_bench.science.dequantised import file_tokenizer

    with quiet():
        return file_tokenizer(path, what)
