"""RLOO and GRPO by TRL: several completions of a prompt, each compared with the others."""

from __future__ import annotations

import copy
import math
import shutil
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from fairl_bench.builtin.lms.budget import Budget, Within
from fairl_bench.builtin.lms.on_policy import AlignmentTask, OnPolicy, Step
from fairl_bench.builtin.shared.low_rank import Lora, adapted, added_in, check_lora
from fairl_bench.builtin.shared.training_environment import NO_TOKEN, PRECISION, with_tokens
from fairl_bench.errors import NotFinite
from fairl_bench.progress import report
from fairl_bench.science.checkpoints import are_intact, seal
from fairl_bench.values.number_format import NumberFormat

CHECKPOINT_SECONDS, CHECKPOINT_SHARE = 60.0, 0.1
_DONE, _TEXTS = "complete", "texts"
_KEPT = {"reward": "reward", "kl": "kl", "entropy": "entropy", "completions/mean_length": "length"}


class GroupRelative(OnPolicy):
    """An aligner that compares each completion with the other completions of the same prompt."""

    per_prompt: int = Field(4, ge=2, description="completions of a prompt")
    precision: NumberFormat = Field("float32", description=PRECISION)
    train: Literal["all", "lora"] = Field("all", description="all: every weight; lora: an adapter, added in at the end")
    lora: Lora = Field(Lora(), description="the adapter of 'train: lora'")
    once: bool = Field(
        False, description="read each completion of a step, and each prompt, once: quicker, with other last bits"
    )
    stop: Budget | None = Field(None, description="how far it may go from its base; none: as far as the steps take it")

    @model_validator(mode="after")
    def _measures_what_it_limits(self) -> Self:
        if self.stop and not self.penalty():
            raise ValueError("'stop' needs the KL from the base, which is not measured with 'kl: 0'; set a small 'kl'")
        return self

    def group(self) -> int:
        """Return ``per_prompt``."""
        return self.per_prompt

    @abstractmethod
    def trainer(self) -> tuple[type[Any], type[Any]]:
        """Return TRL's trainer and its configuration class."""

    @abstractmethod
    def penalty(self) -> float:
        """Return the value of TRL's ``beta``."""

    def check(self) -> None:
        """Check what every aligner checks and, for an adapter, that peft is there."""
        super().check()
        if self.train == "lora":
            check_lora(f"aligner {self.use!r}")

    def align(self, task: AlignmentTask) -> list[Step]:
        """Train ``task.model`` in place, from the last checkpoint if there is one, to the same weights."""
        if self.train == "all":
            return self._aligned(task, task.model)
        import torch

        narrow = self.precision == "bfloat16"
        if narrow:
            task.model.to(torch.bfloat16)  # all but the adapter, which is trained in float32
        adapter = adapted(task.model, self.lora, f"the base of aligner {self.use!r}", "CAUSAL_LM")
        history = self._aligned(task, adapter)
        added_in(adapter, task.model, task.base if narrow else None, self.lora)
        if narrow and task.held_out:
            task.held_out.last = None  # that was of the narrow weights
        return history

    def _aligned(self, task: AlignmentTask, model: Any) -> list[Step]:
        """Train the model, or the adapter around it, and put back the last step within the budget."""
        within = Within(self.stop, model, task.scratch / "within", task.held_out) if self.stop else None
        trainer = self._trainer(task, model, within)
        last = _last_checkpoint(task.scratch)
        if last is not None:
            if self.train == "all":
                _restore(model, last)
        elif task.probe:
            task.probe.look(0)
        trainer.train(resume_from_checkpoint=last)
        steps = [_step(row) for row in trainer.state.log_history if "reward" in row]
        return steps[: within.put_back(len(steps))] if within else steps

    def _trainer(self, task: AlignmentTask, model: Any, within: Within | None) -> Any:
        """Return TRL's trainer, with our reward, end tokens, reference and log."""
        from datasets import Dataset
        from transformers import PrinterCallback

        from fairl_bench.builtin.lms.read_once import reading_once
        from fairl_bench.science.endings import spelled
        from fairl_bench.science.language_model import padding, vocabulary

        completions: list[str] = []  # of the present step

        def reward(prompts: list[str], completion_ids: list[list[int]], **_: object) -> list[float]:
            completions[:] = [spelled(task.tokenizer, ids, task.ends) for ids in completion_ids]
            values: list[float] = task.reward(prompts, completions).tolist()
            return values

        trainer_class, _ = self.trainer()
        pad = padding(task.tokenizer, task.ends, vocabulary(task.model))
        ending = _ending(trainer_class, task.ends)
        trainer = (reading_once(ending) if self.once else ending)(
            model=model,
            reward_funcs=reward,
            args=self._configuration(task),
            train_dataset=Dataset.from_dict({"prompt": list(task.prompts)}),
            processing_class=with_tokens(task.tokenizer, pad, task.ends),
            callbacks=[_follower(completions, task, within)],
        )
        _end_at(trainer, task.ends)
        self._refer(trainer)
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _refer(self, trainer: Any) -> None:
        """Give the trainer its penalty and the base to measure the KL from: the model as it is now.

        TRL would load it again from its folder, as whatever class and with whatever settings its files name.
        """
        if self.penalty():
            trainer.beta = self.penalty()
            from fairl_bench.builtin.lms.read_once import WithoutAdapter

            model = trainer.accelerator.unwrap_model(trainer.model)
            reference = copy.deepcopy(model).eval() if self.train == "all" else WithoutAdapter(model)
            trainer.ref_model = trainer.accelerator.prepare_model(reference, evaluation_mode=True)

    def _configuration(self, task: AlignmentTask) -> Any:
        _, configuration = self.trainer()
        return configuration(
            output_dir=str(task.scratch),
            max_steps=self.steps,
            per_device_train_batch_size=self.batch // self.parts,
            gradient_accumulation_steps=self.parts,
            num_generations=self.per_prompt,
            learning_rate=self.lr,
            lr_scheduler_type="linear",
            beta=0.0,  # until there is a reference, see `_refer`
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            top_k=self.sampling.top_k,
            max_completion_length=self.sampling.max_new_tokens,
            shuffle_dataset=False,  # the prompts are in their order already
            disable_dropout=True,
            seed=task.seed,
            use_cpu=self.device == "cpu",
            bf16=self.precision == "bfloat16" and self.train == "all",
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",  # the follower says when
            save_total_limit=2,
            report_to="none",
            disable_tqdm=True,
        )


def _ending(trainer: type[Any], ends: Sequence[int]) -> type[Any]:
    """Return the trainer with completions that stop at the first of these tokens: some TRLs know only one."""
    from fairl_bench.science.endings import ended

    class Ending(trainer):  # type: ignore[misc]
        def _generate_single_turn(self, *arguments: object, **named: object) -> Any:
            generated = super()._generate_single_turn(*arguments, **named)
            completions, *rest = generated if isinstance(generated, tuple) else (generated,)
            completions = [ended(ids, ends) for ids in completions]
            return (completions, *rest) if isinstance(generated, tuple) else completions

    Ending.__name__ = trainer.__name__
    return Ending


def _end_at(trainer: Any, ends: Sequence[int]) -> None:
    """Make the trainer's generation stop at any of these tokens, or at none."""
    trainer.generation_config.eos_token_id = trainer.generation_kwargs["eos_token_id"] = list(ends) or None
    trainer.eos_token_ids = list(ends) or [NO_TOKEN]


def _follower(completions: Sequence[str], task: AlignmentTask, within: Within | None) -> Any:
    """Return a callback that reports and records each step, and saves one now and then.

    It saves every `CHECKPOINT_SECONDS`, or seldomer where that would take more than `CHECKPOINT_SHARE` of the time.
    """
    from transformers import TrainerCallback

    pause = 1 / CHECKPOINT_SHARE - 1  # so many times as long as the saving takes

    class Follower(TrainerCallback):
        kept, started, takes = time.monotonic(), 0.0, 0.0  # seconds: the last one was saved, was begun, has taken

        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            row = state.log_history[-1]
            _refuse_not_finite(row, state.max_steps)
            if "reward" in row:
                row[_TEXTS] = list(completions)  # with the log, it is in the checkpoints
                if within and not within.goes_on(row["step"], row["kl"] * row["completions/mean_length"]):
                    control.should_training_stop, control.should_save = True, False
                report(
                    row["step"], state.max_steps, f"step {row['step']} of {state.max_steps}, reward {row['reward']:.2f}"
                )

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if task.probe:
                task.probe.look(state.global_step)
            self.started = time.monotonic()
            control.should_save = self.started - self.kept >= max(CHECKPOINT_SECONDS, self.takes * pause)

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            folder = task.scratch / f"checkpoint-{state.global_step}"
            seal((path for path in folder.iterdir() if path.is_file()), folder / _DONE)
            self.kept = time.monotonic()
            self.takes = self.kept - self.started

    return Follower()


def _refuse_not_finite(row: Mapping[str, Any], steps: int) -> None:
    for name in ("loss", *_KEPT):
        if not math.isfinite(row.get(name, 0.0)):
            raise NotFinite(f"{name!r} of step {row['step']} of {steps} is {row[name]}; lower lr, or use a wider dtype")


def _last_checkpoint(scratch: Path) -> str | None:
    """Return the last complete checkpoint; half-written and damaged ones are removed."""
    checkpoints = {int(path.name.partition("-")[2]): path for path in scratch.glob("checkpoint-*")}
    for step in sorted(checkpoints, reverse=True):
        if are_intact(checkpoints[step] / _DONE):
            return str(checkpoints[step])
        shutil.rmtree(checkpoints[step])
    return None


def _restore(model: Any, checkpoint: str) -> None:
    """Put a checkpoint's weights into the model: the trainer misses those that have other names in the files."""
    from transformers import AutoModelForCausalLM

    # transformers 5 writes a GPT-NeoX's lm_head as embed_out, and its trainer then finds no lm_head
    saved = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="float32", use_safetensors=True)
    model.load_state_dict(saved.state_dict())


def _step(log: Mapping[str, Any]) -> Step:
    """Return one step of TRL's log, whose kl is per token."""
    numbers = {"step": log["step"], **{ours: log[theirs] for theirs, ours in _KEPT.items() if theirs in log}}
    if "kl" in numbers:
        numbers["kl"] *= numbers["length"]
    return Step(numbers, log[_TEXTS])


class Rloo(GroupRelative):
    """REINFORCE leave-one-out by TRL (Ahmadian et al. 2024, arXiv:2402.14740): reward minus ``kl`` times the KL.

    The KL to the base is that of a whole completion, in nats; per-completion baselines are the siblings' mean.
    """

    kl: float = Field(0.3, ge=0, description="cost of the KL of a completion to the base, in reward units a nat")

    def trainer(self) -> tuple[type[Any], type[Any]]:
        """Return TRL's `RLOOTrainer`."""
        from trl import RLOOConfig, RLOOTrainer  # type: ignore[attr-defined]

        return RLOOTrainer, RLOOConfig

    def penalty(self) -> float:
        """Return ``kl``."""
        return self.kl


class Grpo(GroupRelative):
    """Group-relative policy optimisation by TRL (Shao et al. 2024, arXiv:2402.03300).

    Rewards are standardised within the group; the KL to the base is a token's (k3 estimator) and part of the loss, so
    ``kl`` is on another scale than that of ``rloo``.
    """

    kl: float = Field(0.4, ge=0, description="weight of the KL to the base in the loss, by token")

    def trainer(self) -> tuple[type[Any], type[Any]]:
        """Return TRL's `GRPOTrainer`."""
        from trl import GRPOConfig, GRPOTrainer  # type: ignore[attr-defined]

        return GRPOTrainer, GRPOConfig

    def penalty(self) -> float:
        """Return ``kl``."""
        return self.kl
