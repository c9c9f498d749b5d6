"""Any saved reward again, as a function of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairl_bench.reward.folder import read_reward
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.suite.registry import Registry


def load_reward(
    folder: Path | str,
    *,
    plugins: Sequence[Path | str] = (),
    encoder: Mapping[str, Any] | None = None,
    upstream: Mapping[str, str] | None = None,
) -> RecoveredReward:
    """The reward that a run has saved in ``RESULTS/rewards/CELL``: ``reward(["text", ...])``.

    ``plugins`` are the drop-in files that its parts come from.  ``encoder`` has fields of the encoder that differ on
    this machine, such as ``{"model": FOLDER}``, and ``upstream`` the folders of the language models that it starts from
    or that the method reads, as ``{"lm": FOLDER, "method/base": FOLDER}``.  Raises `DataError` where one of them is not
    that which the reward was fitted on.
    """
    registry = Registry([Path(path) for path in plugins])
    return read_reward(Path(folder), registry.find, encoder=encoder, upstream=upstream)
