from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fairl_bench.builtin.methods.length import Length
from fairl_bench.builtin.methods.pairwise import MaxEntropy
from fairl_bench.errors import DataError, NotFinite
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.values.data import Examples, Vectors
from fairl_bench.values.training import Reward


class Vowels(Encoder):
    """How many a's and e's a text has; remembers what it was asked."""

    asked: ClassVar[list[tuple[str, ...]]] = []

    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        self.asked.append(tuple(texts))
        return np.array([[text.count("a"), text.count("e")] for text in texts], np.float32)


@pytest.fixture(autouse=True)
def _forget() -> None:
    Vowels.asked.clear()


def recovered(**fields: Any) -> RecoveredReward:
    """An a is worth 1, an e costs 2."""
    arrays = {"weight": np.array([1, -2], np.float32), "bias": np.array(0, np.float32)}
    start: dict[str, Any] = {"method": MaxEntropy.named("max-entropy"), "encoder": Vowels(), "reward": Reward(arrays)}
    return RecoveredReward(**{**start, **fields})


def longer(**fields: Any) -> RecoveredReward:
    reward = Reward({"sign": np.array(1, np.float32)})
    return RecoveredReward(Length.named("length"), None, reward, **fields)


def test_it_gives_a_plain_number_for_each_text() -> None:
    values = recovered()(["aa", "e", "aa", ""])
    assert values == [2.0, -2.0, 2.0, 0.0]
    assert all(type(value) is float for value in values)


def test_equal_texts_are_embedded_once() -> None:
    recovered()(["aa", "e", "aa"])
    assert Vowels.asked == [("aa", "e")]


def test_no_text_has_no_reward_and_asks_no_encoder() -> None:
    assert recovered()([]) == []
    assert Vowels.asked == []


def test_space_around_a_completion_is_left_out() -> None:
    assert longer()([" four\n"]) == [4.0]
    assert longer().values(Examples((" four\n",))).tolist() == [6.0]


def test_a_prompt_is_read_where_the_reward_was_fitted_on_prompts() -> None:
    assert recovered()(["a"], prompts=["eee"]) == [1.0]
    assert recovered(embed="prompt+completion")(["a"], prompts=["eee"]) == [-5.0]


def test_a_method_that_reads_texts_is_given_the_completion_whatever_is_embedded() -> None:
    assert longer(embed="prompt+completion")(["four", "four", "a"], ["a prompt", "b", "c"]) == [4.0, 4.0, 1.0]


def test_it_refuses_to_guess_the_prompts() -> None:
    with pytest.raises(DataError, match=r"'recovered' reads prompts and completions; give it prompts=\[...\] too"):
        recovered(embed="prompt+completion")(["a"])
    with pytest.raises(DataError, match="needs a prompt for each completion, got 1 and 2"):
        recovered()(["a", "e"], prompts=["x"])


def test_one_text_is_not_taken_for_a_list_of_letters() -> None:
    with pytest.raises(DataError, match=r"needs lists of texts, got one text; write reward\(\[text\]\)"):
        recovered()("aa")


def test_conversations_are_the_contents_of_their_messages() -> None:
    completion = [{"role": "assistant", "content": "aa"}, {"role": "assistant", "content": None, "tool_calls": []}]
    parts = [{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "a"}]}]
    prompt = [{"role": "system", "content": "e"}, {"role": "user", "content": "e"}]
    assert recovered()([completion, parts]) == [2.0, 2.0]
    assert recovered(embed="prompt+completion")([completion], prompts=[prompt]) == [-2.0]


@pytest.mark.parametrize(
    ("completion", "sentence"),
    [
        (7, "needs a text or a list of messages, got 7"),
        (["a"], r"needs a text or a list of messages, got \['a'\]"),
        ([{"content": [{"type": "image", "image": "x"}]}], "reads text alone, got a message of .*image"),
        ([{"content": 7}], "reads text alone, got a message of 7"),
    ],
)
def test_what_is_no_text_is_refused(completion: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        recovered()([completion])


def test_a_reward_that_is_no_number_is_refused_with_its_text() -> None:
    arrays = {"weight": np.array([np.inf, 0], np.float32), "bias": np.array(0, np.float32)}
    with pytest.raises(NotFinite, match="method 'max-entropy' rewards 'aa' with inf"):
        recovered(reward=Reward(arrays))(["aa"])


# --- in TRL's hands

CHAT = "{% for message in messages %}{{ message['content'] }} {% endfor %}"


def aligned(reward: RecoveredReward, lm: Path, folder: Path, prompts: list[Any], columns: dict[str, Any]) -> list[Any]:
    """The log of three steps of REINFORCE leave-one-out with the reward as TRL is given one."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import RLOOConfig, RLOOTrainer  # type: ignore[attr-defined]

    from fairl_bench.builtin.shared.training_environment import quiet

    tokenizer = AutoTokenizer.from_pretrained(lm)
    tokenizer.chat_template = CHAT
    with quiet():
        trainer = RLOOTrainer(
            model=AutoModelForCausalLM.from_pretrained(lm),
            reward_funcs=reward,
            args=RLOOConfig(
                output_dir=str(folder),
                max_steps=3,
                per_device_train_batch_size=8,
                num_generations=4,
                max_completion_length=6,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
            ),
            train_dataset=Dataset.from_dict({"prompt": prompts, **columns}),
            processing_class=tokenizer,
        )
        trainer.train()
    return [row for row in trainer.state.log_history if "reward" in row]


@pytest.mark.parametrize("chat", [False, True], ids=["texts", "conversations"])
def test_trl_aligns_a_language_model_with_it(chat: bool, tiny_lm: Path, tmp_path: Path) -> None:
    texts = [f"You are {i}" for i in range(8)]
    prompts = [[{"role": "user", "content": text}] for text in texts] if chat else texts
    log = aligned(recovered(name="my-reward"), tiny_lm, tmp_path, prompts, {"truth": [0.5] * 8})
    assert [row["step"] for row in log] == [1, 2, 3]
    heard = [text for batch in Vowels.asked for text in batch]
    assert heard
    assert not any(text in heard for text in texts)
    for row in log:
        assert np.isfinite(row["reward"])
        assert row["rewards/my-reward/mean"] == pytest.approx(row["reward"], abs=1e-6)  # TRL's float32
    assert any(row["reward_std"] > 0 for row in log)
