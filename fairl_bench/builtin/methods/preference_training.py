"""The training of a language model with a scalar head on preference pairs, by TRL's `RewardTrainer`."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.builtin.methods.scalar_model import ScalarModel, Tokens
from fairl_bench.errors import DataError, NotFinite
from fairl_bench.progress import report
from fairl_bench.science.selection import Choice
from fairl_bench.values.data import Floats


class TokenPairs(NamedTuple):
    """Pairs as tokens: text ``i`` of the one is preferred to text ``i`` of the other."""

    preferred: Sequence[Tokens]
    rejected: Sequence[Tokens]

    def __len__(self) -> int:
        return len(self.preferred)


class Recipe(NamedTuple):
    """The settings of a training."""

    lr: float
    epochs: int
    batch: int  # pairs in a step
    warmup: float  # share of the steps
    margin: float  # by which a preferred text should win
    device: str
    bfloat16: bool
    seed: int


@dataclass
class Epochs:
    """The record of a training: the losses of each epoch, and the weights of the one that is kept."""

    choice: Choice
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    calibrated_loss: list[float] = field(default_factory=list)
    kept: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def add(self, train_loss: float, margins: Floats | None, margin: float, scalar: ScalarModel) -> None:
        """Record an epoch, and keep its weights if it is the best so far; ``margins`` are those of held-out pairs."""
        watched = None
        self.train_loss.append(train_loss)
        if margins is not None:
            watched = float(np.logaddexp(0.0, margin - margins).mean())
            self.validation_loss.append(watched)
            if self.choice.rule.monitor == "calibrated-loss":
                from fairl_bench.science.calibrated import calibrated_loss

                watched = calibrated_loss(margins)
                self.calibrated_loss.append(watched)
        if self.choice.takes(len(self.train_loss), watched):
            self.kept = scalar.arrays()

    def settle(self, scalar: ScalarModel) -> None:
        """Keep the last epoch where none could be chosen."""
        if not self.choice.kept_epoch:
            self.choice.keep_last(len(self.train_loss))
            self.kept = scalar.arrays()

    def history(self) -> dict[str, list[float]]:
        """Return the losses, one number an epoch."""
        columns = {name: getattr(self, name) for name in ("train_loss", "validation_loss", "calibrated_loss")}
        return {name: column for name, column in columns.items() if column}


def train(scalar: ScalarModel, pairs: TokenPairs, held_out: TokenPairs, recipe: Recipe, choice: Choice) -> Epochs:
    """Train the model in place, and return the record with the weights of the epoch that is kept.

    Each epoch is judged by the held-out pairs; where there are none, the last one is kept.  Raises `NotFinite` when
    the loss leaves the finite numbers, and `DataError` where there is no pair to learn from.
    """
    if not len(pairs):
        raise DataError("a reward model needs at least one pair to learn from, got none; the split left none")
    from transformers import PrinterCallback

    epochs = Epochs(choice)
    with tempfile.TemporaryDirectory() as folder:  # nothing is saved in it
        trainer = _trainer(scalar, pairs, recipe, folder, _follower(scalar, held_out, recipe, epochs, len(pairs)))
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    epochs.settle(scalar)
    return epochs


def _trainer(scalar: ScalarModel, pairs: TokenPairs, recipe: Recipe, folder: str, follower: Any) -> Any:
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer  # type: ignore[attr-defined]

    columns: dict[str, Any] = {"chosen_ids": list(pairs.preferred), "rejected_ids": list(pairs.rejected)}
    if recipe.margin:
        columns["margin"] = [recipe.margin] * len(pairs)
    steps = recipe.epochs * math.ceil(len(pairs) / recipe.batch)
    tokenizer = copy.deepcopy(scalar.tokenizer)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(scalar.padding)  # TRL gives it to the model
    return RewardTrainer(
        model=scalar.model,
        processing_class=tokenizer,
        train_dataset=Dataset.from_dict(columns),
        callbacks=[follower],
        args=RewardConfig(
            output_dir=folder,
            num_train_epochs=recipe.epochs,
            per_device_train_batch_size=recipe.batch,
            learning_rate=recipe.lr,
            lr_scheduler_type="linear",
            warmup_steps=int(recipe.warmup * steps),
            disable_dropout=True,
            max_length=None,  # TRL would leave long pairs out
            seed=recipe.seed,
            use_cpu=recipe.device == "cpu",
            bf16=recipe.bfloat16,
            gradient_checkpointing=False,
            dataloader_pin_memory=recipe.device != "cpu",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
    )


def _follower(scalar: ScalarModel, held_out: TokenPairs, recipe: Recipe, epochs: Epochs, pairs: int) -> Any:
    """Return a callback that reports each step, judges each epoch and ends the training when patience runs out."""
    from transformers import TrainerCallback

    class Follower(TrainerCallback):
        losses: list[float] = []  # noqa: RUF012  # of the present epoch

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            row = state.log_history[-1]
            if "loss" not in row:
                return
            step, loss = state.global_step, row["loss"]
            if not math.isfinite(loss):
                raise NotFinite(f"the loss of step {step} of {state.max_steps} is {loss}; lower lr")
            self.losses.append(loss)
            report(step, state.max_steps, f"step {step} of {state.max_steps}, loss {loss:.2f}")

        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            full = len(self.losses) - 1
            loss = float(np.average(self.losses, weights=[recipe.batch] * full + [pairs - full * recipe.batch]))
            self.losses.clear()
            epochs.add(loss, _margins(scalar, held_out), recipe.margin, scalar)
            control.should_training_stop = epochs.choice.ended()

    return Follower()


def _margins(scalar: ScalarModel, pairs: TokenPairs) -> Floats | None:
    """Return the margins of pairs ``[n]``; None where there is no pair.  Raises `NotFinite`."""
    if not len(pairs):
        return None
    training = scalar.model.training
    scalar.model.eval()
    values = scalar.values([*pairs.preferred, *pairs.rejected])
    scalar.model.train(training)
    if not np.isfinite(values).all():
        raise NotFinite("the rewards of the validation pairs are not finite; lower lr")
    margins: Floats = values[: len(pairs)] - values[len(pairs) :]
    return margins
