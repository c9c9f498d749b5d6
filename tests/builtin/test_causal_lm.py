from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.encoders.causal_lm import CausalLM
from fairl_bench.builtin.shared.completions_api import CompletionsApi
from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import LM
from fairl_bench.pipeline import Finished
from fairl_bench.progress import listening
from fairl_bench.store.store import Store
from fairl_bench.testing import TEXTS, check_encoder
from fairl_bench.values.data import Vectors
from fairl_bench.values.language_models import Model, Site

torch = pytest.importorskip("torch")

LONG = "you are a good friend and a kind reader of every word that anybody writes here " * 3
# lengths 1 to 60 tokens in one batch, so that the short ones are mostly padding
MIXED = ("a", LONG, "", "good day", "you are very kind to me today", LONG[:100], "hm")
ARCHITECTURES = ("gpt-neox", "llama", "gemma3", "gpt2")
BLOCKS = 2


class Placed(LM):
    """Lies somewhere already."""

    def make(self, site: Site) -> Model:
        return Model(site.folder)


def saved_tokenizer(folder: Path, *, bos: bool, eos: bool = True) -> int:
    """A byte-level BPE without a padding token, trained on the texts here; how many tokens it has."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    specials = [name for name, wanted in (("<s>", bos), ("</s>", eos)) if wanted]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*TEXTS, *MIXED], trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    names = {name: token for name, token, wanted in (("bos_token", "<s>", bos), ("eos_token", "</s>", eos)) if wanted}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return int(tokenizer.get_vocab_size())


def saved_model(folder: Path, architecture: str, vocabulary: int) -> None:
    """A randomly initialised model of 2 blocks × 32."""
    import transformers

    shape = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": BLOCKS,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "initializer_range": 0.3,  # 0.02 would leave attention uniform, and positions without effect
    }
    config = {
        # learnt positions, not relative ones: a text that is moved is another text
        "gpt2": lambda: transformers.GPT2Config(**{k: v for k, v in shape.items() if k != "intermediate_size"}),
        "gpt-neox": lambda: transformers.GPTNeoXConfig(**shape),
        "llama": lambda: transformers.LlamaConfig(**shape, num_key_value_heads=2),
        # a window shorter than the texts: it must count from the text's start, not from the padding's
        "gemma3": lambda: transformers.Gemma3TextConfig(
            **shape, num_key_value_heads=2, head_dim=8, sliding_window=8, sliding_window_pattern=2
        ),
    }[architecture]()
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model, by architecture; GPT-NeoX has no BOS token, none has one for padding."""
    made: dict[str, Path] = {}

    def folder(architecture: str) -> Path:
        if architecture not in made:
            place = tmp_path_factory.mktemp(architecture)
            saved_model(place, architecture, saved_tokenizer(place, bos=architecture != "gpt-neox"))
            made[architecture] = place
        return made[architecture]

    return folder


def encoder(**fields: Any) -> CausalLM:
    return CausalLM(lm=Placed(), **{"workers": 1, **fields})


def by_hand(folder: Path, text: str, layer: int) -> tuple[list[int], np.ndarray]:
    """The tokens of one text and their states ``[tokens, 32]``, without batch, mask or padding."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text)["input_ids"] or [tokenizer.eos_token_id]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    return ids, states[layer][0].numpy()


def furthest(one: Vectors, other: Vectors) -> float:
    return float(np.abs(one - other).max())


# --- a text's vector is its own


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_vectors_are_those_computed_by_hand_from_each_text_alone(
    architecture: str, padding: str, model_of: Callable[[str], Path]
) -> None:
    folder = model_of(architecture)
    rows = encoder(padding=padding, normalise=False, batch=8).encode(MIXED, (), lm=folder)
    for text, row in zip(MIXED, rows, strict=True):
        ids, states = by_hand(folder, text, -1)
        own = states[1:] if ids[0] == 0 and len(ids) > 1 and architecture != "gpt-neox" else states
        # float32 sums in another order; the states are of size 1
        np.testing.assert_allclose(row, own.mean(0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_vector_depends_neither_on_its_company_nor_on_the_side_of_the_padding(
    architecture: str, model_of: Callable[[str], Path]
) -> None:
    folder = model_of(architecture)
    alone = encoder(batch=1).encode(MIXED, (), lm=folder)
    for padding in ("right", "left"):
        for batch in (2, 7):
            together = encoder(batch=batch, padding=padding).encode(MIXED, (), lm=folder)
            assert furthest(together, alone) < 1e-5  # the tolerance that the class promises


def test_padding_on_the_left_would_move_a_text_whose_positions_were_not_told(
    model_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_of("gpt2")
    right = encoder(batch=7).encode(MIXED, (), lm=folder)
    monkeypatch.setattr("fairl_bench.builtin.encoders.causal_lm.inspect.signature", lambda of: inspect.Signature())
    assert furthest(encoder(batch=7, padding="left").encode(MIXED, (), lm=folder), right) > 0.1


@pytest.mark.parametrize("padding", ["right", "left"])
def test_the_encoder_keeps_the_contract(padding: str, model_of: Callable[[str], Path]) -> None:
    folder = model_of("gemma3")

    class Bound(CausalLM):
        def encode(self, texts: Any, corpus: Any, *, lm: Path | None = None) -> Vectors:
            return super().encode(texts, corpus, lm=folder)

    check_encoder(Bound(lm=Placed(), padding=padding, workers=1), tolerance=1e-5)


def test_two_workers_give_the_bits_of_one(model_of: Callable[[str], Path]) -> None:
    one, two = (encoder(workers=n, batch=2).encode(MIXED * 5, (), lm=model_of("llama")) for n in (1, 2))
    assert np.array_equal(one, two)


def test_bfloat16_keeps_eight_bits(model_of: Callable[[str], Path]) -> None:
    exact, rough = (encoder(dtype=dtype).encode(MIXED, (), lm=model_of("llama")) for dtype in ("float32", "bfloat16"))
    assert rough.dtype == np.float32
    cosine = (exact * rough).sum(1)
    assert (cosine > 0.99).all()
    assert (cosine < 1 - 1e-6).any()


# --- layer, pooling, length


@pytest.mark.parametrize("layer", range(-BLOCKS - 1, BLOCKS + 1))
def test_a_layer_is_counted_from_either_end(layer: int, model_of: Callable[[str], Path]) -> None:
    folder = model_of("gpt-neox")
    (row,) = encoder(layer=layer, normalise=False).encode((LONG,), (), lm=folder)
    np.testing.assert_allclose(row, by_hand(folder, LONG, layer)[1].mean(0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("layer", [-BLOCKS - 2, BLOCKS + 1])
def test_a_layer_that_is_not_there_is_refused(layer: int, model_of: Callable[[str], Path]) -> None:
    said = f"encoder 'causal-lm': its language model has 2 blocks, so 'layer' must be -3 to 2, got {layer}$"
    with pytest.raises(DataError, match=said):
        encoder(layer=layer).encode(("a",), (), lm=model_of("llama"))


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize("pooling", ["mean", "weighted-mean", "last", "first"])
def test_pooling_is_over_the_tokens_of_the_text(pooling: str, padding: str, model_of: Callable[[str], Path]) -> None:
    folder = model_of("llama")
    text = "you are very kind"
    rows = encoder(pooling=pooling, padding=padding, normalise=False).encode((text, LONG), (), lm=folder)
    _, states = by_hand(folder, text, -1)
    own, place = states[1:], np.arange(1, len(states))[:, None]  # BOS is first
    expected = {
        "mean": own.mean(0),
        "weighted-mean": (own * place).sum(0) / place.sum(),
        "last": states[-1],
        "first": states[0],
    }[pooling]
    np.testing.assert_allclose(rows[0], expected, rtol=0, atol=1e-5)


def test_vectors_have_unit_length_when_normalised(model_of: Callable[[str], Path]) -> None:
    raw, unit = (encoder(normalise=flag).encode(MIXED, (), lm=model_of("gpt-neox")) for flag in (False, True))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), unit, atol=1e-6)


def test_a_text_is_read_up_to_its_limit_of_tokens(model_of: Callable[[str], Path]) -> None:
    folder = model_of("gpt-neox")
    ids, states = by_hand(folder, LONG, -1)
    assert len(ids) > 8
    (row,) = encoder(max_length=8, normalise=False).encode((LONG,), (), lm=folder)
    np.testing.assert_allclose(row, states[:8].mean(0), rtol=0, atol=1e-5)  # causal: what follows changes nothing


def test_a_text_longer_than_the_models_positions_is_cut_there(model_of: Callable[[str], Path]) -> None:
    folder = model_of("gpt-neox")
    words = "good day " * 400
    wide, exact = (encoder(max_length=n).encode((words,), (), lm=folder) for n in (10_000, 256))
    assert np.array_equal(wide, exact)


# --- texts without a token


def test_an_empty_text_is_read_as_the_first_token_that_the_model_knows(model_of: Callable[[str], Path]) -> None:
    folder = model_of("gpt-neox")  # its tokenizer puts nothing before a text
    (row,) = encoder(normalise=False).encode(("",), (), lm=folder)
    ids, states = by_hand(folder, "", -1)
    assert len(ids) == 1
    np.testing.assert_allclose(row, states[0], rtol=0, atol=1e-5)


def test_an_empty_text_is_refused_where_no_token_can_stand_for_it(tmp_path: Path) -> None:
    saved_model(tmp_path, "gpt-neox", saved_tokenizer(tmp_path, bos=False, eos=False))
    assert encoder().encode(("a",), (), lm=tmp_path).shape == (1, 32)
    with pytest.raises(DataError, match="a text has no token and its language model has neither a BOS nor an EOS"):
        encoder().encode(("a", ""), (), lm=tmp_path)


def test_no_text_is_no_row(model_of: Callable[[str], Path]) -> None:
    assert encoder().encode((), (), lm=model_of("llama")).shape == (0, 32)


# --- in its place


def test_it_starts_from_its_language_model() -> None:
    part = encoder()
    assert part.upstream() == {"lm": part.lm}
    assert not part.draws()


SUITE = """\
name: states
seeds: [0]
models: [{{name: toy, use: toy-comments, n: 40}}]
encoders: [{{name: states, use: causal-lm, lm: {lm}}}]
methods: [{{name: mean, use: mean-difference}}]
evaluate: [{{use: fidelity, data: [pairs/test], truth: preferred}}]
"""


def test_a_suite_embeds_by_a_language_model_in_a_folder(
    model_of: Callable[[str], Path], run_suite: Callable[..., Finished], store: Store
) -> None:
    done = run_suite(SUITE.format(lm=f"{{use: pretrained, model: '{model_of('gpt-neox')}'}}"))
    assert not done.outcome.failed
    kinds = [store.manifest(key)["kind"] for key in done.outcome.done]
    assert kinds.index("lm") < kinds.index("embeddings")


def test_a_language_model_that_is_only_served_has_no_states(tmp_path: Path) -> None:
    lm = CompletionsApi.named("completions-api", url="http://a/v1", model="m")
    said = "encoder 'causal-lm': language model 'completions-api' has no weights on this machine; name one that has"
    with pytest.raises(DataError, match=said):
        CausalLM(lm=lm).encode(("a",), (), lm=tmp_path)


def test_without_the_models_folder_it_says_what_it_needs() -> None:
    with pytest.raises(DataError, match=r"'causal-lm' needs the folder of its language model; .*lm=FOLDER"):
        encoder().encode(("a",), ())


def test_it_says_how_far_it_is(model_of: Callable[[str], Path]) -> None:
    heard: list[tuple[float, str]] = []
    with listening(lambda share, note: heard.append((share, note))):
        encoder(batch=4).encode(MIXED, (), lm=model_of("llama"))
    assert heard == [(4 / 7, "4 of 7 texts"), (1.0, "7 of 7 texts")]


@pytest.mark.parametrize(("field", "value"), [("batch", 0), ("max_length", 1), ("pooling", "max"), ("layer", 0.5)])
def test_a_wrong_field_is_refused_at_once(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"(?s){field}.*input_value={value!r}"):
        encoder(**{field: value})
