"""Trainers of TRL that read no completion twice, and a prompt once for all of its completions.

TRL asks how likely the completions of a step are up to three times: under the model before the step, under its
reference, and again under the model, with gradients.  Before the first update of a step the first and the last are one.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from fairl_bench.science.prompt_tree import memory_argument


class Kept(NamedTuple):
    """What the model has said of the completions of a step, with its gradients."""

    ids: torch.Tensor  # [batch, prompt + new]
    log_probability: torch.Tensor  # [batch, new]
    entropy: torch.Tensor  # [batch, new]

    def of(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Return what it has said of these rows, whatever their order; None where it has not read one of them."""
        places = {row: i for i, row in enumerate(_rows(self.ids))}
        found = [places.get(row) for row in _rows(ids)]
        if None in found:
            return None
        rows = torch.tensor(found, device=ids.device)
        return self.log_probability[rows], self.entropy[rows]


def reading_once(trainer: type[Any]) -> type[Any]:
    """Return the trainer that reads completions and prompts once.

    What is kept of a step takes the memory of its backward pass while the reference reads the completions.
    """

    class ReadingOnce(trainer):  # type: ignore[misc]
        _kept: Kept | None = None

        def _get_per_token_logps_and_entropies(
            self,
            model: Any,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            logits_to_keep: int,
            batch_size: int | None = None,
            compute_entropy: bool = False,
            **own: Any,
        ) -> Any:
            if _tokens_alone(own) and (order := by_prompt(input_ids[:, :-logits_to_keep], self.num_generations)):
                rows = torch.tensor(order, device=input_ids.device)
                ids, mask = input_ids[rows], attention_mask[rows]
                back = rows.argsort()
                log, entropy = self._read(model, ids, mask, logits_to_keep)
                return log[back], entropy[back] if compute_entropy else None, None
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, **own
            )

        def _read(self, model: Any, ids: torch.Tensor, mask: torch.Tensor, new: int) -> Any:
            """Return the log-probabilities and entropies of rows that lie together by prompt."""
            learning, of_model = torch.is_grad_enabled(), model is self.model
            if learning and self._kept is not None:
                kept, self._kept = self._kept.of(ids), None
                if kept:
                    return kept
            with self.accelerator.autocast(), torch.set_grad_enabled(learning or (of_model and self._learns_once())):
                read = behind_prompts(model, ids, mask, new, self.num_generations, self.temperature)
            if learning or not of_model or not self._learns_once():
                return read
            self._kept = Kept(ids, *read)
            return read[0].detach(), read[1]

        def _learns_once(self) -> bool:
            """Return whether the model learns once, and from the whole batch, of what it has drawn."""
            whole = self.args.gradient_accumulation_steps == 1 and self.args.steps_per_generation == 1
            return bool(self.model.training and whole and self.num_iterations == 1)

    ReadingOnce.__name__ = trainer.__name__
    return ReadingOnce


def _tokens_alone(own: Mapping[str, Any]) -> bool:
    """Return whether a model is given tokens alone, and no pictures."""
    return all(value is None or value is False for value in own.values())


def by_prompt(prompts: torch.Tensor, each: int) -> list[int]:
    """Return an order of rows ``[batch, columns]`` in which equal ones lie together; empty if these are not so many.

    >>> by_prompt(torch.tensor([[1], [2], [2], [1]]), 2), by_prompt(torch.tensor([[1], [2]]), 2)
    ([0, 3, 1, 2], [])
    """
    places: dict[tuple[int, ...], list[int]] = {}
    for i, row in enumerate(_rows(prompts)):
        places.setdefault(row, []).append(i)
    if any(len(rows) % each for rows in places.values()):
        return []
    return [i for rows in places.values() for i in rows]


def _rows(ids: torch.Tensor) -> list[tuple[int, ...]]:
    return [tuple(row) for row in ids.tolist()]


def behind_prompts(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, new: int, each: int, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The log-probability ``[batch, new]`` of each new token and the entropy at its place, in nats, with gradients.

    ``ids`` and ``mask [batch, prompt + new]`` have ``each`` rows of one prompt after another, padded on the left.
    """
    prompt = ids.shape[1] - new
    read = functools.partial(
        type(model).forward, model, use_cache=True
    )  # TRL's own forward of a copy is the original's
    first = read(input_ids=ids[::each, :prompt], attention_mask=mask[::each, :prompt], logits_to_keep=1)
    argument = memory_argument(_inside(model))
    memory = first[argument]
    memory.batch_repeat_interleave(each)
    logits = first.logits[:, -1:].repeat_interleave(each, 0)
    if new > 1:
        rest = read(input_ids=ids[:, prompt:-1], attention_mask=mask[:, :-1], **{argument: memory})
        logits = torch.cat([logits, rest.logits], 1)
    log = (logits.float() / temperature).log_softmax(-1)
    with torch.no_grad():
        entropy = -(log.exp() * log).sum(-1)
    return log.gather(2, ids[:, prompt:, None]).squeeze(2), entropy


def _inside(model: Any) -> Any:
    """Return the language model within an adapter."""
    (model,) = model.adapted if isinstance(model, WithoutAdapter) else (model,)
    return model.get_base_model() if hasattr(model, "get_base_model") else model


class WithoutAdapter(torch.nn.Module):
    """A model as it is without its adapter: the reference of one that trains nothing else.

    It holds the model's own weights and no copy of them.
    """

    def __init__(self, adapted: Any) -> None:
        super().__init__()
        self.adapted = (adapted,)  # a tuple: no module of this one

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """What the model says with its adapter off."""
        (adapted,) = self.adapted
        with adapted.disable_adapter():
            return adapted(*arguments, **named)
