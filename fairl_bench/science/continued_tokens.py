"""Texts as the tokens with which a language model goes on from their prompts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from fairl_bench.errors import DataError
from fairl_bench.science.language_model import positions, prompt_tokens
from fairl_bench.science.language_model import vocabulary as vocabulary_size


class Continued(NamedTuple):
    """A prompt and a text as tokens; the end of a text that has ``ended`` is none of them."""

    prompt: list[int]  # at least one
    text: list[int]
    ended: bool
    tokenised: bool

    def __len__(self) -> int:
        return len(self.prompt) + len(self.text)


def continued_tokens(
    model: Any,
    tokenizer: Any,
    ends: Sequence[int],
    prompts: Sequence[str],
    texts: Sequence[str],
    tokens: Mapping[int, Sequence[int]],
    vocabulary: Mapping[int, str],
    ended: Sequence[bool],
) -> list[Continued]:
    """The tokens of each prompt, as generation reads it, and of its text.

    Where ``tokens[i]`` are of this vocabulary, they are the text's; the last one of a text that has ``ended`` is its
    end, which is left out.  Other texts are tokenised.  Raises `DataError` for a text that is longer than the model's
    positions, and for tokens that it does not have.
    """
    rows, longest = vocabulary_size(model), positions(model.config)
    read = prompt_tokens(tokenizer, prompts, ends=ends, vocabulary=rows, longest=None, new=0)
    own, added = (vocabulary_digest(tokenizer), set(tokenizer.get_added_vocab().values())) if tokens else ("", set())
    known = {i for i in tokens if belong(tokens[i][: len(tokens[i]) - bool(ended[i])], vocabulary[i], own, added)}
    others = [i for i in range(len(texts)) if i not in known]
    tokenised = dict(zip(others, _tokenised(tokenizer, [(prompts[i], texts[i], read[i]) for i in others]), strict=True))
    found = []
    for i, prompt in enumerate(read):
        stops = bool(ended[i]) and bool(ends)
        drawn = list(tokens[i][: len(tokens[i]) - bool(ended[i])]) if i in known else tokenised[i]
        found.append(Continued(prompt, drawn, stops, i not in known))
    _refuse(found, texts, rows, longest)
    return found


def vocabulary_digest(tokenizer: Any) -> str:
    """The SHA-256 of a tokenizer's tokens and their numbers: without those that were added to it, and of all."""
    every, added = tokenizer.get_vocab(), tokenizer.get_added_vocab()
    own = {token: number for token, number in every.items() if token not in added}
    digests = (hashlib.sha256(json.dumps(sorted(one.items())).encode()).hexdigest() for one in (own, every))
    return ":".join(digests)


def belong(tokens: Sequence[int], vocabulary: str, own: str, added: Set[int]) -> bool:
    """True where tokens of a ``vocabulary`` mean the same in one's ``own``, whose ``added`` tokens are these.

    Two models often differ by an added token alone, one that pads or one of a chat; texts that have none are the same.

    >>> belong([5, 6], "a:b", "a:c", {9}), belong([5, 9], "a:b", "a:c", {9}), belong([5, 9], "a:b", "a:b", {9})
    (True, False, True)
    """
    if vocabulary == own:
        return True
    return vocabulary.partition(":")[0] == own.partition(":")[0] and added.isdisjoint(tokens)


def _tokenised(tokenizer: Any, asked: Sequence[tuple[str, str, list[int]]]) -> list[list[int]]:
    """The tokens of each text behind its prompt's tokens.

    The two are read together, so that a text begins as a model writes it, with the space in its first token.  Where a
    token would lie across the seam, the text is read by itself: a model goes on from the prompt's own tokens.  So is a
    text without a prompt, and one that spells a special token, such as the end: it is read as the letters.
    """
    special = set(tokenizer.all_special_tokens)
    behind = [joint(prompt, text) + text for prompt, text, _ in asked]
    alone = _ids(tokenizer, behind, special=False, split_special_tokens=True)
    follows = [bool(prompt) and not any(token in text for token in special) for prompt, text, _ in asked]
    wholes = [one[0] + text if joins else "" for one, text, joins in zip(asked, behind, follows, strict=True)]
    together = _ids(tokenizer, wholes, special=True)
    return [
        whole[len(start) :] if joins and whole[: len(start)] == start else by_itself
        for whole, by_itself, joins, (_, _, start) in zip(together, alone, follows, asked, strict=True)
    ]


def joint(prompt: str, text: str) -> str:
    """What stands between a prompt and the text that goes on from it: a space, unless there is one, or no prompt.

    >>> [joint("He is", "kind"), joint("He is ", "kind"), joint("", "kind")]
    [' ', '', '']
    """
    return " " if prompt and text and not prompt[-1].isspace() and not text[0].isspace() else ""


def _ids(tokenizer: Any, texts: Sequence[str], *, special: bool, **settings: bool) -> list[list[int]]:
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=special, verbose=False, **settings)
    return [list(ids) for ids in encoded["input_ids"]]


def _refuse(found: Sequence[Continued], texts: Sequence[str], rows: int, longest: int | None) -> None:
    """Raise `DataError` for texts that the model cannot read."""
    for text, one in zip(texts, found, strict=True):
        if one.text and max(one.text) >= rows:
            raise DataError(
                f"the language model has {rows} tokens, but its tokenizer reads the text {text[:60]!r} as token"
                f" {max(one.text)}: the two do not belong together; give the model its own tokenizer"
            )
    over = [len(one) for one in found if longest is not None and len(one) > longest]
    if over:
        raise DataError(
            f"the language model has {longest} positions, but {len(over)} of {len(found)} texts with their prompts need"
            f" more (the longest has {max(over)} tokens); shorten or leave out long texts"
        )
