"""Parts that do nothing, so that what a run of them takes is the engine's own."""

import numpy as np

from fairl_bench import Encoder, Evaluator, Field, Measure, Method, Metric, Pairs, Reward, Source, hookimpl


class Ten(Source):
    """Ten pairs."""

    def pairs(self, rng):
        return Pairs(tuple(f"good {i}" for i in range(10)), tuple(f"bad {i}" for i in range(10)), ("",) * 10)


class Zeros(Encoder):
    """No number but 0."""

    def encode(self, texts, corpus):
        return np.zeros((len(texts), 2), np.float32)


class Nothing(Method):
    """Learns nothing and scores every text 0."""

    reads_vectors = False
    number: int = Field(0, ge=0, description="tells it from the others")

    def fit(self, task):
        return Reward({"weight": np.zeros(2, np.float32)})

    def score(self, reward, inputs):
        return np.zeros(len(inputs.vectors))


class One(Evaluator):
    """The number 1."""

    metrics = (Metric("one"),)

    def evaluate(self, scored):
        for name in self.data:
            yield Measure(name, "", "one", 1.0, len(scored[name].reward))


@hookimpl
def fairl_sources(register):
    register("ten", Ten)


@hookimpl
def fairl_encoders(register):
    register("zeros", Zeros)


@hookimpl
def fairl_methods(register):
    register("nothing", Nothing)


@hookimpl
def fairl_evaluators(register):
    register("one", One)
