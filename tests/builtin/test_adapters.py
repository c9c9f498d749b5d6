from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest

from fairl_bench.builtin.lms import adapter_folder
from fairl_bench.builtin.lms.pretrained import Pretrained
from fairl_bench.component import PathText
from fairl_bench.errors import DataError, MissingExtra
from fairl_bench.values.language_models import Model, Site


@pytest.fixture(scope="module")
def adapted(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Saves an adapter over a copy of the tiny language model, beside it; its weights are drawn.

    ``expected.npy`` holds the logits of the two as peft computes them, nothing merged.
    """

    def save(config: Any = None, *, base: Path = tiny_lm, tokens: tuple[str, ...] = ()) -> Path:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = tmp_path_factory.mktemp("adapted")
        shutil.copytree(base, folder / "base")
        model: Any = AutoModelForCausalLM.from_pretrained(folder / "base")
        tokenizer = AutoTokenizer.from_pretrained(folder / "base")
        if tokens:
            tokenizer.add_tokens(list(tokens))
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        config = config or peft.LoraConfig(r=2, target_modules="all-linear")
        config.task_type = "CAUSAL_LM"
        wrapped = peft.get_peft_model(model, config)
        generator = torch.Generator().manual_seed(0)
        for weight in wrapped.parameters():
            if weight.requires_grad:
                weight.data += 0.3 * torch.randn(weight.shape, generator=generator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tied weights
            wrapped.save_pretrained(folder / "adapter")
        if tokens:
            tokenizer.save_pretrained(folder / "adapter")
        edit(folder / "adapter", base_model_name_or_path="../base")
        np.save(folder / "expected.npy", logits(wrapped))
        return folder / "adapter"

    return save


@pytest.fixture(scope="module")
def tied(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model whose head is its embedding."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tied")
    tokenizer = AutoTokenizer.from_pretrained(tiny_lm)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def edit(adapter: Path, **settings: Any) -> Path:
    place = adapter / "adapter_config.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), **settings}))
    return adapter


def logits(model: Any) -> np.ndarray[Any, Any]:
    import torch

    with torch.inference_mode():
        return np.asarray(model.eval()(torch.arange(40)[None] + 60).logits[0].numpy())


def made(lm: Pretrained, place: Path) -> Model:
    """The whole model of an adapter, its base where it lies."""
    for name in ("answer", "work"):
        (place / name).mkdir(parents=True)
    base = lm.upstream()["base"]
    return lm.make(Site(place / "answer", place / "work", {"base": Path(base.model)}))  # type: ignore[attr-defined]


KINDS = {
    "lora": None,
    "dora": peft.LoraConfig(r=2, target_modules=["dense"], use_dora=True, use_rslora=True),
    "ia3": peft.IA3Config(target_modules=["dense"], feedforward_modules=["dense"]),
    "loha": peft.LoHaConfig(r=2, target_modules=["dense"]),
    "head": peft.LoraConfig(r=2, target_modules=["query_key_value"], modules_to_save=["embed_out"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_and_its_base_are_what_peft_makes_of_them(
    adapted: Callable[..., Path], kind: str, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    adapter = adapted(KINDS[kind])
    lm = Pretrained(model=str(adapter))
    lm.check()
    assert (lm.remarks(), lm.fits(("the reader",), 4), lm.reads(), lm.draws()) == ([], [], {}, False)
    model = made(lm, tmp_path)
    whole: Any = AutoModelForCausalLM.from_pretrained(model.folder)
    expected = np.load(adapter.parent / "expected.npy")
    # a product of float32 matrices in another order
    np.testing.assert_allclose(logits(whole), expected, atol=1e-4)
    base: Any = AutoModelForCausalLM.from_pretrained(adapter.parent / "base")
    assert abs(logits(base) - expected).max() > 5e-3
    assert {weight.dtype for weight in whole.parameters()} == {torch.float32}
    assert model.facts["adapter"] == json.loads((adapter / "adapter_config.json").read_text())["peft_type"]


@pytest.mark.parametrize("modules", ["lm_head", "embed_tokens", "q_proj"])
def test_a_head_that_is_the_embedding_is_adapted_by_itself(
    adapted: Callable[..., Path], tied: Path, modules: str, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapter = adapted(peft.LoraConfig(r=2, target_modules=[modules]), base=tied)
    whole: Any = AutoModelForCausalLM.from_pretrained(made(Pretrained(model=str(adapter)), tmp_path).folder)
    np.testing.assert_allclose(logits(whole), np.load(adapter.parent / "expected.npy"), atol=1e-4)
    assert whole.config.tie_word_embeddings is (modules == "q_proj")


def test_tokens_that_were_added_stay(adapted: Callable[..., Path], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapter = adapted(tokens=("<|user|>", "<|bot|>"))
    lm = Pretrained(model=str(adapter))
    lm.check()
    folder = made(lm, tmp_path).folder
    whole: Any = AutoModelForCausalLM.from_pretrained(folder)
    np.testing.assert_allclose(logits(whole), np.load(adapter.parent / "expected.npy"), atol=1e-4)
    assert len(AutoTokenizer.from_pretrained(folder)("<|bot|>")["input_ids"]) == 1
    assert lm.vocabulary() != lm.upstream()["base"].vocabulary()  # type: ignore[attr-defined]


# --- its base


def test_the_base_is_the_one_that_is_named_or_else_the_adapters_own(adapted: Callable[..., Path]) -> None:
    adapter = adapted()
    own = adapter.parent / "base"

    def base(**fields: Any) -> Any:
        return Pretrained(model=str(adapter), **fields).upstream()["base"]

    assert base().plain() == Pretrained.named("pretrained", model=str(own)).plain()
    edit(adapter, base_model_name_or_path=str(own), revision="v1")
    assert base().plain() == Pretrained.named("pretrained", model=str(own)).plain()
    named = Pretrained(model="somebody/model")
    assert base(base=named) is named
    assert Pretrained(model=str(own)).upstream() == {}


def test_a_base_on_the_hub_is_the_commit_that_the_adapter_names(
    adapted: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = edit(adapted(), base_model_name_or_path="some/model", revision="v1")
    asked: list[Any] = []

    def download(name: str, **how: Any) -> str:
        asked.append((name, how["revision"]))
        return str(adapter.parent / "base")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    Pretrained(model=str(adapter)).check()
    assert set(asked) == {("some/model", "v1")}


def refused(adapter: Path, match: str, **fields: Any) -> None:
    with pytest.raises(DataError, match=match):
        Pretrained(model=str(adapter), **fields).check()


def test_a_base_that_is_not_there_is_named(adapted: Callable[..., Path]) -> None:
    adapter = edit(adapted(), base_model_name_or_path="nobody/nothing")
    sentence = (
        "is an adapter of 'nobody/nothing', which is no folder beside it, is not on this machine and the hub cannot be"
        " reached; name it as 'base: {use: pretrained, model: FOLDER}'"
    )
    lm = Pretrained(model=str(adapter))
    with pytest.raises(MissingExtra, match=sentence):
        lm.check()
    assert lm.upstream() == {}
    Pretrained(model=str(adapter), base=Pretrained(model=str(adapter.parent / "base"))).check()
    edit(adapter, base_model_name_or_path=None)
    refused(adapter, "is an adapter that does not say what model it belongs to; name that, as in 'base: {use: ")


def test_a_base_that_is_wrong_says_whose_it_is(adapted: Callable[..., Path]) -> None:
    adapter = adapted()
    (adapter.parent / "base" / "model.safetensors").rename(adapter.parent / "base" / "pytorch_model.bin")
    refused(
        adapter, rf"the base of language model '{adapter}': .* has its weights in pytorch_model\.bin, which may run"
    )


def test_an_adapter_of_an_adapter_has_its_base_named(adapted: Callable[..., Path], tmp_path: Path) -> None:
    adapter = adapted()
    edit(adapter, base_model_name_or_path=".")
    refused(adapter, "is an adapter of '.*', an adapter itself; name that one as its 'base', with its own 'base'")
    assert Pretrained(model=str(adapter)).upstream() == {}


def test_only_an_adapter_has_a_base(adapted: Callable[..., Path]) -> None:
    base = adapted().parent / "base"
    refused(base, "is no adapter, and has no base; leave 'base' out", base=Pretrained(model=str(base)))


def test_a_tokenizer_of_another_model_is_refused(adapted: Callable[..., Path]) -> None:
    adapter = adapted(tokens=("<|user|>",))
    place = adapter.parent / "base" / "tokenizer.json"
    place.write_text(place.read_text().replace('"Ġthe":', '"Ġeht":'))
    merges = json.loads(place.read_text())
    merges["model"]["merges"] = [pair for pair in merges["model"]["merges"] if "".join(pair) != "Ġthe"]
    place.write_text(json.dumps(merges))
    refused(adapter, "has a tokenizer of other tokens than its base, so that it belongs to another model; name the")


# --- what is wrong with an adapter, told before anything is made


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "is an adapter of kind 'PROMPT_TUNING', which peft cannot add into the"),
        ({"peft_type": "NONSENSE"}, "is an adapter of kind 'NONSENSE', which peft does not know; name one of LoRA"),
        ({"peft_type": None}, "is an adapter of kind None, which peft does not know"),
        ({"task_type": "SEQ_CLS"}, "is an adapter for 'SEQ_CLS', which writes no text; name one of a causal language"),
        ({"megatron_config": {"a": 1}}, "is an adapter of Megatron, whose code would be loaded"),
    ],
)
def test_another_kind_of_adapter_is_refused(
    adapted: Callable[..., Path], settings: dict[str, Any], sentence: str
) -> None:
    refused(edit(adapted(), **settings), sentence)


def test_pickled_or_missing_weights_are_refused(adapted: Callable[..., Path]) -> None:
    adapter = adapted()
    weights = adapter / "adapter_model.safetensors"
    weights.rename(adapter / "adapter_model.bin")
    refused(
        adapter, r"has its weights in adapter_model\.bin, which may run code when it is loaded, and holds no adapter_m"
    )
    (adapter / "adapter_model.bin").unlink()
    refused(
        adapter, r"is an adapter that holds no adapter_model\.safetensors; save it again with save_pretrained of peft"
    )


def test_broken_settings_are_named(adapted: Callable[..., Path]) -> None:
    adapter = adapted()
    for content, sentence in (("{", "cannot be read: .*"), ("[]", "holds no JSON object; save the adapter again")):
        (adapter / "adapter_config.json").write_text(content)
        refused(adapter, rf"has an adapter_config\.json that {sentence}")
        assert Pretrained(model=str(adapter)).upstream() == {}


def test_without_peft_it_says_how_to_get_it(adapted: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = adapted()
    monkeypatch.setattr(adapter_folder, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"is an adapter, which needs peft; pip install 'fairl-bench\[lora\]'"):
        Pretrained(model=str(adapter)).check()


# --- an adapter that does not fit


def test_an_adapter_of_another_model_is_refused(adapted: Callable[..., Path], tied: Path, tmp_path: Path) -> None:
    adapter = adapted()
    other = Pretrained(model=str(adapter), base=Pretrained(model=str(tied)))
    with pytest.raises(DataError, match=rf"so that it does not fit its base in {tied}; name the model that it was"):
        made(other, tmp_path)


@pytest.mark.parametrize("change", ["lacks", "has weights that its base has no place for, such as"])
def test_weights_that_are_missing_or_too_many_are_refused(
    adapted: Callable[..., Path], change: str, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    adapter = adapted()
    weights = load_file(adapter / "adapter_model.safetensors")
    name = next(iter(weights))
    weights[name.replace("layers.0", "layers.7")] = weights[name].clone()
    if change == "lacks":
        del weights[name]
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(DataError, match=rf"{change} '.*, so that it does not fit its base in"):
        made(Pretrained(model=str(adapter)), tmp_path)


def test_weights_that_are_no_numbers_are_refused(adapted: Callable[..., Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    adapter = adapted()
    weights = {name: weight * float("nan") for name, weight in load_file(adapter / "adapter_model.safetensors").items()}
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(DataError, match=r"cannot be added into its base in .*base: .*NaN"):
        made(Pretrained(model=str(adapter)), tmp_path)


# --- its place in a suite


def test_it_counts_by_its_content_and_by_its_base(adapted: Callable[..., Path], tmp_path: Path) -> None:
    from fairl_bench.engine.keys import identity
    from fairl_bench.suite.registry import Registry

    registry, adapter = Registry(installed=False), adapted()
    shutil.copytree(adapter, tmp_path / "moved")

    def key(name: str, folder: Path) -> Any:
        text = PathText(name)
        text.folder = folder
        lm = Pretrained.named("pretrained", model=text)
        assert lm.model == str(folder / name)
        return identity(lm, registry)

    assert key("adapter", adapter.parent) == key("moved", tmp_path)
    edit(tmp_path / "moved", lora_alpha=9)
    assert key("adapter", adapter.parent) != key("moved", tmp_path)


def test_a_suite_asks_a_model_and_its_adapter_what_the_adapter_changed(
    adapted: Callable[..., Path], run_suite: Callable[..., Any]
) -> None:
    adapter = adapted()
    done = run_suite(f"""\
name: adapters
models:
  - name: toy
    use: aligned-lm
    base: {{use: pretrained, model: '{adapter.parent / "base"}'}}
    expert: {{use: pretrained, model: '{adapter}'}}
    prompts: {{use: toy-prompts}}
    n: 60
    identical: drop
    empty: drop
    sampling: {{max_new_tokens: 8}}
    gold: {{use: toy-truth}}
split: {{by: text, validation: 0.2, test: 0.3}}
encoders: [{{name: words, use: tfidf, dimensions: 4}}]
methods: [{{name: log-ratio, use: log-ratio}}]
evaluate: [{{use: fidelity, data: [pairs/test]}}]
""")
    assert not done.results.run.failed
    lms = [stage for stage in done.results.run.stages if stage["kind"] == "lm"]
    assert [stage.get("adapter") for stage in lms] == [None, "LORA"]
