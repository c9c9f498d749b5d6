from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from fairl_bench.errors import FairlError, NotFinite
from fairl_bench.science import heads
from fairl_bench.science.calibrated import calibrated_loss
from fairl_bench.science.fit import fit
from fairl_bench.science.losses import bradley_terry, hinge
from fairl_bench.science.runs import Fitted, Recipe, RowPairs, TrainingRun
from fairl_bench.science.selection import Choice, Selection
from fairl_bench.science.streams import stream

# odd on purpose: nothing is a multiple of a vector register, and the last batch is short
D, WIDTH, BATCH, N = 7, 5, 3, 11
SHAPES = pytest.mark.parametrize("width", [None, WIDTH], ids=["linear", "mlp"])
NONE = RowPairs(np.empty(0, np.int64), np.empty(0, np.int64))


def entropy(margin: Tensor) -> Tensor:
    return bradley_terry(margin, 1.0)


def cold(margin: Tensor) -> Tensor:
    return bradley_terry(margin, 0.25)


def margin_of_one(margin: Tensor) -> Tensor:
    return hinge(margin, 1.0)


def square(margin: Tensor) -> Tensor:
    return (margin - 0.5) ** 2


def problem(n: int = N, held_out: int = 4, d: int = D, seed: int = 0) -> tuple[np.ndarray, RowPairs, RowPairs]:
    """Gaussian vectors; a pair prefers the row with the larger first number, but for a flipped third."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(2 * (n + held_out), d)).astype(np.float32)
    sides = rng.permutation(len(vectors)).reshape(-1, 2)
    wrong = (vectors[sides[:, 0], 0] < vectors[sides[:, 1], 0]) ^ (rng.random(len(sides)) < 1 / 3)
    sides[wrong] = sides[wrong][:, ::-1]
    return vectors, RowPairs(*sides[:n].T.copy()), RowPairs(*sides[n:].T.copy())


def run(
    loss: Callable[[Tensor], Tensor] = entropy, replicate: int = 0, seed: int = 0, name: str = "one"
) -> TrainingRun:
    return TrainingRun(name, loss, replicate, seed)


def same(one: Fitted, other: Fitted) -> bool:
    """Bit for bit, history and all."""
    return (
        one[1:] == other[1:]
        and one.arrays.keys() == other.arrays.keys()
        and all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    )


def mean_loss(loss: Callable[[Tensor], Tensor], fitted: Fitted, vectors: np.ndarray, pairs: RowPairs) -> float:
    reward = heads.score(fitted.arrays, vectors)
    return loss(torch.from_numpy(reward[pairs.preferred] - reward[pairs.rejected])).mean().item()


# --- against plain PyTorch


def plain_torch(
    one: TrainingRun, vectors: np.ndarray, train: RowPairs, validation: RowPairs, recipe: Recipe
) -> tuple[list[np.ndarray], list[float], list[float]]:
    """The same training with ``nn.Linear`` layers and autograd: the last weights, the losses by epoch."""
    d = vectors.shape[1]
    form = heads.layout(d, recipe.width)
    start = form.arrays(heads.initial(d, recipe.width, stream("initial", one.replicate, one.seed)))
    top = torch.nn.Linear(d if recipe.width is None else recipe.width, 1)
    layers: list[torch.nn.Module] = [top]
    with torch.no_grad():
        top.weight.copy_(torch.from_numpy(start["weight"])[None])
        top.bias.copy_(torch.from_numpy(start["bias"]))
        if recipe.width is not None:
            hidden = torch.nn.Linear(d, recipe.width)
            hidden.weight.copy_(torch.from_numpy(start["hidden.weight"]).T)
            hidden.bias.copy_(torch.from_numpy(start["hidden.bias"]))
            layers = [hidden, torch.nn.ReLU(), top]
    model = torch.nn.Sequential(*layers)
    adam = torch.optim.Adam(model.parameters(), lr=recipe.lr)
    x = torch.from_numpy(vectors)

    def losses(rows: Sequence[int], pairs: RowPairs) -> Tensor:
        return one.loss((model(x[pairs.preferred[rows]]) - model(x[pairs.rejected[rows]]))[:, 0])

    trained, watched = [], []
    for epoch in range(1, recipe.epochs + 1):
        order = stream("batches", one.replicate, one.seed, epoch).permutation(len(train.preferred))
        seen = 0.0
        for at in range(0, len(order), recipe.batch):
            batch = losses(order[at : at + recipe.batch], train)
            weights = sum((p**2).sum() for name, p in model.named_parameters() if name.endswith("weight"))
            adam.zero_grad()
            (batch.mean() + recipe.l2 * weights).backward()
            adam.step()
            seen += batch.detach().sum().item()
        trained.append(seen / len(order))
        watched.append(losses(range(len(validation.preferred)), validation).mean().item())
    arrays = [top.weight.detach().numpy()[0]]
    if recipe.width is not None:
        arrays += [hidden.weight.detach().numpy().T, hidden.bias.detach().numpy()]
    return arrays, trained, watched


@SHAPES
@pytest.mark.parametrize("l2", [0.0, 0.05])
@pytest.mark.parametrize("loss", [entropy, margin_of_one, square])
def test_fit_equals_a_plain_pytorch_loop(loss: Callable[[Tensor], Tensor], l2: float, width: int | None) -> None:
    vectors, train, validation = problem()
    recipe = Recipe(width=width, lr=1e-2, batch=BATCH, epochs=3, l2=l2, selection=Selection(patience=None))
    one = run(loss, replicate=1, seed=4)
    arrays, trained, watched = plain_torch(one, vectors, train, validation, recipe)
    # a validation of the training pairs' kind may be best before the last epoch; without any, the last is kept
    (last,) = fit([one], vectors, train, NONE, recipe)
    (best,) = fit([one], vectors, train, validation, recipe)
    names = ["weight"] if width is None else ["weight", "hidden.weight", "hidden.bias"]
    for name, expected in zip(names, arrays, strict=True):
        np.testing.assert_allclose(last.arrays[name], expected, rtol=0, atol=1e-5)  # float32
    np.testing.assert_allclose(last.train_loss, trained, rtol=0, atol=1e-5)
    np.testing.assert_allclose(best.history["validation_loss"], watched, rtol=0, atol=1e-5)
    assert N % BATCH != 0  # so that a short batch was among them


@SHAPES
def test_the_l2_prior_pulls_weights_and_not_biases(width: int | None) -> None:
    """With no loss to speak of, Adam's first step is lr against the sign of the gradient: of weights alone."""
    vectors, train, _ = problem()
    recipe = Recipe(width=width, lr=1e-3, batch=N, epochs=1, l2=0.5, selection=Selection(patience=None))
    (after,) = fit([run(lambda margin: 0 * margin)], vectors, train, NONE, recipe)
    before = heads.layout(D, width).arrays(heads.initial(D, width, stream("initial", 0, 0)))
    for name, array in before.items():
        moved = after.arrays[name] - array
        # sign(2 l2 w) lr, up to Adam's epsilon and float32
        expected = -1e-3 * np.sign(array) if name.endswith("weight") else np.zeros_like(array)
        np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-6)


@SHAPES
def test_a_strong_prior_shrinks_the_reward(width: int | None) -> None:
    vectors, train, _ = problem(n=60)
    norms = []
    for l2 in (0.0, 0.01, 1.0):
        (one,) = fit(
            [run()],
            vectors,
            train,
            NONE,
            Recipe(width=width, lr=1e-2, epochs=60, l2=l2, selection=Selection(patience=None)),
        )
        norms.append(float(np.linalg.norm(one.arrays["weight"])))
    assert norms[0] > norms[1] > 4 * norms[2]


# --- one start, one order


@SHAPES
def test_methods_of_one_seed_start_from_one_head(width: int | None) -> None:
    """A first step that moves nothing shows the start."""
    vectors, train, _ = problem()
    recipe = Recipe(width=width, lr=1e-30, batch=BATCH, epochs=1, selection=Selection(patience=None))
    runs = [run(entropy, 0, 0), run(margin_of_one, 0, 0), run(entropy, 0, 1), run(entropy, 1, 0)]
    first, other_loss, other_seed, other_world = fit(runs, vectors, train, NONE, recipe)
    for name, array in first.arrays.items():
        assert np.array_equal(array, other_loss.arrays[name])
        assert not np.array_equal(array, other_seed.arrays[name])
        assert not np.array_equal(array, other_world.arrays[name])


def test_runs_of_one_seed_see_the_same_batches_and_every_pair_once_an_epoch() -> None:
    seen: dict[str, list[list[float]]] = {"a": [], "b": []}

    def watching(name: str) -> Callable[[Tensor], Tensor]:
        def loss(margin: Tensor) -> Tensor:
            if margin.requires_grad:  # a training step, not a validation
                assert margin.shape == (1, 32)  # filled up by its last pair
                seen[name].append(list(dict.fromkeys(margin[0].tolist())))
            return entropy(margin)

        return loss

    # each pair's margin is its own: with a step size of nothing, it names the pair
    vectors, train, validation = problem()
    recipe = Recipe(width=None, lr=1e-30, batch=BATCH, epochs=2, selection=Selection(patience=None))
    fit([run(watching("a")), run(watching("b"))], vectors, train, validation, recipe)
    assert seen["a"] == seen["b"]
    assert [len(batch) for batch in seen["a"]] == [3, 3, 3, 2] * 2
    epochs = [[margin for batch in seen["a"][at : at + 4] for margin in batch] for at in (0, 4)]
    assert len(set(epochs[0])) == N
    # float32: a margin's last bits depend on its place in the batch
    np.testing.assert_allclose(sorted(epochs[0]), sorted(epochs[1]), atol=1e-6)
    assert np.abs(np.array(epochs[0]) - epochs[1]).max() > 0.1  # in another order


# --- stacked equals alone


def many() -> list[TrainingRun]:
    """Mixed losses out of order, three seeds, two worlds."""
    losses = {"entropy": entropy, "hinge": margin_of_one, "cold": cold}
    return [
        TrainingRun(name, losses[name], replicate, seed)
        for seed in range(3)
        for name, replicate in (("entropy", 0), ("hinge", 0), ("cold", 0), ("entropy", 1))
    ]


@SHAPES
@pytest.mark.parametrize(("batch", "d"), [(BATCH, D), (1, 1), (32, 40), (20, 33)])
def test_stacked_equals_alone_bit_for_bit(batch: int, d: int, width: int | None) -> None:
    vectors, train, validation = problem(n=N if d < 30 else 101, d=d)
    recipe = Recipe(width=width, lr=1e-2, batch=batch, epochs=6, l2=0.01, selection=Selection(patience=None))
    stacked = fit(many(), vectors, train, validation, recipe)
    for one, fitted in zip(many(), stacked, strict=True):
        assert same(fit([one], vectors, train, validation, recipe)[0], fitted), one
    assert len({fitted.train_loss[-1] for fitted in stacked}) == len(stacked)


def test_a_hidden_layer_of_width_1_is_the_same_stacked_and_alone() -> None:
    """A matrix product of width 1 takes another path in a stack than alone."""
    vectors, train, validation = problem(n=64, d=40)
    recipe = Recipe(width=1, lr=1e-2, batch=32, epochs=3, selection=Selection(patience=None))
    for one, fitted in zip(many(), fit(many(), vectors, train, validation, recipe), strict=True):
        assert same(fit([one], vectors, train, validation, recipe)[0], fitted), one


@SHAPES
def test_runs_that_stop_at_different_epochs_leave_the_others_alone(width: int | None) -> None:
    vectors, train, validation = problem()
    recipe = Recipe(width=width, lr=5e-2, batch=BATCH, epochs=60, selection=Selection(patience=3))
    stacked = fit(many(), vectors, train, validation, recipe)
    lengths = {len(fitted.train_loss) for fitted in stacked}
    assert len(lengths) > 3
    for one, fitted in zip(many(), stacked, strict=True):
        assert same(fit([one], vectors, train, validation, recipe)[0], fitted), one


def test_the_order_of_runs_does_not_matter() -> None:
    vectors, train, validation = problem()
    recipe = Recipe(width=WIDTH, lr=5e-2, batch=BATCH, epochs=20, selection=Selection(patience=3))
    forward = fit(many(), vectors, train, validation, recipe)
    backward = fit(many()[::-1], vectors, train, validation, recipe)[::-1]
    assert all(map(same, forward, backward))


def test_runs_of_one_loss_share_its_calls() -> None:
    shapes = []

    def counted(margin: Tensor) -> Tensor:
        shapes.append(tuple(margin.shape))
        return entropy(margin)

    vectors, train, _ = problem()
    runs = [run(counted, seed=0), run(margin_of_one, seed=0), run(counted, seed=1)]
    fit(runs, vectors, train, NONE, Recipe(width=None, batch=N, epochs=1, selection=Selection(patience=None)))
    assert shapes == [(2, 32)]  # filled up to whole vector registers


# --- stopping


@SHAPES
@pytest.mark.parametrize("patience", [1, 4])
def test_a_run_stops_after_patience_epochs_without_a_new_best_and_keeps_the_best(
    patience: int, width: int | None
) -> None:
    vectors, train, validation = problem(n=20, held_out=20, seed=2)
    recipe = Recipe(width=width, lr=5e-2, batch=BATCH, epochs=80, selection=Selection(patience=patience))
    (one,) = fit([run()], vectors, train, validation, recipe)
    assert len(one.history["validation_loss"]) == len(one.train_loss) < recipe.epochs
    assert one.kept_epoch == 1 + int(np.argmin(one.history["validation_loss"]))
    assert len(one.history["validation_loss"]) == one.kept_epoch + patience
    assert mean_loss(entropy, one, vectors, validation) == pytest.approx(
        min(one.history["validation_loss"]), abs=1e-6
    )  # float32
    # the weights are those of a run that ends there
    (ended,) = fit([run()], vectors, train, NONE, recipe._replace(epochs=one.kept_epoch))
    assert all(np.array_equal(one.arrays[name], ended.arrays[name]) for name in one.arrays)


def test_stopping_changes_nothing_before_the_stop() -> None:
    vectors, train, validation = problem(n=20, held_out=20, seed=2)
    recipe = Recipe(width=WIDTH, lr=5e-2, batch=BATCH, epochs=80, selection=Selection(patience=2))
    (stopped,) = fit([run()], vectors, train, validation, recipe)
    (whole,) = fit([run()], vectors, train, validation, recipe._replace(selection=Selection(patience=None)))
    assert whole.train_loss[: len(stopped.train_loss)] == stopped.train_loss
    assert len(whole.train_loss) == len(whole.history["validation_loss"]) == 80
    assert whole.kept_epoch == 1 + int(
        np.argmin(whole.history["validation_loss"])
    )  # the best is kept without stopping, too


def test_an_equal_validation_loss_is_no_new_best() -> None:
    vectors, train, validation = problem()
    recipe = Recipe(width=None, lr=1e-2, batch=BATCH, epochs=9, selection=Selection(patience=3))
    (one,) = fit([run(lambda margin: 0 * margin + 1)], vectors, train, validation, recipe)
    assert one.kept_epoch == 1
    assert one.history["validation_loss"] == [1.0] * 4


def test_without_validation_pairs_the_last_epoch_is_kept_whatever_the_patience() -> None:
    vectors, train, _ = problem()
    recipe = Recipe(width=WIDTH, lr=0.3, batch=BATCH, epochs=12, selection=Selection(patience=1))
    (one,) = fit([run()], vectors, train, NONE, recipe)
    assert one.kept_epoch == len(one.train_loss) == 12
    assert one.history["validation_loss"] == []
    assert min(one.train_loss) < one.train_loss[-1] + 1  # no stopping on the training loss either


def test_no_epoch_before_the_first_admissible_one_is_kept_or_ends_a_run() -> None:
    vectors, train, validation = problem(n=20, held_out=20, seed=2)
    recipe = Recipe(width=WIDTH, lr=5e-2, batch=BATCH, epochs=80, selection=Selection(patience=2))
    (free,) = fit([run()], vectors, train, validation, recipe)
    assert free.admissible_from == 1
    late = recipe._replace(selection=Selection(patience=2, start=free.kept_epoch + 10))
    (one,) = fit([run()], vectors, train, validation, late)
    assert one.admissible_from == free.kept_epoch + 10
    assert one.kept_epoch == one.admissible_from + int(
        np.argmin(one.history["validation_loss"][one.admissible_from - 1 :])
    )
    assert len(one.history["validation_loss"]) == one.kept_epoch + 2


def test_where_the_last_epoch_alone_is_admissible_every_run_keeps_it() -> None:
    vectors, train, validation = problem(n=20, held_out=20, seed=2)
    recipe = Recipe(width=WIDTH, lr=5e-2, batch=BATCH, epochs=20, selection=Selection(patience=1, start=20))
    (one,) = fit([run()], vectors, train, validation, recipe)
    (ended,) = fit([run()], vectors, train, NONE, recipe)
    assert (one.kept_epoch, one.admissible_from, len(one.train_loss)) == (20, 20, 20)
    assert all(np.array_equal(one.arrays[name], ended.arrays[name]) for name in one.arrays)


def test_a_run_without_an_admissible_epoch_is_as_its_last_one_left_it() -> None:
    vectors, train, validation = problem()
    recipe = Recipe(width=None, lr=1e-2, batch=BATCH, epochs=5, selection=Selection(start=6))
    (one,) = fit([run()], vectors, train, validation, recipe)
    assert (one.kept_epoch, one.admissible_from) == (5, 0)


def test_progress_counts_epochs_and_active_runs() -> None:
    vectors, train, validation = problem()
    said: list[tuple[int, int, str]] = []
    recipe = Recipe(width=None, lr=1e-2, batch=BATCH, epochs=2, selection=Selection(patience=None))
    fit([run(), run(seed=1)], vectors, train, validation, recipe, progress=lambda *words: said.append(words))
    assert said == [(1, 2, "epoch 1, 2 of 2 runs"), (2, 2, "epoch 2, 2 of 2 runs")]


# --- what is learnt


@SHAPES
def test_weight_two_in_the_loss_equals_repeating_the_pair(width: int | None) -> None:
    """One full batch: the mean over 12 pairs with one twice is that over 11 with weights 2/12 and 1/12."""
    vectors, train, _ = problem()
    twice = RowPairs(*(np.append(side, side[0]) for side in train))
    recipe = Recipe(width=width, lr=1e-3, batch=N + 1, epochs=1, selection=Selection(patience=None))

    def weighted(margin: Tensor) -> Tensor:
        rewards = heads.initial(D, width, stream("initial", 0, 0))
        score = heads.score(heads.layout(D, width).arrays(rewards), vectors)
        first = torch.tensor(score[train.preferred[0]] - score[train.rejected[0]])
        weight = torch.where((margin.detach() - first).abs() < 1e-6, 2.0, 1.0)
        assert int((weight[0, :N] == 2).sum()) == 1
        return entropy(margin) * weight * N / (N + 1)

    (by_weight,) = fit([run(weighted)], vectors, train, NONE, recipe)
    (by_repeat,) = fit([run()], vectors, twice, NONE, recipe)
    (once,) = fit([run()], vectors, train, NONE, recipe)
    for name in set(by_weight.arrays) - {"bias"}:  # its gradient is rounding, of which Adam makes a whole step
        np.testing.assert_allclose(by_weight.arrays[name], by_repeat.arrays[name], rtol=0, atol=1e-6)
    assert by_weight.train_loss[0] * N == pytest.approx(by_repeat.train_loss[0] * N, rel=1e-5)
    assert once.train_loss[0] != pytest.approx(by_repeat.train_loss[0], rel=1e-3)


def test_a_reward_learns_what_the_pairs_say() -> None:
    vectors, train, validation = problem(n=300, held_out=200)
    (one,) = fit(
        [run()], vectors, train, validation, Recipe(width=None, lr=1e-2, epochs=60, selection=Selection(patience=None))
    )
    weight = one.arrays["weight"]
    assert weight[0] / np.linalg.norm(weight) > 0.9


# --- refusals


def test_a_loss_that_takes_the_mean_is_refused() -> None:
    vectors, train, _ = problem()
    with pytest.raises(FairlError, match=r"'meaned' turned margins \[1, 32\] into \[\]; it must be elementwise"):
        fit([run(lambda margin: entropy(margin).mean(), name="meaned")], vectors, train, NONE, Recipe())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_leaves_the_finite_numbers_is_named_with_its_epoch(value: float) -> None:
    vectors, train, validation = problem()
    calls: list[int] = []

    def exploding(margin: Tensor) -> Tensor:
        calls.append(1)
        return entropy(margin) + (value if margin.requires_grad and len(calls) > 5 else 0)

    recipe = Recipe(width=None, batch=BATCH, epochs=5)  # four steps and one validation an epoch
    runs = [run(name="calm"), run(exploding, name="wild")]
    # the validation loss is finite: the message must give the loss that is not
    with pytest.raises(NotFinite, match=f"the loss of 'wild' is {value} in epoch 2; lower training.lr"):
        fit(runs, vectors, train, validation, recipe)


def test_a_diverging_step_size_is_refused() -> None:
    vectors, train, validation = problem()
    with pytest.raises(NotFinite, match=r"the loss of 'one' is (nan|inf) in epoch 1; lower training\.lr"):
        fit([run(square)], vectors * 1e15, train, validation, Recipe(width=WIDTH, lr=1e15, batch=BATCH))


def test_training_without_a_pair_is_refused() -> None:
    vectors, _, validation = problem()
    with pytest.raises(FairlError, match="training needs at least one pair, got none"):
        fit([run()], vectors, NONE, validation, Recipe())


def test_a_gain_below_min_delta_is_no_new_best() -> None:
    vectors, train, validation = problem()
    recipe = Recipe(width=None, epochs=30, selection=Selection(patience=None), batch=4, lr=0.05)
    free = fit([run()], vectors, train, validation, recipe)[0]
    held = fit(
        [run()], vectors, train, validation, recipe._replace(selection=Selection(patience=None, min_delta=0.05))
    )[0]
    assert (
        free.history["validation_loss"] == held.history["validation_loss"]
    )  # it chooses an epoch, it does not train otherwise
    best, at = np.inf, 0
    for epoch, loss in enumerate(held.history["validation_loss"], 1):
        if loss < best - 0.05:
            best, at = loss, epoch
    assert held.kept_epoch == at < free.kept_epoch


def test_where_the_calibrated_loss_is_watched_its_best_epoch_is_kept() -> None:
    vectors, train, validation = problem(n=300, held_out=200)
    recipe = Recipe(WIDTH, lr=0.1, epochs=30, selection=Selection(patience=None, monitor="calibrated-loss"))
    found = fit([run(), run(margin_of_one), run(cold)], vectors, train, validation, recipe)
    for one in found:
        watched = one.history["calibrated_loss"]
        assert len(watched) == len(one.history["validation_loss"]) == 30
        assert one.kept_epoch == 1 + int(np.argmin(watched))
        reward = heads.score(one.arrays, vectors)
        margin = reward[validation.preferred] - reward[validation.rejected]
        assert calibrated_loss(margin) == pytest.approx(min(watched), abs=1e-5)  # summed in another order
    assert any(one.kept_epoch != 1 + int(np.argmin(one.history["validation_loss"])) for one in found)


def test_the_base_loss_alone_is_noted_where_it_is_watched() -> None:
    vectors, train, validation = problem()
    (one,) = fit([run()], vectors, train, validation, Recipe(width=None, epochs=2))
    assert one.history["calibrated_loss"] == []


def test_an_epoch_is_judged_with_those_before_it() -> None:
    choice = Choice(Selection(average=3, start=2))
    taken = [choice.takes(epoch, loss) for epoch, loss in enumerate((0.6, 0.9, 0.0, 0.9, 0.1, 0.1), 1)]
    # means 0.6, 0.75, 0.5, 0.6, 0.333, 0.367; the first epoch may not be kept, but counts
    assert taken == [False, True, True, False, True, False]
    assert choice.kept_epoch == 5


def test_epochs_that_may_not_be_kept_are_not_counted_by_the_patience() -> None:
    choice = Choice(Selection(patience=2, most_weight=1.0))
    ended = []
    for epoch, (loss, weight) in enumerate(((0.1, 0.0), (0.2, 5.0), (0.2, 5.0), (0.2, 0.0), (0.2, 5.0), (0.2, 0.0)), 1):
        choice.takes(epoch, loss, weight)
        ended.append(choice.ended())
    assert ended == [False, False, False, False, False, True]
