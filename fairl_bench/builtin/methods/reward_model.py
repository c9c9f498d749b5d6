"""A whole language model as the reward, fine-tuned on the pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairl_bench.builtin.methods.preference_training import Recipe, TokenPairs, train
from fairl_bench.builtin.methods.scalar_model import ScalarModel, scalar_model
from fairl_bench.builtin.shared.low_rank import Lora, check_lora
from fairl_bench.builtin.shared.training_environment import (
    DEVICE,
    PRECISION,
    Device,
    check_device,
    quiet,
    seeded,
)
from fairl_bench.component import Settings
from fairl_bench.digests import stamp
from fairl_bench.errors import DataError
from fairl_bench.guards.truncation import report_read
from fairl_bench.kinds.lm import LM
from fairl_bench.kinds.method import Given, Method
from fairl_bench.kinds.source import Source
from fairl_bench.pairwise import selection_of
from fairl_bench.progress import report
from fairl_bench.science.selection import Choice
from fairl_bench.values.data import Floats
from fairl_bench.values.number_format import NumberFormat
from fairl_bench.values.training import Head, Inputs, Preferences, Reward, Task

_LR = {"all": 1e-4, "lora": 1e-3}


class RewardModel(Method):
    """A reward model: a whole language model with a scalar head, fine-tuned on the pairs by TRL's `RewardTrainer`.

    The loss is Bradley-Terry's (Christiano et al. 2017, arXiv:1706.03741; Ouyang et al. 2022, arXiv:2203.02155), and no
    dropout is used.  The reward of a text is read at the end token behind it, after its prompt.  Vectors are not read.
    The suite's ``training.stop`` says which epoch is kept, as for every method, and ends the training; the other
    settings of ``training`` are for heads, and this method has its own.
    """

    given: ClassVar[Given] = "one model"
    reads_vectors: ClassVar[bool] = False
    reads_validation: ClassVar[bool] = True

    lm: LM | None = Field(None, description="the language model that it starts from; none: the source's base")
    train: Literal["all", "lora"] = Field("all", description="all: every weight; lora: an adapter, and the head")
    lora: Lora = Field(Lora(), description="the adapter of 'train: lora'")
    lr: float | None = Field(
        None, gt=0, description="highest learning rate; it falls linearly to 0; none: TRL's own, 1e-4, with lora 1e-3"
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="length of the linear warm-up, as a share of the steps")
    epochs: int = Field(3, ge=1, description="passes over the training pairs, at most")
    batch: int = Field(32, ge=1, description="pairs in a step")
    margin: float = Field(
        0.0, ge=0, description="by how much a preferred text should win: the loss is -log sigmoid(difference - margin)"
    )
    prompts: Literal["given", "withheld"] = Field("given", description="whether it reads the prompt before a text")
    max_length: int = Field(512, ge=2, description="most tokens of prompt and text; longer ones lose their beginning")
    device: Device = Field("cpu", description=DEVICE)
    precision: NumberFormat = Field("float32", description=PRECISION)

    @property
    def reads_prompts(self) -> bool:  # type: ignore[override]  # they may be withheld
        """True where prompts are given."""
        return self.prompts == "given"

    def of(self, source: Source) -> Self:
        """Return the method with the source's base.  Raises `DataError` where neither names a language model."""
        if self.lm is not None:
            return self
        return self.model_copy(update={"lm": source.models_for(self).base})

    def upstream(self) -> Mapping[str, Settings]:
        """Return the language model."""
        return {} if self.lm is None else {"lm": self.lm}

    def check(self) -> None:
        """Check the language model, the device and, for an adapter, that peft is there."""
        if self.lm is not None:
            self.lm.check()
        check_device(self.device, f"method {self.use!r}")
        if self.train == "lora":
            check_lora(f"method {self.use!r}")

    def head(self, suite_head: Head) -> str:
        """Return an empty name: the suite's head is not used."""
        return ""

    def fit(self, task: Task) -> Reward:
        """Return the weights of the kept epoch: all of them, or those of the adapter and the head."""
        folder = self._folder(task.upstream)
        stop = task.training.stop
        with quiet(), seeded("reward-model", task.replicate, task.seed) as seed:
            scalar = self._start(folder)
            pairs, held_out = (self._pairs(scalar, part) for part in (task.train, task.validation))
            chosen_by = TokenPairs((), ()) if stop is None else held_out
            epochs = train(scalar, pairs, chosen_by, self._recipe(seed), Choice(selection_of(stop, self.epochs)))
        facts: dict[str, float | int | str | bool] = {
            "kept_epoch": epochs.choice.kept_epoch,
            "admissible_from": epochs.choice.admissible_from,
            "epochs": len(epochs.train_loss),
            "trained_weights": sum(array.size for array in epochs.kept.values()),
            "trl": version("trl"),
        }
        return Reward(epochs.kept, epochs.history(), facts)

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """Return the number that the model reads each text to ``[n]``; equal ones are read once."""
        folder = self._folder(inputs.upstream)
        if self.prompts == "given" and len(inputs.prompt) != len(inputs.text):
            raise DataError(
                f"method {self.use!r} reads each text after its prompt, and got {len(inputs.prompt)} prompts for "
                f"{len(inputs.text)} texts; give the prompts, or train it with 'prompts: withheld'"
            )
        texts = self._joined(inputs.prompt, inputs.text)
        row = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        scalar = _rebuilt(_Fitted(self, folder, reward.arrays))
        values = scalar.values(self._tokens(scalar, list(row)), _told)
        return values[[row[text] for text in texts]]

    def _folder(self, upstream: Mapping[str, Any]) -> Path:
        if "lm" not in upstream:
            raise DataError(f"method {self.use!r} needs the folder of its language model as upstream['lm'], got none")
        return Path(upstream["lm"])

    def _start(self, folder: Path) -> ScalarModel:
        """Return the language model with a head that is drawn by torch."""
        lora = self.lora if self.train == "lora" else None
        return scalar_model(folder, f"the language model of method {self.use!r}", self.max_length, lora)

    def _recipe(self, seed: int) -> Recipe:
        return Recipe(
            lr=self.lr or _LR[self.train],
            epochs=self.epochs,
            batch=self.batch,
            warmup=self.warmup,
            margin=self.margin,
            device=self.device,
            bfloat16=self.precision == "bfloat16",
            seed=seed,
        )

    def _joined(self, prompts: Sequence[str], texts: Sequence[str]) -> tuple[str, ...]:
        """Return what is read of each text: itself, behind its prompt where that is given."""
        from fairl_bench.science.continued_tokens import joint

        if self.prompts == "withheld":
            return tuple(texts)
        return tuple(prompt + joint(prompt, text) + text for prompt, text in zip(prompts, texts, strict=True))

    def _pairs(self, scalar: ScalarModel, pairs: Preferences) -> TokenPairs:
        sides = ([pairs.texts[row] for row in rows.tolist()] for rows in (pairs.preferred, pairs.rejected))
        return TokenPairs(*(self._tokens(scalar, self._joined(pairs.prompt, side)) for side in sides))

    def _tokens(self, scalar: ScalarModel, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens that are read of each text, and note how many are not."""
        whole = scalar.tokens(texts)
        read = [scalar.cut(ids) for ids in whole]
        report_read(self, [len(ids) for ids in whole], [len(ids) for ids in read])
        return read


def _told(done: int, total: int) -> None:
    report(done, total, f"{done} of {total} texts")


class _Fitted:
    """A fitted reward as the key of a cache: equal to another of the same weights in memory."""

    def __init__(self, method: RewardModel, folder: Path, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        self.method, self.folder = method, folder
        self.arrays = dict(arrays)  # held, so that nothing else is put into their memory
        places = tuple((name, array.__array_interface__["data"][0], array.shape) for name, array in arrays.items())
        self._same = (method, folder, stamp(folder), places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Fitted) and self._same == other._same

    def __hash__(self) -> int:
        return hash(self._same[1:])


@lru_cache(maxsize=1)  # one reward scores every data set in turn
def _rebuilt(fitted: _Fitted) -> ScalarModel:
    """Return the language model of a reward with the weights that were trained, where it was trained if it can be."""
    import torch

    method = fitted.method
    with quiet(), seeded("reward-model/head"):  # a head is drawn and replaced
        scalar = method._start(fitted.folder)
        scalar.give(fitted.arrays, f"the language model of method {method.use!r}")
    scalar.model.requires_grad_(False)
    scalar.model.to("cuda" if method.device == "cuda" and torch.cuda.is_available() else "cpu")
    return scalar
