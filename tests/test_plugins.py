"""The drop-in methods of ``plugins/``: each one's formula against a case by hand, an identity or scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from fairl_bench.errors import DataError
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import Source
from fairl_bench.science.runs import Batch
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import Planted, check_method, planted
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.training import Head, Inputs, Reward

PLUGINS = sorted((Path(__file__).parent.parent / "plugins").glob("*.py"))
REGISTRY = Registry(PLUGINS, installed=False)
MARGINS = (-30.0, -3.0, -0.4, 0.0, 0.7, 3.0, 30.0)
LINEAR, TWO_LAYERS = Head(use="linear"), Head(use="mlp", width=8)

Formula = Callable[[np.ndarray], np.ndarray]


def clean(m: np.ndarray) -> np.ndarray:
    """Bradley-Terry by numpy."""
    return np.logaddexp(0, -m)


# each loss as its paper prints it
PRINTED: Mapping[str, tuple[dict[str, Any], Formula]] = {
    "cdpo": ({"noise": 0.2}, lambda m: -0.8 * np.log(expit(m)) - 0.2 * np.log(expit(-m))),
    "robust-bt": ({"noise": 0.2}, lambda m: (-0.8 * np.log(expit(m)) + 0.2 * np.log(expit(-m))) / 0.6),
    "squared-margin": ({"beta": 0.25}, lambda m: (m - 2) ** 2),
    "noise-mixture": ({"noise": 0.2}, lambda m: -np.log(0.1 + 0.8 * expit(m))),
    "margin-bt": ({"margin": 1.5}, lambda m: -np.log(expit(m - 1.5))),
    "self-paced": ({}, clean),
    "ohem": ({}, clean),
    "importance-sampling": ({}, clean),
    "warm": ({}, clean),
    "ensemble": ({"base": {"use": "cdpo", "noise": 0.0}}, clean),
}


def build(name: str, /, **fields: Any) -> Any:
    return REGISTRY.build(Method, {"use": name, **fields})


def loss(name: str, margin: Any, /, **fields: Any) -> np.ndarray:
    found: np.ndarray = build(name, **fields).loss(torch.tensor(margin, dtype=torch.float64)).numpy()
    return found


def slope(name: str, margin: Any, dtype: torch.dtype = torch.float64, /, **fields: Any) -> np.ndarray:
    at = torch.tensor(margin, dtype=dtype, requires_grad=True)
    (found,) = torch.autograd.grad(build(name, **fields).loss(at).sum(), at)
    values: np.ndarray = found.numpy()
    return values


def weights(name: str, margin: Any, norm: Any = None, progress: float = 0.0, **fields: Any) -> np.ndarray:
    method, m = build(name, **fields), torch.tensor(margin, dtype=torch.float64)
    batch = Batch(torch.ones_like(m) if norm is None else torch.tensor(norm, dtype=torch.float64), progress)
    found: np.ndarray = method.weight(m, method.loss(m), batch).numpy()
    return found


def scores(method: Method, reward: Reward, problem: Planted) -> np.ndarray:
    return method.score(reward, Inputs(problem.texts, problem.vectors))


@pytest.fixture(scope="module")
def problem() -> Planted:
    """Noisy, so that heads differ and a mode exists without a prior."""
    return planted(n=200, d=6, noise=0.2, head=TWO_LAYERS)


@pytest.fixture(scope="module")
def linear() -> Planted:
    return planted(n=200, d=6, noise=0.2, head=LINEAR)


# --- the kit, away from the defaults, for which tests/test_contract.py runs it


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("cdpo", {"noise": 0.3}),
        ("robust-bt", {"noise": 0.3}),
        ("squared-margin", {"beta": 2.0}),
        ("noise-mixture", {"noise": 0.5}),
        ("margin-bt", {"margin": 3.0}),
        ("pointwise-logistic", {"penalty": 10.0}),
        ("self-paced", {"start": 0.1, "until": 0.3}),
        ("ohem", {"share": 0.2}),
        ("importance-sampling", {"temperature": 0.1}),
        ("warm", {"heads": 2}),
        ("ensemble", {"heads": 2, "rule": "worst-case", "base": {"use": "ohem"}}),
        ("ensemble", {"heads": 2, "rule": "variance"}),
        ("laplace-bt", {"caution": 1.0}),
    ],
)
def test_a_drop_in_keeps_the_contract_away_from_its_defaults(name: str, fields: dict[str, Any]) -> None:
    check_method(build(name, **fields), head=LINEAR, seeds=(0, 1), at_least=0.9, registry=REGISTRY)


# --- losses of the margin


@pytest.mark.parametrize("name", PRINTED)
def test_a_loss_is_the_one_printed(name: str) -> None:
    fields, printed = PRINTED[name]
    margins = np.linspace(-20, 20, 41)
    # float64; what is printed loses digits where a sigmoid is near 1
    np.testing.assert_allclose(loss(name, margins, **fields), printed(margins), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", PRINTED)
def test_the_slope_of_a_loss_is_its_finite_difference(name: str) -> None:
    fields, step = PRINTED[name][0], 1e-5
    up, down = (loss(name, np.add(MARGINS, side), **fields) for side in (step, -step))
    # rounding of a loss of 1e3 over the step: 1e-13 / 1e-5
    np.testing.assert_allclose(slope(name, MARGINS, **fields), (up - down) / (2 * step), rtol=1e-6, atol=2e-8)


@pytest.mark.parametrize("name", PRINTED)
def test_a_loss_and_its_slope_stay_finite_in_float32(name: str) -> None:
    far = [-1e4, -120.0, 120.0, 1e4]
    method = build(name, **PRINTED[name][0])
    assert method.loss(torch.tensor(far)).isfinite().all()
    assert np.isfinite(slope(name, far, torch.float32, **PRINTED[name][0])).all()


@pytest.mark.parametrize(
    ("name", "limit"), [("cdpo", {"noise": 0.0}), ("robust-bt", {"noise": 0.0}), ("noise-mixture", {"noise": 1e-15})]
)
def test_without_noise_a_noisy_label_loss_is_bradley_terry(name: str, limit: dict[str, float]) -> None:
    np.testing.assert_allclose(loss(name, MARGINS[1:], **limit), loss("max-entropy", MARGINS[1:]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
def test_robust_bt_is_the_clean_loss_on_average_over_flips(noise: float) -> None:
    m = np.array(MARGINS)
    average = (1 - noise) * loss("robust-bt", m, noise=noise) + noise * loss("robust-bt", -m, noise=noise)
    np.testing.assert_allclose(average, clean(m), rtol=0, atol=1e-12)  # float64, losses up to 30 over 0.2


def test_robust_bt_has_no_least_value() -> None:
    np.testing.assert_allclose(slope("robust-bt", [60.0], noise=0.1), -0.1 / 0.8, rtol=1e-12)


@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_cdpo_is_least_where_the_probability_is_that_of_a_right_label(noise: float) -> None:
    best = np.log((1 - noise) / noise)
    np.testing.assert_allclose(slope("cdpo", [best], noise=noise), 0, atol=1e-12)
    assert (slope("cdpo", [best - 1, best + 1], noise=noise) * [-1, 1] > 0).all()


@pytest.mark.parametrize("beta", [0.1, 0.5, 4.0])
def test_squared_margin_is_least_at_one_over_twice_beta(beta: float) -> None:
    best = 1 / (2 * beta)
    assert loss("squared-margin", [best], beta=beta) == 0
    np.testing.assert_allclose(loss("squared-margin", [best - 3, best + 3], beta=beta), 9, rtol=1e-12)


def test_noise_mixture_gives_up_on_pairs_that_stay_wrong() -> None:
    np.testing.assert_allclose(loss("noise-mixture", [-1e3], noise=0.2), -np.log(0.1), rtol=1e-12)
    np.testing.assert_allclose(slope("noise-mixture", [-1e3, 1e3], noise=0.2), 0, atol=1e-12)
    margins = np.linspace(-30, 30, 121)
    steep = slope("noise-mixture", margins, noise=0.2)
    assert (steep <= 0).all()
    assert (-steep <= expit(-margins)).all()  # nowhere steeper than Bradley-Terry


def test_margin_bt_is_bradley_terry_of_the_margin_beyond_the_required_one() -> None:
    m = np.array(MARGINS)
    np.testing.assert_allclose(loss("margin-bt", m, margin=2.0), loss("max-entropy", m - 2), rtol=0, atol=1e-12)
    np.testing.assert_allclose(loss("margin-bt", m, margin=1e-13), loss("max-entropy", m), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "fields"), [("margin-bt", {"margin": 0.6}), ("squared-margin", {"beta": 0.5})])
def test_the_stricter_form_asks_for_a_margin_as_many_times_as_large(name: str, fields: dict[str, float]) -> None:
    asked = {"margin-bt": lambda method: method.margin, "squared-margin": lambda method: 1 / (2 * method.beta)}[name]
    method = build(name, **fields)
    assert asked(method.stricter(2.5)) == pytest.approx(2.5 * asked(method), rel=1e-12)
    spec = {"use": "failure-aware", "base": {"use": name, **fields}, "detector": {"use": "bottom-fraction"}}
    assert REGISTRY.build(Method, spec)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("cdpo", "noise", 0.5),
        ("robust-bt", "noise", 0.5),  # its denominator is 0
        ("noise-mixture", "noise", 1.0),
        ("squared-margin", "beta", 0.0),
        ("margin-bt", "margin", 0.0),
        ("ohem", "share", 0.0),
        ("self-paced", "until", 0.0),
        ("importance-sampling", "temperature", 0.0),
        ("ensemble", "heads", 1),
        ("laplace-bt", "precision", 0.0),
        ("pointwise-logistic", "penalty", 0.0),
    ],
)
def test_a_value_without_meaning_is_refused(name: str, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"(?s){field}.*input_value={value}"):
        build(name, **{field: value})


# --- weights of pairs


def test_ohem_by_hand() -> None:
    margins = [[3.0, -1.0, 0.5, -2.0], [0.0, 1.0, 2.0, 3.0]]
    assert weights("ohem", margins, share=0.5).tolist() == [[0, 2, 0, 2], [2, 2, 0, 0]]
    assert weights("ohem", margins, share=0.01).tolist() == [[0, 0, 0, 4], [4, 0, 0, 0]]


def test_ohem_keeps_ties_of_the_last_pair() -> None:
    np.testing.assert_allclose(weights("ohem", [0.0, -1.0, -1.0, 5.0], share=0.25), [0, 2, 2, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "fields"), [("ohem", {"share": 1.0}), ("self-paced", {"start": 1.0}), ("warm", {"heads": 1})]
)
def test_with_every_pair_or_one_head_it_is_bradley_terry(name: str, fields: dict[str, Any], problem: Planted) -> None:
    found, plain = build(name, **fields).fit(problem.task), build("max-entropy").fit(problem.task)
    for array in plain.arrays:
        np.testing.assert_array_equal(found.arrays[array], plain.arrays[array])


def test_self_paced_takes_the_easy_pairs_first() -> None:
    margins = [3.0, -1.0, 0.5, -2.0]
    assert weights("self-paced", margins, start=0.25, until=0.5).tolist() == [4, 0, 0, 0]
    assert weights("self-paced", margins, start=0.5, until=0.5).tolist() == [2, 0, 2, 0]
    third = weights("self-paced", margins, progress=0.25, start=0.5, until=0.5)  # half way from 1/2 to 1
    np.testing.assert_allclose(third, [4 / 3, 4 / 3, 4 / 3, 0], rtol=1e-12)


@pytest.mark.parametrize("progress", [0.2, 0.5, 59 / 60])
def test_self_paced_weighs_all_alike_once_its_time_is_over(progress: float) -> None:
    assert (weights("self-paced", MARGINS, progress=progress, start=0.1, until=0.2) == 1).all()


def test_importance_weights_are_the_gradient_norms_over_their_mean() -> None:
    margins, norms = np.array([[1.0, -2.0, 0.3], [0.0, 0.0, 4.0]]), np.array([[1.0, 0.5, 2.0], [3.0, 1.0, 1.0]])
    size = expit(-margins / 0.7) * norms
    found = weights("importance-sampling", margins, norms, temperature=0.7)
    np.testing.assert_allclose(found, size / size.mean(-1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(found.mean(-1), 1, rtol=1e-12)


def test_importance_weights_are_finite_where_no_pair_has_a_gradient() -> None:
    np.testing.assert_allclose(weights("importance-sampling", [5.0, 5.0], [0.0, 0.0]), 1, rtol=1e-12)
    np.testing.assert_allclose(weights("importance-sampling", [1e5, 1e5], [1.0, 3.0]), [0.5, 1.5], rtol=1e-9)


def test_the_gradient_norm_is_that_of_bradley_terry_on_a_linear_head() -> None:
    difference = torch.tensor([[1.0, 2.0], [-0.5, 0.1]], dtype=torch.float64)
    head = torch.tensor([0.4, -0.3], dtype=torch.float64, requires_grad=True)
    margin = difference @ head
    norms = [torch.autograd.grad(one, head, retain_graph=True)[0].norm() for one in torch.nn.Softplus()(-margin)]
    found = weights("importance-sampling", margin.tolist(), difference.norm(dim=-1).tolist())
    assert found[0] / found[1] == pytest.approx(float(norms[0] / norms[1]), rel=1e-12)


# --- several heads


def test_the_first_head_of_an_ensemble_is_the_base_alone(problem: Planted) -> None:
    alone = build("max-entropy").fit(problem.task).arrays
    arrays = build("ensemble").fit(problem.task).arrays
    for name in set(alone) - {"bias"}:  # which the ensemble moves
        np.testing.assert_array_equal(arrays[name][0], alone[name])
        assert not np.array_equal(arrays[name][1], alone[name])


def test_the_mean_of_linear_heads_is_the_head_of_mean_weights(linear: Planted) -> None:
    method = build("ensemble")
    reward = method.fit(linear.task)
    by_hand = linear.vectors @ reward.arrays["weight"].mean(0) + reward.arrays["bias"].mean()
    np.testing.assert_allclose(scores(method, reward, linear), by_hand, rtol=0, atol=1e-5)  # float32


def test_the_mean_of_two_layer_heads_is_one_wider_head(problem: Planted) -> None:
    method = build("ensemble", heads=4)
    reward = method.fit(problem.task)
    hidden = np.concatenate(reward.arrays["hidden.weight"], 1), np.concatenate(reward.arrays["hidden.bias"])
    active = np.maximum(problem.vectors @ hidden[0] + hidden[1], 0)  # [n, heads * width]
    by_hand = active @ np.concatenate(reward.arrays["weight"]) / 4 + reward.arrays["bias"].mean()
    np.testing.assert_allclose(scores(method, reward, problem), by_hand, rtol=0, atol=1e-5)  # float32


def test_each_head_of_an_ensemble_has_mean_zero_on_the_training_texts(problem: Planted) -> None:
    method = build("ensemble")
    train = problem.task.train
    used = np.concatenate([train.preferred, train.rejected])
    each = method.each(method.fit(problem.task), problem.vectors)
    np.testing.assert_allclose(each[:, used].mean(1), 0, atol=1e-5)  # float32 biases
    assert np.ptp(each, 0).max() > 0.01  # they do differ


def test_the_rules_of_an_ensemble_by_hand() -> None:
    reward = Reward({"weight": np.array([[1], [3]], np.float32), "bias": np.array([0, 1], np.float32)})
    inputs = Inputs(("a", "b"), np.array([[2], [-2]], np.float32))  # rewards 2, -2 and 7, -5
    for fields, expected in (
        ({"rule": "mean"}, [4.5, -3.5]),
        ({"rule": "worst-case"}, [2, -5]),
        ({"rule": "variance", "penalty": 2.0}, [4.5 - 2 * 6.25, -3.5 - 2 * 2.25]),
        ({"rule": "variance", "penalty": 0.0}, [4.5, -3.5]),
    ):
        method = build("ensemble", heads=2, **fields)
        np.testing.assert_allclose(method.score(reward, inputs), expected, rtol=1e-12)


def test_an_ensemble_hands_its_base_all_that_the_base_has_to_say(problem: Planted) -> None:
    pairs = {"use": "failure-aware", "rounds": 3, "base": {"use": "max-margin"}}
    for base in ({"use": "ohem", "share": 0.2}, {**pairs, "detector": {"use": "supervised", "truth": "gold"}}):
        alone, method = REGISTRY.build(Method, base), build("ensemble", heads=2, base=base)
        assert method.truths() == alone.truths()
        mine, arrays = method.fit(problem.task).arrays, alone.fit(problem.task).arrays
        np.testing.assert_array_equal(mine["weight"][0], arrays["weight"])


@pytest.mark.parametrize("base", ["ensemble", "warm"])
def test_an_ensemble_of_ensembles_is_refused(base: str) -> None:
    with pytest.raises(ValueError, match=f"base needs a method of one head, got '{base}' of 3"):
        build("ensemble", base={"use": base})


def test_warm_on_linear_heads_is_the_mean_of_their_rewards(linear: Planted) -> None:
    average, mean = build("warm"), build("ensemble")
    gap = scores(average, average.fit(linear.task), linear) - scores(mean, mean.fit(linear.task), linear)
    np.testing.assert_allclose(gap - gap.mean(), 0, atol=1e-5)  # float32, up to the constant


def test_warm_on_two_layer_heads_is_not_the_mean_of_their_rewards(problem: Planted) -> None:
    average, mean = build("warm"), build("ensemble")
    gap = scores(average, average.fit(problem.task), problem) - scores(mean, mean.fit(problem.task), problem)
    assert np.abs(gap - gap.mean()).max() > 0.05


# --- without a training loop


def differences(problem: Planted) -> np.ndarray:
    train = problem.task.train
    x: np.ndarray = problem.vectors.astype(np.float64)[train.preferred] - problem.vectors[train.rejected]
    return x


@pytest.mark.parametrize("precision", [1e-2, 1.0, 100.0])
def test_laplace_bt_is_logistic_regression_on_differences_without_intercept(linear: Planted, precision: float) -> None:
    x = differences(linear)
    sign = np.where(np.arange(len(x)) % 2, 1, -1)  # scikit-learn wants two classes
    known = LogisticRegression(C=1 / precision, fit_intercept=False, tol=1e-10, solver="newton-cholesky")
    known.fit(x * sign[:, None], sign)
    found = build("laplace-bt", precision=precision).fit(linear.task).arrays
    np.testing.assert_allclose(found["weight"], known.coef_[0], rtol=0, atol=1e-5)  # float32
    assert found["bias"] == 0


def test_laplace_bt_finds_the_mode_where_every_pair_can_be_sure() -> None:
    problem = planted(n=200, d=6, head=LINEAR)  # separable: plain Newton steps may overshoot
    weight = build("laplace-bt", precision=1e-4).fit(problem.task).arrays["weight"].astype(np.float64)
    x = differences(problem)
    np.testing.assert_allclose(1e-4 * weight - expit(-x @ weight) @ x, 0, atol=1e-4)  # float32 weights of size 50


def test_the_caution_of_laplace_bt_is_the_posterior_sd_of_the_reward(linear: Planted) -> None:
    plain, cautious = build("laplace-bt"), build("laplace-bt", caution=2.0)
    mean = scores(plain, plain.fit(linear.task), linear)
    x, train = differences(linear), linear.task.train
    weight = plain.fit(linear.task).arrays["weight"].astype(np.float64)
    p = expit(x @ weight)
    covariance = np.linalg.inv(sum(q * (1 - q) * np.outer(row, row) for q, row in zip(p, x, strict=True)) + np.eye(6))
    away = linear.vectors - linear.vectors[np.concatenate([train.preferred, train.rejected])].mean(0)
    sd = np.array([np.sqrt(row @ covariance @ row) for row in away])
    found = scores(cautious, cautious.fit(linear.task), linear)
    np.testing.assert_allclose(mean - found, 2 * sd, rtol=1e-4, atol=1e-5)  # float32


def test_pointwise_logistic_is_scikit_learns(linear: Planted) -> None:
    train = linear.task.train
    rows = np.stack([train.preferred, train.rejected], 1).ravel()  # in another order, by another solver
    known = LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-10)
    known.fit(linear.vectors[rows].astype(np.float64), np.tile([1, 0], len(train)))
    method = build("pointwise-logistic", penalty=2.0)
    expected = known.decision_function(linear.vectors.astype(np.float64))
    found = scores(method, method.fit(linear.task), linear)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)  # the tolerance of L-BFGS


def test_pointwise_logistic_is_where_its_objective_has_no_slope(linear: Planted) -> None:
    train = linear.task.train
    arrays = build("pointwise-logistic", penalty=2.0).fit(linear.task).arrays
    rows, liked = np.concatenate([train.preferred, train.rejected]), np.repeat([1, 0], len(train))
    x = linear.vectors[rows].astype(np.float64)
    miss = expit(x @ arrays["weight"] + arrays["bias"]) - liked
    np.testing.assert_allclose(miss @ x + 2.0 * arrays["weight"], 0, atol=0.01)  # a sum of 400 terms
    np.testing.assert_allclose(miss.sum(), 0, atol=0.01)


def test_a_pair_turned_round_turns_a_deterministic_reward_round(linear: Planted) -> None:
    train = linear.task.train
    turned = replace(linear.task, train=replace(train, preferred=train.rejected, rejected=train.preferred))
    for name in ("laplace-bt", "pointwise-logistic"):
        there, back = (build(name).fit(task).arrays["weight"] for task in (linear.task, turned))
        np.testing.assert_allclose(there, -back, rtol=0, atol=1e-4)  # the tolerance of L-BFGS


def test_the_reward_of_simpo_is_the_mean_over_the_tokens_that_the_aligned_model_reads() -> None:
    token, offsets = np.array([-1.0, -3.0, -0.5], np.float32), np.array([0, 2, 3, 3], np.int64)
    nothing, no = np.zeros(3), np.zeros(3, np.bool_)
    said = Likelihoods(np.array([-4.0, -0.5, 0.0]), token, offsets, nothing, nothing, no, no)
    inputs = Inputs(("a b", "c", ""), np.empty((3, 0), np.float32), likelihoods={"expert": said})
    assert build("simpo-reward").score(Reward({}), inputs).tolist() == [-2.0, -0.5, 0.0]


def test_the_reward_of_simpo_takes_the_expert_of_the_source_and_refuses_one_without() -> None:
    lm = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 10}}
    models = {"base": lm, "expert": {**lm, "steps": 1}, "prompts": {"use": "toy-prompts"}}
    placed = build("simpo-reward").of(REGISTRY.build(Source, {"use": "aligned-lm", **models}))
    assert placed.upstream()["expert"].lm.steps == 1
    with pytest.raises(DataError, match=r"'simpo-reward' needs the language models .* 'toy-comments' knows none"):
        build("simpo-reward").of(REGISTRY.build(Source, {"use": "toy-comments", "n": 10}))
