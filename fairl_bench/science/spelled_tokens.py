"""Which characters of a text each of its tokens spells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_PART: Final = "\ufffd"  # what a part of a letter is decoded as
_LONGEST: Final = 4  # tokens that one letter is made of, at most: it has no more bytes


def spelled_characters(
    tokenizer: Any, tokens: Sequence[Sequence[int]], texts: Sequence[str]
) -> list[NDArray[np.int32]]:
    """How many characters of its text each token and those before it spell, of each text ``[tokens]``.

    A token that holds a part of a letter spells all of it; the last one spells the whole text, with the space behind
    it.  Special tokens spell nothing.  Where the tokens spell another text, each of them counts as spelling all of it.
    """
    speller = _Speller(tokenizer)
    return [speller.reach(ids, text) for ids, text in zip(tokens, texts, strict=True)]


class _Speller:
    """What tokens spell behind another token; what was decoded is not decoded again."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.before: list[int] = list(tokenizer("a", add_special_tokens=False)["input_ids"])  # keeps spaces that lead
        self.lead = self._decoded(self.before)
        self.known: dict[tuple[int, ...], str] = {}

    def reach(self, ids: Sequence[int], text: str) -> NDArray[np.int32]:
        """How many characters of a text its tokens up to each one spell."""
        pieces, sizes = self._pieces(ids)
        whole = "".join(pieces)
        spelled = np.repeat(np.cumsum([len(piece) for piece in pieces], dtype=np.int64), sizes)
        if whole.strip() == text.strip():
            found = spelled - _leading(whole) + _leading(text)
        elif (letters := _letters(text)) and _packed(whole) == _packed(text):  # a decoder has left out some spaces
            counts = np.cumsum([0, *(not letter.isspace() for letter in whole)])
            found = np.array([0, *(at + 1 for at in letters)])[counts[spelled]]
        else:
            found = np.full(len(ids), len(text))
        found[-1:] = len(text)
        return np.asarray(np.clip(found, 0, len(text)), np.int32)

    def _pieces(self, ids: Sequence[int]) -> tuple[list[str], list[int]]:
        """A text in pieces of whole letters, and of how many tokens each one is."""
        pieces, sizes, window = [], [], list[int]()
        for at, token in enumerate(ids):
            window.append(token)
            piece = self._spelled(tuple(window))
            if not piece.endswith(_PART) or len(window) == _LONGEST or at == len(ids) - 1:
                pieces.append(piece)
                sizes.append(len(window))
                window.clear()
        return pieces, sizes

    def _spelled(self, ids: tuple[int, ...]) -> str:
        if ids not in self.known:
            self.known[ids] = self._decoded([*self.before, *ids]).removeprefix(self.lead)
        return self.known[ids]

    def _decoded(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


def _leading(text: str) -> int:
    """How many spaces a text begins with."""
    return len(text) - len(text.lstrip())


def _letters(text: str) -> list[int]:
    """Where the characters of a text stand that are no space."""
    return [at for at, letter in enumerate(text) if not letter.isspace()]


def _packed(text: str) -> str:
    """A text without spaces."""
    return "".join(text.split())
