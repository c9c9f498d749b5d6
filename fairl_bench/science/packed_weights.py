"""Weights in the order in which oneDNN multiplies by them: put so once, rather than in each product."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import torch

_ROWS: Final = 64
_LARGEST: Final = 2**31
"""Bytes of weights, at most: they are in memory twice."""


@contextmanager
def packed(model: Any) -> Iterator[None]:
    """Inside, the model multiplies by packed weights: quicker on a CPU, with other last bits, and without gradients.

    The weights must not change in the meantime.
    """
    layers: list[Any] = [layer for layer in model.modules() if type(layer) is torch.nn.Linear and _may_be(layer.weight)]
    if sum(layer.weight.nbytes for layer in layers) > _LARGEST:
        layers = []
    with torch.inference_mode():
        for layer in layers:
            weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), _ROWS)
            layer.forward = partial(_product, weight, layer.bias)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _may_be(weight: torch.Tensor) -> bool:
    """Return whether this torch has inductor's products, and on this machine those of such numbers."""
    if weight.device.type != "cpu" or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32 and torch._C._has_mkldnn


def _product(weight: torch.Tensor, bias: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found
