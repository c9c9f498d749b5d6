"""The tokens that end a language model's text, and where in a text they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

End = int | Sequence[int] | None
"""End tokens as a configuration writes them: one, several or none."""


def each_end(end: object) -> Iterator[int]:
    """Return the tokens that a configuration names; what is not a whole number names none."""
    for token in end if isinstance(end, Sequence) and not isinstance(end, str) else (end,):
        if isinstance(token, int) and not isinstance(token, bool):
            yield token


def endings(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return the tokens that end a text of this model, in order; none where nothing names one."""
    rows = model.get_input_embeddings().weight.shape[0]
    return end_tokens(model.generation_config.eos_token_id, model.config, tokenizer, rows)


def end_tokens(own: Any, config: Any, tokenizer: Any, vocabulary: int) -> tuple[int, ...]:
    """Return all end tokens that a model's generation settings (``own``), configuration and tokenizer name, in order.

    They may differ: the end of a text, of a turn, of a message.  A number that is no token of the model, such as -1,
    names none.
    """
    configs = (config, config.get_text_config())
    named = (own, *(getattr(one, "eos_token_id", None) for one in configs), tokenizer.eos_token_id)
    return tuple(sorted({token for end in named for token in each_end(end) if 0 <= token < vocabulary}))


def before_end(new: torch.Tensor, end: End) -> torch.Tensor:
    """Return a mask ``[batch, new]`` of the tokens up to the first one that ends a text, that one included."""
    ending = torch.isin(new, torch.tensor(list(each_end(end)), dtype=new.dtype, device=new.device))
    ended = ending.long().cumsum(1)
    return (ended == 0) | ((ended == 1) & ending)


def ended(ids: Sequence[int], end: End) -> list[int]:
    """Return a text's tokens up to the first one that ends it, that one included.

    >>> ended([5, 6, 2, 7, 0], (0, 2))
    [5, 6, 2]
    """
    ends = set(each_end(end))
    first = next((i for i, token in enumerate(ids) if token in ends), len(ids))
    return list(ids[: first + 1])


def spelled(tokenizer: Any, ids: Sequence[int], end: End) -> str:
    """Return the text of these tokens up to its end; end tokens and special tokens are no text."""
    own, ends = ended(ids, end), set(each_end(end))
    if own and own[-1] in ends:
        del own[-1]
    return str(tokenizer.decode(own, skip_special_tokens=True)).strip()
