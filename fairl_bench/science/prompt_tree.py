"""What a language model remembers of prompts: each beginning that several of them share is read once.

The tokens of all prompts make a tree.  The model reads it as one text without padding, in which a token sees those on
its own path and no others.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import torch

_MOST: Final = 256
"""Tokens that are read at once, but for a longer prompt: each is compared with all others."""


class Memory(NamedTuple):
    """What the model remembers of a batch of prompts, padded on the left."""

    cache: Any  # of transformers
    attention: torch.Tensor  # [batch, columns], 0 on padding


class PromptTree:
    """Prompts that a model has read, to go on from any of them.  `reads_trees` says whether it can."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        self.model, self.paths = model, dict[tuple[int, ...], list[int]]()  # of each prompt, its tokens' places
        each = sorted({tuple(prompt) for prompt in prompts if prompt})
        read = list[list[tuple[torch.Tensor, torch.Tensor]]]()
        start = 0
        for some in _trees(each):
            read.append(_read(model, some))
            self.paths |= {prompt: [start + place for place in path] for prompt, path in some.paths.items()}
            start += len(some.token)
        # of each layer, keys and values [heads, tokens, width]
        layers = zip(*read, strict=True)
        self.layers = [[torch.cat(parts, 1) for parts in zip(*layer, strict=True)] for layer in layers]

    def memory(self, prompts: Sequence[Sequence[int]]) -> Memory:
        """Return what the model remembers of these of the prompts; each may stand there several times."""
        from transformers import DynamicCache

        cache: Any = DynamicCache()
        width = max(map(len, prompts))
        paths = [self.paths.get(tuple(prompt), []) for prompt in prompts]
        device = self.model.device
        columns = torch.tensor([[0] * (width - len(path)) + path for path in paths], device=device, dtype=torch.long)
        for i, layer in enumerate(self.layers if width else ()):
            cache.update(*(part[:, columns].transpose(0, 1) for part in layer), i)
        mask = [[0] * (width - len(path)) + [1] * len(path) for path in paths]
        return Memory(cache, torch.tensor(mask, device=device, dtype=torch.long).view(len(prompts), width))


class _Tree(NamedTuple):
    """The tokens of some prompts, each behind its parent."""

    token: list[int]
    depth: list[int]  # tokens before it on its path
    parent: list[int]
    paths: dict[tuple[int, ...], list[int]]


def _trees(prompts: Sequence[tuple[int, ...]]) -> Iterator[_Tree]:
    """Sorted prompts as trees of at most `_MOST` tokens, or of one prompt."""
    tree, place = _Tree([], [], [], {}), dict[tuple[int, int], int]()
    for prompt in prompts:
        if tree.token and len(tree.token) + len(prompt) > _MOST:
            yield tree
            tree, place = _Tree([], [], [], {}), {}
        path, last = list[int](), -1
        for depth, token in enumerate(prompt):
            at = place.setdefault((last, token), len(tree.token))
            if at == len(tree.token):
                tree.token.append(token)
                tree.depth.append(depth)
                tree.parent.append(last)
            path.append(at)
            last = at
        tree.paths[prompt] = path
    if tree.token:
        yield tree


def _read(model: Any, tree: _Tree) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the keys and values of each layer, ``[heads, tokens, width]``."""
    from transformers import DynamicCache

    n = len(tree.token)
    seen = torch.zeros(n, n, dtype=torch.bool)
    for i, parent in enumerate(tree.parent):
        if parent >= 0:
            seen[i] = seen[parent]
        seen[i, i] = True
    mask = torch.zeros(n, n, dtype=model.dtype).masked_fill_(~seen, torch.finfo(model.dtype).min)
    ids, positions = (torch.tensor([column], device=model.device) for column in (tree.token, tree.depth))
    cache: Any = DynamicCache()
    with torch.inference_mode():
        model(
            input_ids=ids,
            attention_mask=mask[None, None].to(model.device),
            position_ids=positions,
            use_cache=True,
            **{memory_argument(model): cache},
            **({"logits_to_keep": 1} if takes(model, "logits_to_keep") else {}),
        )
    return [(layer.keys[0], layer.values[0]) for layer in cache.layers]


def reads_trees(model: Any, longest: int) -> bool:
    """True where a model can read prompts of at most ``longest`` tokens as a tree.

    Its attention has to be all that joins tokens, with masks as they are given, and positions that are given too; its
    memory has to be keys and values of them, and no window shorter than the prompts.
    """
    from transformers import DynamicCache, cache_utils

    if not hasattr(cache_utils, "DynamicSlidingWindowLayer"):  # an older transformers
        return False
    known = cache_utils.DynamicLayer, cache_utils.DynamicSlidingWindowLayer
    layers = DynamicCache(config=model.config).layers
    return (
        takes(model, "position_ids")
        and bool(memory_argument(model))
        and bool(getattr(model, "_supports_attention_backend", False))
        and getattr(model.config, "_attn_implementation", "") in ("sdpa", "eager")
        and all(type(layer) in known for layer in layers)
        and all(longest <= getattr(layer, "sliding_window", longest) for layer in layers)
    )


def memory_argument(model: Any) -> str:
    """The name of the argument for what a model remembers of earlier tokens; empty where it has none."""
    return next((name for name in ("cache", "past_key_values") if takes(model, name)), "")


def takes(model: Any, argument: str) -> bool:
    """Whether a forward pass takes this argument."""
    return argument in inspect.signature(model.forward).parameters
