"""PPO by TRL, for the versions of TRL that have it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import Field, model_validator

from fairl_bench.builtin.lms.on_policy import AlignmentTask, OnPolicy, Step
from fairl_bench.builtin.shared.training_environment import with_tokens
from fairl_bench.errors import MissingExtra
from fairl_bench.progress import report
from fairl_bench.values.data import Floats


class _Completion(NamedTuple):
    """A completion and its number of tokens."""

    text: str
    tokens: int


class Ppo(OnPolicy):
    """Proximal policy optimisation by TRL up to 1.12 (Ziegler et al. 2019, arXiv:1909.08593; the paper's aligner).

    The value model is the base with a new head.  The KL to the base is part of each token's reward.  An interrupted
    alignment begins anew: TRL's PPO cannot go on from a checkpoint.
    """

    kl: float = Field(0.3, ge=0, description="cost of the KL to the base, in reward units a nat")
    epochs: int = Field(4, ge=1, description="passes over a step's completions")
    clip: float = Field(0.2, gt=0, description="how far the probability of a token may move in a step, as a share")

    @model_validator(mode="after")
    def _whole_distribution(self) -> Self:
        if self.sampling.top_p < 1 or self.sampling.top_k:
            raise ValueError("TRL's PPO draws from the whole distribution; set 'sampling: {top_p: 1.0, top_k: 0}'")
        return self

    def check(self) -> None:
        """Check that TRL has PPO, and what every aligner checks."""
        _has_ppo(self.use)
        super().check()

    def readings(self) -> int:
        """Return those of the policy and of a value model as large, which learn several times."""
        return 4 + 6 * self.epochs

    def align(self, task: AlignmentTask) -> list[Step]:
        """Train ``task.model`` in place and return a record of each step."""
        _has_ppo(self.use)
        from transformers import PrinterCallback

        from fairl_bench.science.language_model import settle

        step_completions: list[_Completion] = []
        # it says that it trains
        with redirect_stdout(io.StringIO()), _ending(task.ends):
            trainer = self._trainer(task, step_completions)
            settle(task.model, task.tokenizer, task.ends)  # which TRL has given one end token
            trainer.callback_handler.remove_callback(PrinterCallback)
            if task.probe:
                task.probe.look(0)
            trainer.train()
        return [_step(row) for row in trainer.state.log_history if "objective/scores" in row]

    def _trainer(self, task: AlignmentTask, step_completions: list[_Completion]) -> Any:
        import torch
        from datasets import Dataset
        from transformers import AutoModelForSequenceClassification
        from trl.experimental.ppo import PPOTrainer  # type: ignore[import-not-found]

        from fairl_bench.science.language_model import vocabulary

        value = AutoModelForSequenceClassification.from_pretrained(
            task.base, num_labels=1, dtype="float32", use_safetensors=True, trust_remote_code=False
        )
        ids = task.tokenizer(list(task.prompts))["input_ids"]
        # all of one width, so that the judge knows where a prompt ends
        length = max(map(len, ids))
        # TRL takes the padding token for padding wherever it stands: one that the model does not have stands nowhere
        pad = vocabulary(task.model)
        padded = [[pad] * (length - len(prompt)) + prompt for prompt in ids]

        def judge(prompts: Sequence[str], completions: Sequence[_Completion]) -> Floats:
            step_completions.extend(completions)
            return task.reward(prompts, [completion.text for completion in completions])

        return PPOTrainer(
            args=self._configuration(task),
            processing_class=with_tokens(task.tokenizer, pad, task.ends),
            model=task.model,
            ref_model=None,
            reward_model=_judged(judge, task, length),
            value_model=value,
            data_collator=lambda rows: {"input_ids": torch.tensor([row["input_ids"] for row in rows])},
            train_dataset=Dataset.from_dict({"input_ids": padded}),
            callbacks=[_listener(step_completions, task)],
        )

    def _configuration(self, task: AlignmentTask) -> Any:
        from trl.experimental.ppo import PPOConfig

        return PPOConfig(
            output_dir=str(task.scratch),
            total_episodes=self.steps * self.batch,
            per_device_train_batch_size=self.batch // self.parts,
            gradient_accumulation_steps=self.parts,
            local_rollout_forward_batch_size=self.batch // self.parts,
            num_mini_batches=1,
            num_ppo_epochs=self.epochs,
            cliprange=self.clip,
            kl_coef=self.kl,
            learning_rate=self.lr,
            lr_scheduler_type="linear",
            temperature=self.sampling.temperature,
            response_length=self.sampling.max_new_tokens,
            stop_token="eos",
            num_sample_generations=0,
            seed=task.seed,
            use_cpu=self.device == "cpu",
            bf16=False,
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )


def _has_ppo(use: str) -> None:
    """Raise `MissingExtra` where the installed TRL has no PPO."""
    spec = find_spec("trl")
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    if not any((place / "experimental" / "ppo").is_dir() for place in places):
        raise MissingExtra(
            f"aligner {use!r} needs TRL 1.12, the last that has PPO, and this is TRL {version('trl')}; use 'rloo', or"
            " pip install 'fairl-bench[ppo]' into an environment of its own"
        )


@contextmanager
def _ending(ends: Sequence[int]) -> Iterator[None]:
    """Make TRL's PPO end a completion at the first of these tokens: by itself it knows only one."""
    import torch
    from trl.experimental.ppo import ppo_trainer

    from fairl_bench.science.endings import before_end

    truncate, log_softmax = ppo_trainer.truncate_response, ppo_trainer.selective_log_softmax

    def ended(stop: int, pad: int, responses: torch.Tensor) -> torch.Tensor:
        return responses.masked_fill(~before_end(responses, ends), pad)

    def known(logits: torch.Tensor, index: torch.Tensor) -> Any:
        return log_softmax(logits, index.clamp_max(logits.shape[-1] - 1))  # padding, whose value is masked

    ppo_trainer.truncate_response, ppo_trainer.selective_log_softmax = ended, known
    try:
        yield
    finally:
        ppo_trainer.truncate_response, ppo_trainer.selective_log_softmax = truncate, log_softmax


def _judged(judge: Callable[[Sequence[str], Sequence[_Completion]], Floats], task: AlignmentTask, length: int) -> Any:
    """Return the judge in the form of a reward model: its 'hidden state' at every token is the reward of the text."""
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    from fairl_bench.science.endings import spelled

    class Backbone(torch.nn.Module):
        def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> Any:
            sides = [
                (input_ids[:, part], attention_mask[:, part]) for part in (slice(None, length), slice(length, None))
            ]
            prompts, texts = (
                [spelled(task.tokenizer, row[kept].tolist(), end) for row, kept in zip(*side, strict=True)]
                for side, end in zip(sides, ((), task.ends), strict=True)
            )
            counts = attention_mask[:, length:].sum(1).tolist()
            completions = [_Completion(text, tokens) for text, tokens in zip(texts, counts, strict=True)]
            reward = torch.tensor(judge(prompts, completions), dtype=torch.float32, device=input_ids.device)  # [batch]
            return BaseModelOutput(hidden_states=(reward[:, None, None].expand(*input_ids.shape, 1),))

    class RewardModel(torch.nn.Module):
        base_model_prefix = "judge"

        def __init__(self) -> None:
            super().__init__()
            self.judge, self.score = Backbone(), torch.nn.Identity()

    return RewardModel()


def _listener(step_completions: list[_Completion], task: AlignmentTask) -> Any:
    """Return a callback that reports each step and records it with its completions."""
    from transformers import TrainerCallback

    class Listener(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            row = state.log_history[-1]
            row["texts"] = [completion.text for completion in step_completions]
            row["length"] = sum(completion.tokens for completion in step_completions) / len(step_completions)
            step_completions.clear()
            if task.probe:
                task.probe.look(row["step"])
            report(row["step"], state.max_steps, f"step {row['step']} of {state.max_steps}")

    return Listener()


def _step(log: Mapping[str, Any]) -> Step:
    """Return one step of TRL's log, whose entropy is per completion."""
    length = log["length"]
    numbers = {
        "step": log["step"],
        "reward": log["objective/scores"],
        "kl": log["objective/kl"],
        "entropy": log["objective/entropy"] / length,
        "length": length,
    }
    return Step(numbers, log["texts"])
