"""How likely texts are under a language model: by hand, against the drawing, and as the reward of a known tilt.

The sums by hand read one text at a time, without padding, and add up in float64.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import numpy as np
import pytest
import torch

from fairl_bench.builtin.lms.pretrained import Pretrained
from fairl_bench.builtin.methods.log_ratio import LogRatio
from fairl_bench.errors import DataError, NotFinite
from fairl_bench.science import text_likelihoods
from fairl_bench.science.endings import endings
from fairl_bench.science.generation import complete, load
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.language_models import Site
from fairl_bench.values.likelihoods import Continuations, Likelihoods

PROMPTS: Final = ("the", "a kind reader of every word", "to be", "", "so", "the", "the")
TEXTS: Final = ("a kind person", "wise", "or not to be, as it is said of them", "on its own", "so so so", "end", "a")
END: Final = "<|endoftext|>"
ROUNDING = 1e-4  # float32 logits, over up to forty tokens
MACHINE = 1e-5  # the same sums in another order of the float32 operations


class By(NamedTuple):
    """What a model says of one text, by hand."""

    token: np.ndarray
    before: float
    after: float


@pytest.fixture(scope="module")
def several(tiny_lm: Path, edited_lm: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with 71 end tokens, likely enough that most texts end early."""
    named = {"eos_token_id": [0, *range(40, 110)]}
    return edited_lm(tiny_lm, tmp_path_factory.mktemp("several") / "lm", generation_config=named)


@pytest.fixture
def said(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Likelihoods]:
    """What the model in a folder says of continuations."""

    def say(folder: Path, asked: Continuations, scratch: Path | None = None) -> Likelihoods:
        site = Site(tmp_path_factory.mktemp("answer"), scratch or tmp_path_factory.mktemp("scratch"), {"lm": folder})
        return Pretrained.named("pretrained", model=str(folder)).likelihoods(asked, site)

    return say


def own(likelihoods: Likelihoods, i: int) -> np.ndarray:
    """The log-probability of each token of one text."""
    return likelihoods.token[likelihoods.offsets[i] : likelihoods.offsets[i + 1]]


def by_hand(folder: Path, prompt: Sequence[int], text: Sequence[int], temperature: float = 1.0, *, ended: bool) -> By:
    """The sums of one text; the tokens of one that has ``ended`` hold no end."""
    model, tokenizer = load(folder)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *text]])).logits[0, len(prompt) - 1 :].double() / temperature
    log = logits.log_softmax(-1)
    token = [float(log[at, number]) for at, number in enumerate(text)]
    value = (temperature * logits.logsumexp(-1)).tolist()
    if ended:
        token.append(float(log[-1, list(endings(model, tokenizer))].logsumexp(-1)))
    return By(np.array(token), value[0], 0.0 if ended else value[-1])


def read(folder: Path, prompt: str) -> list[int]:
    """The tokens of a prompt; an empty one is the model's start."""
    _, tokenizer = load(folder)
    return tokenizer(prompt)["input_ids"] or [tokenizer.bos_token_id]


def drawn_of(folder: Path, tokens: Sequence[Sequence[int]], ended: Sequence[bool]) -> DrawnTokens:
    """Tokens by hand, of the model's own vocabulary."""
    vocabulary = complete(folder, ["the"], np.zeros((1, 1))).vocabulary
    return DrawnTokens.made(tokens, ended, vocabulary, [float("nan")] * len(tokens))


def some_drawn(folder: Path, **settings: Any) -> tuple[Continuations, np.ndarray]:
    """Completions of the prompts with their tokens, and the log-probabilities that the drawing itself told.

    Every second one ends at its third token, which is drawn by 0: the first token, an end.  The others have tokens from
    the far half of the vocabulary, where no ends are.
    """
    uniform = np.random.default_rng(5).uniform(0.5, 1, (len(PROMPTS), 8))
    uniform[::2, 2] = 0.0
    found = complete(folder, PROMPTS, uniform, **settings)
    tokens = DrawnTokens.made(found.tokens, found.ended, found.vocabulary, found.log_probability)
    return Continuations(PROMPTS, tuple(found.text), tokens), np.array(found.log_probability)


def same(one: Likelihoods, other: Likelihoods, within: float) -> None:
    """Assert that two say the same."""
    np.testing.assert_array_equal(one.offsets, other.offsets)
    for name in ("total", "token", "before", "after"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=within, err_msg=name)


# --- sums


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("which", ["one end", "several ends"])
def test_totals_tokens_and_values_are_the_sums_by_hand(
    which: str, temperature: float, tiny_lm: Path, several: Path, said: Callable[..., Likelihoods]
) -> None:
    folder = several if which == "several ends" else tiny_lm
    texts = [[70, 200, 5], [], [201, 30], [99], [250, 251, 252, 253, 254], [7, 8], [33]]
    ended = [True, True, False, False, True, False, True]
    tokens = drawn_of(folder, [[*text, *[0] * end] for text, end in zip(texts, ended, strict=True)], ended)
    found = said(folder, Continuations(PROMPTS, TEXTS, tokens, temperature))
    assert found.ended.tolist() == ended
    assert not found.tokenised.any()
    for i, (prompt, text) in enumerate(zip(PROMPTS, texts, strict=True)):
        expected = by_hand(folder, read(folder, prompt), text, temperature, ended=ended[i])
        np.testing.assert_allclose(own(found, i), expected.token, rtol=0, atol=ROUNDING)
        assert found.total[i] == pytest.approx(expected.token.sum(), abs=ROUNDING)
        assert found.before[i] == pytest.approx(expected.before, abs=ROUNDING)
        assert found.after[i] == pytest.approx(expected.after, abs=ROUNDING)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_neither_company_nor_batch_size_matters(batch: int, several: Path, said: Callable[..., Likelihoods]) -> None:
    asked, _ = some_drawn(several)
    whole = said(several, asked)
    rows = [6, 2, 3, 0]
    same(said(several, replace(asked, batch=batch)), whole, MACHINE)
    same(said(several, replace(asked.take(rows), batch=batch)), whole.take(rows), MACHINE)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7, "top_k": 310}], ids=["whole", "warped"])
@pytest.mark.parametrize("which", ["one end", "several ends"])
def test_read_again_a_completion_is_as_likely_as_its_drawing_said(
    which: str, settings: Mapping[str, Any], tiny_lm: Path, several: Path, said: Callable[..., Likelihoods]
) -> None:
    """The drawing tells the likelihood at temperature 1 under the whole distribution, whatever it drew from."""
    folder = several if which == "several ends" else tiny_lm
    asked, expected = some_drawn(folder, **settings)
    assert asked.drawn is not None
    assert set(asked.drawn.ended.tolist()) == {True, False}
    found = said(folder, asked)
    assert found.ended.tolist() == asked.drawn.ended.tolist()
    np.testing.assert_allclose(found.total, expected, rtol=0, atol=ROUNDING)


def test_the_likelihoods_of_a_text_in_two_parts_add_up(tiny_lm: Path, said: Callable[..., Likelihoods]) -> None:
    _, tokenizer = load(tiny_lm)
    first, second = tokenizer(" a kind")["input_ids"], tokenizer(" person")["input_ids"]
    assert tokenizer("the a kind")["input_ids"] == tokenizer("the")["input_ids"] + first
    tokens = drawn_of(tiny_lm, [[*first, *second], first, second], [False] * 3)
    found = said(tiny_lm, Continuations(("the", "the", "the a kind"), ("a kind person", "a kind", "person"), tokens))
    assert found.total[0] == pytest.approx(found.total[1] + found.total[2], abs=MACHINE)
    assert found.after[1] == pytest.approx(found.before[2], abs=MACHINE)


def test_the_log_ratio_of_a_model_with_itself_is_exactly_0(several: Path, said: Callable[..., Likelihoods]) -> None:
    asked, _ = some_drawn(several)
    ratio = LogRatio().ratio(said(several, asked), said(several, asked))
    np.testing.assert_array_equal(ratio, np.zeros(len(asked)))


# --- the reward of a known tilt

LETTERS, LONGEST, BETA = (70, 80, 90, 100), 3, 0.5
Tokens = tuple[int, ...]
EVERY: Final = tuple(text for length in range(LONGEST + 1) for text in product(LETTERS, repeat=length))
"""All texts of at most three of four letters; each has an end behind it."""


class Table(torch.nn.Module):
    """A causal model that looks up the logits of the next token by all tokens so far."""

    def __init__(self, shape: Any, ends: int, rows: Mapping[Tokens, torch.Tensor]) -> None:
        super().__init__()
        self.config, self.generation_config, self.rows = shape, SimpleNamespace(eos_token_id=ends), rows
        self.embeddings = torch.nn.Embedding(shape.vocab_size, 1)
        self.device = torch.device("cpu")

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embeddings

    def forward(self, input_ids: torch.Tensor, logits_to_keep: Any = 0, **_: Any) -> Any:
        elsewhere = torch.zeros(self.config.vocab_size)  # behind padding
        read = [
            [self.rows.get(tuple(row[: at + 1]), elsewhere) for at in range(len(row))] for row in input_ids.tolist()
        ]
        logits = torch.stack([torch.stack(row) for row in read])
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        return SimpleNamespace(logits=logits[:, kept])


def conditionals(share: Mapping[Tokens, float], prompt: Tokens, width: int) -> dict[Tokens, torch.Tensor]:
    """The logits behind each beginning of a text, from the share of each text: sums over all texts that go on so."""
    rows = {}
    for begun in EVERY:
        onward = {
            letter: sum(share[text] for text in EVERY if text[: len(begun) + 1] == (*begun, letter))
            for letter in LETTERS
        }
        logits = torch.full((width,), -1e4)
        for token, mass in {0: share[begun], **onward}.items():
            if mass:
                logits[token] = float(np.log(mass))
        rows[(*prompt, *begun)] = logits
    return rows


@pytest.fixture
def tilted(tiny_lm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[tuple[str, Tokens], float]:
    """Lets the folders ``base`` and ``expert`` hold a model and its tilt; the reward of each prompt and text.

    The expert's share of a text is the base's times ``exp(reward / BETA)``, divided by the sum over all texts.
    """
    model, tokenizer = load(tiny_lm)
    rng = np.random.default_rng(11)
    rewards, rows = dict[tuple[str, Tokens], float](), {"base": {}, "expert": {}}
    for prompt in ("the", "a kind person"):
        ids = tuple(tokenizer(prompt)["input_ids"])
        base = dict(zip(EVERY, rng.dirichlet(np.ones(len(EVERY))), strict=True))
        reward = dict(zip(EVERY, rng.normal(size=len(EVERY)), strict=True))
        tilt = {text: base[text] * float(np.exp(reward[text] / BETA)) for text in EVERY}
        expert = {text: mass / sum(tilt.values()) for text, mass in tilt.items()}
        for name, share in (("base", base), ("expert", expert)):
            rows[name] |= conditionals(share, ids, model.config.vocab_size)
        rewards |= {(prompt, text): reward[text] for text in EVERY}
    for name in rows:
        shutil.copytree(tiny_lm, tmp_path / name)

    def loaded(folder: Path, dtype: str = "float32") -> tuple[Any, Any]:
        return Table(model.config, 0, rows[folder.name]), tokenizer

    monkeypatch.setattr(text_likelihoods, "load", loaded)
    return rewards


def test_the_log_ratio_of_a_tilted_model_is_its_reward_over_beta_up_to_a_number_a_prompt(
    tilted: Mapping[tuple[str, Tokens], float], tiny_lm: Path, tmp_path: Path, said: Callable[..., Likelihoods]
) -> None:
    prompts, texts = zip(*tilted, strict=True)
    tokens = drawn_of(tiny_lm, [[*text, 0] for text in texts], [True] * len(texts))
    asked = Continuations(prompts, ("",) * len(texts), tokens)
    base, expert = (said(tmp_path / name, asked) for name in ("base", "expert"))
    for each in (base, expert):  # these are all texts that there are
        for prompt in set(prompts):
            assert np.exp(each.total[np.array(prompts) == prompt]).sum() == pytest.approx(1, abs=MACHINE)
    rest = LogRatio().ratio(base, expert) - np.array(list(tilted.values())) / BETA
    numbers = [rest[np.array(prompts) == prompt] for prompt in ("the", "a kind person")]
    for number in numbers:
        assert np.ptp(number) == pytest.approx(0, abs=2 * MACHINE)  # four float32 logs of shares down to 1e-6
    assert abs(numbers[0].mean() - numbers[1].mean()) > 0.01


# --- texts from elsewhere


@pytest.mark.parametrize(
    ("prompt", "text", "whole"),
    [
        ("the", "kind person", "the kind person"),
        ("the ", "kind person", "the kind person"),
        ("the", " kind\n person", "the kind\n person"),
        ("", "kind person", "kind person"),
        ("the kin", "d", "the kin d"),
        ("grüß", "Gott ☃", "grüß Gott ☃"),
    ],
)
def test_a_text_from_elsewhere_is_read_behind_its_prompt(
    prompt: str, text: str, whole: str, tiny_lm: Path, said: Callable[..., Likelihoods]
) -> None:
    _, tokenizer = load(tiny_lm)
    ids = tokenizer(prompt)["input_ids"]
    behind = tokenizer(whole)["input_ids"]
    # a token that would lie across the seam is none: a model goes on from the prompt's own tokens
    own_ids = behind[len(ids) :] if behind[: len(ids)] == ids else tokenizer(whole[len(prompt) :])["input_ids"]
    assert tokenizer.decode(ids + own_ids) == whole
    found = said(tiny_lm, Continuations((prompt,), (text,)))
    expected = by_hand(tiny_lm, read(tiny_lm, prompt), own_ids, ended=False)
    np.testing.assert_allclose(own(found, 0), expected.token, rtol=0, atol=ROUNDING)
    assert found.tokenised.tolist() == [True]
    assert found.ended.tolist() == [False]


def test_tokens_of_another_vocabulary_are_not_used(tiny_lm: Path, said: Callable[..., Likelihoods]) -> None:
    text = Continuations(("the",), ("kind person",))
    other = DrawnTokens.made([[5, 6, 7]], [False], "another", [0.0])
    found = said(tiny_lm, replace(text, drawn=other))
    same(found, said(tiny_lm, text), 0.0)
    assert found.tokenised.tolist() == [True]


def test_an_added_padding_token_alone_makes_no_other_vocabulary(
    tiny_lm: Path, edited_lm: Callable[..., Path], said: Callable[..., Likelihoods], tmp_path: Path
) -> None:
    asked, _ = some_drawn(tiny_lm)
    padded = edited_lm(tiny_lm, tmp_path / "lm", tokenizer_config={"pad_token": "<another>"})
    assert len(load(padded)[1]) == len(load(tiny_lm)[1]) + 1
    found = said(padded, asked)
    same(found, said(tiny_lm, asked), 0.0)
    assert not found.tokenised.any()


@pytest.mark.parametrize("prompt", ["the", ""])
def test_a_text_that_spells_the_end_token_does_not_hold_it(
    prompt: str, tiny_lm: Path, said: Callable[..., Likelihoods]
) -> None:
    """Whoever wrote it wrote thirteen letters; a model that reads the end there has read another text."""
    text = f"kind {END} person"
    model, tokenizer = load(tiny_lm)
    found = said(tiny_lm, Continuations((prompt,), (text,)))
    letters = [" " * bool(prompt) + "kind <", "|endoftext|> person"]
    ids = [number for piece in letters for number in tokenizer(piece)["input_ids"]]
    assert tokenizer.decode(ids) == " " * bool(prompt) + text
    assert not set(endings(model, tokenizer)) & set(ids)
    expected = by_hand(tiny_lm, read(tiny_lm, prompt), ids, ended=False)
    assert found.total[0] == pytest.approx(expected.token.sum(), abs=ROUNDING)


# --- what is refused


def test_a_text_with_too_many_tokens_for_the_models_positions_is_one_sentence(
    tiny_lm: Path, said: Callable[..., Likelihoods], tmp_path: Path
) -> None:
    """A table of learnt positions has no more rows; the fixture's own rotary ones would go on."""
    from transformers import GPT2Config, GPT2LMHeadModel

    small = GPT2Config(vocab_size=320, n_positions=8, n_embd=8, n_layer=1, n_head=1)
    shutil.copytree(tiny_lm, tmp_path / "lm")
    GPT2LMHeadModel(small).save_pretrained(tmp_path / "lm")
    with pytest.raises(DataError, match=r"has 8 positions, but 1 of 2 texts with their prompts need\s+more"):
        said(tmp_path / "lm", Continuations(("the", "the"), ("a", "a kind person who never was")))


def test_weights_that_are_no_numbers_are_one_sentence(
    tiny_lm: Path, edited_lm: Callable[..., Path], said: Callable[..., Likelihoods], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = edited_lm(tiny_lm, tmp_path / "lm")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "dense_h_to_4h.weight" in name)
    weights[name][:] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(NotFinite, match="the language model's logits are not finite"):
        said(folder, Continuations(("the",), ("kind",)))


# --- work that was interrupted


def test_what_an_interrupted_run_has_kept_is_used_unless_it_is_damaged(
    several: Path, said: Callable[..., Likelihoods], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _ = some_drawn(several)
    asked = replace(asked, batch=2)
    whole = said(several, asked)
    monkeypatch.setattr(text_likelihoods, "_EVERY", -1.0)  # keep whatever is finished
    same(said(several, asked, tmp_path), whole, 0.0)
    (kept,) = tmp_path.iterdir()

    passes = 0

    def counted(folder: Path, dtype: str = "float32") -> tuple[Any, Any]:
        model, tokenizer = load(folder, dtype)

        def count(*_: Any) -> None:
            nonlocal passes
            passes += 1

        model.register_forward_pre_hook(count)
        return model, tokenizer

    monkeypatch.setattr(text_likelihoods, "load", counted)
    same(said(several, asked, tmp_path), whole, 0.0)
    assert passes == 0
    bytes_ = kept.read_bytes()
    for damaged in (bytes_[: len(bytes_) // 2], b"", b"nonsense"):
        kept.write_bytes(damaged)
        same(said(several, asked, tmp_path), whole, 0.0)
        assert passes > 0
        passes = 0
    kept.write_bytes(bytes_)
    same(said(several, asked.take([4, 1, 0]), tmp_path), whole.take([4, 1, 0]), MACHINE)  # of other texts


def test_each_token_tells_how_much_of_its_text_it_spells(tiny_lm: Path, said: Callable[..., Likelihoods]) -> None:
    _, tokenizer = load(tiny_lm)
    words = ("a kind person", "on its own")
    tokens = drawn_of(tiny_lm, [tokenizer(f" {text}")["input_ids"] for text in words], [False, False])
    asked, _ = some_drawn(tiny_lm)
    for continuations in (Continuations(("the", "so"), words, tokens), asked, replace(asked, drawn=None)):
        found = said(tiny_lm, continuations)
        assert found.spelled is not None
        for i, text in enumerate(continuations.text):
            ends = found.spelled[found.offsets[i] : found.offsets[i + 1]].tolist()
            assert ends == sorted(ends)
            assert ends[-1:] == [len(text)][: len(ends)]
            if found.ended[i] and len(ends) > 1:
                assert ends[-2] == len(text)  # its end spells nothing
            if continuations.drawn is not None and "\ufffd" not in text:
                own = [tokenizer.decode([one]).strip() for one in continuations.drawn.of(i)]
                pieces = [text[begin:end].strip() for begin, end in zip([0, *ends], ends, strict=False)]
                assert pieces == own[: len(own) - found.ended[i]] + [""] * int(found.ended[i])
