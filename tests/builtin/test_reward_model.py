"""The method ``reward-model``: what it learns, what it reads, what is kept of it, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import Result

from fairl_bench import load_reward
from fairl_bench.builtin.methods import reward_model
from fairl_bench.builtin.methods.preference_training import Epochs, Recipe, TokenPairs, train
from fairl_bench.builtin.methods.reward_model import RewardModel
from fairl_bench.builtin.methods.scalar_model import ScalarModel, scalar_model
from fairl_bench.builtin.shared.low_rank import Lora
from fairl_bench.builtin.shared.training_environment import quiet, seeded
from fairl_bench.builtin.sources.toy import ToyComments
from fairl_bench.errors import DataError, MissingExtra, NotFinite
from fairl_bench.guards.truncation import log_of_reads
from fairl_bench.pipeline import Finished, run
from fairl_bench.progress import listening
from fairl_bench.science.calibrated import calibrated_loss
from fairl_bench.science.selection import Choice, Selection
from fairl_bench.store.artefacts import load_examples, load_fitted_reward, save_fitted_reward
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study
from fairl_bench.values.training import Head, Inputs, Preferences, Reward, Stop, Task, Training

torch = pytest.importorskip("torch")

NOUNS = ("day", "film", "cat", "road", "song", "book", "word", "tree", "lake", "coat")
FRAMES = ("the {} was {}", "a {} is {} today", "I call this {} so {}", "they say the {} seems {}")
TEXTS = tuple(frame.format(noun, word) for frame in FRAMES for noun in NOUNS for word in ("good", "bad"))
"""Forty sentences, each once with a good word and once with a bad one."""
LAST: dict[str, Any] = {"training": Training(stop=None)}
FAST: dict[str, Any] = {"lr": 1e-2, "epochs": 4, "batch": 8, "warmup": 0.0}


def preferences(rows: Sequence[int], texts: tuple[str, ...] = TEXTS, prompt: tuple[str, ...] = ()) -> Preferences:
    """Pairs of neighbours: the good word is preferred."""
    good = 2 * np.array(rows, np.int64)
    return Preferences(np.empty((len(texts), 0), np.float32), good, good + 1, texts, prompt=prompt)


TRAIN, HELD_OUT = preferences([i for i in range(40) if i % 4]), preferences([i for i in range(40) if not i % 4])
NO_PAIR = preferences([])


def task(lm: Path, train: Preferences = TRAIN, validation: Preferences = NO_PAIR, **fields: Any) -> Task:
    return Task(train, validation, upstream={"lm": lm}, **fields)


def inputs(lm: Path, texts: Sequence[str], prompts: Sequence[str] = ()) -> Inputs:
    prompt = tuple(prompts) or ("",) * len(texts)
    return Inputs(tuple(texts), np.empty((len(texts), 0), np.float32), prompt, upstream={"lm": lm})


def margins(method: RewardModel, reward: Reward, lm: Path, pairs: Preferences) -> np.ndarray:
    values = method.score(reward, inputs(lm, pairs.texts))
    return values[pairs.preferred] - values[pairs.rejected]


def method(**fields: Any) -> RewardModel:
    return RewardModel.named("reward-model", **{**FAST, **fields})


def lora(**fields: Any) -> RewardModel:
    pytest.importorskip("peft", reason="needs peft")
    return method(train="lora", **{"lr": 2e-2, "lora": Lora(rank=4, alpha=8), **fields})


def equal(one: Reward, other: Reward) -> bool:
    same = (np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    return one.arrays.keys() == other.arrays.keys() and all(same)


@pytest.fixture(scope="module")
def fitted(tiny_lm: Path) -> Reward:
    """A reward that was trained for some steps."""
    return method(epochs=1).fit(task(tiny_lm, **LAST))


@pytest.fixture(scope="module")
def architectures(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a random model, by architecture, with the tokenizer of the tiny one."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    group = {"num_key_value_heads": 1, "head_dim": 8}
    shapes: dict[str, dict[str, Any]] = {
        # learnt positions
        "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64},
        "llama": size | group,
        "gemma3_text": size | group | {"sliding_window": 8, "sliding_window_pattern": 2},
    }
    made: dict[str, Path] = {}

    def folder(architecture: str) -> Path:
        if architecture not in made:
            place = tmp_path_factory.mktemp(architecture)
            config = AutoConfig.for_model(architecture, vocab_size=320, initializer_range=0.3, **shapes[architecture])
            torch.manual_seed(0)
            AutoModelForCausalLM.from_config(config).save_pretrained(place)  # type: ignore[no-untyped-call]
            AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(place)
            made[architecture] = place
        return made[architecture]

    return folder


def start(folder: Path, longest: int = 64, adapter: Lora | None = None) -> ScalarModel:
    with quiet(), seeded("a test"):
        return scalar_model(folder, "the model", longest, adapter)


# --- what it learns


@pytest.mark.parametrize("kind", [method, lora])
def test_it_learns_pairs_that_a_word_decides(kind: Callable[..., RewardModel], tiny_lm: Path) -> None:
    model = kind(epochs=12)
    reward = model.fit(task(tiny_lm, **LAST))
    held_out = margins(model, reward, tiny_lm, HELD_OUT)
    assert (held_out > 0).mean() >= 0.9  # of ten sentences that it has not seen
    assert margins(model, reward, tiny_lm, TRAIN).mean() > 1


def test_margins_of_training_pairs_grow_with_the_epochs(tiny_lm: Path) -> None:
    means = []
    for epochs in (1, 3, 9):
        model = method(epochs=epochs, lr=3e-3)
        means.append(margins(model, model.fit(task(tiny_lm, **LAST)), tiny_lm, TRAIN).mean())
    assert means[0] < means[1] < means[2]


def test_its_losses_are_those_of_bradley_and_terry(tiny_lm: Path) -> None:
    model = method(epochs=3)
    reward = model.fit(task(tiny_lm, validation=HELD_OUT))
    kept = reward.facts["kept_epoch"]
    assert isinstance(kept, int)
    held_out = margins(model, reward, tiny_lm, HELD_OUT)
    assert reward.history["validation_loss"][kept - 1] == pytest.approx(np.logaddexp(0, -held_out).mean(), rel=1e-5)
    assert reward.history["calibrated_loss"][kept - 1] == pytest.approx(calibrated_loss(held_out), rel=1e-4, abs=1e-6)
    assert [len(column) for column in reward.history.values()] == [3, 3, 3]


@pytest.mark.parametrize("margin", [0.0, 1.5])
def test_a_margin_is_what_a_preferred_text_should_win_by(margin: float, tiny_lm: Path) -> None:
    # hardly a step: the loss is that of the margins before it
    one = method(margin=margin, epochs=1, lr=1e-9, batch=len(TRAIN))
    reward = one.fit(task(tiny_lm, **LAST))
    before = margins(one, reward, tiny_lm, TRAIN)
    assert reward.history["train_loss"] == pytest.approx([np.logaddexp(0, margin - before).mean()], rel=1e-4)


def test_the_loss_of_an_epoch_is_the_mean_over_its_pairs_also_where_the_last_batch_is_smaller(tiny_lm: Path) -> None:
    one = method(epochs=1, lr=1e-9, batch=len(TRAIN) - 1)  # thirty pairs, of which the last one is alone
    reward = one.fit(task(tiny_lm, **LAST))
    before = margins(one, reward, tiny_lm, TRAIN)
    assert reward.history["train_loss"] == pytest.approx([np.logaddexp(0, -before).mean()], rel=1e-4)


def test_equal_seeds_give_equal_weights_and_other_numbers_others(tiny_lm: Path) -> None:
    one, again = (method(epochs=1).fit(task(tiny_lm, **LAST)) for _ in range(2))
    assert equal(one, again)
    for numbers in ({"seed": 1}, {"replicate": 1}):
        assert not equal(one, method(epochs=1).fit(task(tiny_lm, **LAST, **numbers)))


def test_another_seed_draws_another_head(tiny_lm: Path) -> None:
    still = {"lr": 1e-9, "epochs": 1}
    heads = [method(**still).fit(task(tiny_lm, **LAST, seed=seed)).arrays["score.weight"] for seed in (0, 1)]
    assert np.abs(heads[0] - heads[1]).max() > 1e-3


def test_the_chance_of_the_process_is_left_as_it_was(tiny_lm: Path) -> None:
    def drawn() -> tuple[float, float]:
        return float(torch.rand(1)), float(np.random.random())

    torch.manual_seed(3)
    np.random.seed(3)
    expected = drawn()
    torch.manual_seed(3)
    np.random.seed(3)
    model = method(epochs=1)
    margins(model, model.fit(task(tiny_lm, **LAST)), tiny_lm, TRAIN)
    assert drawn() == expected


def test_a_training_in_bfloat16_differs_and_leaves_the_next_one_alone(tiny_lm: Path) -> None:
    exact, rough, again = (
        method(epochs=1, precision=precision).fit(task(tiny_lm, **LAST))
        for precision in ("float32", "bfloat16", "float32")
    )
    assert not equal(exact, rough)
    assert equal(exact, again)


# --- the adapter


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_an_adapter_keeps_the_weights_of_the_base_as_they_are(tiny_lm: Path) -> None:
    before = digests(tiny_lm)
    reward = lora(epochs=1).fit(task(tiny_lm, **LAST))
    assert digests(tiny_lm) == before
    names = {name.rpartition(".")[0].rpartition(".")[2] for name in reward.arrays}
    assert names == {"lora_A", "lora_B", "score"}
    whole = method(epochs=1, lr=1e-9).fit(task(tiny_lm, **LAST))
    assert sum(a.size for a in reward.arrays.values()) < sum(a.size for a in whole.arrays.values()) / 2


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma3_text"])
def test_before_the_first_step_an_adapter_changes_no_score(
    architecture: str, architectures: Callable[[str], Path]
) -> None:
    pytest.importorskip("peft", reason="needs peft")
    plain, adapted = (start(architectures(architecture), adapter=adapter) for adapter in (None, Lora()))
    tokens = plain.tokens(TEXTS)
    values = plain.values(tokens)
    assert np.ptp(values) > 1e-2
    np.testing.assert_array_equal(adapted.values(tokens), values)
    assert {name.split(".")[-2] for name in adapted.arrays()} == {"lora_A", "lora_B", "score"}


def test_an_adapter_adds_the_product_of_its_two_matrices(tiny_lm: Path) -> None:
    adapter = Lora(rank=4, alpha=12)
    reward = lora(epochs=2, lora=adapter).fit(task(tiny_lm, **LAST))
    plain = start(tiny_lm)
    weights = plain.arrays()
    prefix, low, high = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
    for name in (name.removesuffix(low) for name in reward.arrays if name.endswith(low)):
        product = reward.arrays[name + high] @ reward.arrays[name + low]
        weights[f"{name.removeprefix(prefix)}.weight"] += 12 / 4 * product
    weights["score.weight"] = reward.arrays[f"{prefix}score.weight"]
    plain.give(weights, "the model")
    found = lora(lora=adapter).score(reward, inputs(tiny_lm, TEXTS))
    # float32 products in another order; the values are of size 1
    np.testing.assert_allclose(found, plain.values(plain.tokens(TEXTS)), rtol=0, atol=1e-5)


def test_layers_may_be_named(tiny_lm: Path) -> None:
    reward = lora(epochs=1, lora=Lora(modules=("dense_h_to_4h",))).fit(task(tiny_lm, **LAST))
    layers = {name.split(".")[-3] for name in reward.arrays if "lora" in name}
    assert layers == {"dense_h_to_4h"}


def test_a_layer_that_is_not_there_is_refused(tiny_lm: Path) -> None:
    with pytest.raises(
        DataError, match="language model of method 'reward-model' has no layer for an adapter by the name of 'q_prj'"
    ):
        lora(lora=Lora(modules=("q_prj",))).fit(task(tiny_lm, **LAST))


def test_without_peft_an_adapter_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from fairl_bench.builtin.shared import low_rank as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    method().check()
    said = (
        r"method 'reward-model' with 'train: lora' needs peft; pip install 'fairl-bench\[lora\]', or set 'train: all'"
    )
    with pytest.raises(MissingExtra, match=said):
        method(train="lora").check()


# --- what it reads


def test_one_text_alone_has_the_value_that_it_has_among_others(tiny_lm: Path, fitted: Reward) -> None:
    model = method()
    together = model.score(fitted, inputs(tiny_lm, TEXTS))
    alone = [model.score(fitted, inputs(tiny_lm, [text]))[0] for text in TEXTS]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)  # float32, values of size 1
    assert np.ptp(together) > 1e-2


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma3_text"])
def test_padding_moves_no_value_of_any_architecture(architecture: str, architectures: Callable[[str], Path]) -> None:
    scalar = start(architectures(architecture))
    tokens = scalar.tokens(["a", *TEXTS[:6], "", "the day was good and the film was bad, they say, so I call it"])
    alone = np.concatenate([scalar.values([ids]) for ids in tokens])
    np.testing.assert_allclose(scalar.values(tokens), alone, rtol=0, atol=1e-5)
    assert np.ptp(alone) > 1e-2


def test_a_value_is_the_head_on_the_state_of_the_end_token(tiny_lm: Path, fitted: Reward) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, body = AutoTokenizer.from_pretrained(tiny_lm), AutoModelForCausalLM.from_pretrained(tiny_lm)
    own = {name: torch.from_numpy(array) for name, array in fitted.arrays.items() if name != "score.weight"}
    assert not body.load_state_dict(own, strict=False).unexpected_keys
    body.eval()
    for prompt, text in (("", "the day was good"), ("Well,", "the day was bad"), ("Well,", " bad")):
        ids = [
            *tokenizer(f"{prompt} {text.strip()}".strip())["input_ids"],
            tokenizer.eos_token_id,
        ]  # one space between them
        with torch.no_grad():
            state = body(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, -1].numpy()
        (value,) = method().score(fitted, inputs(tiny_lm, [text], [prompt]))
        assert value == pytest.approx(float(fitted.arrays["score.weight"][0] @ state), abs=1e-5)


def test_a_text_that_ends_in_the_padding_token_is_read_to_its_end(architectures: Callable[[str], Path]) -> None:
    scalar = start(architectures("llama"))
    short = "the day was good"
    # the token that fills up batches, and the one that the tokenizer names for it
    fills = (scalar.tokenizer.decode([scalar.padding]), scalar.tokenizer.pad_token)
    assert fills[1] == "<|pad|>"
    for fill in fills:
        tokens = scalar.tokens([short, short + fill, f"{short} and the film was bad, they say"])
        assert tokens[1][:-2] == tokens[0][:-1]
        together = scalar.values(tokens)
        assert together[1] == pytest.approx(scalar.values(tokens[1:2])[0], abs=1e-5)
        assert abs(together[1] - together[0]) > 1e-3


def test_a_tokenizer_without_a_padding_token_gives_the_same_reward(
    tiny_lm: Path, fitted: Reward, saved_without_padding: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    bare = saved_without_padding(tiny_lm, tmp_path / "lm")
    assert equal(method(epochs=1).fit(task(bare, **LAST)), fitted)
    found, expected = (method().score(fitted, inputs(lm, TEXTS)) for lm in (bare, tiny_lm))
    np.testing.assert_array_equal(found, expected)


def test_a_model_without_any_special_token_is_trained_and_read(
    tiny_lm: Path, edited_lm: Callable[..., Path], tmp_path: Path
) -> None:
    nothing = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    names = dict.fromkeys(("bos_token", "eos_token", "pad_token"))
    bare = edited_lm(tiny_lm, tmp_path / "lm", config=nothing, tokenizer_config=names, generation_config=nothing)
    scalar = start(bare)
    assert (scalar.end, scalar.padding) == (0, 1)
    model = method()
    reward = model.fit(task(bare, **LAST))
    together = model.score(reward, inputs(bare, TEXTS[:5]))
    alone = [model.score(reward, inputs(bare, [text]))[0] for text in TEXTS[:5]]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_withheld_prompts_change_nothing_and_given_ones_do(tiny_lm: Path) -> None:
    prompts = tuple(f"{noun} is what they say," for noun in NOUNS * 3)
    told, untold = replace(TRAIN, prompt=prompts), TRAIN
    apart, beside = method(epochs=1, prompts="withheld"), method(epochs=1)
    reward = apart.fit(task(tiny_lm, told, **LAST))
    assert equal(reward, apart.fit(task(tiny_lm, untold, **LAST)))
    assert equal(reward, beside.fit(task(tiny_lm, untold, **LAST)))
    assert not equal(reward, beside.fit(task(tiny_lm, told, **LAST)))
    asked = inputs(tiny_lm, TEXTS[:30], prompts)
    without = inputs(tiny_lm, TEXTS[:30])
    np.testing.assert_array_equal(apart.score(reward, asked), apart.score(reward, without))
    assert np.abs(beside.score(reward, asked) - beside.score(reward, without)).max() > 1e-3


def test_texts_without_the_prompts_that_it_reads_are_refused(tiny_lm: Path, fitted: Reward) -> None:
    nothing = replace(inputs(tiny_lm, TEXTS[:2]), prompt=())
    with pytest.raises(DataError, match=r"reads each text after its prompt, and got 0 prompts for 2 texts; give the"):
        method().score(fitted, nothing)
    assert method(prompts="withheld").score(fitted, nothing).shape == (2,)


def test_a_long_text_loses_its_beginning_and_that_is_counted(tiny_lm: Path, fitted: Reward) -> None:
    scalar = start(tiny_lm, longest=8)
    (long,) = scalar.tokens(["they say the film was very long and the day was good"])
    assert len(long) > 8
    assert scalar.cut(long) == long[-8:]
    scalar.tokenizer.bos_token = scalar.tokenizer.convert_ids_to_tokens(long[0])
    assert scalar.cut(long) == [long[0], *long[-7:]]  # what the model was trained to begin with stays
    model = method(max_length=8)
    with log_of_reads() as log:
        model.score(fitted, inputs(tiny_lm, ["a day", *["they say the film was very long and the day was good"] * 2]))
    (reading,) = log.sums.values()
    assert (reading.by, reading.texts, reading.short) == ("method 'reward-model'", 2, 1)  # equal texts are read once
    assert reading.lost == len(long) - 8


def test_learnt_positions_bound_what_is_read(architectures: Callable[[str], Path]) -> None:
    assert start(architectures("gpt2"), longest=512).longest == 64
    assert start(architectures("llama"), longest=512).longest == 512


def test_equal_texts_have_equal_values_and_no_text_has_none(tiny_lm: Path, fitted: Reward) -> None:
    first, other, again = method().score(fitted, inputs(tiny_lm, ["good", "bad", "good"]))
    assert first == again != other
    assert method().score(fitted, inputs(tiny_lm, [])).shape == (0,)


# --- which epoch is kept


def turned(pairs: Preferences) -> Preferences:
    return replace(pairs, preferred=pairs.rejected, rejected=pairs.preferred)


def choice(patience: int | None = None, average: int = 1, start: int = 1) -> Choice:
    return Choice(Selection(patience=patience, average=average, start=start, monitor="calibrated-loss"))


def test_the_epoch_is_kept_that_the_validation_pairs_like_best(tiny_lm: Path) -> None:
    # the longer it learns the contrary of what they say, the worse
    stop = Stop(average=1, min_delta=0.0, monitor="base-loss")
    model = method(epochs=4)
    learns = task(tiny_lm, validation=turned(TRAIN), training=Training(stop=stop))
    reward = model.fit(learns)
    assert (reward.facts["kept_epoch"], reward.facts["epochs"]) == (1, 4)
    losses = reward.history["validation_loss"]
    assert losses[0] == min(losses)
    loss = np.logaddexp(0, margins(model, reward, tiny_lm, TRAIN)).mean()
    assert loss == pytest.approx(losses[0], rel=1e-5)  # the weights of that epoch, not of the last


def test_patience_ends_the_training(tiny_lm: Path) -> None:
    stop = Stop(average=1, min_delta=0.0, monitor="base-loss", patience=2)
    reward = method(epochs=6).fit(task(tiny_lm, validation=turned(TRAIN), training=Training(stop=stop)))
    assert (reward.facts["kept_epoch"], reward.facts["epochs"]) == (1, 3)


@pytest.mark.parametrize(("admissible", "first", "kept"), [("last", 3, 3), ({"from": 2}, 2, 2), ({"from": 9}, 0, 3)])
def test_only_admissible_epochs_are_kept(admissible: Any, first: int, kept: int, tiny_lm: Path) -> None:
    stop = Stop(average=1, min_delta=0.0, monitor="base-loss", admissible=admissible)
    reward = method(epochs=3).fit(task(tiny_lm, validation=turned(TRAIN), training=Training(stop=stop)))
    assert (reward.facts["admissible_from"], reward.facts["kept_epoch"]) == (first, kept)


def test_where_nothing_is_chosen_no_validation_pair_is_read(tiny_lm: Path) -> None:
    one, other = (method(epochs=2).fit(task(tiny_lm, validation=v, **LAST)) for v in (HELD_OUT, turned(HELD_OUT)))
    assert equal(one, other)
    assert list(one.history) == ["train_loss"]
    assert one.facts["kept_epoch"] == 2


def test_judging_an_epoch_changes_no_weight(tiny_lm: Path) -> None:
    last = Training(stop=Stop(admissible="last"))
    judged = method(epochs=2).fit(task(tiny_lm, validation=HELD_OUT, training=last))
    assert equal(judged, method(epochs=2).fit(task(tiny_lm, **LAST)))


# --- what is kept of it


@pytest.mark.parametrize("kind", [method, lora])
def test_a_reward_that_was_saved_and_read_again_scores_the_same(
    kind: Callable[..., RewardModel], tiny_lm: Path, tmp_path: Path
) -> None:
    model = kind(epochs=1)
    reward = model.fit(task(tiny_lm, **LAST))
    assert all(array.dtype == np.float32 for array in reward.arrays.values())
    save_fitted_reward(tmp_path, reward)
    again = load_fitted_reward(tmp_path)
    assert equal(reward, again)
    assert again.facts == reward.facts
    scores = [model.score(one, inputs(tiny_lm, TEXTS)) for one in (reward, again)]
    np.testing.assert_array_equal(*scores)


def test_a_reward_is_rebuilt_once_for_all_data_sets(
    tiny_lm: Path, fitted: Reward, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    monkeypatch.setattr(reward_model, "scalar_model", lambda *given: built.append(given) or scalar_model(*given))
    model = method()
    for texts in (TEXTS[:4], TEXTS[4:9], TEXTS[:4]):
        model.score(fitted.kept(), inputs(tiny_lm, texts))  # another view of the same weights each time
    assert len(built) <= 1


def test_an_older_reward_scores_as_before_after_another_one(tiny_lm: Path, fitted: Reward) -> None:
    model, asked = method(), inputs(tiny_lm, TEXTS)
    before = model.score(fitted, asked)
    other = Reward({name: 1.1 * array for name, array in fitted.arrays.items()})
    assert np.abs(model.score(other, asked) - before).max() > 1e-3
    np.testing.assert_array_equal(model.score(fitted, asked), before)


def test_the_weights_of_another_model_are_refused(
    tiny_lm: Path, fitted: Reward, architectures: Callable[[str], Path]
) -> None:
    said = "the language model of method 'reward-model' does not fit the reward that was trained from it: '.*' differs"
    with pytest.raises(DataError, match=said):
        method().score(fitted, inputs(architectures("llama"), TEXTS))
    other = {**fitted.arrays, "score.weight": np.zeros((1, 17), np.float32)}
    with pytest.raises(DataError, match=r"'score\.weight' differs"):
        method().score(Reward(other), inputs(tiny_lm, TEXTS))


@pytest.mark.parametrize("kind", [method, lora])
def test_it_leaves_no_file_and_says_nothing(
    kind: Callable[..., RewardModel],
    tiny_lm: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    room = tmp_path / "tmp"
    room.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    before = digests(tiny_lm)
    model = kind(epochs=1)
    model.score(model.fit(task(tiny_lm, validation=HELD_OUT)), inputs(tiny_lm, TEXTS))
    assert list(tmp_path.rglob("*")) == [room]
    assert digests(tiny_lm) == before
    assert capfd.readouterr() == ("", "")


def test_it_says_how_far_it_is(tiny_lm: Path) -> None:
    heard: list[tuple[float, str]] = []
    model = method(epochs=1, batch=15)
    with listening(lambda share, note: heard.append((share, note))):
        reward = model.fit(task(tiny_lm, validation=HELD_OUT))
    assert [share for share, _ in heard] == [0.5, 1.0]
    assert [note.partition(",")[0] for _, note in heard] == ["step 1 of 2", "step 2 of 2"]
    heard.clear()
    with listening(lambda share, note: heard.append((share, note))):
        model.score(reward, inputs(tiny_lm, TEXTS))
    assert heard == [(32 / 80, "32 of 80 texts"), (64 / 80, "64 of 80 texts"), (1.0, "80 of 80 texts")]


# --- what it refuses


def test_a_training_that_leaves_the_finite_numbers_is_refused(tiny_lm: Path) -> None:
    with pytest.raises(NotFinite, match=r"(loss of step \d of 16 is (nan|inf)|rewards .* are not finite); lower lr"):
        method(lr=1e30).fit(task(tiny_lm, validation=HELD_OUT))


def test_without_the_models_folder_it_says_what_it_needs(fitted: Reward) -> None:
    said = r"method 'reward-model' needs the folder of its language model as upstream\['lm'\], got none"
    with pytest.raises(DataError, match=said):
        method().fit(Task(TRAIN, NO_PAIR))
    with pytest.raises(DataError, match=said):
        method().score(fitted, Inputs(("a",), np.empty((1, 0), np.float32), ("",)))


def test_without_a_pair_there_is_nothing_to_learn(tiny_lm: Path) -> None:
    with pytest.raises(DataError, match="a reward model needs at least one pair to learn from, got none"):
        method().fit(task(tiny_lm, NO_PAIR, **LAST))


def test_a_folder_without_a_language_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the language model of method 'reward-model' has no configuration"):
        method().fit(task(tmp_path, **LAST))


def test_a_model_that_lacks_weights_is_refused(tiny_lm: Path, tmp_path: Path, edited_lm: Callable[..., Path]) -> None:
    from safetensors.torch import load_file, save_file

    folder = edited_lm(tiny_lm, tmp_path / "lm")
    (weights,) = folder.glob("*.safetensors")
    kept = {name: tensor for name, tensor in load_file(weights).items() if "final_layer_norm" not in name}
    save_file(kept, weights, {"format": "pt"})
    with pytest.raises(DataError, match=r"lacks 2 of its weights, such as 'gpt_neox\.final_layer_norm\.bias'"):
        method().fit(task(folder, **LAST))


def test_a_token_that_the_model_does_not_have_is_refused(
    tiny_lm: Path, architectures: Callable[[str], Path], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    shutil.copytree(architectures("llama"), tmp_path / "lm")
    tokenizer = AutoTokenizer.from_pretrained(tiny_lm)
    tokenizer.add_tokens(["qqq"])
    tokenizer.save_pretrained(tmp_path / "lm")
    scalar = start(tmp_path / "lm")
    with pytest.raises(DataError, match="has 320 tokens, but its tokenizer reads the text 'a qqq' as token 320: the"):
        scalar.tokens(["a", "a qqq"])


def test_a_source_without_language_models_needs_one_named(tiny_lm: Path) -> None:
    from fairl_bench.builtin.lms.pretrained import Pretrained

    source = ToyComments.named("toy-comments")
    with pytest.raises(DataError, match="method 'reward-model' needs the language models that the pairs come from"):
        method().of(source)
    own = method(lm=Pretrained.named("pretrained", model=str(tiny_lm)))
    assert own.of(source) is own
    assert list(own.upstream()) == ["lm"]


@pytest.mark.parametrize(
    ("field", "value"), [("lr", 0.0), ("epochs", 0), ("batch", 0), ("warmup", 1.0), ("margin", -0.1), ("max_length", 1)]
)
def test_a_wrong_field_is_refused_at_once(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"(?s){field}.*input_value={value!r}"):
        method(**{field: value})


def test_it_has_no_head_of_the_suite() -> None:
    assert method().head(Head()) == ""
    assert method().stack() is None


# --- one epoch's record, by hand


def test_an_epoch_is_recorded_by_hand(tiny_lm: Path) -> None:
    scalar, epochs = start(tiny_lm), Epochs(choice())
    epochs.add(0.5, np.array([1.0, -1.0, 3.0]), 0.0, scalar)
    assert epochs.train_loss == [0.5]
    by_hand = sum(math.log1p(math.exp(-m)) for m in (1, -1, 3)) / 3
    assert epochs.validation_loss == pytest.approx([by_hand], rel=1e-12)
    epochs.add(0.4, np.array([-1.0, -1.0, -3.0]), 0.0, scalar)
    assert epochs.choice.kept_epoch == 1
    assert epochs.history().keys() == {"train_loss", "validation_loss", "calibrated_loss"}
    epochs.add(0.4, np.array([1.0]), 1.5, scalar)  # the method's own loss, margin included
    assert epochs.validation_loss[2] == pytest.approx(math.log1p(math.exp(0.5)), rel=1e-12)


def recipe(**fields: Any) -> Recipe:
    settings = Recipe(lr=1e-3, epochs=2, batch=2, warmup=0.0, margin=0.0, device="cpu", bfloat16=False, seed=1)
    return settings._replace(**fields)


def test_another_seed_draws_another_order_of_the_pairs(tiny_lm: Path) -> None:
    kept = []
    for seed in (1, 1, 2):
        scalar = start(tiny_lm)
        tokens = scalar.tokens(TEXTS[:20])
        with quiet():
            pairs = TokenPairs(tokens[::2], tokens[1::2])
            kept.append(train(scalar, pairs, TokenPairs((), ()), recipe(seed=seed), choice()).kept)
    same = [all(np.array_equal(kept[0][name], other[name]) for name in other) for other in kept[1:]]
    assert same == [True, False]


@pytest.mark.parametrize(("warmup", "moves"), [(0.0, True), (0.5, False)])
def test_the_learning_rate_starts_at_nothing_where_it_warms_up(warmup: float, moves: bool, tiny_lm: Path) -> None:
    scalar = start(tiny_lm)
    before, tokens = scalar.arrays(), scalar.tokens(TEXTS[:20])
    pairs = TokenPairs(tokens[::2], tokens[1::2])
    with quiet():  # two steps; the first epoch is kept, as the held-out pairs say the contrary
        found = train(scalar, pairs, TokenPairs(*pairs[::-1]), recipe(batch=10, warmup=warmup), choice())
    assert found.choice.kept_epoch == 1
    assert any(not np.array_equal(before[name], found.kept[name]) for name in before) == moves


def test_the_steps_are_those_of_all_pairs_in_every_epoch(tiny_lm: Path) -> None:
    scalar = start(tiny_lm)
    tokens = scalar.tokens(TEXTS[:10])
    heard: list[str] = []
    with quiet(), listening(lambda share, note: heard.append(note)):
        train(scalar, TokenPairs(tokens[::2], tokens[1::2]), TokenPairs((), ()), recipe(), choice())
    assert len(heard) == 2 * 3


# --- in a suite

SUITE = """\
name: rm
seeds: [0, 1]
models: [{{name: toy, use: toy-comments, n: 60, gold: {{use: toy-truth}}}}]
encoders: [{{name: tfidf, use: tfidf, dimensions: 8}}]
training: {{epochs: 3}}
{split}
methods:
  - {{name: mean, use: mean-difference}}
  - {{name: rm, use: reward-model, {lm}epochs: 2, batch: 8, lr: 1.0e-2}}
testsets: {{shifted: {{use: toy-comments, n: 20, gold: {{use: toy-truth}}}}}}
evaluate: [{{use: fidelity, data: [pairs/test, shifted]}}]
report: {{table1: {{data: [pairs/test, shifted], truth: gold, metrics: [starc]}}}}
"""


def suite(lm: Path | None, split: str = "") -> str:
    return SUITE.format(lm="" if lm is None else f"lm: {{use: pretrained, model: '{lm}'}}, ", split=split)


def test_a_suite_with_neither_model_is_refused_at_its_line(
    cli: Callable[..., Result], write_suite: Callable[..., Path]
) -> None:
    said = cli("check", write_suite(suite(None)))
    assert said.exit_code == 2
    assert "method 'reward-model' needs the language models that the pairs come from" in " ".join(said.stderr.split())


def test_an_empty_validation_part_is_refused_as_its_epoch_is_chosen_by_it(
    tiny_lm: Path, cli: Callable[..., Result], write_suite: Callable[..., Path]
) -> None:
    few = suite(tiny_lm, "split: {validation: 0.001, test: 0.4}").replace("n: 60", "n: 8")
    said = cli("run", write_suite(few))
    assert "the split leaves no pair for 'validation'" in " ".join((said.stdout + said.stderr).split())


@pytest.fixture(scope="module")
def ran_there(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run that trained rewards."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "suite.yaml").write_text(suite(tiny_lm))
    done = run(read_study(folder / "suite.yaml"), FolderStore(folder / "store"), folder / "results")
    assert not done.outcome.failed
    return done


def test_a_suite_trains_it_and_keeps_its_records(ran_there: Finished) -> None:
    rows = {(record.metric, record.seed) for record in ran_there.records if record.method == "rm"}
    assert {("kept_epoch", 0), ("kept_epoch", 1), ("starc", 0), ("admissible_from", 1)} <= rows


def test_a_saved_reward_gives_the_scores_of_its_run_where_its_model_is(
    ran_there: Finished, tiny_lm: Path, tmp_path: Path
) -> None:
    done = ran_there
    shutil.copytree(done.folder / "rewards" / "toy-tfidf-rm-r0-s0", tmp_path / "reward")
    table = pq.read_table(done.folder / "scores" / "toy-tfidf-rm-r0-s0.parquet", filters=[("dataset", "=", "shifted")])
    key = done.plan.cells[0].inputs.texts()["shifted"]
    examples = load_examples(FolderStore(done.folder.parent / "store").path(key))
    reward = load_reward(tmp_path / "reward")
    np.testing.assert_allclose(reward.values(examples), table["reward"].to_numpy(), rtol=0, atol=1e-5)
    told = json.loads((tmp_path / "reward" / "reward.json").read_text())
    told["upstream"]["method/lm"]["place"] = str(tmp_path / "gone")
    (tmp_path / "reward" / "reward.json").unlink()
    (tmp_path / "reward" / "reward.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match=r"its method reads the language model in .*/gone, which is gone"):
        load_reward(tmp_path / "reward")
    elsewhere = load_reward(tmp_path / "reward", upstream={"method/lm": str(tiny_lm)})
    np.testing.assert_array_equal(elsewhere.values(examples), reward.values(examples))
    with pytest.raises(DataError, match="reads prompts and completions; give it prompts"):
        elsewhere(["a text"])
