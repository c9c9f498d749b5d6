"""A causal language model that reads a text to one number: its body, with a scalar head in the place of the next token.

The number is read at the model's end token, which is put behind every text.  No text ends in the token that fills up a
batch, so that padding moves no number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.builtin.shared.low_rank import Lora, adapted
from fairl_bench.errors import DataError
from fairl_bench.values.data import Floats

Tokens = Sequence[int]
READ_AT_ONCE: Final = 32
"""Texts in a forward pass, where nothing is learnt."""


class ScalarModel(NamedTuple):
    """A language model with a scalar head, and how it reads texts."""

    model: Any  # one of transformers for sequences of one label, or that within an adapter of peft
    tokenizer: Any
    end: int  # the token behind every text
    padding: int  # any other one
    longest: int  # most tokens of a text, the end included

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each whole text, with the end behind them.

        Raises `DataError` for a token that the model has no embedding for.
        """
        from fairl_bench.science.language_model import vocabulary

        found = self.tokenizer(list(texts), verbose=False)["input_ids"] if texts else []
        rows = vocabulary(self.model)
        for text, ids in zip(texts, found, strict=True):
            if (largest := max(ids, default=0)) >= rows:
                raise DataError(
                    f"the language model of a reward model has {rows} tokens, but its tokenizer reads the text "
                    f"{text[:60]!r} as token {largest}: the two do not belong together; give the model its own "
                    "tokenizer"
                )
        return [list(ids) if ids and ids[-1] == self.end else [*ids, self.end] for ids in found]

    def cut(self, ids: list[int]) -> list[int]:
        """Return the tokens that are read of a text: a long one loses its beginning, but for the model's own start."""
        if len(ids) <= self.longest:
            return ids
        start = ids[:1] if ids[0] == self.tokenizer.bos_token_id and self.longest > 2 else []
        return [*start, *ids[len(ids) - self.longest + len(start) :]]

    def values(self, texts: Sequence[Tokens], moved: Callable[[int, int], None] = lambda done, total: None) -> Floats:
        """Return the number of each text ``[n]``, in fixed batches sorted by length."""
        import torch

        values = np.empty(len(texts))
        order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), texts[i]))
        for start in range(0, len(order), READ_AT_ONCE):
            rows = order[start : start + READ_AT_ONCE]
            with torch.inference_mode():
                read = self.model(**self._padded([texts[i] for i in rows]), use_cache=False).logits[:, 0]
            values[rows] = read.float().cpu().numpy()
            moved(start + len(rows), len(order))
        return values

    def _padded(self, batch: Sequence[Tokens]) -> dict[str, Any]:
        """Return the model's inputs ``[batch, tokens]``, filled up on the right."""
        import torch

        shape = (len(batch), max(map(len, batch)))
        ids, mask = torch.full(shape, self.padding), torch.zeros(shape, dtype=torch.int64)
        for row, own in enumerate(batch):
            ids[row, : len(own)], mask[row, : len(own)] = torch.tensor(own), 1
        device = self.model.device
        return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return a copy of what is trained: all weights by name, or the adapter and the head as peft saves them."""
        return {name: weight.detach().float().cpu().numpy().copy() for name, weight in self._trained().items()}

    def give(self, arrays: dict[str, NDArray[np.float32]], what: str) -> None:
        """Put in what was trained.  Raises `DataError` for arrays of another model; ``what`` names it."""
        import torch

        trained = self._trained()
        odd = sorted(trained.keys() ^ arrays.keys())
        odd += [name for name in trained.keys() & arrays.keys() if tuple(trained[name].shape) != arrays[name].shape]
        if odd:
            raise DataError(
                f"{what} does not fit the reward that was trained from it: {odd[0]!r} differs; name the language model "
                "and the settings that it was trained with"
            )
        weights = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        if self._adapted():
            from peft import set_peft_model_state_dict

            set_peft_model_state_dict(self.model, weights)
        else:
            self.model.load_state_dict(weights, strict=False)  # what else it has was not trained

    def _adapted(self) -> bool:
        return hasattr(self.model, "peft_config")

    def _trained(self) -> dict[str, Any]:
        """Return what is trained, by name."""
        if self._adapted():
            from peft import get_peft_model_state_dict

            return dict(get_peft_model_state_dict(self.model, save_embedding_layers=False))
        return dict(self.model.named_parameters())


def scalar_model(folder: Path, what: str, longest: int, lora: Lora | None) -> ScalarModel:
    """Return the language model in a folder with a scalar head, on the CPU in float32; the head is drawn by torch.

    With ``lora`` it is held still, and what is trained is an adapter and the head.  ``what`` names the model in
    messages.  Raises `DataError` for what cannot be read, or has no such form.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from fairl_bench.science.endings import end_tokens
    from fairl_bench.science.language_model import first_line, own_settings, positions, refuse, vocabulary
    from fairl_bench.science.threads import set_threads

    set_threads()
    refuse(folder, what)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        loaded: Any = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=1,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # the libraries raise a dozen kinds
        raise DataError(f"{what} cannot be read as a reward model: {first_line(error)}") from error
    model, loading = loaded
    body = f"{model.base_model_prefix}."
    if missing := sorted(name for name in loading["missing_keys"] if name.startswith(body)):
        raise DataError(f"{what} lacks {len(missing)} of its weights, such as {missing[0]!r}; save it again")
    rows = vocabulary(model)
    ends = end_tokens(own_settings(folder).get("eos_token_id"), model.config, tokenizer, rows)
    known = (tokenizer.eos_token_id, *ends, tokenizer.bos_token_id, 0)
    end = next(int(token) for token in known if token is not None and 0 <= token < rows)
    padding = 1 if end == 0 else 0
    model.config.get_text_config().pad_token_id = padding
    most = positions(model.config)
    if lora is not None:
        model = adapted(model, lora, what, "SEQ_CLS")
    return ScalarModel(model.eval(), tokenizer, end, padding, longest if most is None else min(longest, most))
