"""The two shapes of reward, for a stack of runs: forward, gradient, initial values.

A run's parameters are one row of a flat tensor ``[runs, size]``, padded to a multiple of 64 numbers: every run starts
at the same place of a vector register, so that it gets the same bits alone as in a stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

_ALIGN = 64


class Layout(NamedTuple):
    """Where each array of a head lies in its flat row: name -> (start, shape)."""

    places: Mapping[str, tuple[int, tuple[int, ...]]]
    size: int  # numbers a run, padding included

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Return the named arrays of every run ``[runs, *shape]``, sharing memory with ``flat [runs, size]``."""
        runs = flat.shape[0]
        return {
            name: flat[:, start : start + prod(shape)].view(runs, *shape)
            for name, (start, shape) in self.places.items()
        }

    def arrays(self, row: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return the named arrays of one run, copied out of its flat row ``[size]``."""
        return {name: row[at : at + prod(shape)].reshape(shape).copy() for name, (at, shape) in self.places.items()}

    def decayed(self) -> NDArray[np.float32]:
        """Return 1 where a number is a weight, 0 where it is a bias or padding ``[size]``: what an L2 prior acts on."""
        mask = np.zeros(self.size, np.float32)
        for name, (start, shape) in self.places.items():
            if name.endswith("weight"):
                mask[start : start + prod(shape)] = 1
        return mask


def layout(d: int, width: int | None) -> Layout:
    """Return the layout of a head on vectors of ``d`` numbers: two layers, ``width`` hidden units, or linear (None)."""
    shapes: dict[str, tuple[int, ...]] = (
        {"weight": (d,), "bias": ()}
        if width is None
        else {"hidden.weight": (d, width), "hidden.bias": (width,), "weight": (width,), "bias": ()}
    )
    places, start = {}, 0
    for name, shape in shapes.items():
        places[name] = (start, shape)
        start += -(-prod(shape) // _ALIGN) * _ALIGN
    return Layout(places, start)


def initial(d: int, width: int | None, rng: np.random.Generator) -> NDArray[np.float32]:
    """Kaiming-uniform initial values of one run ``[size]``: uniform in ±1/sqrt(fan-in), as torch's linear layers do.

    Equal generators give equal values whatever the method, so that methods are compared from one start (paper 4.1).
    """
    form = layout(d, width)
    row = np.zeros(form.size, np.float32)
    for name, (start, shape) in form.places.items():
        fan_in = d if width is None or name.startswith("hidden.") else width
        row[start : start + prod(shape)] = rng.uniform(-1, 1, prod(shape)) / np.sqrt(fan_in)
    return row


def forward(weights: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Rewards ``[runs, n]`` of ``x [runs, n, d]``, and the hidden activations ``[runs, n, width]`` of a two-layer head.

    A layer of width 1 is a product and a sum, not a matrix product, whose rounding would depend on the stack.
    """
    import torch

    top, bias = weights["weight"].unsqueeze(1), weights["bias"].unsqueeze(1)
    if "hidden.weight" not in weights:
        return (x * top).sum(-1) + bias, None
    if weights["hidden.weight"].shape[-1] == 1:
        hidden = ((x * weights["hidden.weight"].mT).sum(-1, keepdim=True) + weights["hidden.bias"].unsqueeze(1)).relu_()
    else:
        hidden = torch.baddbmm(weights["hidden.bias"].unsqueeze(1), x, weights["hidden.weight"]).relu_()
    return (hidden * top).sum(-1) + bias, hidden


def backward(
    weights: Mapping[str, Tensor], out: Mapping[str, Tensor], x: Tensor, hidden: Tensor | None, slope: Tensor
) -> None:
    """Write into ``out`` the gradient of a loss whose derivative by the rewards is ``slope [runs, n]``.

    The output bias cancels in every margin (science: no pairwise loss can train it); its gradient is the sum of slopes.
    """
    import torch

    torch.sum(slope, 1, out=out["bias"])
    each = slope.unsqueeze(-1)
    if hidden is None:
        torch.sum(x * each, 1, out=out["weight"])
        return
    torch.sum(hidden * each, 1, out=out["weight"])
    below = torch.ops.aten.threshold_backward.default(each * weights["weight"].unsqueeze(1), hidden, 0.0)
    torch.sum(below, 1, out=out["hidden.bias"])
    torch.bmm(x.transpose(1, 2), below, out=out["hidden.weight"])


def score(arrays: Mapping[str, NDArray[np.float32]], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rewards ``[n]`` float64 of one fitted head on ``vectors [n, d]``, in blocks so that memory stays small.

    Raises `DataError` where the arrays are no head on vectors of this many dimensions.
    """
    _check(arrays, vectors.shape[1])
    out = np.empty(len(vectors), np.float64)
    for start in range(0, len(vectors), 65_536):
        x = np.asarray(vectors[start : start + 65_536], np.float32)
        if "hidden.weight" in arrays:
            x = np.maximum(x @ arrays["hidden.weight"] + arrays["hidden.bias"], 0)
        out[start : start + len(x)] = x @ arrays["weight"] + arrays["bias"]
    return out


def _check(arrays: Mapping[str, NDArray[np.float32]], d: int) -> None:
    hidden = arrays.get("hidden.weight")
    width = d if hidden is None else hidden.shape[-1] if hidden.ndim else -1
    wanted = {"weight": (width,), "bias": ()}
    if hidden is not None:
        wanted |= {"hidden.weight": (d, width), "hidden.bias": (width,)}
    for name, shape in wanted.items():
        found = arrays.get(name)
        if found is None or found.shape != shape:
            got = "none" if found is None else f"one of shape {list(found.shape)}"
            raise DataError(
                f"a head on vectors of {d} numbers needs an array {name!r} of shape {list(shape)}, got {got}"
            )
