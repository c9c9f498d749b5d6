"""Which characters of a text its tokens spell, with tokenizers of several kinds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from fairl_bench.science.spelled_tokens import spelled_characters

CORPUS = [
    "the reader of every word is kind",
    "wise or not to be said",
    "naïve café, 5 € or 日本語",
    "so\n\nit goes 🙂",
] * 20


def trained(model: Any, trainer: Any, pre: Any, decoder: Any) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer, tokenizer.decoder = pre, decoder
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken("<end>", special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", clean_up_tokenization_spaces=False)


def byte_level() -> PreTrainedTokenizerFast:
    """As GPT-2: letters beyond ASCII are several tokens."""
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    return trained(models.BPE(), trainer, pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel())


def metaspace() -> PreTrainedTokenizerFast:
    """As Llama 2: a space is written as a letter, one more is put before a text, and unknown letters are bytes."""
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=special, show_progress=False)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    model = models.BPE(unk_token="<unk>", byte_fallback=True)
    return trained(model, trainer, pre_tokenizers.Metaspace(), decoders.Sequence(steps))


def word_pieces() -> PreTrainedTokenizerFast:
    """As BERT: spaces are no tokens, and a piece that goes on with a word says so."""
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]"], show_progress=False)
    model = models.WordPiece(unk_token="[UNK]")
    return trained(model, trainer, pre_tokenizers.BertPreTokenizer(), decoders.WordPiece(cleanup=True))


KINDS = {"bytes": byte_level(), "metaspace": metaspace(), "pieces": word_pieces()}
each = pytest.mark.parametrize("kind", list(KINDS))


def told(tokenizer: Any, text: str, ids: Sequence[int] | None = None) -> list[int]:
    own = tokenizer(text, add_special_tokens=False)["input_ids"] if ids is None else ids
    (found,) = spelled_characters(tokenizer, [own], [text])
    assert len(found) == len(own)
    return found.tolist()


def pieces(tokenizer: Any, text: str) -> list[str]:
    """What each token spells."""
    ends = told(tokenizer, text)
    return [text[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@each
def test_tokens_spell_their_words(kind: str) -> None:
    text = "the reader is kind, naïve"
    found = pieces(KINDS[kind], text)
    assert "".join(found) == text
    words = {"the", " reader", " is", " kind"}
    assert words <= {"".join(found[a:b]) for a in range(len(found)) for b in range(a + 1, len(found) + 1)}


def test_they_agree_with_the_tokenizers_own_offsets() -> None:
    """The tokenizers library tells where in a text each token lies; a part of a letter is all of it."""
    for text in ("naïve café, 5 € or 日本語", "so\n\nit goes 🙂 on", "a" * 40):
        own = KINDS["bytes"](text, add_special_tokens=False, return_offsets_mapping=True)
        assert told(KINDS["bytes"], text) == [end for _, end in own["offset_mapping"]]


@each
@settings(max_examples=40)
@given(text=st.text(st.sampled_from("the readr,.is  \nïé日🙂\u202e"), max_size=30))
def test_any_text_is_spelled_to_its_end_and_never_back(kind: str, text: str) -> None:
    found = told(KINDS[kind], text)
    assert found == sorted(found)
    assert found[-1:] == [len(text)][: len(found)]
    assert not found or found[0] >= 0


def test_space_around_a_text_is_no_token_of_it_and_does_not_shift_it() -> None:
    """A completion is drawn with the space before it, and kept without."""
    tokenizer = KINDS["bytes"]
    ids = tokenizer(" reader is", add_special_tokens=False)["input_ids"]
    assert told(tokenizer, "reader is", ids) == [len("reader"), len("reader is")]
    assert told(tokenizer, "  reader is\n", ids) == [len("  reader"), len("  reader is\n")]


def test_a_token_of_space_alone_spells_it() -> None:
    found = pieces(KINDS["bytes"], "so\n\nit")
    assert "".join(found) == "so\n\nit"
    assert any(piece.isspace() for piece in found)


def test_special_tokens_spell_nothing() -> None:
    tokenizer = KINDS["bytes"]
    ids = tokenizer("the reader", add_special_tokens=False)["input_ids"]
    assert told(tokenizer, "the reader", [ids[0], tokenizer.eos_token_id, *ids[1:]])[:2] == [3, 3]


def test_where_a_decoder_leaves_out_spaces_letters_are_counted() -> None:
    """Word pieces lose the space of 'kind , or' when they are decoded."""
    assert pieces(KINDS["pieces"], "kind , wise") == ["kind", " ,", " wise"]


@each
def test_tokens_of_another_text_each_spell_all_of_it(kind: str) -> None:
    ids = KINDS[kind]("every word", add_special_tokens=False)["input_ids"]
    assert set(told(KINDS[kind], "something else", ids)) == {len("something else")}


@each
def test_a_text_without_tokens(kind: str) -> None:
    assert told(KINDS[kind], "", []) == []


def test_what_was_decoded_is_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, calls = byte_level(), 0
    decode: Callable[..., str] = tokenizer.decode

    def counted(*args: Any, **settings: Any) -> str:
        nonlocal calls
        calls += 1
        return decode(*args, **settings)

    monkeypatch.setattr(tokenizer, "decode", counted)
    texts = ["the reader of every word is kind"] * 50
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    spelled_characters(tokenizer, ids, texts)
    assert calls <= 1 + len(set(ids[0]))


def test_a_text_of_many_tokens_takes_no_longer_a_token() -> None:
    """Windows are short, so that the work is a decoding a token at most, also where every letter is in parts."""
    text = "한국어" * 700  # unknown letters, of three tokens each
    ids = KINDS["bytes"](text, add_special_tokens=False)["input_ids"]
    (found,) = spelled_characters(KINDS["bytes"], [ids], [text])
    assert found.tolist() == np.repeat(np.arange(1, len(text) + 1), 3).tolist()
