from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.lms import tiny as tiny_module
from fairl_bench.builtin.lms.pretrained import Pretrained
from fairl_bench.builtin.lms.tiny import TinyLM
from fairl_bench.builtin.shared import training_environment
from fairl_bench.component import PathText
from fairl_bench.errors import DataError, MissingExtra
from fairl_bench.kinds.source import TestSet
from fairl_bench.progress import listening
from fairl_bench.science import pretraining
from fairl_bench.testing import check_lm
from fairl_bench.toy.grammar import corpus
from fairl_bench.values.data import Examples
from fairl_bench.values.language_models import Asked, Model, Site

SMALL: dict[str, Any] = {"layers": 1, "width": 16, "heads": 2, "vocab": 300, "steps": 4, "batch": 4, "length": 16}


class Toy(TestSet):
    """Comments of the synthetic world; a test's own, so that it hangs on nothing else."""

    n: int = 60

    def examples(self, rng: np.random.Generator) -> Examples:
        return Examples(corpus(self.n, rng))


class Said(TestSet):
    """The texts and prompts it is given."""

    text: tuple[str, ...]
    prompt: tuple[str, ...] = ()

    def examples(self, rng: np.random.Generator) -> Examples:
        return Examples(self.text, self.prompt)


def site(folder: Path, replicate: int = 0, **upstream: Any) -> Site:
    """A place to work at, its answer's folder empty and its scratch as it was."""
    for name in ("answer", "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for path in (folder / "answer").iterdir():
        path.unlink()
    return Site(folder / "answer", folder / "work", upstream, replicate)


def tiny(**fields: Any) -> TinyLM:
    return TinyLM.named("tiny-lm", **{"corpus": Toy(), **SMALL, **fields})


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny().make(site(tmp_path_factory.mktemp("tiny")))


# --- tiny-lm: the same again


def test_the_same_replicate_gives_the_same_model_and_another_one_another(made: Model, tmp_path: Path) -> None:
    again, other = (tiny().make(site(tmp_path / str(i), i)) for i in range(2))
    assert sorted(path.name for path in made.folder.iterdir()) == sorted(path.name for path in again.folder.iterdir())
    for path in made.folder.iterdir():
        assert path.read_bytes() == (again.folder / path.name).read_bytes(), path.name
    assert again.facts == made.facts
    assert weights(other.folder) != weights(made.folder)
    assert (other.folder / "tokenizer.json").read_bytes() != (made.folder / "tokenizer.json").read_bytes()
    assert TinyLM.drawn


def test_an_interrupted_training_ends_with_the_model_of_an_uninterrupted_one(
    made: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretraining, "CHECKPOINT_SECONDS", 0.0)

    def stop(share: float, note: str) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), listening(stop):
        tiny().make(site(tmp_path))
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"pretraining.pt", "pretraining.pt.sha256"}
    shares: list[float] = []
    with listening(lambda share, note: shares.append(share)):
        again = tiny().make(site(tmp_path))
    assert shares == [0.75, 1.0]
    assert weights(again.folder) == weights(made.folder)
    assert again.facts == made.facts


def test_nobody_elses_randomness_is_touched(tmp_path: Path) -> None:
    import torch

    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    tiny(steps=1).make(site(tmp_path))
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected


def test_it_keeps_the_promises_of_the_conformance_kit() -> None:
    check_lm(tiny(steps=1))


def test_a_language_model_whose_completions_hang_on_their_company_breaks_them() -> None:
    class Counts(TinyLM):
        def complete(self, asked: Asked, site: Site) -> Sequence[str]:
            return [f"{len(asked)}"] * len(asked)

    with pytest.raises(AssertionError, match="a prompt alone got another completion than in company"):
        check_lm(Counts.named("counts", **{"corpus": Toy(), **SMALL, "steps": 1}))


# --- tiny-lm: what it is


def test_transformers_loads_it_and_writes_with_it(made: Model) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(made.folder)
    with training_environment.quiet():
        model = AutoModelForCausalLM.from_pretrained(made.folder)
    assert model.config.model_type == "gpt_neox"
    assert tokenizer.padding_side == "left"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id == model.config.eos_token_id
    assert len(tokenizer) == model.config.vocab_size == made.facts["vocabulary"] == 300
    inputs = tokenizer(["Hello", "Hello there, you"], padding=True, return_tensors="pt")
    torch.manual_seed(0)
    written = model.generate(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=5, do_sample=True
    )
    assert written.shape == (2, inputs["input_ids"].shape[1] + 5)


@pytest.mark.parametrize("text", ["as it was", " two  spaces ", "Ünïcödé 🙂\n\ttab", "<|endoftext|>x"])
def test_any_text_can_be_written_in_its_tokens(made: Model, text: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(made.folder)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(("name", "kind"), [("gpt-neox", "gpt_neox"), ("llama", "llama"), ("gemma3", "gemma3_text")])
def test_the_architecture_is_the_one_asked_for(tmp_path: Path, name: str, kind: str) -> None:
    made = tiny(architecture=name, steps=1).make(site(tmp_path))
    config = json.loads((made.folder / "config.json").read_text())
    assert config["model_type"] == kind
    assert (config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"]) == (1, 16, 64)


def test_the_facts_are_those_of_the_corpus_and_of_the_weights(made: Model) -> None:
    from safetensors.numpy import load_file

    facts = made.facts
    assert facts["texts"] == 57  # three of 60, a twentieth, measure
    assert facts["steps"] == 4
    assert facts["parameters"] == sum(array.size for array in load_file(made.folder / "model.safetensors").values())
    # four steps from a uniform start: still near the vocabulary's size
    assert 100 < float(facts["perplexity"]) < 310
    assert float(facts["loss"]) == pytest.approx(math.log(float(facts["perplexity"])), abs=0.3)


def test_the_corpus_is_its_texts_each_with_an_end(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    made = tiny(corpus=Said(text=("one two three four",) * 60), length=2, steps=1).make(site(tmp_path))
    one = AutoTokenizer.from_pretrained(made.folder)("one two three four")["input_ids"]
    assert made.facts["tokens"] == 57 * (len(one) + 1)


def test_another_replicate_starts_from_other_weights(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    said = Said(text=("one two three",) * 9)
    one, other = (
        load_file(
            tiny(corpus=said, length=2, steps=1, lr=1e-9).make(site(tmp_path / str(i), i)).folder / "model.safetensors"
        )
        for i in range(2)
    )
    name = "gpt_neox.embed_in.weight"
    assert np.corrcoef(one[name].ravel(), other[name].ravel())[0, 1] < 0.1


def test_perplexity_is_that_of_texts_it_has_not_seen(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = tuple(" ".join(rng.choice(list("abcdefgh"), 30)) for _ in range(8))
    facts = tiny(corpus=Said(text=noise), steps=150, batch=8, held_out=0.5, lr=2e-2).make(site(tmp_path)).facts
    # what is learnt by heart is no help with other noise
    assert 2 * math.exp(float(facts["loss"])) < float(facts["perplexity"])


def test_a_text_goes_on_from_its_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = tiny_module._tokenizer

    def tokenizer(texts: Any, *shape: int) -> Any:
        read.extend(texts)
        return real(texts, *shape)

    monkeypatch.setattr(tiny_module, "_tokenizer", tokenizer)
    said = Said(text=("one two three",) * 9, prompt=("zero",) * 9)
    tiny(corpus=said, length=2, steps=1).make(site(tmp_path))
    assert set(read) == {"zero one two three"}


def test_bfloat16_gives_other_weights(made: Model, tmp_path: Path) -> None:
    half = tiny(precision="bfloat16").make(site(tmp_path))
    assert weights(half.folder) != weights(made.folder)
    kept = json.loads((half.folder / "config.json").read_text())
    assert kept["dtype"] == "float32"
    assert not [name for name in kept if "attn" in name]  # how it was trained says nothing of how it is used


@pytest.mark.parametrize(("precision", "attention"), [("float32", "sdpa"), ("bfloat16", "eager")])
def test_attention_in_bfloat16_on_a_processor_is_the_plain_one(made: Model, precision: str, attention: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(made.folder)
    assert tiny(precision=precision)._model(tokenizer).config._attn_implementation == attention


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"width": 20, "heads": 4}, "width 20 is no even multiple of 4 heads"),
        ({"length": 129}, "length 129 exceeds the context of 128 tokens"),
        ({"vocab": 257}, "(?s)vocab.*greater than or equal to 258"),
        ({"held_out": 0.0}, "(?s)held_out.*greater than 0"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        tiny(**fields)


def test_too_small_a_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'tiny-lm' needs a corpus of at least 2 texts, got 1"):
        tiny(corpus=Said(text=("alone", " ", ""))).make(site(tmp_path))
    with pytest.raises(DataError, match=r"'tiny-lm' reads 16 tokens at once, but its corpus has \d+; give it more"):
        tiny(corpus=Said(text=("short", "too"))).make(site(tmp_path))


def test_a_gpu_that_is_not_there_is_said_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    tiny().check()
    with pytest.raises(MissingExtra, match="'tiny-lm' is to train on 'cuda', but torch sees no GPU here"):
        tiny(device="cuda").check()


# --- pretrained


def test_a_model_in_a_folder_is_used_where_it_lies(made: Model, tmp_path: Path) -> None:
    lm = Pretrained.named("pretrained", model=str(made.folder))
    lm.check()
    here = site(tmp_path)
    assert lm.make(here) == Model(made.folder, {})
    assert list(here.folder.iterdir()) == []
    assert not Pretrained.drawn


def test_a_folder_beside_the_suite_is_found(made: Model) -> None:
    name = PathText(made.folder.name)
    name.folder = made.folder.parent
    assert Pretrained(model=name).model == str(made.folder)


def test_its_identity_is_its_content(made: Model, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        for path in made.folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
    one, two = (Pretrained(model=str(folder)).reads() for folder in folders)
    assert one == two
    (folders[1] / "config.json").write_text("{}")
    assert Pretrained(model=str(folders[1])).reads() != one


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("config.json", "has no configuration: .* holds no config.json"),
        ("model.safetensors", r"has no weights: .* holds no \*.safetensors"),
        ("tokenizer", r"has no tokenizer: .* holds no token\*"),
    ],
)
def test_a_folder_that_lacks_something_is_refused(made: Model, tmp_path: Path, name: str, sentence: str) -> None:
    for path in made.folder.iterdir():
        if not path.name.startswith(name):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=f"language model '{tmp_path}' {sentence}"):
        Pretrained(model=str(tmp_path)).check()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ('{"model_type": "vit"}', "is a 'vit', which writes no text; name a causal one"),
        ('{"model_type": "nonsense"}', "cannot be read: .*nonsense"),
        ("{", "cannot be read: "),
    ],
)
def test_a_model_that_writes_no_text_is_refused(made: Model, tmp_path: Path, config: str, sentence: str) -> None:
    for path in made.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(DataError, match=sentence):
        Pretrained(model=str(tmp_path)).make(site(tmp_path / "site"))


def test_a_model_of_the_hub_is_its_commit(made: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def download(name: str, **how: Any) -> str:
        asked.append((name, how["revision"], how["allow_patterns"]))
        return str(made.folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    lm = Pretrained(model="some/model", revision="v1")
    assert lm.reads() == {"weights": made.folder.name}
    assert lm.make(Site(made.folder, made.folder)).folder == made.folder
    assert {(name, revision) for name, revision, _ in asked} == {("some/model", "v1")}
    assert all("*.safetensors" in patterns and "*.bin" not in patterns for *_, patterns in asked)


def test_a_model_that_is_nowhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MissingExtra, match="language model 'nobody/nothing' is no folder, is not on this machine and"):
        Pretrained(model="nobody/nothing").check()


# --- the libraries, quiet and repeatable


def test_what_is_seeded_is_seeded_by_purpose_and_replicate() -> None:
    import torch

    def drawn(purpose: str, replicate: int) -> tuple[float, ...]:
        with training_environment.seeded(purpose, replicate) as seed:
            return seed, random.random(), float(np.random.random()), torch.rand(1).item()

    assert drawn("a", 0) == drawn("a", 0)
    for i in range(4):
        assert len({drawn("a", 0)[i], drawn("a", 1)[i], drawn("b", 0)[i]}) == 3


def test_quiet_puts_everything_back() -> None:
    import logging
    import warnings

    from huggingface_hub import constants
    from transformers.utils import logging as transformers_logging

    def state() -> tuple[Any, ...]:
        levels = [logging.getLogger(name).level for name in ("trl", "accelerate", "datasets")]
        bars = transformers_logging.is_progress_bar_enabled()
        return transformers_logging.get_verbosity(), bars, constants.HF_HUB_DISABLE_TELEMETRY, levels

    before = state()
    with training_environment.quiet():
        warnings.warn("not heard", stacklevel=1)
        assert constants.HF_HUB_DISABLE_TELEMETRY
        assert not transformers_logging.is_progress_bar_enabled()
    with pytest.raises(KeyError, match="inside"), training_environment.quiet():
        raise KeyError("inside")
    assert state() == before
    with pytest.warns(UserWarning, match="heard again"):
        warnings.warn("heard again", stacklevel=1)


# --- pretrained: what can be told before any work is done


@pytest.fixture
def edited(made: Model, tmp_path: Path, edited_lm: Callable[..., Path]) -> Callable[..., Pretrained]:
    """A model in a folder, with other entries in its JSON files."""
    return lambda **files: Pretrained(model=str(edited_lm(made.folder, tmp_path / "lm", **files)))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"model_type": "t5", "is_encoder_decoder": True}, "is a 't5' of encoder and decoder"),
        ({"model_type": "bart"}, "is a 'bart' of encoder and decoder"),
        ({"architectures": ["BertForMaskedLM"], "model_type": "bert"}, "is a BertForMaskedLM, which writes no text"),
        (
            {"architectures": ["GPTNeoXForSequenceClassification"]},
            "is a GPTNeoXForSequenceClassification, which writes no text; name a causal one",
        ),
    ],
)
def test_another_kind_of_model_is_refused(
    edited: Callable[..., Pretrained], config: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        edited(config=config).check()


def test_pickled_weights_are_refused_by_name(edited: Callable[..., Pretrained]) -> None:
    lm = edited()
    weights = Path(lm.model) / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(DataError, match=r"has its weights in pytorch_model\.bin, which may run code"):
        lm.check()


def test_a_broken_tokenizer_is_named(edited: Callable[..., Pretrained]) -> None:
    lm = edited()
    (Path(lm.model) / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match=r"the tokenizer of language model '.*' cannot be read: "):
        lm.check()


def test_settings_of_its_own_that_do_nothing_are_remarked(edited: Callable[..., Pretrained]) -> None:
    lm = edited(generation_config={"repetition_penalty": 1.1, "top_p": 0.8, "temperature": 1.0, "eos_token_id": [0]})
    lm.check()
    (remark,) = lm.remarks()
    assert remark == (
        f"language model '{lm.model}' has settings in its generation_config.json that are not used, for 'sampling' says"
        " how it is sampled: repetition_penalty 1.1, top_p 0.8"
    )
    (Path(lm.model) / "generation_config.json").unlink()
    assert lm.remarks() == []


def test_a_model_without_end_token_is_remarked(edited: Callable[..., Pretrained]) -> None:
    none = {"eos_token_id": None}
    lm = edited(generation_config=none, config=none, tokenizer_config={"eos_token": None, "pad_token": None})
    lm.check()
    (remark,) = lm.remarks()
    assert remark.endswith("names no end token: each of its completions has 'max_new_tokens' tokens")


def test_prompts_beyond_learnt_positions_are_refused_and_beyond_rotary_ones_remarked(
    edited: Callable[..., Pretrained],
) -> None:
    lm = edited()
    prompts = ("a b c", "the reader said " * 60)
    (remark,) = lm.fits(prompts, 4)
    assert "was trained with 128 positions; 1 of 2 prompts with 4 new tokens go beyond them" in remark
    assert lm.fits(prompts[:1], 4) == []
    config = {"model_type": "gpt2", "n_positions": 128, "vocab_size": 300, "eos_token_id": 0}
    (Path(lm.model) / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="has 128 positions, but 1 of 2 prompts with 4 new tokens need more"):
        lm.fits(prompts, 4)
    assert lm.fits(prompts[:1], 4) == []
