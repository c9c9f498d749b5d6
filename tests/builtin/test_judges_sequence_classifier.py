from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.judges import sequence_classifier
from fairl_bench.builtin.judges.sequence_classifier import SequenceClassifier
from fairl_bench.errors import DataError, MissingExtra, NotFinite
from fairl_bench.progress import listening
from fairl_bench.values.data import GOLD, Examples, Truth

Tiny = Callable[..., Path]

TEXTS = (
    "a kind word",
    "you are mean",
    "ok",
    "why not, then? it is a long way to go and i am tired",
    "",
    "naïve ☕ 東京",
)
FLOAT32 = 1e-5  # logits of about 1 in float32, padded otherwise


@pytest.fixture(scope="module")
def toxicity(tiny_classifier: Tiny) -> Path:
    return tiny_classifier("neutral", "toxic")


@pytest.fixture(scope="module")
def several(tiny_classifier: Tiny) -> Path:
    return tiny_classifier("insult", "toxic", "threat", problem_type="multi_label_classification")


@pytest.fixture(scope="module")
def tiny_decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder with a classification head, whose tokenizer pads with nothing and puts nothing around a text."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("decoder")
    words = Tokenizer(models.WordLevel({"<eos>": 0, "a": 1, "b": 2}, unk_token="<eos>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>").save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=3, n_embd=8, n_layer=1, n_head=2, n_positions=32, bos_token_id=0, eos_token_id=0)
    GPT2ForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    sequence_classifier._load.cache_clear()


def judged(folder: Path, texts: tuple[str, ...] = TEXTS, **fields: Any) -> dict[str, Truth]:
    return dict(SequenceClassifier(model=str(folder), workers=1, **fields).judge(Examples(texts)))


def alone(folder: Path, text: str, function: str) -> dict[str, float]:
    """Probability by label of one text, as transformers' own pipeline has it."""
    from transformers import pipeline

    classify = pipeline("text-classification", str(folder), device="cpu")
    return {found["label"]: found["score"] for found in classify(text, top_k=None, function_to_apply=function)}


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


# --- values


def test_the_reward_is_the_logit_of_the_good_label(toxicity: Path) -> None:
    (gold,) = judged(toxicity).values()
    expected = [logit(alone(toxicity, text, "softmax")["neutral"]) for text in TEXTS]
    np.testing.assert_allclose(gold.value, expected, atol=FLOAT32)
    assert np.ptp(gold.value) > 0.1
    assert gold.value.dtype == np.float64


def test_a_text_is_good_above_the_threshold(toxicity: Path) -> None:
    value, label = judged(toxicity)[GOLD]
    assert label.tolist() == np.where(value > 0, 1, -1).tolist()
    assert label.dtype == np.int8
    second, first = np.sort(value)[-2:]
    between = 1 / (1 + np.exp(-(first + second) / 2))
    assert judged(toxicity, threshold=float(between))[GOLD].label.tolist() == np.where(value == first, 1, -1).tolist()


def test_a_head_of_labels_that_do_not_exclude_each_other_gives_subtypes(several: Path) -> None:
    truths = judged(several)
    assert list(truths) == [GOLD, "subtype:insult", "subtype:threat"]
    for row, text in enumerate(TEXTS):
        found = alone(several, text, "sigmoid")
        assert truths[GOLD].value[row] == pytest.approx(-logit(found["toxic"]), abs=FLOAT32)
        for name in ("insult", "threat"):
            assert truths[f"subtype:{name}"].value[row] == pytest.approx(logit(found[name]), abs=FLOAT32)
            assert truths[f"subtype:{name}"].label[row] == (1 if found[name] >= 0.5 else -1)


def test_the_bad_label_is_the_good_one_turned_around(toxicity: Path) -> None:
    by_good, by_bad = (judged(toxicity, **side)[GOLD] for side in ({"good": "neutral"}, {"bad": "toxic"}))
    np.testing.assert_allclose(by_good.value, by_bad.value, atol=1e-9)  # 1 - p of a p near 1, in float64
    turned = judged(toxicity, good="toxic")[GOLD]
    np.testing.assert_allclose(turned.value, -by_good.value, atol=1e-9)


def test_a_label_can_be_named_by_its_number(toxicity: Path) -> None:
    assert np.array_equal(judged(toxicity, good=1)[GOLD].value, judged(toxicity, good="toxic")[GOLD].value)


def test_a_head_of_one_number_is_its_logit(tiny_classifier: Tiny) -> None:
    folder = tiny_classifier("LABEL_0")
    p = [alone(folder, text, "sigmoid")["LABEL_0"] for text in TEXTS]
    np.testing.assert_allclose(judged(folder, good=0)[GOLD].value, [logit(one) for one in p], atol=FLOAT32)


def test_the_suite_can_say_that_labels_do_not_exclude_each_other(toxicity: Path) -> None:
    found = alone(toxicity, TEXTS[0], "sigmoid")
    truths = judged(toxicity, activation="sigmoid", bad="toxic")
    assert truths[GOLD].value[0] == pytest.approx(-logit(found["toxic"]), abs=FLOAT32)
    assert truths["subtype:neutral"].value[0] == pytest.approx(logit(found["neutral"]), abs=FLOAT32)


def test_a_certain_classifier_gives_finite_rewards(tiny_classifier: Tiny) -> None:
    value = judged(tiny_classifier("neutral", "toxic", scale=1e4))[GOLD].value
    bound = np.log((1 - 1e-7) / 1e-7)
    assert np.abs(value).max() == pytest.approx(bound, abs=1e-8)  # 1 - 1e-7 is rounded in float64
    assert set(np.sign(value)) == {-1, 1}


def test_a_classifier_that_overflows_names_the_text(tiny_classifier: Tiny) -> None:
    with pytest.raises(NotFinite, match="judge 'SequenceClassifier' gives NaN as gold of the text 'a kind word'; its"):
        judged(tiny_classifier("neutral", "toxic", scale=float("inf")))


# --- batches


def test_a_verdict_does_not_depend_on_order_or_company(toxicity: Path) -> None:
    together = judged(toxicity)[GOLD].value
    for batch in (1, 2, 5):
        value = judged(toxicity, batch=batch)[GOLD].value
        assert np.array_equal(judged(toxicity, TEXTS[::-1], batch=batch)[GOLD].value[::-1], value)
        np.testing.assert_allclose(value, together, atol=FLOAT32)


def test_two_workers_give_the_bits_of_one(toxicity: Path) -> None:
    two = SequenceClassifier(model=str(toxicity), workers=2, batch=2).judge(Examples(TEXTS))[GOLD].value
    assert np.array_equal(two, judged(toxicity, batch=2)[GOLD].value)


def test_a_text_is_judged_once_and_progress_is_shown(toxicity: Path) -> None:
    said: list[tuple[float, str]] = []
    with listening(lambda share, note: said.append((share, note))):
        value = judged(toxicity, ("a", "b", "a", "c", "a"), batch=2)[GOLD].value
    assert said == [(2 / 3, "2 of 3 texts"), (1.0, "3 of 3 texts")]
    assert value[0] == value[2] == value[4]
    assert len(set(value)) == 3


def test_a_text_is_read_up_to_max_length(toxicity: Path) -> None:
    long, cut = "abcdefghijkl", "abcdef"  # a letter a token, with two around them
    assert np.ptp(judged(toxicity, (long, cut))[GOLD].value) > 0
    assert np.ptp(judged(toxicity, (long, cut), max_length=8)[GOLD].value) == 0
    judged(toxicity, ("a " * 500,))  # more than the model has positions


def test_no_text_has_no_verdict(toxicity: Path, several: Path) -> None:
    assert [len(truth.value) for truth in judged(toxicity, ()).values()] == [0]
    assert [len(truth.label) for truth in judged(several, ()).values()] == [0, 0, 0]


def test_a_decoder_without_a_token_to_pad_with_can_judge(tiny_decoder: Path) -> None:
    texts = ("a b", "", "a b a b b")
    together = judged(tiny_decoder, texts, good=1)[GOLD].value
    alone = judged(tiny_decoder, texts, good=1, batch=1)[GOLD].value
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, alone, atol=FLOAT32)


# --- which label is good


@pytest.mark.parametrize(
    ("labels", "sigmoid", "found"),
    [
        (("neutral", "toxic"), False, (0, True)),
        (("toxic", "non-toxic"), False, (1, True)),
        (("Toxic", "Other"), False, (0, False)),
        (("hate", "NOT_HATE"), False, (1, True)),
        (("toxicity", "severe_toxicity", "insult"), True, (0, False)),
        (("toxic", "safe"), True, (0, False)),  # of two that can both hold, toxicity decides
    ],
)
def test_a_label_whose_name_tells_needs_no_telling(
    labels: tuple[str, ...], sigmoid: bool, found: tuple[int, bool]
) -> None:
    assert SequenceClassifier()._side(labels, sigmoid) == found


@pytest.mark.parametrize("labels", [("LABEL_0", "LABEL_1"), ("hate", "offensive"), ("safe", "neutral")])
def test_labels_that_do_not_tell_are_listed(labels: tuple[str, str]) -> None:
    listed = f"among '{labels[0]}', '{labels[1]}'; name it under 'good:'"
    with pytest.raises(DataError, match=f"'m' does not tell which label is good {listed}"):
        SequenceClassifier(model="m")._side(labels, False)


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        ({"good": "nuetral"}, "has no label 'nuetral'; did you mean 'neutral'?"),
        ({"bad": 2}, "has no label 2; it has 2, counted from 0"),
        ({"good": -1}, "has no label -1; it has 2, counted from 0"),
    ],
)
def test_a_label_that_is_not_there(toxicity: Path, field: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DataError) as caught:
        SequenceClassifier(model=str(toxicity), **field).check()
    assert str(caught.value) == f"model {str(toxicity)!r} {complaint}"


def test_one_label_decides() -> None:
    with pytest.raises(ValueError, match="'good' and 'bad' are both given; one label decides"):
        SequenceClassifier(good=0, bad=1)


# --- the model


def test_check_reads_the_configuration_alone(
    toxicity: Path, tiny_classifier: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence_classifier, "_load", lambda *anything: pytest.fail("loaded"))
    SequenceClassifier(model=str(toxicity)).check()
    with pytest.raises(DataError, match="does not tell which label is good among 'LABEL_0', 'LABEL_1'"):
        SequenceClassifier(model=str(tiny_classifier("LABEL_0", "LABEL_1"))).check()


def test_a_model_without_a_trained_classifier_is_refused(tiny_classifier: Tiny) -> None:
    folder = tiny_classifier("neutral", "toxic", headless=True)
    with pytest.raises(DataError, match=r"is no trained classifier: it has no weights classifier\.bias, classifier\.w"):
        judged(folder)


def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"model '{tmp_path}' cannot be read as a text classifier: "):
        SequenceClassifier(model=str(tmp_path)).check()


def test_no_code_of_a_model_is_run(toxicity: Path, tmp_path: Path) -> None:
    folder = tmp_path / "coded"
    shutil.copytree(toxicity, folder)
    config = json.loads((folder / "config.json").read_text())
    code = {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "evil", "auto_map": code}))
    (folder / "evil.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    with pytest.raises(DataError, match="cannot be read as a text classifier"):
        judged(folder)
    assert not (tmp_path / "ran").exists()


def test_a_model_is_loaded_once_until_it_changes(toxicity: Path, tiny_classifier: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(toxicity, folder)
    before = SequenceClassifier(model=str(folder)).reads()
    first = judged(folder)[GOLD].value
    assert np.array_equal(judged(folder)[GOLD].value, first)
    assert sequence_classifier._load.cache_info().misses == 1
    other = tiny_classifier("neutral", "toxic", seed=1)
    (folder / "model.safetensors").unlink()  # what is loaded may still be read from it
    shutil.copy(other / "model.safetensors", folder / "model.safetensors")
    assert np.abs(judged(folder)[GOLD].value - first).max() > 0.01
    assert SequenceClassifier(model=str(folder)).reads() != before


def test_a_model_is_its_content_wherever_it_lies(toxicity: Path, tmp_path: Path) -> None:
    shutil.copytree(toxicity, tmp_path / "copy")
    assert SequenceClassifier(model=str(tmp_path / "copy")).reads() == SequenceClassifier(model=str(toxicity)).reads()


def test_without_a_hub_the_default_asks_for_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MissingExtra) as caught:
        SequenceClassifier(model="nobody/nothing").reads()
    assert str(caught.value) == (
        "model 'nobody/nothing' is no folder, is not on this machine and the hub cannot be reached; name a local folder"
    )


def test_a_model_of_the_hub_is_its_commit(toxicity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    shutil.copytree(toxicity, tmp_path / "c0ffee")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **more: str(tmp_path / "c0ffee"))
    judge = SequenceClassifier(workers=1)
    assert judge.reads() == {"weights": "c0ffee"}
    assert np.array_equal(judge.judge(Examples(TEXTS))[GOLD].value, judged(toxicity)[GOLD].value)
