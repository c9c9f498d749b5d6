"""Openings of comments, each with a stance, for a language model to continue."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, get_args

from numpy.random import Generator

from fairl_bench.toy.frames import Purpose, filled, frame

Stance = Literal["hostile", "neutral"]

STANCES: Final[tuple[Stance, ...]] = get_args(Stance)

_PARTS: Final[Mapping[Stance, tuple[Purpose, Purpose]]] = {
    "hostile": ("challenge", "accusation"),
    "neutral": ("greeting", "remark"),
}


class Prompt(NamedTuple):
    """An opening that ends where a sentence can follow, and how its writer approaches the reader."""

    text: str
    stance: Stance


def toy_prompts(n: int, rng: Generator, stances: Sequence[Stance] = STANCES, shift: float = 0.0) -> tuple[Prompt, ...]:
    """`n` prompts whose stances are `stances` in turn, so that one named twice comes twice as often.

    More of them begin with the same ones. Of 3,500 at shift 0, 0.4 % repeat the text of an earlier one.
    """
    return tuple(prompt(rng, stances[i % len(stances)], shift) for i in range(n))


def prompt(rng: Generator, stance: Stance, shift: float = 0.0) -> Prompt:
    """An opening of 9–22 words.

    It names a topic and holds no word of the toxic lexicons: what follows settles the truth.
    """
    opening, rest = (filled(frame(part, rng, shift), rng, shift) for part in _PARTS[stance])
    return Prompt(f"{opening}, {rest}", stance)
