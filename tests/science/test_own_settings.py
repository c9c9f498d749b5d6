"""A model's own generation settings do nothing to what is drawn from it, but for the tokens that end its texts.

Expected texts and numbers are computed here by plain loops: one text at a time, without padding or a cache.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from fairl_bench.errors import DataError
from fairl_bench.science.endings import before_end, ended, endings, spelled
from fairl_bench.science.generation import complete, draw, load
from fairl_bench.science.likelihood import divergence

PROMPTS = ("the", "a kind reader of every word", "to be", "so")
TOKENS = 8

# a value for each field of GenerationConfig that would be seen in the texts, if it did anything
ACTING: dict[str, Any] = {
    "max_length": 2,
    "max_new_tokens": 1,
    "min_length": 60,
    "min_new_tokens": 7,
    "early_stopping": True,
    "max_time": 1e-9,
    "stop_strings": ["e", " "],
    "do_sample": True,
    "num_beams": 3,
    "use_mtp": True,
    "use_cache": False,
    "cache_implementation": "offloaded",
    "cache_config": {"backend": "quanto"},
    "max_cache_len": 3,
    "temperature": 0.01,
    "top_k": 1,
    "top_p": 0.01,
    "min_p": 0.9,
    "top_h": 0.01,
    "typical_p": 0.01,
    "epsilon_cutoff": 0.5,
    "eta_cutoff": 0.5,
    "repetition_penalty": 50.0,
    "encoder_repetition_penalty": 50.0,
    "length_penalty": 5.0,
    "no_repeat_ngram_size": 1,
    "bad_words_ids": [[token] for token in range(5, 200)],
    "renormalize_logits": True,
    "forced_bos_token_id": 7,
    "forced_eos_token_id": 7,
    "remove_invalid_values": True,
    "exponential_decay_length_penalty": [1, 9.0],
    "suppress_tokens": list(range(5, 200)),
    "begin_suppress_tokens": list(range(5, 200)),
    "sequence_bias": [[[7], 50.0]],
    "token_healing": True,
    "guidance_scale": 3.0,
    "watermarking_config": {"greenlist_ratio": 0.1, "bias": 50.0},
    "num_return_sequences": 2,
    "output_attentions": True,
    "output_hidden_states": True,
    "output_scores": True,
    "output_logits": True,
    "return_dict_in_generate": True,
    "pad_token_id": 9,
    "bos_token_id": 9,
    "eos_token_id": None,  # the one that does something; see below
    "encoder_no_repeat_ngram_size": 1,
    "decoder_start_token_id": 9,
    "is_assistant": True,
    "num_assistant_tokens": 3,
    "num_assistant_tokens_schedule": "heuristic",
    "assistant_confidence_threshold": 0.9,
    "prompt_lookup_num_tokens": 3,
    "max_matching_ngram_size": 2,
    "assistant_early_exit": 1,
    "assistant_lookbehind": 3,
    "target_lookbehind": 3,
    "assistant_ensemble_weight": 0.5,
    "speculation_type": "mtp",
    "compile_config": {"mode": "default"},
    "disable_compile": True,
    "continuous_batching_config": {"max_batch_tokens": 3},
    "low_memory": True,
    "penalty_alpha": 0.9,
    "dola_layers": "high",
    "diversity_penalty": 0.9,
    "num_beam_groups": 3,
    "constraints": ["x"],
    "force_words_ids": [[7]],
    "prefill_chunk_size": 1,
    "a_field_of_another_version": 3,
}


class Case(NamedTuple):
    """A model with several end tokens, three of them ordinary ones, and the folder it came from."""

    folder: Path
    ends: tuple[int, ...]


@pytest.fixture(scope="module")
def uniform() -> np.ndarray:
    return np.random.default_rng(0).random((len(PROMPTS), TOKENS))


@pytest.fixture(scope="module")
def several(tiny_lm: Path, edited_lm: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Case:
    """End tokens in each of the three places, likely enough that most texts end early."""
    folder = edited_lm(
        tiny_lm,
        tmp_path_factory.mktemp("several") / "lm",
        generation_config={"eos_token_id": list(range(40, 90))},
        config={"eos_token_id": [0, *range(90, 110)]},
    )
    return Case(folder, (0, *range(40, 110)))


def by_hand(model: Any, tokenizer: Any, prompt: str, levels: Sequence[float], ends: Sequence[int]) -> list[int]:
    """One completion's tokens, by inverse transform from the plain softmax of the model's logits."""
    ids, new = tokenizer(prompt)["input_ids"], list[int]()
    for level in levels:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids + new])).logits[0, -1].double()
        cumulative = logits.softmax(-1).cumsum(-1)
        new.append(int(torch.searchsorted(cumulative, level * cumulative[-1], right=True)))
        if new[-1] in ends:
            break
    return new


def test_every_field_of_the_settings_is_tried() -> None:
    from transformers import GenerationConfig

    known = {name for name in GenerationConfig().to_dict() if not name.startswith("_")} - {"transformers_version"}
    assert known <= ACTING.keys()


def test_no_field_of_a_models_own_settings_changes_its_completions(
    tiny_lm: Path, edited_lm: Callable[..., Path], uniform: np.ndarray, tmp_path: Path
) -> None:
    plain = complete(tiny_lm, PROMPTS, uniform).text
    fields = [{name: value} for name, value in ACTING.items()]
    together = {name: value for name, value in ACTING.items() if name != "eos_token_id"}
    for i, entries in enumerate([*fields, together]):
        folder = edited_lm(tiny_lm, tmp_path / str(i), generation_config=entries)
        assert complete(folder, PROMPTS, uniform).text == plain, entries


@pytest.mark.parametrize("field", ["repetition_penalty", "no_repeat_ngram_size", "num_beams", "suppress_tokens"])
def test_settings_in_the_configuration_of_an_old_model_do_nothing_either(
    field: str, tiny_lm: Path, edited_lm: Callable[..., Path], uniform: np.ndarray, tmp_path: Path
) -> None:
    folder = edited_lm(tiny_lm, tmp_path / "lm", config={field: ACTING[field]})
    assert complete(folder, PROMPTS, uniform).text == complete(tiny_lm, PROMPTS, uniform).text


def test_settings_put_on_a_loaded_model_do_nothing_and_stay(tiny_lm: Path, uniform: np.ndarray) -> None:
    from transformers import GenerationConfig

    model, tokenizer = load(tiny_lm)
    (plain,) = draw(model, tokenizer, PROMPTS, uniform)
    own = model.generation_config = GenerationConfig(repetition_penalty=50.0, min_new_tokens=7, eos_token_id=0)
    (found,) = draw(model, tokenizer, PROMPTS, uniform)
    assert torch.equal(found.tokens, plain.tokens)
    assert model.generation_config is own


def test_the_suites_own_sampling_still_acts(several: Case, uniform: np.ndarray) -> None:
    texts = [complete(several.folder, PROMPTS, numbers, top_k=1).text for numbers in (uniform, 1 - uniform)]
    assert texts[0] == texts[1]


def test_completions_are_those_of_the_plain_softmax_up_to_any_end_token(several: Case, uniform: np.ndarray) -> None:
    model, tokenizer = load(several.folder)
    assert endings(model, tokenizer) == several.ends
    expected = [by_hand(model, tokenizer, *one, several.ends) for one in zip(PROMPTS, uniform, strict=True)]
    assert {len(ids) for ids in expected} > {TOKENS}  # some end before, some do not
    (drawn,) = draw(model, tokenizer, PROMPTS, uniform)
    found = dict(zip(drawn.rows, drawn.new.tolist(), strict=True))
    assert [ended(found[i], several.ends) for i in range(len(PROMPTS))] == expected
    texts = [tokenizer.decode([token for token in ids if token not in several.ends]).strip() for ids in expected]
    assert complete(several.folder, PROMPTS, uniform).text == texts


def test_first_tokens_are_distributed_as_the_softmax_whatever_the_settings(
    tiny_lm: Path, edited_lm: Callable[..., Path], tmp_path: Path
) -> None:
    """Pearson's chi-square over the model's likeliest tokens and the rest."""
    from scipy.stats import chisquare

    n = 4000
    settings = {name: ACTING[name] for name in ("repetition_penalty", "suppress_tokens", "do_sample", "top_k", "min_p")}
    model, tokenizer = load(edited_lm(tiny_lm, tmp_path / "lm", generation_config=settings))
    levels = np.random.default_rng(1).random((n, 1))
    tokens = torch.cat([one.new for one in draw(model, tokenizer, ["the"] * n, levels, batch=n)]).flatten().numpy()
    with torch.no_grad():
        logits = model(**tokenizer("the", return_tensors="pt")).logits[0, -1]
    share = logits.double().softmax(-1).numpy()
    likely = np.argsort(-share)[:40]
    counts = np.bincount(tokens, minlength=len(share))[likely]
    expected = n * share[likely]
    found = chisquare([*counts, n - counts.sum()], [*expected, n - expected.sum()])
    assert found.pvalue > 1e-3  # over fixed numbers


def test_kl_surprise_and_length_are_those_of_the_tokens_up_to_the_first_end(several: Case) -> None:
    policy, tokenizer = load(several.folder)
    base, _ = load(several.folder)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in base.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=noise)
    levels = np.random.default_rng(3).random((len(PROMPTS), TOKENS))
    (drawn,) = draw(policy, tokenizer, PROMPTS, levels)
    found = divergence(base, drawn)
    for place, row in enumerate(drawn.rows):
        new = by_hand(policy, tokenizer, PROMPTS[row], levels[row], several.ends)
        ids = tokenizer(PROMPTS[row])["input_ids"]
        with torch.no_grad():
            ours, theirs = (
                one(input_ids=torch.tensor([ids + new])).logits[0, len(ids) - 1 : -1].double().log_softmax(-1)
                for one in (policy, base)
            )
        at, ends = (range(len(new)), new), list(several.ends)
        if new[-1] in ends:  # any of them ends the text
            for log in (ours, theirs):
                log[-1, new[-1]] = log[-1, ends].logsumexp(-1)
        ratio = theirs[at] - ours[at]
        expected = (-ratio.sum(), (ratio.exp() - 1 - ratio).sum(), -theirs[at].sum())
        for one, by in zip((found.k1, found.k3, found.surprise), expected, strict=True):
            assert float(one[place]) == pytest.approx(float(by), abs=1e-4)  # float32 over eight tokens
        assert int(found.tokens[place]) == len(new)


def test_an_ending_in_any_of_three_places_is_one() -> None:
    new = torch.tensor([[5, 6, 7, 8], [5, 3, 3, 8], [2, 3, 0, 9]])
    assert before_end(new, [3, 6]).tolist() == [[True, True, False, False]] * 2 + [[True, True, False, False]]
    assert before_end(new, []).all()
    assert ended([5, 6, 7], ()) == [5, 6, 7]


@pytest.mark.parametrize("end", [-1, 10**6, True, "0", [None], {}])
def test_what_is_no_token_ends_nothing(
    end: Any, tiny_lm: Path, edited_lm: Callable[..., Path], uniform: np.ndarray, tmp_path: Path
) -> None:
    folder = edited_lm(tiny_lm, tmp_path / "lm", generation_config={"eos_token_id": end})
    assert endings(*load(folder)) == (0,)
    assert complete(folder, PROMPTS, uniform).text == complete(tiny_lm, PROMPTS, uniform).text


def test_an_ending_that_is_no_special_token_is_no_text_either(several: Case) -> None:
    _, tokenizer = load(several.folder)
    word = tokenizer.decode([45])
    assert word.strip()
    assert spelled(tokenizer, [200, 45, 201], several.ends) == tokenizer.decode([200]).strip()


# --- no padding, no end, the one for the other


def bare(edited_lm: Callable[..., Path], folder: Path, place: Path) -> Path:
    """The model without a padding, a BOS or an end token anywhere."""
    none = dict.fromkeys(("eos_token_id", "bos_token_id", "pad_token_id"))
    words = dict.fromkeys(("eos_token", "bos_token", "pad_token"))
    return edited_lm(folder, place, generation_config=none, config=none, tokenizer_config=words)


def test_without_padding_and_end_tokens_a_text_runs_to_the_last_token(
    tiny_lm: Path, edited_lm: Callable[..., Path], uniform: np.ndarray, tmp_path: Path
) -> None:
    folder = bare(edited_lm, tiny_lm, tmp_path / "lm")
    model, tokenizer = load(folder)
    assert tokenizer.pad_token_id is None
    assert endings(model, tokenizer) == ()
    (drawn,) = draw(model, tokenizer, PROMPTS, uniform)
    found = dict(zip(drawn.rows, drawn.new.tolist(), strict=True))
    assert [found[i] for i in range(len(PROMPTS))] == [
        by_hand(model, tokenizer, *one, ()) for one in zip(PROMPTS, uniform, strict=True)
    ]
    assert divergence(model, drawn).tokens.tolist() == [TOKENS] * len(PROMPTS)


def test_padding_that_is_an_end_token_or_lies_beyond_the_model_changes_no_text(
    tiny_lm: Path, edited_lm: Callable[..., Path], uniform: np.ndarray, tmp_path: Path
) -> None:
    plain = complete(tiny_lm, PROMPTS, uniform).text
    ended_by = edited_lm(tiny_lm, tmp_path / "end", tokenizer_config={"pad_token": "<|endoftext|>"})
    assert complete(ended_by, PROMPTS, uniform).text == plain
    beyond = edited_lm(tiny_lm, tmp_path / "beyond", tokenizer_config={"pad_token": "<another>"})
    _, tokenizer = load(beyond)
    assert tokenizer.pad_token_id == 320  # the model has 320 tokens, 0 to 319
    assert complete(beyond, PROMPTS, uniform).text == plain


def test_a_padding_token_that_is_drawn_counts_as_any_other(several: Case) -> None:
    """The model can draw it: only what follows an end token is padding."""
    _, tokenizer = load(several.folder)
    pad = tokenizer.pad_token_id
    assert pad not in several.ends
    assert before_end(torch.tensor([[200, pad, 201, 45, pad]]), several.ends).tolist() == [[True] * 4 + [False]]


# --- prompts


def test_an_empty_prompt_begins_at_the_bos_token_whatever_its_company(
    tiny_lm: Path, edited_lm: Callable[..., Path], uniform: np.ndarray, tmp_path: Path
) -> None:
    model, tokenizer = load(tiny_lm)
    (drawn,) = draw(model, tokenizer, ("", *PROMPTS[1:]), uniform)
    first = drawn.new.tolist()[drawn.rows.index(0)]
    assert ended(first, drawn.ends) == by_hand(model, tokenizer, tokenizer.bos_token, uniform[0], drawn.ends)
    with pytest.raises(DataError, match="neither a BOS nor an end token to begin an empty prompt at"):
        complete(bare(edited_lm, tiny_lm, tmp_path / "lm"), ("",), uniform[:1])


def test_a_tokenizer_that_ends_every_prompt_is_refused(tiny_lm: Path, uniform: np.ndarray, tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer

    model, _ = load(tiny_lm)
    model.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_lm)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("$A <|endoftext|>", None, [("<|endoftext|>", 0)])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(DataError, match="puts an end token behind every text, after which nothing can follow"):
        complete(tmp_path, PROMPTS, uniform)


@pytest.fixture(scope="module")
def learnt_positions(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a table of 24 positions."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("gpt2")
    own = {"n_positions": 24, "n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 320}
    config = AutoConfig.for_model("gpt2", **own, bos_token_id=0, eos_token_id=0)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(folder)
    return folder


def test_a_prompt_with_too_few_positions_behind_it_is_refused_and_counted(
    learnt_positions: Path, tiny_lm: Path, uniform: np.ndarray
) -> None:
    _, tokenizer = load(tiny_lm)
    prompts = [tokenizer.decode([200] * n) for n in (3, 16, 17, 40)]
    lengths = [len(tokenizer(prompt)["input_ids"]) for prompt in prompts]
    over = sum(length + TOKENS > 24 for length in lengths)
    assert 0 < over < len(prompts)
    sentence = f"has 24 positions, but {over} of 4 prompts with 8 new tokens need more .the longest has {max(lengths)} "
    with pytest.raises(DataError, match=sentence):
        complete(learnt_positions, prompts, uniform)
    fitting = [prompt for prompt, length in zip(prompts, lengths, strict=True) if length + TOKENS <= 24]
    assert len(complete(learnt_positions, fitting, uniform[: len(fitting)]).text) == len(fitting)


def test_rotary_positions_go_on(tiny_lm: Path, uniform: np.ndarray) -> None:
    model, tokenizer = load(tiny_lm)
    long = "we read the list twice and then again " * 8
    assert len(tokenizer(long, verbose=False)["input_ids"]) > model.config.max_position_embeddings
    assert len(complete(tiny_lm, [long], uniform[:1]).text) == 1


def test_a_token_that_the_model_does_not_have_is_refused(tiny_lm: Path, uniform: np.ndarray, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    model, _ = load(tiny_lm)
    model.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_lm)
    tokenizer.add_tokens(["zebra"])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(DataError, match="has 320 tokens, but its tokenizer reads the prompt 'a zebra' as token 320"):
        complete(tmp_path, ["so", "a zebra"], uniform[:2])


# --- folders


def test_a_model_is_read_from_safetensors_alone(tiny_lm: Path, tmp_path: Path, edited_lm: Callable[..., Path]) -> None:
    folder = edited_lm(tiny_lm, tmp_path / "lm")
    model, _ = load(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"has its weights in pytorch_model\.bin, which may run code"):
        load(folder)


@pytest.mark.parametrize("content", ["{", "[]", '"x"'])
def test_broken_settings_are_named(content: str, tiny_lm: Path, tmp_path: Path, edited_lm: Callable[..., Path]) -> None:
    folder = edited_lm(tiny_lm, tmp_path / "lm")
    (folder / "generation_config.json").write_text(content)
    with pytest.raises(DataError, match=r"generation_config\.json .*; mend it, or remove it"):
        load(folder)


def test_weights_that_are_missing_are_named_and_not_made_up(
    tiny_lm: Path, tmp_path: Path, edited_lm: Callable[..., Path]
) -> None:
    from safetensors.torch import load_file, save_file

    folder = edited_lm(tiny_lm, tmp_path / "lm")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "dense_h_to_4h.weight" in name)
    del weights[name]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=r"lacks 1 of its weights, such as '.*dense_h_to_4h.weight'"):
        load(folder)


def test_weights_that_are_cut_short_are_one_sentence(
    tiny_lm: Path, tmp_path: Path, edited_lm: Callable[..., Path]
) -> None:
    folder = edited_lm(tiny_lm, tmp_path / "lm")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"the language model in .* cannot be read: "):
        load(folder)


def test_what_is_saved_again_names_every_end_token(several: Case, tmp_path: Path) -> None:
    model, tokenizer = load(several.folder)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "generation_config.json").read_text())["eos_token_id"] == list(several.ends)
    assert endings(*load(tmp_path)) == several.ends
