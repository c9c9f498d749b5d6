"""The header of a GGUF file: what a language model is made of, read in milliseconds and without its weights.

The format is that of ggml, versions 2 and 3 (github.com/ggml-org/ggml, docs/gguf.md).  All numbers are little-endian.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from fairl_bench.errors import DataError

VERSIONS: Final = (2, 3)
_NUMBERS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9


class Tensor(NamedTuple):
    """How a tensor lies in a file."""

    shape: tuple[int, ...]  # as torch has it: rows first
    kind: int  # how its numbers are written, as ggml counts the ways
    start: int  # of its first byte, from the beginning of the weights


class Header(NamedTuple):
    """What a GGUF file says of its model.

    ``values`` holds numbers, texts and arrays of numbers by name; of an array of texts, such as the tokens, it holds
    how many there are.
    """

    architecture: str
    values: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    weights: int  # where they begin, in bytes from the beginning of the file

    def of_model(self, name: str) -> Any:
        """The value of this name that belongs to the architecture, such as ``context_length``; None without one."""
        return self.values.get(f"{self.architecture}.{name}")


def read_header(path: Path, what: str) -> Header:
    """The header of a GGUF file; ``what`` names the model in messages.

    Raises `DataError` for a file that cannot be read, is none of GGUF, or ends within its header.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[:4] != b"GGUF":
                raise DataError(f"{what} is no GGUF file: it does not begin with 'GGUF'; name one that does")
            return _Reading(content).header()
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise DataError(f"{what} ends within its header, or is damaged; fetch it again") from error
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise DataError(f"{what} cannot be read: {getattr(error, 'strerror', None) or error}") from error


class _Reading:
    """A place in a header, which moves on with each value that is read."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content, self.at = content, 4

    def header(self) -> Header:
        (version,) = self.numbers("I")
        if version not in VERSIONS:
            raise ValueError(f"it is written in version {version} of GGUF, and versions 2 and 3 are read")
        tensors, values = self.numbers("QQ")
        named = {self.text(): self.value(*self.numbers("I")) for _ in range(values)}
        every = {self.text(): self.tensor() for _ in range(tensors)}
        alignment = named.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"its alignment is {alignment!r}")
        return Header(str(named.get("general.architecture", "")), named, every, -(-self.at // alignment) * alignment)

    def numbers(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self.content, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def text(self) -> str:
        start = self.at + 8
        self.skip(*self.numbers("Q"))
        return self.content[start : self.at].decode()

    def skip(self, many: int) -> None:
        if self.at + many > len(self.content):
            raise struct.error("beyond the end of the file")
        self.at += many

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind == _ARRAY:
            return self.array(*self.numbers("IQ"))
        return self.numbers(_form(kind))[0]

    def array(self, kind: int, many: int) -> Any:
        if kind == _TEXT:
            for _ in range(many):
                self.skip(*self.numbers("Q"))
            return many
        return list(self.numbers(f"{min(many, len(self.content))}{_form(kind)}"))

    def tensor(self) -> Tensor:
        (axes,) = self.numbers("I")
        shape = self.numbers(f"{min(axes, len(self.content))}Q")
        kind, start = self.numbers("IQ")
        return Tensor(tuple(reversed(shape)), kind, start)


def _form(kind: int) -> str:
    """The letter of `struct` for a kind of number.  Raises `ValueError` for another kind of value."""
    if kind not in _NUMBERS:
        raise ValueError(f"its header holds a value of kind {kind}, which GGUF does not have")
    return _NUMBERS[kind]
