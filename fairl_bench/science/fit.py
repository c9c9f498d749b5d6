"""The training loop: many runs at once, each with the numbers that it would get alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import FairlError
from fairl_bench.science.failure_stack import FailureStack
from fairl_bench.science.list_stack import ListStack
from fairl_bench.science.lists import Lists
from fairl_bench.science.runs import ALIKE, Fitted, PairWeights, Recipe, RowPairs, TrainingRun
from fairl_bench.science.stack import Data, Stack


def fit(
    runs: Sequence[TrainingRun],
    vectors: NDArray[np.float32],
    train: RowPairs,
    validation: RowPairs,
    recipe: Recipe,
    gold: tuple[NDArray[np.int8], NDArray[np.int8]] | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, note: None,
    device: str = "cpu",
    weights: PairWeights = ALIKE,
    lists: tuple[Lists, Lists] | None = None,
) -> list[Fitted]:
    """Train every run on rows of ``vectors [m, d]`` and return the fitted ones in the same order.

    On a GPU (``device``) no step waits for a number; what comes out agrees with a processor's to rounding.
    ``gold`` holds the labels {+1, -1, 0 unknown} of both sides of the training pairs, for detectors that ask for them.
    ``weights`` say how much each pair counts: one of weight 2 counts as two.
    ``lists`` are those that the training and the validation pairs make, for losses of lists; a batch then counts lists.
    Raises `NotFinite` when a loss leaves the finite numbers, naming the run and the epoch.
    """
    import torch

    from fairl_bench.science.threads import set_threads

    set_threads()
    if len(train.preferred) == 0:
        raise FairlError("training needs at least one pair, got none; the split left the training part empty")
    # as a context it costs time at every call, so not where nothing would change
    place = nullcontext() if torch.device(device).type == "cpu" else torch.device(device)
    with torch.no_grad(), place:
        data = Data.of(vectors, train, validation, gold, weights)
        if lists is not None:
            stack: Stack = ListStack(runs, data, recipe, *lists)
        else:
            stack = (Stack if runs[0].failures is None else FailureStack)(runs, data, recipe)
        for epoch in range(1, recipe.epochs + 1):
            train_loss = stack.epoch(epoch)
            stack.judge(epoch, train_loss, stack.held_out())
            progress(epoch, recipe.epochs, f"epoch {epoch}, {len(stack.active)} of {len(runs)} runs")
            if not stack.active:
                break
    return stack.settle()
