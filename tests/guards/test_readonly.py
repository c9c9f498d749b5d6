"""What a part is given stays as it is: whatever writes into it fails alone, and nobody else's numbers change."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fairl_bench.errors import Changed
from fairl_bench.guards.readonly import ReadOnly, unchanged_by
from fairl_bench.kinds import KINDS
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.method import Detector, Method
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.metrics import Metric
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.pipeline import Finished
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import (
    check_detector,
    check_encoder,
    check_evaluator,
    check_judge,
    check_method,
    check_prompts,
    check_schedule,
    check_source,
    check_testset,
    planted,
)
from fairl_bench.values.data import GOLD, Examples, Pairs, Scored, Truth
from fairl_bench.values.records import Measure
from fairl_bench.values.training import Inputs, Reward, Task

BUILT_IN = Registry(installed=False)


def through_torch(array: np.ndarray) -> None:
    import torch

    torch.from_numpy(array).add_(1)


def unlocked(array: np.ndarray) -> None:
    array.setflags(write=True)
    array += 1


def of_the_base(array: np.ndarray) -> None:
    base = array.base
    assert isinstance(base, np.ndarray)
    base.setflags(write=True)
    base += 1


WAYS: Mapping[str, Callable[[np.ndarray], Any]] = {
    "add": lambda array: array.__iadd__(1),
    "slice": lambda array: array[:1].fill(7),
    "flat": lambda array: array.reshape(-1).__setitem__(0, 7),
    "sort": lambda array: array.sort(axis=0),
    "out": lambda array: np.add(array, 1, out=array),
    "shuffle": lambda array: np.random.default_rng(0).shuffle(array),
    "copyto": lambda array: np.copyto(array, 7),
    "place": lambda array: np.place(array, array > -9, 7),
    "shape": lambda array: setattr(array, "shape", (-1, 1)),
    "torch": through_torch,
    "unlocked": unlocked,
    "base": of_the_base,
}
PLACES: Mapping[str, Callable[[Task], np.ndarray]] = {
    "vectors": lambda task: task.train.vectors,
    "preferred": lambda task: task.train.preferred,
    "rejected": lambda task: task.validation.rejected,
    "gold": lambda task: task.train.gold[0],  # type: ignore[index]
}


class Writes(Method):
    """Writes into one array of its task in one way."""

    way: str
    place: str

    def fit(self, task: Task) -> Reward:
        WAYS[self.way](PLACES[self.place](task))
        return Reward({"weight": np.zeros(task.train.vectors.shape[1], np.float32), "bias": np.zeros((), np.float32)})


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")
def test_whatever_writes_into_its_task_is_told_of_by_name(way: str, place: str) -> None:
    task = planted(n=20, d=4).task
    method = Writes.named("writes", way=way, place=place)
    said = rf"^method 'writes' changed task\.(train|validation)\.{place}.*, which it was"
    with pytest.raises(Changed, match=said), unchanged_by(method, task=task):
        method.fit(task)


def test_the_sentence_names_the_file_and_the_line() -> None:
    task = planted(n=20, d=4).task
    with pytest.raises(Changed) as told, unchanged_by(Writes.named("writes", way="add", place="vectors"), task=task):
        Writes.named("writes", way="add", place="vectors").fit(task)
    line = Writes.fit.__code__.co_firstlineno + 1
    assert f"(test_readonly.py, line {line})" in str(told.value)


def test_an_error_about_an_array_of_its_own_stays_what_it_is() -> None:
    own = np.broadcast_to(np.zeros(1), (3,))
    with (
        pytest.raises(ValueError, match="read-only"),
        unchanged_by(Writes.named("writes", way="", place=""), task=own + 1),
    ):
        own[0] = 1


def test_a_part_that_reads_alone_is_left_alone() -> None:
    task = planted(n=20, d=4).task
    with unchanged_by(Writes.named("writes", way="", place=""), task=task):
        (task.train.vectors - task.train.vectors.mean(0)).sort()


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.__setitem__("a", 2),
        lambda one: one.pop("a"),
        lambda one: one.update(b=1),
        lambda one: one.clear(),
        lambda one: one.setdefault("b", 1),
        lambda one: one.popitem(),
        lambda one: one.__delitem__("a"),
        lambda one: one.__ior__({"b": 1}),
    ],
)
def test_a_read_only_mapping_refuses_every_change(change: Callable[[Any], object]) -> None:
    mapping = ReadOnly({"a": 1})
    with pytest.raises(TypeError, match="read-only"):
        change(mapping)
    assert mapping == {"a": 1}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one)), dict])
def test_a_copy_of_a_read_only_mapping_is_a_dict_that_can_be_changed(again: Callable[[Any], dict[str, int]]) -> None:
    found = again(ReadOnly({"a": 1}))
    found["b"] = 2
    assert type(found) is dict


def test_examples_with_their_truths_can_be_copied_and_not_changed() -> None:
    examples = Pairs(("a",), ("b",)).examples()
    with pytest.raises(ValueError, match="read-only"):
        examples.truths["preferred"].label[:] = 0
    with pytest.raises(TypeError, match="read-only"):
        examples.truths["gold"] = examples.truths["preferred"]  # type: ignore[index]
    assert copy.deepcopy(examples).role.tolist() == [1, -1]


class Saves(Encoder):
    """Writes into the folder of the language model that it starts from."""

    def encode(self, texts: Any, corpus: Any, *, lm: Path) -> np.ndarray:
        (lm / "tokenizer.json").write_text("{}")
        return np.zeros((len(texts), 1), np.float32)


def test_a_part_that_writes_into_a_models_folder_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{ }")
    upstream = ReadOnly({"lm": tmp_path})
    said = r"^encoder 'saves' changed upstream\['lm'\], which"
    with pytest.raises(Changed, match=said), unchanged_by(Saves.named("saves"), upstream=upstream):
        Saves.named("saves").encode((), (), **upstream)


# --- a whole run

HOSTILE = """\
import numpy as np
from fairl_bench import Evaluator, Measure, Method, Metric, PairwiseMethod, Reward, hookimpl


def towards(vectors, task):
    return Reward({"weight": (vectors[task.train.preferred] - vectors[task.train.rejected]).mean(0)})


class Centres(Method):
    def fit(self, task):
        v = task.train.vectors
        v -= v.mean(0)
        return towards(v, task)


class Tensors(Method):
    def fit(self, task):
        import torch

        torch.from_numpy(task.train.vectors).mul_(0.5)
        return towards(task.train.vectors, task)


class Unlocks(Method):
    seeded = False

    def fit(self, task):
        return towards(task.train.vectors, task)

    def score(self, reward, inputs):
        inputs.vectors.setflags(write=True)
        inputs.vectors[:] *= 2
        return inputs.vectors @ reward.arrays["weight"]


class Rescales(Unlocks):
    def score(self, reward, inputs):
        reward.arrays["weight"] *= 2
        return inputs.vectors @ reward.arrays["weight"]


class Clamps(PairwiseMethod):
    def loss(self, margin):
        return margin.clamp_(-1, 1)


class Relabels(Evaluator):
    metrics = (Metric("n"),)

    def evaluate(self, scored):
        for name in self.data:
            import torch

            torch.from_numpy(scored[name].examples.truths["gold"].label).fill_(1)
            yield Measure(name, "gold", "n", 1.0, 1)


@hookimpl
def fairl_methods(register):
    for part in (Centres, Tensors, Unlocks, Rescales, Clamps):
        register(part.__name__.lower(), part)


@hookimpl
def fairl_evaluators(register):
    register("relabels", Relabels)
"""
NAMES = ("centres", "tensors", "unlocks", "rescales", "clamps")


def suite(name: str, hostile: tuple[str, ...]) -> dict[str, Any]:
    more = [{"name": one, "use": one} for one in hostile]
    return {
        "name": name,
        "seeds": [0],
        "models": [{"name": "toy", "use": "toy-comments", "n": 60, "gold": {"use": "toy-truth"}}],
        "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 8}],
        "training": {"epochs": 2},
        "methods": [*more, {"name": "a", "use": "max-entropy"}, {"name": "b", "use": "mean-difference"}],
        "evaluate": [{"use": "fidelity", "data": ["pairs/test", "pairs/train"]}]
        + ([{"use": "relabels", "data": ["pairs/test"]}] if hostile else []),
        "report": {"table1": {"data": ["pairs/test"], "truth": "gold", "metrics": ["starc"]}},
        **({"plugins": ["hostile.py"]} if hostile else {}),
    }


@pytest.mark.parametrize("first", ["hostile", "alone"])
def test_a_part_that_writes_fails_alone_and_changes_no_other_number(
    first: str, run_suite: Callable[..., Finished], tmp_path: Path
) -> None:
    (tmp_path / "hostile.py").write_text(HOSTILE)

    def ran(hostile: tuple[str, ...]) -> tuple[Finished, dict[tuple[Any, ...], float]]:
        found = run_suite(suite("with" if hostile else "without", hostile), results=f"results-{bool(hostile)}")
        own = [row for row in found.records if row.method in "ab" and row.metric != "n" and not row.other]
        return found, {(row.method, row.split, row.metric, row.truth): row.value for row in own}

    if first == "alone":  # what is finished is not done again: the hostile ones read what the others were given
        _, without = ran(())
        finished, found = ran(NAMES)
    else:
        finished, found = ran(NAMES)
        for path in (tmp_path / "store").glob("??/*/reward.safetensors"):
            path.unlink()  # the vectors stay: they must not be what a hostile part left
        _, without = ran(())
    assert found == without
    said = " ".join(finished.outcome.failed.values())
    for name in ("centres", "tensors", "unlocks", "rescales"):
        assert f"method '{name}' changed " in said
    assert "loss of 'clamps' changed the numbers it was given" in said
    assert "evaluator 'relabels' changed scored['pairs/test'].examples.truths['gold'].label" in said
    assert len(finished.outcome.failed) == 5 + 2  # each by itself; relabels for the two that score


class Doubling(Method):
    """Doubles its reward whenever it is asked."""

    def fit(self, task: Task) -> Reward:
        return Reward({"weight": np.ones(1, np.float32)})

    def score(self, reward: Reward, inputs: Inputs) -> np.ndarray:
        import torch

        torch.from_numpy(reward.arrays["weight"]).mul_(2)
        return inputs.vectors @ reward.arrays["weight"]


class Lengths(Encoder):
    """The length of a text."""

    def encode(self, texts: Any, corpus: Any) -> np.ndarray:
        return np.array([[len(text)] for text in texts], np.float32)


def test_a_saved_reward_is_not_what_an_earlier_request_left() -> None:
    reward = RecoveredReward(Doubling.named("doubling"), Lengths(), Reward({"weight": np.ones(1, np.float32)}))
    for _ in range(2):
        with pytest.raises(Changed, match=r"method 'doubling' changed reward.arrays\['weight'\]"):
            reward(["text"])


# --- the kit finds them, and all else that a second call tells

COUNT = [0]


class Remembers(Method):
    """Keeps what it learnt first."""

    seeded: ClassVar[bool] = False
    memory: ClassVar[dict[Any, Reward]] = {}

    def fit(self, task: Task) -> Reward:
        train = task.train
        weight = (train.vectors[train.preferred] - train.vectors[train.rejected]).mean(0)
        return self.memory.setdefault(train.vectors.shape, Reward({"weight": weight, "bias": np.zeros((), np.float32)}))


class Drifts(Remembers):
    """Another one at every fit."""

    def fit(self, task: Task) -> Reward:
        COUNT[0] += 1
        train = task.train
        weight = (train.vectors[train.preferred] - train.vectors[train.rejected]).mean(0) * COUNT[0]
        return Reward({"weight": weight, "bias": np.zeros((), np.float32)})


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (Writes(way="add", place="vectors"), r"changed task.train.vectors"),
        (Writes(way="torch", place="preferred"), r"changed task.train.preferred"),
        (Remembers(), "fitted on another problem after the first"),
        (Drifts(), "fitted twice on equal input, it gave other arrays"),
        (Doubling(), r"changed reward.arrays\['weight'\]"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Method) else "",
)
def test_the_kit_finds_a_method_that_changes_or_remembers(method: Method, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_method(method)


class Flips(Judge):
    """Writes into the examples."""

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        examples.pair[:] = 0
        return {GOLD: Truth(np.ones(len(examples)), np.ones(len(examples), np.int8))}


class Counts(Judge):
    """Another value at every call."""

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        COUNT[0] += 1
        return {GOLD: Truth(np.full(len(examples), float(COUNT[0])), np.ones(len(examples), np.int8))}


class Undrawn(Source):
    """Draws and does not say so."""

    def pairs(self, rng: np.random.Generator) -> Pairs:
        return Pairs((f"a {rng.random()}",), ("b",))


class Unseeded(TestSet):
    """Draws from elsewhere."""

    def examples(self, rng: np.random.Generator) -> Examples:
        COUNT[0] += 1
        return Examples((f"text {COUNT[0]}",))


class Reused(Encoder):
    """Fills one array again and again."""

    room: ClassVar[dict[int, np.ndarray]] = {}

    def encode(self, texts: Any, corpus: Any) -> np.ndarray:
        found = self.room.setdefault(len(texts), np.empty((len(texts), 1), np.float32))
        found[:, 0] = [len(text) for text in texts]
        return found


class Sinks(Detector):
    """Writes into the rewards."""

    def failures(self, signal: Any) -> Any:
        return signal.preferred.sub_(1) < signal.rejected


class Turns(Evaluator):
    """Writes into the rewards."""

    metrics = (Metric("n"),)

    def evaluate(self, scored: Mapping[str, Scored]) -> Any:
        for name in self.data:
            scored[name].reward[:] *= -1
            yield Measure(name, GOLD, "n", 1.0, 1)


@pytest.mark.parametrize(
    ("check", "sentence"),
    [
        (lambda: check_judge(Flips.named("flips")), "judge 'flips' changed examples.pair"),
        (lambda: check_judge(Counts.named("counts")), "judged twice, the texts got other values"),
        (lambda: check_source(Undrawn.named("undrawn")), "declare drawn = True"),
        (lambda: check_testset(Unseeded.named("unseeded")), "asked twice, it gave other texts"),
        (lambda: check_encoder(Reused()), "its next call changed the rows it gave before"),
        (lambda: check_detector(Sinks.named("sinks")), "detector 'sinks' changed preferred"),
        (
            lambda: check_evaluator(
                Turns.named("turns", data=("a",)), {"a": Scored(Pairs(("a",), ("b",)).examples(), np.array([1.0, 0]))}
            ),
            r"evaluator 'turns' changed scored\['a'\].reward",
        ),
    ],
)
def test_the_kit_finds_a_part_of_any_kind_that_changes_or_remembers(check: Callable[[], None], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check()


def test_the_kit_has_nothing_against_the_parts_in_the_box() -> None:
    def built(kind: str, **spec: Any) -> Any:
        return BUILT_IN.build(KINDS[kind], spec)

    check_judge(built("judge", use="toy-truth"), registry=BUILT_IN)
    check_source(built("source", use="toy-comments", n=20), registry=BUILT_IN)
    check_source(built("source", use="synthetic-linear", n=20), registry=BUILT_IN)
    check_testset(built("testset", use="toy-comments", n=20, gold={"use": "toy-truth"}), registry=BUILT_IN)
    check_prompts(built("prompts", use="toy-prompts"), registry=BUILT_IN)
    check_schedule(built("schedule", use="exponential", start=10.0, factor=0.5), registry=BUILT_IN)


class Wrapped(PairwiseMethod):
    """A plain loss."""

    def loss(self, margin: Any) -> Any:
        return -margin


def test_a_pairwise_plugin_trains_on_what_is_read_only() -> None:
    task = planted(n=20, d=4).task
    with unchanged_by(Wrapped.named("wrapped"), task=task):
        Wrapped.named("wrapped").fit(task)
