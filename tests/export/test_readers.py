"""Other people's programs read an exported folder: TRL's trainers, and RewardBench where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reward_models import fine_tuned, language_model, of_states, texts

from fairl_bench.export.reward_folder import write_folder
from fairl_bench.reward.function import RecoveredReward

EQUAL = 1e-5  # float32
STANDARD = {"pooling": "last", "normalise": False}
Make = Callable[[Path], RecoveredReward]
REWARDS: dict[str, tuple[str, Make, bool]] = {
    "states": ("gpt-neox", lambda lm: of_states(lm, **STANDARD), False),
    "states with a start": ("llama", lambda lm: of_states(lm, **STANDARD), True),
    "reward-model": ("llama", fine_tuned, True),
    "code": ("llama", of_states, True),
}


@pytest.fixture(scope="module", params=REWARDS)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RecoveredReward, Path, float, bool]:
    """A reward, its folder, the constant, and whether the folder has code."""
    architecture, make, bos = REWARDS[request.param]
    reward = make(language_model(tmp_path_factory.mktemp("lm"), architecture, bos=bos))
    folder = tmp_path_factory.mktemp("out") / "reward"
    told = write_folder(reward, folder, None, lambda _: "a card")
    return reward, folder, told.constant, told.kind == "code"


def messages(prompt: str, text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": text}]


Exported = tuple[RecoveredReward, Path, float, bool]


def test_trl_takes_the_folder_as_a_reward_function(exported: Exported, tiny_lm: Path, tmp_path: Path) -> None:
    """With conversations; each completion that the trainer has drawn gets the reward that we give it."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    reward, folder, constant, code = exported
    seen: list[tuple[list[Any], list[Any]]] = []

    def ours(prompts: list[Any], completions: list[Any], **_: object) -> list[float]:
        seen.append((prompts, completions))
        return reward(completions, prompts)

    prompts, _ = texts(8)
    data = Dataset.from_dict({"prompt": [[{"role": "user", "content": prompt}] for prompt in prompts]})
    settings = GRPOConfig(
        str(tmp_path), max_steps=1, per_device_train_batch_size=8, num_generations=4, max_completion_length=8,
        use_cpu=True, bf16=False, report_to="none", save_strategy="no", model_init_kwargs={"dtype": "float32"},
        trust_remote_code=code, gradient_checkpointing=False, logging_steps=1,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(tiny_lm)
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }} {% endfor %}"
    trainer = GRPOTrainer(
        str(tiny_lm), reward_funcs=[str(folder), ours], args=settings, train_dataset=data, processing_class=tokenizer
    )
    trainer.train()
    (logged,) = [entry for entry in trainer.state.log_history if any("rewards/" in name for name in entry)]
    theirs, mine = (logged[f"rewards/{name}/mean"] for name in (folder.name, "ours"))
    spread = logged[f"rewards/{folder.name}/std"], logged["rewards/ours/std"]
    assert seen
    assert theirs + constant == pytest.approx(mine, abs=EQUAL)
    assert spread[0] == pytest.approx(spread[1], abs=EQUAL)
    assert spread[0] > 0.01


def test_trl_evaluates_the_folder_as_a_reward_model(exported: Exported, tmp_path: Path) -> None:
    """Its loss and accuracy of pairs of conversations are those of our rewards."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    reward, folder, _, code = exported
    prompts, both = texts(40)
    prompts, preferred, rejected = prompts[:20], both[:20], both[20:]
    columns = {
        "chosen": [messages(*one) for one in zip(prompts, preferred, strict=True)],
        "rejected": [messages(*one) for one in zip(prompts, rejected, strict=True)],
    }
    data = Dataset.from_dict(columns)
    settings = RewardConfig(
        str(tmp_path), per_device_eval_batch_size=10, use_cpu=True, bf16=False, report_to="none", save_strategy="no",
        gradient_checkpointing=False,
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=code)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=code)
    trainer = RewardTrainer(model, settings, train_dataset=data, eval_dataset=data, processing_class=tokenizer)
    told = trainer.evaluate()
    margin = np.array(reward(preferred, prompts)) - np.array(reward(rejected, prompts))
    assert told["eval_loss"] == pytest.approx(np.logaddexp(0, -margin).mean(), abs=EQUAL)
    assert told["eval_accuracy"] == pytest.approx((margin > 0).mean())
    assert told["eval_margin"] == pytest.approx(margin.mean(), abs=EQUAL)


REWARDBENCH = os.environ.get("FAIRL_REWARDBENCH", "")
"""The Python that has RewardBench: it needs another transformers than we do."""
COMMAND = Path(__file__).parents[1] / "support" / "rewardbench_here.py"


@pytest.mark.skipif(not REWARDBENCH, reason="needs RewardBench: tox -e rewardbench")
def test_rewardbench_scores_the_folder_as_we_do(exported: Exported, tmp_path: Path) -> None:
    """Its command on a local file; it reads with padding on the left and with the tokens that a tokenizer adds."""
    reward, folder, constant, code = exported
    prompts, both = texts(40)
    rows = [
        {"prompt": prompt, "chosen": messages(prompt, one), "rejected": messages(prompt, other)}
        for prompt, one, other in zip(prompts, both, reversed(both), strict=False)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "model").symlink_to(folder)
    command = [
        REWARDBENCH,
        str(COMMAND),
        "--model",
        "model",
        "--dataset",
        "pairs.jsonl",
        "--load_json",
        "--not_quantized",
    ]
    command += ["--torch_dtype", "float32", "--batch_size", "8", "--output_dir", "told/"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    own |= {"WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [*command, *(["--trust_remote_code"] if code else [])], cwd=tmp_path, env=own, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    told = [json.loads(line) for line in (tmp_path / "told" / "model_outputs.jsonl").read_text().splitlines()]
    for name, of in (("scores_chosen", both), ("scores_rejected", both[::-1])):
        found = np.array([row[name] for row in told]) + constant
        # another torch and another transformers
        np.testing.assert_allclose(found, reward(of, prompts), rtol=0, atol=EQUAL)
    accuracy = json.loads((tmp_path / "told" / "model.json").read_text())["accuracy"]
    assert accuracy == pytest.approx(np.mean(np.array(reward(both, prompts)) > np.array(reward(both[::-1], prompts))))
