"""Texts as tokens behind their prompts: what a tokenizer makes of the two together, whatever its kind."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.errors import DataError
from fairl_bench.science.continued_tokens import Continuation, Tokens, continued_tokens, joint, vocabulary_digest

WORDS = ["he is kind and the cat is a cat", "the dog and the man are here", "kindness", "a b c d e <s> x </s> y"]
START, END, UNKNOWN = "<s>", "</s>", "<unk>"


def byte_level(*, starts: bool) -> Any:
    """GPT-2's kind: every byte has a token, and a space is part of the word behind it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=[START, END], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(WORDS, trainer)
    return wrapped(made, starts=starts)


def metaspace(scheme: str, *, starts: bool = True) -> Any:
    """Llama 2's kind: a text that begins gets a space before it, and what has no token has those of its bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE(unk_token=UNKNOWN, byte_fallback=True))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    special = [UNKNOWN, START, END]
    trained.train_from_iterator(WORDS, trainers.BpeTrainer(vocab_size=90, special_tokens=special, show_progress=False))
    content = json.loads(trained.to_str())
    vocabulary = content["model"]["vocab"]
    vocabulary |= {f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)}
    made = Tokenizer.from_str(json.dumps(content))
    spaces = decoders.Replace("\u2581", " ")
    made.decoder = decoders.Sequence([spaces, decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return wrapped(made, starts=starts)


def unigram() -> Any:
    """SentencePiece's other kind, which finds special tokens among its ordinary pieces."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Metaspace(prepend_scheme="first")
    special = [UNKNOWN, START, END]
    made.train_from_iterator(
        WORDS * 50,
        trainers.UnigramTrainer(vocab_size=60, special_tokens=special, unk_token=UNKNOWN, show_progress=False),
    )
    return wrapped(made, starts=True)


def wrapped(made: Any, *, starts: bool) -> Any:
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    if starts:
        made.post_processor = TemplateProcessing(f"{START} $A", None, [(START, made.token_to_id(START))])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN if made.token_to_id(UNKNOWN) is not None else None,
        clean_up_tokenization_spaces=False,
    )


KINDS = {
    "byte-level": byte_level(starts=False),
    "byte-level with a start": byte_level(starts=True),
    "metaspace": metaspace("first"),
    "metaspace without a start": metaspace("first", starts=False),
    "metaspace before everything": metaspace("always"),
    "unigram": unigram(),
}


def read(tokenizer: Any, *continuations: Continuation, rows: int = 1000, longest: int | None = None) -> list[Tokens]:
    """What a model with so many rows and positions reads."""
    config = SimpleNamespace(eos_token_id=None, max_position_embeddings=longest)
    config.get_text_config = lambda: config
    model = SimpleNamespace(
        config=config,
        generation_config=SimpleNamespace(eos_token_id=tokenizer.eos_token_id),
        get_input_embeddings=lambda: torch.nn.Embedding(rows, 1),
    )
    return continued_tokens(model, tokenizer, continuations)


def spelled(tokenizer: Any, tokens: Tokens) -> str:
    """What the prompt and the text spell together, without a start."""
    start = [tokenizer.bos_token_id] * (tokens.prompt[0] == tokenizer.bos_token_id)
    return str(tokenizer.decode([*tokens.prompt, *tokens.text][len(start) :]))


SEAMS = [
    *[("he is", "kind"), ("he is", " kind"), ("the c", "at is a cat"), ("", "the cat is here"), ("he is", "")],
    *[("he is kind", "ness"), ("he is ", "kind"), ("a", "b c\nd e"), ("gr\u00fc\u00df", "Gott \u2603")],
]
UNREAD = SEAMS[6:]  # the last kind has no token for a new line, and none for a letter behind a space


@pytest.mark.parametrize(
    ("kind", "prompt", "text"),
    [(kind, *seam) for kind in KINDS for seam in SEAMS if kind != "unigram" or seam not in UNREAD],
)
def test_a_prompt_and_its_text_spell_the_two_together(kind: str, prompt: str, text: str) -> None:
    tokenizer = KINDS[kind]
    (found,) = read(tokenizer, Continuation(prompt, text))
    assert spelled(tokenizer, found) == prompt + joint(prompt, text) + text
    assert list(found.prompt) == (tokenizer(prompt)["input_ids"] or [tokenizer.bos_token_id])
    assert found.tokenised
    assert bool(found.text) == bool(text)


SPELT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581"), max_size=12)


@given(SPELT, SPELT)
def test_every_byte_of_any_text_is_in_its_tokens(prompt: str, text: str) -> None:
    for kind in ("byte-level", "byte-level with a start"):
        (found,) = read(KINDS[kind], Continuation(prompt, text))
        assert spelled(KINDS[kind], found) == prompt + joint(prompt, text) + text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [END, f"kind {END} cat", f"{START}{END}{END}", f"cat{END}", f"<{END}"])
@pytest.mark.parametrize("prompt", ["", "he is"])
def test_a_text_that_spells_a_special_token_holds_none(kind: str, prompt: str, text: str) -> None:
    tokenizer = KINDS[kind]
    (found,) = read(tokenizer, Continuation(prompt, text))
    assert not {tokenizer.bos_token_id, tokenizer.eos_token_id} & set(found.text)
    if tokenizer.unk_token_id not in found.text:
        assert spelled(tokenizer, found).replace(" ", "") == (prompt + text).replace(" ", "")


def test_a_prompt_that_spells_a_special_token_holds_it_as_in_generation() -> None:
    tokenizer = KINDS["byte-level"]
    (found,) = read(tokenizer, Continuation(f"kind{START}he is", "kind"))
    assert tokenizer.bos_token_id in found.prompt
    assert list(found.prompt) == tokenizer(f"kind{START}he is")["input_ids"]


def test_tokens_of_this_vocabulary_are_the_texts_own_whatever_it_spells() -> None:
    tokenizer = KINDS["byte-level"]
    own, end = vocabulary_digest(tokenizer), tokenizer.eos_token_id
    rows = [
        Continuation("he", "kind", ended=True, tokens=[9, 10, end], vocabulary=own),
        Continuation("he", "kind", ended=False, tokens=[9, 10], vocabulary=own),
        Continuation("he", "kind", ended=True, tokens=[9, 10, end], vocabulary="another"),
        Continuation("he", "kind", ended=True),
    ]
    found = read(tokenizer, *rows)
    assert [list(one.text) for one in found[:2]] == [[9, 10]] * 2
    assert found[2].text == found[3].text == tokenizer(" kind")["input_ids"]
    assert [one.ended for one in found] == [True, False, True, True]
    assert [one.tokenised for one in found] == [False, False, True, True]


def test_a_token_beyond_the_models_rows_is_refused_with_its_text() -> None:
    tokenizer = KINDS["byte-level"]
    own = vocabulary_digest(tokenizer)
    with pytest.raises(DataError, match=r"has 270 tokens, but the text 'cat' has the token 270: its tokenizer belongs"):
        read(tokenizer, Continuation("!", "cat", tokens=[270], vocabulary=own), rows=270)


def test_texts_with_too_few_positions_are_counted() -> None:
    tokenizer = KINDS["byte-level"]
    rows = [Continuation("!", "!" * n) for n in (2, 5, 9)]
    lengths = [len(one.prompt) + len(one.text) for one in read(tokenizer, *rows)]
    assert len(set(lengths)) == 3
    with pytest.raises(
        DataError, match=f"has {lengths[0]} positions, but 2 of 3 texts .* longest has {lengths[2]} tok"
    ):
        read(tokenizer, *rows, longest=lengths[0])
    assert len(read(tokenizer, *rows, longest=lengths[2])) == 3
