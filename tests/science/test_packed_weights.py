"""Packed weights multiply as the plain ones do, and are gone afterwards."""

from __future__ import annotations

import pytest
import torch

from fairl_bench.science import packed_weights
from fairl_bench.science.packed_weights import packed


class Model(torch.nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = torch.nn.Sequential(torch.nn.Linear(24, 40), torch.nn.GELU(), torch.nn.Linear(40, 8, bias=False))
        self.to(dtype)
        self.dtype, self.device = dtype, torch.device("cpu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)  # type: ignore[no-any-return]


# a product of 40 numbers: float32 in another order; bfloat16 has 8 bits
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("shape", [(5,), (3, 7), (1, 64), (0, 3)])
def test_packed_weights_give_the_same_products(dtype: torch.dtype, within: float, shape: tuple[int, ...]) -> None:
    model, x = Model(dtype), torch.randn(*shape, 24).to(dtype)
    with torch.inference_mode():
        plain = model(x)
        with packed(model):
            assert "forward" in vars(model.body[0])
            found = model(x)
    torch.testing.assert_close(found, plain, rtol=within, atol=within)
    assert "forward" not in vars(model.body[0])


def test_a_model_learns_after_it_was_packed() -> None:
    model = Model(torch.float32)
    with pytest.raises(KeyError, match="stop"), packed(model):
        raise KeyError("stop")
    model(torch.ones(2, 24)).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_large_models_and_other_numbers_stay_as_they_are(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_weights, "_LARGEST", 5000 if dtype == torch.float32 else 10**9)
    model = Model(dtype)
    with packed(model):
        assert "forward" not in vars(model.body[0])
