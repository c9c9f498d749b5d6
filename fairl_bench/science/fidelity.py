"""The measures of how close a reward is to the true one, by the names of their metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from numpy.typing import ArrayLike

from fairl_bench.science import agreement, starc


def by_value(reward: ArrayLike, truth: ArrayLike, prompts: Sequence[str]) -> Mapping[str, Callable[[], float]]:
    """Return the functions that compare a reward ``[n]`` with the true one, by metric; ``prompts`` are the texts'."""
    return {
        "starc": lambda: starc.from_truth(reward, truth),
        "starc_per_prompt": lambda: starc.from_truth(reward, truth, starc.prompt_codes(prompts)),
        "affine_residual": lambda: starc.affine_residual(reward, truth),
        "epic": lambda: agreement.epic(reward, truth),
        "spearman": lambda: agreement.spearman(reward, truth),
        "kendall": lambda: agreement.kendall(reward, truth),
    }
