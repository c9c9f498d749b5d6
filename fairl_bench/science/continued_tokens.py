"""Texts as the tokens with which a language model goes on from their prompts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

from fairl_bench.errors import DataError
from fairl_bench.science.endings import endings
from fairl_bench.science.language_model import positions, prompt_tokens
from fairl_bench.science.language_model import vocabulary as vocabulary_size


class Continuation(NamedTuple):
    """A text that goes on from a prompt, or from nothing where that is empty, and what is known of its drawing.

    ``tokens`` are those that it was drawn as, the end token included where it has ``ended``, and ``vocabulary`` is the
    digest of the vocabulary that they belong to (`vocabulary_digest`), empty where they are not known.
    """

    prompt: str
    text: str
    ended: bool = False
    tokens: Sequence[int] = ()
    vocabulary: str = ""


class Tokens(NamedTuple):
    """A prompt and a text as tokens of one model; the end of a text that has ``ended`` is none of them."""

    prompt: list[int]  # at least one
    text: list[int]
    ended: bool  # the model names an end, and the text has it
    tokenised: bool  # read from the text, since no tokens of this vocabulary were known


def continued_tokens(model: Any, tokenizer: Any, continuations: Sequence[Continuation]) -> list[Tokens]:
    """The tokens of each prompt, as generation reads it, and of its text.

    A text's own tokens are taken where they are of this vocabulary, and the text is tokenised where they are not.
    Raises `DataError` for a text that is longer than the model's positions, and for tokens that it does not have.
    """
    ends, rows = endings(model, tokenizer), vocabulary_size(model)
    prompts = list(dict.fromkeys(one.prompt for one in continuations))
    every = prompt_tokens(tokenizer, prompts, ends=ends, vocabulary=rows, longest=None, new=0)
    read = dict(zip(prompts, every, strict=True))
    own = vocabulary_digest(tokenizer) if any(one.vocabulary for one in continuations) else ""
    added = set(tokenizer.get_added_vocab().values())
    known = [bool(one.vocabulary) and belong(_before_end(one), one.vocabulary, own, added) for one in continuations]
    others = [one for one, is_known in zip(continuations, known, strict=True) if not is_known]
    tokenised = iter(_tokenised(tokenizer, [(one.prompt, one.text, read[one.prompt]) for one in others]))
    found = [
        Tokens(
            read[one.prompt],
            _before_end(one) if is_known else next(tokenised),
            one.ended and bool(ends),
            not is_known,
        )
        for one, is_known in zip(continuations, known, strict=True)
    ]
    _refuse(found, continuations, rows, positions(model.config))
    return found


def _before_end(one: Continuation) -> list[int]:
    """The tokens that a text was drawn as, without its end."""
    return list(one.tokens[: len(one.tokens) - one.ended])


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


def joint(prompt: str, text: str) -> str:
    """What stands between a prompt and the text that goes on from it: a space, unless there is one, or no prompt.

    >>> [joint("He is", "kind"), joint("He is ", "kind"), joint("", "kind")]
    [' ', '', '']
    """
    return " " if prompt and text and not prompt[-1].isspace() and not text[0].isspace() else ""


def _tokenised(tokenizer: Any, asked: Sequence[tuple[str, str, list[int]]]) -> list[list[int]]:
    """The tokens of each text behind the tokens of its prompt.

    The two are read together, so that a text begins as a model writes it, with the space in its first token.  A text is
    read by itself where a token would lie across the seam, since a model goes on from the prompt's own tokens, and
    where it spells a special token, which it then only mentions.
    """
    special, found = _special(tokenizer), dict[int, list[int]]()
    behind = [joint(prompt, text) + text for prompt, text, _ in asked]
    for follows in (True, False):
        rows = [i for i, (prompt, _, _) in enumerate(asked) if bool(prompt) == follows]
        wholes = [asked[i][0] + behind[i] for i in rows]
        for i, ids in zip(rows, _ids(tokenizer, wholes, special=follows), strict=True):
            before = asked[i][2] if follows else []  # a text without a prompt begins where the model does
            own = ids[len(before) :]
            joins = ids[: len(before)] == before and special.keys().isdisjoint(own)
            found[i] = own if joins else _by_itself(tokenizer, behind[i], special, follows=follows)
    return [found[i] for i in range(len(asked))]


def _by_itself(tokenizer: Any, text: str, special: Mapping[int, str], *, follows: bool) -> list[int]:
    """The tokens of a text without its prompt; ``follows`` where there is one.

    What spells a special token is cut behind its first character, and the pieces are read one by one.
    """
    pieces = _pieces(text, [word for word in special.values() if len(word) > 1])
    return [token for at, piece in enumerate(pieces) for token in _inside(tokenizer, piece, follows=follows or at > 0)]


def _inside(tokenizer: Any, text: str, *, follows: bool) -> list[int]:
    """The tokens of a text that ``follows`` another: some tokenizers put a space before whatever begins."""
    alone, lead, behind = _ids(tokenizer, [text, "\n", "\n" + text], special=False)
    known = tokenizer.unk_token_id not in lead and behind[: len(lead)] == lead
    return behind[len(lead) :] if follows and known else alone


def _pieces(text: str, words: Sequence[str]) -> list[str]:
    """A text, cut behind the first character of each of these words.

    >>> _pieces("the <end> and <end>", ["<end>"])
    ['the <', 'end> and <', 'end>']
    """
    pieces, rest = [], text
    while words and (found := re.search("|".join(map(re.escape, words)), rest)):
        pieces.append(rest[: found.start() + 1])
        rest = rest[found.start() + 1 :]
    return [*pieces, rest]


def _special(tokenizer: Any) -> dict[int, str]:
    """The special tokens, by their number."""
    named = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
    return named | {i: token.content for i, token in tokenizer.added_tokens_decoder.items() if token.special}


def _ids(tokenizer: Any, texts: Sequence[str], *, special: bool) -> list[list[int]]:
    """The tokens of texts; ``special``: with those that the tokenizer puts around a text."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=special, verbose=False)
    return [list(ids) for ids in encoded["input_ids"]]


def _refuse(found: Sequence[Tokens], continuations: Sequence[Continuation], rows: int, longest: int | None) -> None:
    """Raise `DataError` for texts that the model cannot read."""
    for one, asked in zip(found, continuations, strict=True):
        if one.text and max(one.text) >= rows:
            raise DataError(
                f"the language model has {rows} tokens, but the text {asked.text[:60]!r} has the token"
                f" {max(one.text)}: its tokenizer belongs to another model; give the model its own"
            )
    lengths = [len(one.prompt) + len(one.text) for one in found]
    over = sum(longest is not None and length > longest for length in lengths)
    if over:
        raise DataError(
            f"the language model has {longest} positions, but {over} of {len(found)} texts with their prompts need"
            f" more (the longest has {max(lengths)} tokens); shorten or leave out long texts"
        )
