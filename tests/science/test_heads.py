from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from fairl_bench.errors import DataError
from fairl_bench.science import heads
from fairl_bench.science.streams import stream

D, WIDTH, RUNS, N = 7, 5, 3, 11
SHAPES = [None, WIDTH]  # linear, two layers


def flat(width: int | None, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    rows = [heads.initial(D, width, stream("initial", 0, run)) for run in range(RUNS)]
    return torch.from_numpy(np.stack(rows)).to(dtype)


def inputs(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(RUNS, N, D))), torch.from_numpy(rng.normal(size=(RUNS, N)))


def plain(weights: Mapping[str, torch.Tensor], x: torch.Tensor, run: int) -> torch.Tensor:
    """The reward of one run, written with torch's own layers."""
    if "hidden.weight" in weights:
        x = torch.relu(torch.nn.functional.linear(x, weights["hidden.weight"][run].T, weights["hidden.bias"][run]))
    return torch.nn.functional.linear(x, weights["weight"][run][None], weights["bias"][run][None])[..., 0]


def gradient(width: int | None, row: torch.Tensor, x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    form = heads.layout(D, width)
    grad = torch.zeros_like(row)
    weights = form.views(row)
    _, hidden = heads.forward(weights, x)
    heads.backward(weights, form.views(grad), x, hidden, slope)
    return grad


# --- layout


@pytest.mark.parametrize(("width", "size"), [(None, 64 + 64), (5, 64 + 64 + 64 + 64), (64, 448 + 64 + 64 + 64)])
def test_every_array_starts_at_a_multiple_of_64(width: int | None, size: int) -> None:
    form = heads.layout(D, width)
    assert all(start % 64 == 0 for start, _ in form.places.values())
    assert form.size % 64 == 0
    assert form.size == size


@pytest.mark.parametrize("width", SHAPES)
def test_views_share_memory_and_arrays_do_not(width: int | None) -> None:
    form, row = heads.layout(D, width), flat(width, torch.float32)
    copied = form.arrays(row[1].numpy())
    form.views(row)["weight"][1] += 1
    assert torch.equal(form.views(row)["weight"][1], torch.from_numpy(copied["weight"]) + 1)
    assert {name: array.shape for name, array in copied.items()} == {
        name: shape for name, (_, shape) in form.places.items()
    }


@pytest.mark.parametrize("width", SHAPES)
def test_decay_marks_weights_but_neither_bias_nor_padding(width: int | None) -> None:
    form = heads.layout(D, width)
    marks = form.arrays(form.decayed())
    for name, mark in marks.items():
        assert (mark == (1 if name.endswith("weight") else 0)).all(), name
    assert form.decayed().sum() == (D if width is None else D * width + width)


# --- initial values


@pytest.mark.parametrize("d", [1, 7, 384])
@pytest.mark.parametrize("width", [None, 5, 64])
def test_initial_values_fill_the_kaiming_uniform_bounds(d: int, width: int | None) -> None:
    form = heads.layout(d, width)
    arrays = form.arrays(heads.initial(d, width, stream("initial", 0, 0)))
    for name, array in arrays.items():
        fan_in = width if width is not None and not name.startswith("hidden.") else d
        bound = np.float32(1 / np.sqrt(fan_in))
        assert np.abs(array).max() <= bound, name
        if array.size >= 64:  # the largest of 64 uniform numbers lies below 0.8 once in a million
            assert np.abs(array).max() > 0.8 * bound, name
            assert array.min() < 0 < array.max()


@pytest.mark.parametrize("width", SHAPES)
def test_initial_values_have_the_bounds_of_torch_linear(width: int | None) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(2000, 1 if width is None else width)
    ours = heads.layout(2000, width).arrays(heads.initial(2000, width, stream("initial", 0, 0)))
    first = ours["weight" if width is None else "hidden.weight"]
    theirs = layer.weight.detach().numpy()
    assert np.abs(first).max() == pytest.approx(np.abs(theirs).max(), rel=0.02)  # the ends of 2,000 uniform numbers
    assert first.std() == pytest.approx(theirs.std(), rel=0.05)


@pytest.mark.parametrize("width", SHAPES)
def test_initial_values_depend_on_the_seed_and_the_replicate_alone(width: int | None) -> None:
    def drawn(replicate: int, seed: int) -> np.ndarray:
        return heads.initial(D, width, stream("initial", replicate, seed))

    assert np.array_equal(drawn(0, 1), drawn(0, 1))
    assert not np.array_equal(drawn(0, 1), drawn(0, 2))
    assert not np.array_equal(drawn(0, 1), drawn(1, 1))


def test_padding_starts_at_zero() -> None:
    row = heads.initial(D, WIDTH, stream("initial", 0, 0))
    assert np.count_nonzero(row) == D * WIDTH + WIDTH + WIDTH + 1


# --- forward


@pytest.mark.parametrize("width", SHAPES)
def test_forward_equals_torch_layers(width: int | None) -> None:
    row, (x, _) = flat(width), inputs()
    weights = heads.layout(D, width).views(row)
    reward, hidden = heads.forward(weights, x)
    expected = torch.stack([plain(weights, x[run], run) for run in range(RUNS)])
    torch.testing.assert_close(reward, expected, rtol=0, atol=1e-12)
    assert (hidden is None) == (width is None)


def test_forward_of_a_two_layer_head_by_hand() -> None:
    weights = {
        "hidden.weight": torch.tensor([[[1.0, -1.0]]]),  # d 1, width 2
        "hidden.bias": torch.tensor([[0.0, 0.5]]),
        "weight": torch.tensor([[2.0, 3.0]]),
        "bias": torch.tensor([-1.0]),
    }
    reward, hidden = heads.forward(weights, torch.tensor([[[2.0], [-2.0]]]))
    assert hidden is not None
    assert hidden.tolist() == [[[2.0, 0.0], [0.0, 2.5]]]
    assert reward.tolist() == [[2 * 2 - 1, 3 * 2.5 - 1]]


@pytest.mark.parametrize("width", SHAPES)
def test_score_equals_forward(width: int | None) -> None:
    row = flat(width, torch.float32)
    form = heads.layout(D, width)
    x = inputs()[0].float()
    reward, _ = heads.forward(form.views(row), x)
    for run in range(RUNS):
        scores = heads.score(form.arrays(row[run].numpy()), x[run].numpy())
        assert scores.dtype == np.float64
        np.testing.assert_allclose(scores, reward[run].numpy(), atol=1e-5)  # float32


def test_score_in_blocks_equals_score_at_once() -> None:
    arrays = {"weight": np.array([1.0, -2.0], np.float32), "bias": np.array(0.5, np.float32)}
    vectors = np.random.default_rng(0).integers(-9, 9, (65_536 + 3, 2)).astype(np.float32)
    # whole numbers: exact in float32
    assert np.array_equal(heads.score(arrays, vectors), vectors.astype(np.float64) @ [1.0, -2.0] + 0.5)
    assert heads.score(arrays, vectors[:0]).shape == (0,)


# --- gradient


@pytest.mark.parametrize("width", SHAPES)
def test_backward_equals_autograd_in_float64(width: int | None) -> None:
    row, (x, slope) = flat(width), inputs()
    manual = gradient(width, row, x, slope)
    leaf = row.clone().requires_grad_()
    weights = heads.layout(D, width).views(leaf)
    reward = torch.stack([plain(weights, x[run], run) for run in range(RUNS)])
    (expected,) = torch.autograd.grad((reward * slope).sum(), leaf)
    torch.testing.assert_close(manual, expected, rtol=0, atol=1e-12)
    assert manual.abs().sum() > 1


@pytest.mark.parametrize("width", SHAPES)
def test_backward_equals_finite_differences_in_float64(width: int | None) -> None:
    row, (x, slope) = flat(width), inputs(1)
    manual = gradient(width, row, x, slope)
    form, step = heads.layout(D, width), 1e-6

    def loss(moved: torch.Tensor) -> torch.Tensor:
        return (heads.forward(form.views(moved), x)[0] * slope).sum(-1)  # [runs]

    for at in range(form.size):
        higher, lower = row.clone(), row.clone()
        higher[:, at] += step
        lower[:, at] -= step
        numeric = (loss(higher) - loss(lower)) / (2 * step)
        # step 1e-6 in float64: 1e-16 / 1e-6 of cancellation, and no relu within 1e-6 of its kink
        torch.testing.assert_close(manual[:, at], numeric, rtol=0, atol=1e-7)


@pytest.mark.parametrize("width", SHAPES)
def test_a_pairwise_loss_gives_the_output_bias_no_gradient(width: int | None) -> None:
    row, (x, slope) = flat(width), inputs()
    half = N // 2
    paired = torch.cat([slope[:, :half], -slope[:, :half]], 1)
    grad = gradient(width, row, x[:, : 2 * half], paired)
    bias = heads.layout(D, width).views(grad)["bias"]
    assert bias.abs().max() < 1e-12
    assert grad.abs().max() > 0.1


@pytest.mark.parametrize("width", SHAPES)
def test_backward_leaves_the_padding_alone(width: int | None) -> None:
    form = heads.layout(D, width)
    grad = gradient(width, flat(width), *inputs())
    form_of_padding = np.ones(form.size, bool)
    for start, shape in form.places.values():
        form_of_padding[start : start + int(np.prod(shape))] = False
    assert not grad[:, torch.from_numpy(form_of_padding)].any()


@pytest.mark.parametrize(
    "arrays",
    [
        {"weight": np.ones(4, np.float32)},
        {"weight": np.ones(4, np.float32), "bias": np.zeros(2, np.float32)},
        {"weight": np.ones(3, np.float32), "bias": np.float32(0)},
        {"weight": np.ones(2, np.float32), "bias": np.float32(0), "hidden.weight": np.ones((4, 2), np.float32)},
        {"weight": np.ones(2, np.float32), "bias": np.float32(0), "hidden.weight": np.ones((3, 2), np.float32),
         "hidden.bias": np.zeros(2, np.float32)},
    ],
)  # fmt: skip
def test_arrays_that_are_no_head_on_the_vectors_are_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match=r"a head on vectors of 4 numbers needs an array '.*' of shape .*, got "):
        heads.score({name: np.asarray(one) for name, one in arrays.items()}, np.ones((2, 4), np.float32))
