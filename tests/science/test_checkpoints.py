from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairl_bench.errors import NotFinite
from fairl_bench.science import checkpoints
from fairl_bench.science.pretraining import Recipe, pretrain


def put(folder: Path, text: str) -> Path:
    (folder / "half").write_text(text)
    checkpoints.replace(folder / "half", folder / "kept")
    return folder / "kept"


def test_a_checkpoint_is_whole_until_a_byte_of_it_changes(tmp_path: Path) -> None:
    kept = put(tmp_path, "weights")
    assert checkpoints.is_whole(kept)
    kept.write_text("Weights")
    assert not checkpoints.is_whole(kept)


def test_between_the_seal_and_the_file_the_old_checkpoint_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = put(tmp_path, "old")
    (tmp_path / "half").write_text("new")
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target == kept:
            raise KeyboardInterrupt("here")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt, match="here"):
        checkpoints.replace(tmp_path / "half", kept)
    assert kept.read_text() == "old"
    assert checkpoints.is_whole(kept)
    monkeypatch.undo()
    checkpoints.replace(tmp_path / "half", kept)
    assert kept.read_text() == "new"
    assert checkpoints.is_whole(kept)


@pytest.mark.parametrize("seal", ["", "{", "[]", "3", '{"kept": 3}', '{"gone": ["00"]}'])
def test_a_broken_seal_is_of_nothing(seal: str, tmp_path: Path) -> None:
    kept = put(tmp_path, "weights")
    (tmp_path / "kept.sha256").write_text(seal)
    assert not checkpoints.is_whole(kept)


def test_a_folder_is_intact_while_every_file_of_it_is(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    checkpoints.seal([tmp_path / "a", tmp_path / "b"], tmp_path / "complete")
    assert checkpoints.are_intact(tmp_path / "complete")
    (tmp_path / "b").write_text("c")
    assert not checkpoints.are_intact(tmp_path / "complete")


def test_a_file_without_a_seal_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("weights")
    assert not checkpoints.is_whole(tmp_path / "kept")


def test_a_training_whose_loss_is_not_finite_ends_at_that_step(tmp_path: Path) -> None:
    import torch

    class Overflowing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(5))

        def forward(self, input_ids: torch.Tensor, use_cache: bool) -> object:
            class Answer:
                logits = self.weight * torch.full((*input_ids.shape, 5), float("inf"))

            return Answer

    tokens, recipe = np.zeros(50, np.int64), Recipe(steps=3, batch=2, length=4)
    with pytest.raises(NotFinite, match="the loss of step 1 of 3 is nan; lower lr, or use a wider dtype"):
        pretrain(Overflowing(), tokens, recipe, lambda step: np.random.default_rng(step), tmp_path / "kept")
