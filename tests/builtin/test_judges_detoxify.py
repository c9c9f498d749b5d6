from __future__ import annotations

import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.judges import detoxify as module
from fairl_bench.builtin.judges.detoxify import Detoxify
from fairl_bench.errors import DataError, MissingExtra
from fairl_bench.values.data import GOLD, Examples

Tiny = Callable[..., Path]
Save = Callable[..., Path]

CLASSES = ("toxic", "severe_toxic", "obscene", "identity_hate")  # as in the first data set
TEXTS = ("a kind word", "you are mean", "ok", "a kind word", "")


@pytest.fixture(scope="module")
def base(tiny_classifier: Tiny) -> Path:
    return tiny_classifier(*CLASSES)


@pytest.fixture(scope="module")
def save(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Save:
    """Saves a checkpoint as Detoxify's own are saved; its file."""

    def write(spoil: Callable[[dict[str, Any]], Any] = lambda checkpoint: None) -> Path:
        import torch
        from transformers import AutoModelForSequenceClassification

        path = tmp_path_factory.mktemp("checkpoint") / "toxic.ckpt"
        weights = AutoModelForSequenceClassification.from_pretrained(base).state_dict()
        weights["bert.embeddings.position_ids"] = torch.arange(64)[None]  # those of 2020 hold them
        names = {"model_name": "BertForSequenceClassification", "tokenizer_name": "BertTokenizer"}
        arch = {"type": "BERT", "args": {"num_classes": 4, "model_type": "bert-base-uncased", **names}}
        config = {"name": "Jigsaw", "arch": arch, "dataset": {"args": {"classes": list(CLASSES)}}}
        checkpoint = {"state_dict": OrderedDict(weights), "config": config}
        spoil(checkpoint)
        torch.save(checkpoint, path)
        return path

    return write


@pytest.fixture(scope="module")
def checkpoint(save: Save) -> Path:
    return save()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    module._load.cache_clear()


def judge_of(checkpoint: Path, base: Path, **fields: Any) -> Detoxify:
    return Detoxify(checkpoint=str(checkpoint), architecture=str(base), workers=1, **fields)


def test_its_verdict_is_the_packages_own(checkpoint: Path, base: Path) -> None:
    from detoxify import Detoxify as Package

    with pytest.MonkeyPatch.context() as patch:  # the package asks the hub for the base's configuration
        patch.chdir(base.parent)
        Path("bert-base-uncased").symlink_to(base)
        expected = Package(checkpoint=str(checkpoint), huggingface_config_path=str(base)).predict(list(TEXTS))
    truths = judge_of(checkpoint, base).judge(Examples(TEXTS))
    kinds = ("severe_toxicity", "obscene", "identity_attack")
    assert list(truths) == [GOLD, *(f"subtype:{name}" for name in kinds)]
    toxicity = np.array(expected["toxicity"])
    atol = 1e-5  # logits of about 1 in float32, padded otherwise
    np.testing.assert_allclose(truths[GOLD].value, np.log((1 - toxicity) / toxicity), atol=atol)
    assert truths[GOLD].label.tolist() == np.where(toxicity < 0.5, 1, -1).tolist()
    for name in kinds:
        present = np.array(expected[name])
        np.testing.assert_allclose(truths[f"subtype:{name}"].value, np.log(present / (1 - present)), atol=atol)
        assert truths[f"subtype:{name}"].label.tolist() == np.where(present >= 0.5, 1, -1).tolist()


def test_a_checkpoint_is_loaded_once_until_it_changes(checkpoint: Path, base: Path, save: Save) -> None:
    def other(spoilt: dict[str, Any]) -> None:
        spoilt["state_dict"]["classifier.bias"] += 1

    judge = judge_of(checkpoint, base)
    first = judge.judge(Examples(TEXTS))[GOLD].value
    judge.judge(Examples(TEXTS[:1]))
    assert module._load.cache_info().misses == 1
    changed = judge_of(save(other), base)
    np.testing.assert_allclose(changed.judge(Examples(TEXTS))[GOLD].value, first - 1, atol=1e-5)
    assert changed.reads() != judge.reads()


def test_its_identity_is_the_content_of_checkpoint_and_base(checkpoint: Path, base: Path, tmp_path: Path) -> None:
    (tmp_path / "moved.ckpt").write_bytes(checkpoint.read_bytes())
    reads = judge_of(checkpoint, base).reads()
    assert judge_of(tmp_path / "moved.ckpt", base).reads() == reads
    assert set(reads) == {"weights", "base"}
    empty = tmp_path / "base"
    empty.mkdir()
    assert judge_of(checkpoint, empty).reads()["base"] != reads["base"]


# --- pickles


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_can_run_no_code(base: Path, save: Save, tmp_path: Path) -> None:
    def poison(checkpoint: dict[str, Any]) -> None:
        checkpoint["config"]["evil"] = _Evil(tmp_path / "ran")

    path = save(poison)
    plain = tmp_path / "plain.ckpt"
    plain.write_bytes(pickle.dumps(_Evil(tmp_path / "ran"), protocol=2))
    for poisoned in (path, plain):
        with pytest.raises(DataError, match=f"{poisoned} is damaged or holds more than weights and settings, which co"):
            judge_of(poisoned, base).judge(Examples(TEXTS))
    assert not (tmp_path / "ran").exists()


def test_nothing_is_fetched_unasked() -> None:
    with pytest.raises(MissingExtra) as caught:
        Detoxify(architecture="/").reads()
    assert str(caught.value) == (
        "judge 'detoxify' needs the checkpoint of its model 'original', a pickle, which is not fetched unasked; "
        "name the file under 'checkpoint:', or set 'download: true'"
    )


@pytest.fixture
def served(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint at the address of the package's own, whose name tells its hash; torch.hub keeps it in `tmp_path`."""
    import torch
    from detoxify.detoxify import MODEL_URLS

    start = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:8]
    path = tmp_path / f"toxic_original-{start}.ckpt"
    path.write_bytes(checkpoint.read_bytes())
    monkeypatch.setitem(MODEL_URLS, "original", path.as_uri())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return path


def test_the_packages_own_is_fetched_once_where_the_suite_says_so(served: Path, checkpoint: Path, base: Path) -> None:
    judge = Detoxify(download=True, architecture=str(base), workers=1)
    value = judge.judge(Examples(TEXTS))[GOLD].value
    assert np.array_equal(value, judge_of(checkpoint, base).judge(Examples(TEXTS))[GOLD].value)
    served.unlink()
    assert judge.reads() == judge_of(checkpoint, base).reads()


def test_a_download_of_another_hash_is_refused(served: Path, base: Path) -> None:
    served.write_bytes(b"something else")
    with pytest.raises(
        MissingExtra, match=r"cannot fetch file:.*: invalid hash value .*; name a copy's file under 'ch"
    ):
        Detoxify(download=True, architecture=str(base)).reads()


def test_a_download_that_fails_says_what_to_do(served: Path, base: Path) -> None:
    served.unlink()
    with pytest.raises(MissingExtra, match=r"cannot fetch file:.*No such file or directory.*; name a copy's file"):
        Detoxify(download=True, architecture=str(base)).reads()


# --- mistakes


def test_a_checkpoint_that_is_not_whole(base: Path, save: Save) -> None:
    path = save(lambda checkpoint: checkpoint["state_dict"].pop("classifier.weight"))
    with pytest.raises(DataError, match=f"{path} is not whole: it has no weights classifier.weight; fetch it again"):
        judge_of(path, base).judge(Examples(TEXTS))


def test_a_checkpoint_without_toxicity_lists_its_labels(base: Path, save: Save) -> None:
    path = save(lambda checkpoint: checkpoint["config"]["dataset"]["args"].update(classes=["toxicities", "threat"]))
    with pytest.raises(DataError, match=rf"{path} has no label 'toxicity'; did you mean 'toxicities'\?"):
        judge_of(path, base).judge(Examples(TEXTS))


@pytest.mark.parametrize("lost", ["state_dict", "config"])
def test_a_file_of_another_kind(base: Path, save: Save, lost: str) -> None:
    path = save(lambda checkpoint: checkpoint.pop(lost))
    with pytest.raises(DataError, match=f"{path} cannot be read as a Detoxify checkpoint: KeyError: '{lost}'"):
        judge_of(path, base).judge(Examples(TEXTS))


def test_a_checkpoint_of_another_base_names_the_model_to_set(
    checkpoint: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "snapshot", lambda *name, **more: base)
    with pytest.raises(
        DataError, match=f"{checkpoint} is of 'bert-base-uncased', not of 'roberta-base'; set 'model: original'"
    ):
        Detoxify(model="unbiased", checkpoint=str(checkpoint)).judge(Examples(TEXTS))
    assert Detoxify(checkpoint=str(checkpoint), workers=1).judge(Examples(TEXTS))


def test_without_a_hub_the_base_is_asked_for(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MissingExtra) as caught:
        Detoxify(model="multilingual", checkpoint=str(checkpoint)).reads()
    assert str(caught.value) == (
        "model 'xlm-roberta-base', whose config and tokenizer judge 'detoxify' reads, is not on this machine and the "
        "hub cannot be reached; name a folder of them under 'architecture:'"
    )


def test_files_that_are_not_there(base: Path, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.ckpt cannot be read: No such file or directory"):
        judge_of(tmp_path / "gone.ckpt", base).reads()
    with pytest.raises(
        DataError, match=r"gone is no folder; 'architecture' names one with config\.json and a tokenizer"
    ):
        judge_of(checkpoint, tmp_path / "gone").reads()
